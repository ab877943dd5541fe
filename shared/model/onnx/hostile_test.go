package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// use reads a file as an import does, opens what it makes and scores a row.
// What is refused must be refused as such.
func use(b []byte) error {
	f, err := Read(b)
	if err != nil {
		return err
	}
	outputs := f.Outputs()
	if len(outputs) == 0 {
		return refuse("no outputs")
	}
	var widths []int
	for _, in := range f.Inputs() {
		widths = append(widths, max(1, in.Width))
	}
	body, err := f.Canonical(outputs[len(outputs)-1], widths)
	if err != nil {
		return err
	}
	m, err := Open(body)
	if err != nil {
		return err
	}
	x, text := m.sample(1, 1)
	return m.NewSession().Predict(x, text, 1, make([]float64, m.Outputs()))
}

// cost runs use and returns what it allocated.
func cost(t testing.TB, what string, b []byte) (uint64, error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := use(b)
	runtime.ReadMemStats(&after)
	if refusal := (*Refusal)(nil); err != nil && !errors.As(err, &refusal) {
		t.Errorf("%s: not a refusal: %v", what, err)
	}
	return after.TotalAlloc - before.TotalAlloc, err
}

func golden(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/golden/*.onnx")
	if err != nil || len(paths) < 45 {
		t.Fatalf("%d golden models, %v", len(paths), err)
	}
	for _, name := range []string{"xgboost_onehot", "xgboost_partition", "lightgbm_partition", "catboost_missing"} {
		paths = append(paths, shapesFolder+name+".onnx")
	}
	files := map[string][]byte{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(filepath.Base(p), ".onnx")] = b
	}
	return files
}

// TestHostile damages every golden model in many ways: cut short, bytes
// changed, lengths made huge. What is not refused must score. Nothing may take
// more memory than sixteen times the file and what a file of no size takes.
func TestHostile(t *testing.T) {
	const fixed = 256 << 10
	rng := rand.New(rand.NewPCG(1, 2))
	refused, scored := 0, 0
	for name, file := range golden(t) {
		try := func(what string, b []byte) {
			took, err := cost(t, name+", "+what, b)
			if took > 16*uint64(len(b))+fixed {
				t.Errorf("%s, %s: %d bytes took %d", name, what, len(b), took)
			}
			if err != nil {
				refused++
			} else {
				scored++
			}
		}
		try("whole", file)
		for range 20 {
			n := rng.IntN(len(file))
			try(fmt.Sprintf("cut at %d", n), file[:n])
		}
		for i := range 40 {
			b := bytes.Clone(file)
			for range 1 + i%4 {
				b[rng.IntN(len(b))] = byte(rng.Uint32())
			}
			try(fmt.Sprintf("noise %d", i), b)
		}
		for i := range 20 { // a length of 2^63 somewhere
			at := rng.IntN(len(file))
			b := protowire.AppendVarint(bytes.Clone(file[:at]), 1<<63)
			try(fmt.Sprintf("length %d", i), append(b, file[at:]...))
		}
	}
	t.Logf("%d refused, %d scored", refused, scored)
	if refused < 500 || scored < 100 {
		t.Errorf("%d refused, %d scored: the damage is not of both kinds", refused, scored)
	}
}

// graphOf makes a file of nodes, from x to y.
func graphOf(nodes ...node) []byte {
	g := &graph{
		opsets: map[string]int64{"": 18, "ai.onnx.ml": 3}, nodes: nodes,
		inputs:  []port{{name: "x", typ: Float, dims: []int64{-1, 2}}},
		outputs: []port{{name: "y", typ: Float}},
	}
	return g.encode(0)
}

func tensorAttr(name string, v ...int64) attr {
	return attr{name: name, tensor: &tensor{typ: Int64, shape: []int{len(v)}, i64: v}}
}

// TestRefusals refuses graphs by what is wrong with them.
func TestRefusals(t *testing.T) {
	n := func(op, in, out string, attrs ...attr) node {
		d := node{op: op, outputs: []string{out}, attrs: attrs}
		if in != "" {
			d.inputs = strings.Fields(in)
		}
		return d
	}
	ml := func(d node) node { d.domain = "ai.onnx.ml"; return d }
	constant := func(out string, v ...int64) node { return n("Constant", "", out, tensorAttr("value", v...)) }
	var deep []node
	for i := range 60_000 {
		deep = append(deep, n("Identity", fmt.Sprintf("v%d", i), fmt.Sprintf("v%d", i+1)))
	}
	deep[0].inputs[0] = "missing"
	deep[len(deep)-1].outputs[0] = "y"
	tree := func(yes, no int64, value float32) node {
		return ml(n("TreeEnsembleRegressor", "x", "y", attr{name: "n_targets", int: 1},
			attr{name: "nodes_treeids", ints: []int64{0, 0, 0}}, attr{name: "nodes_nodeids", ints: []int64{0, 1, 2}},
			attr{name: "nodes_featureids", ints: []int64{0, 0, 0}}, attr{name: "nodes_modes", strings: []string{"BRANCH_LEQ", "LEAF", "LEAF"}},
			attr{name: "nodes_values", floats: []float32{value, 0, 0}}, attr{name: "nodes_truenodeids", ints: []int64{yes, 0, 0}},
			attr{name: "nodes_falsenodeids", ints: []int64{no, 0, 0}}, attr{name: "target_treeids", ints: []int64{0, 0}},
			attr{name: "target_nodeids", ints: []int64{1, 2}}, attr{name: "target_ids", ints: []int64{0, 0}}, attr{name: "target_weights", floats: []float32{1, 2}}))
	}
	zero := float32(0)
	tests := []struct {
		name  string
		nodes []node
		want  string
	}{
		{"operator", []node{n("LSTM", "x", "y")}, "LSTM: the operator is not supported"},
		{"loop", []node{n("Loop", "x", "y")}, "Loop: the operator is not supported"},
		{"domain", []node{{op: "Add", domain: "com.example", inputs: []string{"x"}, outputs: []string{"y"}}}, `domain "com.example"`},
		{"attribute", []node{n("Add", "x x", "y", attr{name: "broadcast", int: 1})}, `attribute "broadcast" is not supported`},
		{"inputs", []node{n("Add", "x", "y")}, "1 inputs, not 2 to 2"},
		{"no maker", []node{n("Abs", "z", "y")}, `nothing makes its input "z"`},
		{"no output", []node{n("Abs", "x", "z")}, `nothing makes value "y"`},
		{"made twice", []node{n("Abs", "x", "y"), n("Neg", "x", "y")}, "made twice"},
		{"cycle", []node{n("Add", "x b", "a"), n("Abs", "a", "b"), n("Abs", "b", "y")}, "depends on itself"},
		{"own input", []node{n("Add", "x y", "y")}, "depends on itself"},
		{"deep", deep, `nothing makes its input "missing"`},
		{"types", []node{constant("c", 1), n("Add", "x c", "y")}, "float and int64"},
		{"shapes", []node{n("Transpose", "x", "t"), n("MatMul", "x x", "y")}, "do not go together"},
		{"rows by rows", []node{n("ReduceSum", "x", "s"), n("Add", "x s", "y")}, "depends on the rows"},
		{"one answer for all", []node{n("ReduceMean", "x", "y")}, "its answer has shape [1 1] for 3 rows"},
		{"huge", []node{constant("s", 1<<31, 1<<31), n("ConstantOfShape", "s", "c"), n("ReduceSum", "c", "r"), n("Add", "x r", "y")}, "a tensor of shape"},
		{"large", []node{constant("s", 1<<15, 1<<10), n("ConstantOfShape", "s", "c"), n("ReduceSum", "c", "r"), n("Add", "x r", "y")}, "more memory"},
		{"negative", []node{constant("s", -5), n("ConstantOfShape", "s", "c"), n("Add", "x c", "y")}, "a tensor of shape [-5]"},
		{"range", []node{constant("c", 0), n("Range", "c c c", "r"), n("Cast", "r", "f", attr{name: "to", int: 1}), n("Add", "x f", "y")}, "a range"},
		{"division", []node{constant("c", 1), constant("z", 0), n("Div", "c z", "d"), n("Cast", "d", "f", attr{name: "to", int: 1}), n("Add", "x f", "y")}, "division by zero"},
		{"index", []node{constant("c", 7), n("Gather", "x c", "y", attr{name: "axis", int: 1})}, "index 7 of 2"},
		{"text", []node{n("Cast", "x", "y", attr{name: "to", int: 8})}, "not a number"},
		{"tree of itself", []node{tree(0, 2, 0)}, "reached twice"},
		{"tree that meets", []node{tree(1, 1, 0)}, "reached twice"},
		{"child out of range", []node{tree(1, 9, 0)}, "no child 1 or 9"},
		{"NaN threshold", []node{tree(1, 2, zero/zero)}, "not a number"},
		{"narrow", []node{ml(n("LinearRegressor", "x", "y", attr{name: "coefficients", floats: []float32{1, 2, 3}}))}, "2 columns for 3 coefficients"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := use(graphOf(tt.nodes...))
			if refusal := (*Refusal)(nil); !errors.As(err, &refusal) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a refusal with %q", err, tt.want)
			}
		})
	}
}

// TestNesting reads a file whose messages are within each other a million deep.
func TestNesting(t *testing.T) {
	var b []byte
	for range 1_000_000 {
		b = append(b, 0x3a, 0xff, 0xff, 0xff, 0x7f) // field 7, the graph
	}
	if _, err := cost(t, "nesting", b); err == nil {
		t.Error("no refusal")
	}
	attrs := bytes.Repeat([]byte{0x32, 0x7f}, 1<<20) // field 6, a graph within an attribute
	if _, err := cost(t, "graphs", attrs); err == nil {
		t.Error("no refusal")
	}
}

func FuzzOpen(f *testing.F) {
	for _, b := range golden(f) {
		if len(b) < 8000 {
			f.Add(b)
		}
	}
	for name, b := range unpack(f, "testdata/ml.tar.gz") {
		if strings.HasSuffix(name, "_double/model.onnx") || strings.HasPrefix(name, "ensemble_float32") {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		took, _ := cost(t, "fuzz", b)
		if took > 64*uint64(len(b))+16<<20 {
			t.Errorf("%d bytes took %d", len(b), took)
		}
		Is(b)
	})
}
