package trees

import "testing"

func TestSplits(t *testing.T) {
	leaf := func(v float64) Node { return Node{Test: Leaf, Value: v} }
	f := &Forest{Features: 3, Outputs: 1, Base: []float64{0}, Trees: []Tree{
		{Nodes: []Node{{Test: Less, Feature: 2, Threshold: 1, Left: 1, Right: 2}, leaf(1), {Test: Less, Feature: 0, Threshold: 3, Left: 3, Right: 4}, leaf(2), leaf(3)}},
		{Nodes: []Node{{Test: Less, Feature: 2, Threshold: 5, Left: 1, Right: 2}, leaf(1), leaf(4)}},
	}}
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Splits(b)
	if err != nil || len(got) != 3 || got[0] != 1 || got[1] != 0 || got[2] != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Splits(b[:len(b)-1]); err == nil {
		t.Error("damaged bytes have splits")
	}
}
