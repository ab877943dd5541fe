package model_test

import (
	"math"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/trees"
)

// digits is an ensemble whose sum shows its features: feature f with value v
// in 0 to 5 adds v·10^f, a missing one 9·10^f.
func digits(t testing.TB, features int) []byte {
	t.Helper()
	forest := &trees.Forest{Features: features, Outputs: 1, Input: trees.Float64, Sum: trees.Float64, Base: []float64{0}}
	for f := range features {
		unit := math.Pow10(f)
		nodes := []trees.Node{{Test: trees.Less, Feature: int32(f), Threshold: math.Inf(1), Left: 2, Right: 1}, {Value: 9 * unit}}
		for v := range 5 {
			at := int32(len(nodes))
			nodes = append(nodes,
				trees.Node{Test: trees.Less, Feature: int32(f), Threshold: float64(v) + .5, Left: at + 1, Right: at + 2},
				trees.Node{Value: float64(v) * unit})
		}
		nodes = append(nodes, trees.Node{Value: 5 * unit})
		forest.Trees = append(forest.Trees, trees.Tree{Nodes: nodes})
	}
	b, err := forest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sums is an ensemble of the given outputs that adds feature 0, a whole number
// from -4 to 4, times k+1 to output k.
func sums(t testing.TB, outputs int) []byte {
	t.Helper()
	forest := &trees.Forest{Features: 1, Outputs: outputs, Input: trees.Float64, Sum: trees.Float64, Base: make([]float64, outputs)}
	for k := range outputs {
		var nodes []trees.Node
		for v := -4; v < 4; v++ {
			at := int32(len(nodes))
			nodes = append(nodes,
				trees.Node{Test: trees.Less, Threshold: float64(v) + .5, Left: at + 1, Right: at + 2},
				trees.Node{Value: float64(v * (k + 1))})
		}
		forest.Trees = append(forest.Trees, trees.Tree{Output: k, Nodes: append(nodes, trees.Node{Value: float64(4 * (k + 1))})})
	}
	b, err := forest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ptr(v float64) *float64 { return &v }

func encode(t testing.TB, h model.Header, engine []byte) *model.Model {
	t.Helper()
	b, err := model.Encode(h, engine)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// table makes a frame of texts; "" is missing.
func table(t testing.TB, s frame.Schema, rows ...[]string) *frame.Frame {
	t.Helper()
	l, err := frame.NewLayout(s)
	if err != nil {
		t.Fatal(err)
	}
	f := l.New(len(rows))
	for _, row := range rows {
		for i, cell := range row {
			if err := f.Cols[i].AppendText([]byte(cell)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return f
}

// score binds m to the frame's schema and scores it.
func score(t testing.TB, m *model.Model, f *frame.Frame) (*frame.Frame, model.Counts, error) {
	t.Helper()
	s, err := m.Bind(f.Schema())
	if err != nil {
		return nil, model.Counts{}, err
	}
	l, err := frame.NewLayout(s.Fields())
	if err != nil {
		t.Fatal(err)
	}
	out, st := l.New(f.Rows()), s.NewState()
	err = s.Score(st, f, out.Cols)
	return out, st.Counts, err
}

// cells prints row i.
func cells(f *frame.Frame, i int) []string {
	var s []string
	for _, c := range f.Cols {
		s = append(s, string(c.Print(nil, i)))
	}
	return s
}
