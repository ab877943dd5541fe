// Package scale holds the palette group Data Transformation / Scale and Reduce:
// fitted modules that change the numbers of a table by what they learned of its
// columns. Columns that are ids stay as they are.
package scale

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Data Transformation / Scale and Reduce"

var datasetIn = module.Port{ID: "Dataset", Kind: service.Dataset, Doc: "The table to work on."}

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{ClipValues(), GroupDataIntoBins(), NormalizeData(), PrincipalComponentAnalysis()}
}

// selected returns the columns of a call's table that the parameter picks, none
// of them an id.
func selected(c *module.Call, param string) ([]*frame.Column, error) {
	table := c.Inputs[0].Frame
	picked, err := c.Params.Columns(param).Resolve(table.Schema())
	if err != nil {
		return nil, err
	}
	var out []*frame.Column
	for _, i := range picked {
		col := table.Cols[i]
		if col.Field.Role == frame.ID {
			c.Log("column %q is left as it is: it is an id", col.Field.Name)
			continue
		}
		out = append(out, col)
	}
	if len(out) == 0 {
		return nil, module.Errorf(20, "parameter %q selects no column that is not an id", param)
	}
	return out, nil
}

// numeric is selected for modules that take numbers and nothing else, and
// learn from at least one row.
func numeric(c *module.Call, param string) ([]*frame.Column, error) {
	cols, err := selected(c, param)
	if err != nil {
		return nil, err
	}
	for _, col := range cols {
		if !col.Field.Type.Numeric() {
			return nil, module.Errorf(17, "column %q is %s: parameter %q takes columns of numbers", col.Field.Name, col.Field.Type, param).At(col.Field.Name)
		}
	}
	if c.Inputs[0].Frame.Rows() == 0 {
		return nil, module.Errorf(21, "the table has no rows to learn from")
	}
	return cols, nil
}

// present returns a copy of the cells of a column that are not missing.
func present(c *frame.Column) []float64 {
	return slices.Clone(c.PresentFloats(nil))
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// decode reads a learned state.
func decode(state []byte, into any) error {
	if err := json.Unmarshal(state, into); err != nil {
		return module.Errorf(82, "the transformation cannot be read: %v", err)
	}
	return nil
}

// number returns the position of a column of numbers that a transformation was
// learned on.
func number(in frame.Schema, name string) (int, error) {
	i := in.Index(name)
	if i < 0 {
		return 0, module.NoColumn(in, name)
	}
	if !in[i].Type.Numeric() {
		return 0, module.Errorf(17, "column %q is %s: the transformation was learned on numbers", name, in[i].Type).At(name)
	}
	return i, nil
}

// finite appends x, computed for row r, unless it is infinite: module error 0033.
func finite(dst *frame.Column, r int, x float64) error {
	if math.IsInf(x, 0) {
		name := dst.Field.Name
		return &module.RowError{Row: r, Fault: module.Errorf(33, "column %q: the result is infinite", name).At(name)}
	}
	dst.AppendFloat(x)
	return nil
}

// The output modes of modules that compute columns from columns.
const (
	outputAppend  = "Append"
	outputInplace = "Inplace"
	outputOnly    = "ResultOnly"
)

// arrange puts computed columns, by the input column each is made of, where an
// output mode says. Appended ones get the suffix behind their name.
func arrange(in frame.Schema, mode, suffix string, computed map[int]module.Out) module.RowMap {
	var m module.RowMap
	for i := range in {
		out, ok := computed[i]
		switch {
		case ok && mode != outputAppend:
			m.Outs = append(m.Outs, out)
		case mode != outputOnly:
			m.Outs = append(m.Outs, module.Pass(in, i))
		}
	}
	if mode == outputAppend {
		names := in.Names()
		for i := range in {
			if out, ok := computed[i]; ok {
				out.Field.Name = module.Unique(out.Field.Name+suffix, func(name string) bool { return slices.Contains(names, name) })
				names = append(names, out.Field.Name)
				m.Outs = append(m.Outs, out)
			}
		}
	}
	return m
}
