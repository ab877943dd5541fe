package moduletest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// plus is a module that adds a number to every cell of column a.
func plus(name string, reads []int, fill func(dst *frame.Column, in *frame.Frame, n float64) error) *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: name, Group: "Test", CodeVersion: 1, Nature: module.RowWise, Doc: "Adds.",
			Inputs:  []module.Port{{ID: "Dataset", Kind: service.Dataset}},
			Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset}},
			Params: []module.Param{
				{Name: "N", Type: module.Float, Default: "1", Doc: "What to add."},
				{Name: "Sign", Type: module.Enumerated, Options: []string{"Plus", "Minus"}, Default: "Plus", Doc: "Add or subtract."},
				{Name: "Unused", Type: module.Enumerated, Options: []string{"No", "Yes"}, Default: "No", Doc: "Accepted and unused."},
			},
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			n := b.Params.Float("N")
			if b.Params.Text("Sign") == "Minus" {
				n = -n
			}
			out := module.Out{
				Field: frame.Field{Name: "sum", Type: frame.Double}, From: -1, Reads: reads,
				Fill: func(dst *frame.Column, in *frame.Frame) error { return fill(dst, in, n) },
			}
			return module.RowMap{Outs: []module.Out{module.Pass(b.Inputs[0].Schema, 0), out}}.Bind(b.Inputs[0].Schema, 0, 1)
		},
	}
}

func sum(dst *frame.Column, in *frame.Frame, n float64) error {
	for r := range in.Rows() {
		dst.AppendFloat(in.Cols[0].Float(r) + n)
	}
	return nil
}

var kept []float64 // escapes

// twoFaced gives its input in a run, and nothing in a deployment.
func twoFaced() *module.Module {
	m := plus("Two-faced", nil, nil)
	m.Nature = module.WholeTable
	m.Make = func(_ context.Context, c *module.Call) ([]*frame.Frame, error) {
		return []*frame.Frame{c.Inputs[0].Frame}, nil
	}
	m.Bind = func(b *module.Binding) (*module.Bound, error) {
		op := module.OpFunc(func(in, out []*frame.Frame) error {
			copy(out[0].Cols, in[0].Slice(0, 0).Cols)
			return nil
		})
		return &module.Bound{Op: op, Outputs: b.Pinned}, nil
	}
	return m
}

func testPalette() *module.Palette {
	return module.NewPalette(
		plus("Add", []int{0}, sum),
		plus("Reads nothing", nil, sum),
		plus("Counts rows", []int{0}, func(dst *frame.Column, in *frame.Frame, _ float64) error {
			for range in.Rows() {
				dst.AppendFloat(float64(in.Rows()))
			}
			return nil
		}),
		plus("Wastes", []int{0}, func(dst *frame.Column, in *frame.Frame, n float64) error {
			for r := range in.Rows() {
				for range 4 * allocFactor {
					kept = append([]float64{}, in.Cols[0].Float(r)+n)
				}
				dst.AppendFloat(kept[0])
			}
			return nil
		}),
		twoFaced(),
		&module.Module{
			Spec: module.Spec{
				Name: "Shift", Group: "Test", CodeVersion: 1, Nature: module.Fitted, Doc: "Learns to add its first cell.",
				Inputs:  []module.Port{{ID: "Dataset", Kind: service.Dataset}},
				Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset}, {ID: "Shift", Kind: service.Transformation}},
			},
			Fit: func(_ context.Context, c *module.Call) ([]byte, error) {
				return c.Inputs[0].Frame.Cols[0].Print(nil, 0), nil
			},
			Apply: func(state []byte, in frame.Schema) (*module.Bound, error) {
				out := module.Out{Field: frame.Field{Name: "sum", Type: frame.Double}, From: -1, Reads: []int{0}, Fill: func(dst *frame.Column, in *frame.Frame) error {
					return sum(dst, in, float64(state[0]-'0'))
				}}
				return module.RowMap{Outs: []module.Out{out}}.Bind(in, 0, 1)
			},
		},
	)
}

const good = `{"module": "Add", "parameters": {"N": "2.5", "Sign": "Minus", "Unused": "Yes"}, "inputs": {"Dataset": "a\n5\n\"\"\n1"},
	"outputs": {"Results dataset": "a,sum\n5,2.5\n,\n1,-1.5"}, "types": {"Results dataset": ["Int32", "Double"]}}`

// try runs one case as Run does and returns what it finds.
func try(t *testing.T, text string) error {
	t.Helper()
	g := &golden{}
	if err := decode([]byte(text), g); err != nil {
		t.Fatal(err)
	}
	p := testPalette()
	c, out, err := g.execute(t.Context(), p, g.Parameters)
	if err := g.compare(p, out, err); err != nil {
		return err
	}
	if err != nil {
		return nil
	}
	return again(c, out)
}

func TestFindings(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"right", "", "", ""},
		{"alias of no module", "Add", "Sub", `no module "Sub"`},
		{"cell", "-1.5", "-1.25", `row 2, column "sum": got "-1.5", want "-1.25"`},
		{"another spelling of a number", "-1.5", "-15e-1", ""},
		{"near enough", `-1.5"}`, `-1.5000001"}, "tolerance": 1e-6`, ""},
		{"not near enough", `-1.5"}`, `-1.5000001"}, "tolerance": 1e-8`, `want "-1.5000001"`},
		{"missing where a number is due", "5,2.5", "5,", `got "2.5", want ""`},
		{"a number where missing is due", `\n,\n`, `\n,0\n`, `got "", want "0"`},
		{"column", "a,sum", "a,total", `want ["a" "total"]`},
		{"type", `"Int32", "Double"`, `"Int32", "Int64"`, `want ["Int32" "Int64"]`},
		{"row", `\n,\n`, `\n`, "got 3 rows, want 2"},
		{"parameter", `"N": "2.5"`, `"N": "x"`, `Error 0002: parameter "N"`},
		{"port", `"Dataset": "a`, `"Table": "a`, `no input port "Table"`},
		{"no error", `"outputs": {"Results dataset": "a,sum\n5,2.5\n,\n1,-1.5"}, "types": {"Results dataset": ["Int32", "Double"]}`, `"error": "Error 0001"`, "it succeeds"},
		{"allocates", `"Add"`, `"Wastes"`, fmt.Sprintf("it allocates %d times for a batch of 64 rows", 4*allocFactor*64)},
		{"reads", `"Add"`, `"Reads nothing"`, "does not say to read"},
	} {
		err := try(t, strings.Replace(good, c.from, c.to, 1))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestBatchesFound(t *testing.T) {
	err := try(t, `{"module": "Counts rows", "inputs": {"Dataset": "a\n5\n6"}, "outputs": {"Results dataset": "a,sum\n5,2\n6,2"}}`)
	if err == nil || !strings.Contains(err.Error(), "in batches of 1 rows it gives\n5,1") {
		t.Errorf("got %v", err)
	}
}

func TestWholeTablesFound(t *testing.T) {
	err := try(t, `{"module": "Two-faced", "inputs": {"Dataset": "a\n5"}, "outputs": {"Results dataset": "a\n5"}}`)
	if err == nil || !strings.Contains(err.Error(), "bound to the run's schemas it gives") {
		t.Errorf("got %v", err)
	}
}

func TestTransformations(t *testing.T) {
	const text = `{"module": "Shift", "inputs": {"Dataset": "a\n5\n6"},
		"outputs": {"Results dataset": "sum\n10\n11", "Shift": {"apply": "a\n100", "gives": "sum\n105"}}}`
	if err := try(t, text); err != nil {
		t.Error(err)
	}
	if err := try(t, strings.Replace(text, "105", "106", 1)); err == nil || !strings.Contains(err.Error(), `got "105", want "106"`) {
		t.Errorf("got %v", err)
	}
}

func TestInputs(t *testing.T) {
	g := &golden{}
	err := decode([]byte(`{"inputs": {
		"typed": {"csv": "id,s,n\n1,b,?\n2,a,4", "schema": [{"name": "id", "role": "id"}, {"name": "s", "categorical": true}, {"name": "n", "type": "Double", "missing": ["?"]}]},
		"made": {"module": "Shift", "inputs": {"Dataset": "a\n5"}},
		"literal": {"json": {"k": 1}}}}`), g)
	if err != nil {
		t.Fatal(err)
	}
	p := testPalette()
	in := g.Inputs["typed"]
	v, err := in.value(t.Context(), p, service.Dataset)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"Int32/id", "String[a b]", "Double"}, describe(v.Frame.Schema())); d != "" {
		t.Error(d)
	}
	if !v.Frame.Cols[2].IsNull(0) {
		t.Error("a missing token is read as a value")
	}
	in = g.Inputs["made"]
	if v, err = in.value(t.Context(), p, service.Transformation); err != nil || v.Kind != service.Transformation {
		t.Errorf("got %+v, %v", v, err)
	}
	in = g.Inputs["literal"]
	if v, err = in.value(t.Context(), p, service.UntrainedModel); err != nil || string(v.Artifact) != `{"k": 1}` {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestCoverage(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a": good,
		"b": `{"module": "add", "parameters": {"N": "2.50"}, "inputs": {"Dataset": "a\n\"\""}, "outputs": {"Results dataset": "a,sum\n,"}}`,
		"c": `{"module": "Add", "parameters": {"N": "2.50", "Sign": "Plus"}, "inputs": {"Dataset": "a\n1"}, "outputs": {"Results dataset": "a,sum\n1,3.5"}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Coverage(t.Context(), testPalette(), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := Counts{"Add": {"N": {"2.5": 2}, "Sign": {"Minus": 1, "Plus": 1}, "Unused": {"Yes": 0}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := Coverage(t.Context(), testPalette(), t.TempDir()); err == nil {
		t.Error("a folder without cases passes")
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "good.json"), []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	Run(t, testPalette(), dir)
}
