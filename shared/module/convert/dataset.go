package convert

import (
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const (
	actionNone    = "None"
	actionMissing = "SetMissingValue"
	actionReplace = "ReplaceValues"

	missing = "Missing"
	custom  = "Custom"
)

// ConvertToDataset marks or replaces values in all columns.
func ConvertToDataset() *module.Module {
	replacing := &module.When{Param: "Action", Is: []string{actionReplace}}
	return &module.Module{
		Spec: module.Spec{
			Name: "Convert to Dataset", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs:  []module.Port{datasetIn},
			Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset, Doc: "The table with the changes."}},
			Params: []module.Param{
				{
					Name: "Action", Type: module.Enumerated, Default: actionNone, Options: []string{actionNone, actionMissing, actionReplace}, Schema: true,
					Doc: "Pass the table through, mark a value as missing, or replace a value by another.",
				},
				{
					Name: "Custom missing value", Type: module.String, Default: "?", When: &module.When{Param: "Action", Is: []string{actionMissing}},
					Doc: "The value that stands for a missing one, in every column whose type can hold it.",
				},
				{
					Name: "Replace", Type: module.Enumerated, Default: missing, Options: []string{missing, custom}, When: replacing, Schema: true,
					Doc: "What to replace: missing cells, or a value.",
				},
				{
					Name: "Custom value", Type: module.String, Default: "obs", When: &module.When{Param: "Replace", Is: []string{custom}},
					Doc: "The value to replace, in every column whose type can hold it.",
				},
				{
					Name: "New value", Type: module.Enumerated, Default: missing, Options: []string{missing, custom}, When: replacing, Schema: true,
					Doc: "What to put in its place: a missing cell, or a value.",
				},
				{
					Name: "New custom value", Type: module.String, Default: "0", When: &module.When{Param: "New value", Is: []string{custom}}, Schema: true,
					Doc: "The value to put in its place; it must suit the type of every column where something is replaced.",
				},
			},
			Doc: "Makes a dataset of a table, marking a value as missing or replacing one in all columns.",
		},
		Bind: bindDataset,
	}
}

func bindDataset(b *module.Binding) (*module.Bound, error) {
	p, in := b.Params, b.Inputs[0].Schema
	var old, replacement *string // nil = missing
	text := func(name string) *string { t := p.Text(name); return &t }
	action := p.Text("Action")
	switch action {
	case actionMissing:
		old = text("Custom missing value")
	case actionReplace:
		if p.Text("Replace") == custom {
			old = text("Custom value")
		}
		if p.Text("New value") == custom {
			replacement = text("New custom value")
		}
	}
	var m module.RowMap
	for i := range in {
		out := module.Pass(in, i)
		if action != actionNone && (old != nil || replacement != nil) {
			if c := newChange(in[i], old, replacement); c != nil {
				out = c.out(i)
			}
		}
		m.Outs = append(m.Outs, out)
	}
	return m.Bind(in, 0, 1)
}

// change replaces a value of a column by another.
type change struct {
	field frame.Field
	old   *frame.Column // one cell, in the input's type; nil = missing cells
	by    *frame.Column // one cell, in the output's type; nil = missing
	text  string        // of what is put in, for the error where the column cannot hold it
	unfit bool
}

// newChange returns nil where the column cannot hold the old value.
func newChange(f frame.Field, old, by *string) *change {
	c := &change{field: f}
	if old != nil {
		if f.Type == frame.Boolean && !strings.EqualFold(*old, "true") && !strings.EqualFold(*old, "false") {
			return nil // 1 would be read as true, and means a number here
		}
		c.old = frame.NewColumn(frame.Field{Name: f.Name, Type: f.Type, Levels: f.Levels}, 1)
		if err := c.old.AppendText([]byte(*old)); err != nil || c.old.IsNull(0) {
			return nil
		}
	}
	if by == nil {
		c.field.Nullable = true
		return c
	}
	c.text = *by
	if f.Categorical() && !slices.Contains(f.Levels, *by) {
		c.field.Levels = append(slices.Clip(f.Levels), *by)
	}
	if old == nil {
		c.field.Nullable, c.field.Optional = false, false
	}
	c.by = frame.NewColumn(frame.Field{Name: f.Name, Type: f.Type, Levels: c.field.Levels}, 1)
	if err := c.by.AppendText([]byte(*by)); err != nil || c.by.IsNull(0) {
		c.unfit = true
	}
	return c
}

func (c *change) out(i int) module.Out {
	return module.Out{
		Field: c.field, From: -1, Reads: []int{i},
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			col := in.Cols[i]
			for r := range col.Len() {
				switch {
				case !c.matches(col, r):
					dst.AppendFrom(col, r)
				case c.unfit:
					return &module.RowError{Row: r, Fault: module.Errorf(17, "column %q is %s: it cannot hold the new value %q", c.field.Name, c.field.Type, c.text).At(c.field.Name)}
				case c.by == nil:
					dst.AppendNull()
				default:
					dst.AppendFrom(c.by, 0)
				}
			}
			return nil
		},
	}
}

func (c *change) matches(col *frame.Column, r int) bool {
	switch {
	case c.old == nil || col.IsNull(r):
		return c.old == nil && col.IsNull(r)
	case c.field.Type == frame.Double:
		return col.Floats[r] == c.old.Floats[0]
	case c.field.Type == frame.Boolean:
		return col.Bools[r] == c.old.Bools[0]
	case c.field.Type != frame.String:
		return col.Ints[r] == c.old.Ints[0]
	case col.Field.Categorical():
		return col.Level(r) == c.old.Level(0)
	}
	return string(col.Text(r)) == string(c.old.Text(0))
}
