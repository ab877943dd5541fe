package moduletest

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// output is what a port must give: a table, or what a transformation or a
// trained model makes of one.
type output struct {
	Gives string `json:"gives"`
	Train *input `json:"train"` // the module that trains an untrained model first
	Apply *input `json:"apply"`
	By    string `json:"by"` // the module that applies it, where it is not the usual one
}

func (o *output) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, &o.Gives)
	}
	type plain output
	return decode(data, (*plain)(o))
}

// compare holds what a module gave, or its failure, to the case. It returns
// every difference.
func (g *golden) compare(p *module.Palette, out []module.Value, failure error) error {
	switch {
	case g.Error != "" && failure == nil:
		return fmt.Errorf("it succeeds, want an error with %q", g.Error)
	case g.Error != "" && !strings.Contains(failure.Error(), g.Error):
		return fmt.Errorf("got error %q, want one with %q", failure, g.Error)
	case g.Error != "":
		return nil
	case failure != nil:
		return failure
	}
	m := p.Lookup(g.Module)
	for port := range g.Types {
		if _, ok := g.Outputs[port]; !ok {
			return fmt.Errorf("types of output port %q, for which the case has no output", port)
		}
	}
	var errs []error
	for _, port := range slices.Sorted(maps.Keys(g.Outputs)) {
		i := m.Output(port)
		if i < 0 {
			return fmt.Errorf("module %q has no output port %q", m.Name, port)
		}
		want := g.Outputs[port]
		got, err := want.table(p, out[i])
		if err == nil {
			err = g.compareTable(got, want.Gives, g.Types[port])
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("output port %q: %w", port, err))
		}
	}
	return errors.Join(errs...)
}

// table returns what is compared of a value: the table itself, or what a
// transformation makes of another.
func (o *output) table(p *module.Palette, v module.Value) (*frame.Frame, error) {
	if o.Apply == nil {
		if v.Kind != service.Dataset {
			return nil, fmt.Errorf("it gives a %s, want a table", v.Kind)
		}
		return v.Frame, nil
	}
	if o.Apply.CSV == nil {
		return nil, errors.New("a transformation or a model is applied to a table")
	}
	in, err := table(*o.Apply.CSV, o.Apply.Schema)
	if err != nil {
		return nil, err
	}
	if o.Train != nil {
		if v, err = o.Train.train(p, v); err != nil {
			return nil, err
		}
	}
	switch {
	case o.By != "":
		return applyBy(p, o.By, v, in)
	case v.Kind == service.TrainedModel:
		return applyBy(p, "Score Model", v, in)
	}
	tr, err := p.OpenTransformation(v.Artifact)
	if err != nil {
		return nil, err
	}
	bound, err := tr.Bind(in.Schema())
	if err != nil {
		return nil, err
	}
	return apply(bound, []*frame.Frame{in})
}

// train returns the model that the module makes of an untrained one.
func (in input) train(p *module.Palette, untrained module.Value) (module.Value, error) {
	m := p.Lookup(in.Module)
	if m == nil {
		return module.Value{}, fmt.Errorf("the palette has no module %q to train with", in.Module)
	}
	others := in.Inputs
	in.Inputs = make(map[string]input)
	maps.Copy(in.Inputs, others)
	for _, port := range m.Inputs {
		if port.Kind == service.UntrainedModel {
			in.Inputs[port.ID] = input{given: &untrained}
		}
	}
	return in.value(context.Background(), p, service.TrainedModel)
}

// applyBy returns what the module called name makes of a table by an artifact.
func applyBy(p *module.Palette, name string, artifact module.Value, in *frame.Frame) (*frame.Frame, error) {
	m := p.Lookup(name)
	if m == nil {
		return nil, fmt.Errorf("the palette has no %s to apply a %s with", name, artifact.Kind)
	}
	inputs := make([]module.Value, len(m.Inputs))
	for i, port := range m.Inputs {
		if inputs[i] = artifact; port.Kind == service.Dataset {
			inputs[i] = module.Table(in)
		}
	}
	out, err := m.Execute(context.Background(), &module.Call{Inputs: inputs, Palette: p, Log: func(string, ...any) {}})
	if err != nil {
		return nil, err
	}
	return out[0].Frame, nil
}

// maxShown is the number of differences that are told.
const maxShown = 10

func (g *golden) compareTable(got *frame.Frame, want string, types []string) error {
	r := csv.NewReader(strings.NewReader(want))
	r.FieldsPerRecord = -1
	records, err := r.ReadAll()
	if err != nil {
		return err
	}
	if len(records) == 0 {
		records = [][]string{{}}
	}
	header, rows := records[0], records[1:]
	if names := got.Schema().Names(); !slices.Equal(names, header) {
		return fmt.Errorf("got columns %q, want %q", names, header)
	}
	if types != nil {
		if d := describe(got.Schema()); !slices.Equal(d, types) {
			return fmt.Errorf("got types %q, want %q", d, types)
		}
	}
	if got.Rows() != len(rows) {
		return fmt.Errorf("got %d rows, want %d:\n%s", got.Rows(), len(rows), frame.AppendCSV(nil, got.Slice(0, min(got.Rows(), maxShown)), ','))
	}
	var errs []error
	for row, cells := range rows {
		if len(cells) != len(header) {
			return fmt.Errorf("row %d of the case has %d cells, want %d", row, len(cells), len(header))
		}
		for i, c := range got.Cols {
			if text := string(c.Print(nil, row)); !g.same(c, row, text, cells[i]) {
				errs = append(errs, fmt.Errorf("row %d, column %q: got %q, want %q", row, header[i], text, cells[i]))
			}
			if len(errs) == maxShown {
				return errors.Join(append(errs, errors.New("and maybe more"))...)
			}
		}
	}
	return errors.Join(errs...)
}

// same compares a cell with its text in the case.
func (g *golden) same(c *frame.Column, row int, got, want string) bool {
	if got == want {
		return true
	}
	if c.Field.Type != frame.Double || c.IsNull(row) {
		return false
	}
	x, err := strconv.ParseFloat(want, 64)
	return err == nil && math.Abs(c.Floats[row]-x) <= g.Tolerance*max(1, math.Abs(x))
}

// describe writes what a schema says beside names.
func describe(s frame.Schema) []string {
	types := make([]string, len(s))
	for i, f := range s {
		types[i] = f.Type.String()
		if f.Levels != nil {
			types[i] += fmt.Sprint(f.Levels)
		}
		if f.Role != "" {
			types[i] += "/" + string(f.Role)
		}
	}
	return types
}
