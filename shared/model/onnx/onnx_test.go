package onnx

import (
	"bytes"
	"math"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// canonical makes the canonical bytes of a golden model's last output.
func canonical(t testing.TB, name string, b []byte) []byte {
	t.Helper()
	f, err := Read(b)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var widths []int
	for _, in := range f.Inputs() {
		widths = append(widths, in.Width)
	}
	outputs := f.Outputs()
	body, err := f.Canonical(outputs[len(outputs)-1], widths)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return body
}

// TestCanonical holds that the canonical bytes of canonical bytes are
// themselves, and that what decides no answer is not in them.
func TestCanonical(t *testing.T) {
	for name, b := range golden(t) {
		if !Is(b) {
			t.Errorf("%s: not taken for an ONNX model", name)
		}
		body := canonical(t, name, b)
		if !Is(body) || !bytes.Equal(canonical(t, name, body), body) {
			t.Errorf("%s: the canonical bytes have others of their own", name)
		}
		more := bytes.Clone(b)
		for num, text := range map[protowire.Number]string{4: "com.example", 6: "documentation"} { // domain, doc_string
			more = protowire.AppendString(protowire.AppendTag(more, num, protowire.BytesType), text)
		}
		if !bytes.Equal(canonical(t, name, more), body) {
			t.Errorf("%s: documentation changes the canonical bytes", name)
		}
	}
}

// TestSessions scores by many sessions of one model at once.
func TestSessions(t *testing.T) {
	for _, name := range []string{"forest", "pipeline_strict", "mlp", "svc_multi", "knn"} {
		m, err := Open(canonical(t, name, golden(t)[name]))
		if err != nil {
			t.Fatal(err)
		}
		x, text := m.sample(BlockRows, 1)
		answer := func() []float64 {
			out := make([]float64, BlockRows*m.Outputs())
			s := m.NewSession()
			s.lenient()
			for range 3 {
				if err := s.Predict(x, text, BlockRows, out); err != nil {
					t.Error(err)
				}
			}
			return out
		}
		want := answer()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for i, v := range answer() {
					if math.Float64bits(v) != math.Float64bits(want[i]) {
						t.Errorf("%s: answer %d is %v in one session and %v in another", name, i, v, want[i])
						return
					}
				}
			})
		}
		all.Wait()
	}
}

// TestMissing holds that a missing cell in a tensor that cannot say so leaves
// its row, and no other, without an answer.
func TestMissing(t *testing.T) {
	b := (&graph{
		opsets: map[string]int64{"": 18}, outputs: []port{{name: "y"}},
		inputs: []port{{name: "i", typ: Int64, dims: []int64{-1, 1}}, {name: "f", typ: Float, dims: []int64{-1, 1}}},
		nodes: []node{
			{op: "Cast", inputs: []string{"i"}, outputs: []string{"c"}, attrs: []attr{{name: "to", int: int64(Float)}}},
			{op: "Add", inputs: []string{"c", "f"}, outputs: []string{"y"}},
		},
	}).encode(0)
	m, err := Open(b)
	if err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	out := make([]float64, 3)
	if err := m.NewSession().Predict([]float64{1, nan, 3, 10, 20, nan}, nil, 3, out); err != nil {
		t.Fatal(err)
	}
	if out[0] != 11 || out[1] == out[1] || out[2] == out[2] {
		t.Errorf("answers %v, want 11 and two missing", out)
	}
}
