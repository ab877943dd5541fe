// Package moduletest runs golden cases of modules: files that say what a module
// gives for some parameters and tables, made by the libraries that are the
// reference or by hand.
//
// A case is one JSON file:
//
//	{
//	  "module": "Split Data",                       name or alias
//	  "why": "rounds half away from zero",          optional: the arithmetic, or what the case is about
//	  "parameters": {"Splitting mode": "Split Rows"},
//	  "inputs": {"Dataset": "a,b\n1,x\n"},          by port
//	  "outputs": {"Results dataset1": "a,b\n1,x\n"},
//	  "types": {"Results dataset1": ["Int32", "String[x y]", "Double/label"]},
//	  "tolerance": 1e-9,
//	  "error": "Error 0017"
//	}
//
// An input is CSV text, with types inferred as for a new dataset; or an object
// in one of these forms:
//
//	{"csv": text, "schema": [{"name": "s", "categorical": true}, …]}
//	    fields in the form of frame.Field for the columns that are not as
//	    inferred; a type left out stays as inferred, and "categorical" takes the
//	    column's distinct texts, sorted, as its levels
//	{"module": name, "parameters": {…}, "inputs": {…}, "output": port}
//	    what another module gives: a transformation, an untrained or a trained
//	    model. Without "output" it is its only output of the port's kind
//	{"json": …}
//	    a literal artifact
//
// An output is CSV text, compared cell by cell with the column names: Double
// cells as numbers, within tolerance·max(1, |want|), all others as text. A
// single missing cell in a table of one column is written "". An output that is
// a transformation, or a trained model, is {"apply": input, "gives": CSV text}:
// what it makes of the input, a model by Score Model, others by the module that
// "by" names, where one is named. An output that is an untrained model has
// {"train": {"module": …}} besides: the module that trains it first, without the
// port that it flows into. Ports that are not listed are not compared. "types"
// are types with levels and roles. A case has outputs, or an error: a part of
// its text.
//
// Run checks besides what no case need say: see there.
package moduletest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// Run runs every case under dir as a subtest: each must give what it says.
// Beyond that
//
//   - the transformation of a fitted module must give the module's own result
//     when it is applied to the same table,
//   - row-wise modules and transformations must give the same cells for
//     batches of no row, 1, 7 and all rows, out of one session,
//   - what they say of an output column's source must hold, and columns they
//     do not say to read must not matter,
//   - they must not allocate for each row of a batch that they have had before,
//   - modules of whole tables must give the run's result when they are bound to
//     its schemas, as a deployment binds them.
func Run(t *testing.T, p *module.Palette, dir string) {
	t.Helper()
	cases, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range cases {
		t.Run(g.name, func(t *testing.T) {
			c, out, err := g.execute(t.Context(), p, g.Parameters)
			if diff := g.compare(p, out, err); diff != nil {
				if g.Why != "" {
					t.Log(g.Why)
				}
				t.Fatal(diff)
			}
			if err != nil {
				return
			}
			if err := again(c, out); err != nil {
				t.Error(err)
			}
		})
	}
}

// golden is one case.
type golden struct {
	name string // file, relative to the folder, without its extension

	Module     string              `json:"module"`
	Why        string              `json:"why"`
	Parameters map[string]string   `json:"parameters"`
	Inputs     map[string]input    `json:"inputs"`
	Outputs    map[string]output   `json:"outputs"`
	Types      map[string][]string `json:"types"`
	Tolerance  float64             `json:"tolerance"`
	Error      string              `json:"error"`
}

// load reads every case under dir.
func load(dir string) ([]*golden, error) {
	var cases []*golden
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		g := &golden{name: strings.TrimSuffix(filepath.ToSlash(rel), ".json")}
		if err := decode(data, g); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if (len(g.Outputs) > 0) == (g.Error != "") {
			return fmt.Errorf("%s: a case has outputs or an error, one of both", path)
		}
		cases = append(cases, g)
		return nil
	})
	if err == nil && len(cases) == 0 {
		err = fmt.Errorf("%s: no cases", dir)
	}
	return cases, err
}

func decode(data []byte, into any) error {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// call is what was executed.
type call struct {
	palette *module.Palette
	mod     *module.Module
	params  module.Values
	inputs  []module.Value
}

// execute runs the case's module with the given parameters.
func (g *golden) execute(ctx context.Context, p *module.Palette, params map[string]string) (*call, []module.Value, error) {
	c, err := prepare(ctx, p, g.Module, params, g.Inputs)
	if err != nil {
		return nil, nil, err
	}
	out, err := c.execute(ctx)
	return c, out, err
}

func prepare(ctx context.Context, p *module.Palette, name string, params map[string]string, inputs map[string]input) (*call, error) {
	m := p.Lookup(name)
	if m == nil {
		return nil, fmt.Errorf("the palette has no module %q", name)
	}
	values, problems := m.Resolve(params)
	var errs []error
	for _, b := range problems {
		errs = append(errs, module.Errorf(b.Number, "%s", b.Message))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	c := &call{palette: p, mod: m, params: values, inputs: make([]module.Value, len(m.Inputs))}
	for port := range inputs {
		if m.Input(port) < 0 {
			return nil, fmt.Errorf("module %q has no input port %q", m.Name, port)
		}
	}
	for i, port := range m.Inputs {
		in, ok := inputs[port.ID]
		if !ok && len(m.Inputs) == 1 {
			in, ok = inputs[""]
		}
		if !ok {
			if !port.Optional {
				return nil, fmt.Errorf("input port %q of module %q is not connected", port.ID, m.Name)
			}
			continue
		}
		v, err := in.value(ctx, p, port.Kind)
		if err != nil {
			return nil, fmt.Errorf("input port %q: %w", port.ID, err)
		}
		c.inputs[i] = v
	}
	return c, nil
}

func (c *call) execute(ctx context.Context) ([]module.Value, error) {
	return c.mod.Execute(ctx, &module.Call{
		Params: c.params, Inputs: slices.Clone(c.inputs), Palette: c.palette, Log: func(string, ...any) {},
	})
}

// input is what flows into a port; see the package comment for its forms.
type input struct {
	CSV    *string `json:"csv"`
	Schema []field `json:"schema"`

	Module     string            `json:"module"`
	Parameters map[string]string `json:"parameters"`
	Inputs     map[string]input  `json:"inputs"`
	Output     string            `json:"output"`

	JSON json.RawMessage `json:"json"`

	given *module.Value // by the program
}

// field is what is not as inferred of a column.
type field struct {
	Name        string      `json:"name"`
	Type        *frame.Type `json:"type"`
	Role        frame.Role  `json:"role"`
	Levels      []string    `json:"levels"`
	Missing     []string    `json:"missing"`
	Nullable    bool        `json:"nullable"`
	Categorical bool        `json:"categorical"`
}

func (in *input) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, &in.CSV)
	}
	type plain input
	return decode(data, (*plain)(in))
}

func (in *input) value(ctx context.Context, p *module.Palette, kind service.PortKind) (module.Value, error) {
	switch {
	case in.given != nil:
		return *in.given, nil
	case in.CSV != nil:
		f, err := table(*in.CSV, in.Schema)
		return module.Table(f), err
	case in.JSON != nil:
		return module.Value{Kind: kind, Artifact: in.JSON}, nil
	}
	c, err := prepare(ctx, p, in.Module, in.Parameters, in.Inputs)
	if err != nil {
		return module.Value{}, err
	}
	port := c.mod.Output(in.Output)
	if in.Output == "" {
		port = slices.IndexFunc(c.mod.Outputs, func(o module.Port) bool { return o.Kind == kind })
	}
	if port < 0 {
		return module.Value{}, fmt.Errorf("module %q has no output %q of kind %s", c.mod.Name, in.Output, kind)
	}
	out, err := c.execute(ctx)
	if err != nil {
		return module.Value{}, fmt.Errorf("module %q: %w", c.mod.Name, err)
	}
	return out[port], nil
}

// table reads CSV as a new dataset would be, but for the fields given.
func table(text string, given []field) (*frame.Frame, error) {
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	schema, err := frame.Inference{}.Infer([]byte(text))
	if err != nil {
		return nil, err
	}
	categorical := make([]bool, len(schema))
	for _, g := range given {
		i := schema.Index(g.Name)
		if i < 0 {
			return nil, fmt.Errorf("the schema has a column %q that the table has not", g.Name)
		}
		f := &schema[i]
		if g.Type != nil {
			f.Type = *g.Type
		}
		f.Role, f.Missing, f.Nullable = g.Role, g.Missing, f.Nullable || g.Nullable || g.Missing != nil
		if g.Levels != nil || g.Categorical {
			f.Type, f.Levels, categorical[i] = frame.String, g.Levels, g.Levels == nil
		}
	}
	f, err := read(text, schema)
	if err != nil || !slices.Contains(categorical, true) {
		return f, err
	}
	for i := range schema {
		if categorical[i] {
			schema[i].Levels = distinct(f.Cols[i])
		}
	}
	return read(text, schema)
}

func read(text string, schema frame.Schema) (*frame.Frame, error) {
	l, err := frame.NewLayout(slices.Clone(schema))
	if err != nil {
		return nil, err
	}
	return frame.CSV{}.Read([]byte(text), l)
}

// distinct returns the texts of a column, sorted by their bytes.
func distinct(c *frame.Column) []string {
	levels := []string{}
	for r := range c.Len() {
		if !c.IsNull(r) {
			levels = append(levels, string(c.Text(r)))
		}
	}
	slices.Sort(levels)
	return slices.Compact(levels)
}
