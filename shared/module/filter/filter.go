// Package filter holds the palette group Data Transformation / Filter: digital
// filters, and the module that applies them.
//
// A filter treats a column as a signal, its rows as equal steps of time; missing
// cells are no part of it and stay missing. It travels as a transformation
// whose state is all that applying needs: coefficients, not the wishes that led
// to them. Since a row's result depends on the rows before, Apply Filter works
// on whole tables.
package filter

import (
	"context"
	"encoding/json"
	"math"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Data Transformation / Filter"

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{
		ApplyFilter(), FIRFilter(), IIRFilter(), MedianFilter(), MovingAverageFilter(), ThresholdFilter(), UserDefinedFilter(),
	}
}

// filter is the state of a filter: exactly one of its members is set.
type filter struct {
	Sections  [][5]float64 `json:"sections,omitempty"` // b0 b1 b2 a1 a2 of each, in a row
	Linear    *linear      `json:"linear,omitempty"`
	Window    *window      `json:"window,omitempty"`
	Threshold *threshold   `json:"threshold,omitempty"`
}

// linear is Σ aₖ y(n−k) = Σ bₖ x(n−k), with a₀ = 1.
type linear struct {
	Forward  []float64 `json:"forward"`            // b
	Backward []float64 `json:"backward,omitempty"` // a₁, a₂, …
}

var filterOut = module.Port{ID: "Filter", Kind: service.Transformation, Doc: "The filter, for Apply Filter."}

// maker is a module that makes a filter of its parameters.
func maker(name, doc string, params []module.Param, design func(p module.Values) (*filter, error)) *module.Module {
	m := &module.Module{Spec: module.Spec{
		Name: name, Group: group, CodeVersion: 1, Nature: module.WholeTable,
		Outputs: []module.Port{filterOut}, Params: params, Doc: doc,
	}}
	m.Run = func(_ context.Context, c *module.Call) ([]module.Value, error) {
		f, err := design(c.Params)
		if err != nil {
			return nil, err
		}
		state, err := json.Marshal(f)
		if err != nil {
			return nil, module.Errorf(33, "the filter has infinite coefficients: its order is too high for its cutoffs")
		}
		artifact, err := module.EncodeTransformation(&m.Spec, state)
		if err != nil {
			return nil, err
		}
		return []module.Value{{Kind: service.Transformation, Artifact: artifact}}, nil
	}
	return m
}

// ApplyFilter applies a filter to columns.
func ApplyFilter() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Apply Filter", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{
				{ID: "Filter", Kind: service.Transformation, Doc: "The filter to apply."},
				{ID: "Dataset", Kind: service.Dataset, Doc: "The table whose columns are signals, in order of time."},
			},
			Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset, Doc: "The table with the filtered columns in the place of the others."}},
			Params:  []module.Param{{Name: "Column set", Type: module.ColumnPicker, Default: "NumericAll", Schema: true, Doc: "The columns to filter: numbers."}},
			Doc:     "Applies a filter to numeric columns, each by itself, from the first row to the last. Missing cells are passed over and stay missing; infinite results are module error 0033.",
		},
		Bind: bindApply,
	}
}

const (
	filterPort = iota
	dataPort
)

func bindApply(b *module.Binding) (*module.Bound, error) {
	in := b.Inputs[dataPort].Schema
	t, err := b.Palette.ReadTransformation(b.Inputs[filterPort].Artifact)
	if err != nil {
		return nil, err
	}
	var f filter
	if t.Module.Group != group || json.Unmarshal(t.State, &f) != nil {
		return nil, module.Errorf(82, "the transformation was made by %q and is no filter: use Apply Transformation", t.Module.Name)
	}
	picked, err := b.Params.Columns("Column set").Resolve(in)
	if err != nil {
		return nil, err
	}
	if len(picked) == 0 {
		return nil, module.Errorf(20, "parameter %q selects no column", "Column set")
	}
	schema := append(frame.Schema(nil), in...)
	from := make([]module.Source, len(in))
	for i := range in {
		from[i] = module.Source{Port: dataPort, Col: i}
	}
	for _, i := range picked {
		if !in[i].Type.Numeric() {
			return nil, module.Errorf(17, "column %q is %s: a filter needs numbers", in[i].Name, in[i].Type).At(in[i].Name)
		}
		schema[i].Type, schema[i].Missing, from[i] = frame.Double, nil, module.Computed
	}
	layout, err := frame.NewLayout(schema)
	if err != nil {
		return nil, module.Errorf(17, "%v", err)
	}
	op := module.OpFunc(func(tables, out []*frame.Frame) error {
		table := tables[dataPort]
		copy(out[0].Cols, table.Cols)
		for _, i := range picked {
			c := layout.Column(i, table.Rows())
			if err := f.column(c, table.Cols[i]); err != nil {
				return err
			}
			out[0].Cols[i] = c
		}
		return nil
	})
	return &module.Bound{Op: op, Outputs: []frame.Schema{schema}, Reads: [][]int{nil, picked}, From: [][]module.Source{from}}, nil
}

// column appends the filtered cells of src to dst.
func (f *filter) column(dst, src *frame.Column) error {
	signal := make([]float64, 0, src.Len())
	for r := range src.Len() {
		if !src.IsNull(r) {
			signal = append(signal, src.Float(r))
		}
	}
	signal = f.apply(signal)
	k := 0
	for r := range src.Len() {
		if src.IsNull(r) {
			dst.AppendNull()
			continue
		}
		v := signal[k]
		k++
		if math.IsInf(v, 0) || v != v {
			return &module.RowError{Row: r, Fault: module.Errorf(33, "column %q: the filtered value is infinite", src.Field.Name).At(src.Field.Name)}
		}
		dst.AppendFloat(v)
	}
	return nil
}

// apply returns the filtered signal, of the same length.
func (f *filter) apply(x []float64) []float64 {
	switch {
	case f.Linear != nil:
		return f.Linear.apply(x)
	case f.Window != nil:
		return f.Window.apply(x)
	case f.Threshold != nil:
		return f.Threshold.apply(x)
	}
	for _, s := range f.Sections {
		section(x, s)
	}
	return x
}

// section filters x in place (transposed direct form II).
func section(x []float64, s [5]float64) {
	var z1, z2 float64
	for i, v := range x {
		y := float64(s[0]*v) + z1
		z1 = float64(s[1]*v) - float64(s[3]*y) + z2
		z2 = float64(s[2]*v) - float64(s[4]*y)
		x[i] = y
	}
}

func (l *linear) apply(x []float64) []float64 {
	y := make([]float64, len(x))
	for n := range x {
		sum := 0.0
		for k, b := range l.Forward[:min(n+1, len(l.Forward))] {
			sum += float64(b * x[n-k])
		}
		for k, a := range l.Backward[:min(n, len(l.Backward))] {
			sum -= float64(a * y[n-k-1])
		}
		y[n] = sum
	}
	return y
}
