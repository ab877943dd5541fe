package manipulation

import (
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// AddColumns puts the columns of two tables side by side.
func AddColumns() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Add Columns", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{
				{ID: "Left dataset", Kind: service.Dataset, Doc: "The table whose columns come first."},
				{ID: "Right dataset", Kind: service.Dataset, Doc: "The table whose columns come after."},
			},
			Outputs: []module.Port{{ID: "Combined dataset", Kind: service.Dataset, Doc: "All columns of both tables."}},
			Doc:     "Puts two tables side by side, row by row. The shorter one is filled up with missing cells; a name that the left table has already gets the suffix (2).",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			left, right := b.Inputs[0].Schema, b.Inputs[1].Schema
			out := beside(left, right, nil)
			for i := range out {
				out[i].Nullable = true
			}
			fields := fieldPointers(out)
			return &module.Bound{
				Op: module.OpFunc(func(in, out []*frame.Frame) error {
					rows := max(in[0].Rows(), in[1].Rows())
					for i, c := range slices.Concat(in[0].Cols, in[1].Cols) {
						out[0].Cols[i] = padded(c, rows).WithField(fields[i])
					}
					return nil
				}),
				Outputs: []frame.Schema{out},
				From:    [][]module.Source{slices.Concat(passAll(0, len(left)), passAll(1, len(right)))},
				Reads:   [][]int{nil, nil},
			}, nil
		},
	}
}

// beside returns the fields of two tables in one, those of right under other
// names where left has theirs. Columns of right in without are left out.
func beside(left, right frame.Schema, without []int) frame.Schema {
	out := slices.Clone(left)
	for i, f := range right {
		if !slices.Contains(without, i) {
			f.Name = module.Unique(f.Name, func(name string) bool {
				return out.Index(name) >= 0 || name != f.Name && right.Index(name) >= 0
			})
			out = append(out, f)
		}
	}
	return out
}

func fieldPointers(s frame.Schema) []*frame.Field {
	out := make([]*frame.Field, len(s))
	for i := range s {
		out[i] = &s[i]
	}
	return out
}

// passAll are the sources of all n columns of a port.
func passAll(port, n int) []module.Source {
	out := make([]module.Source, n)
	for i := range out {
		out[i] = module.Source{Port: port, Col: i}
	}
	return out
}

// padded is c with missing cells behind, up to rows.
func padded(c *frame.Column, rows int) *frame.Column {
	if c.Len() == rows {
		return c
	}
	d := c.Empty(rows)
	d.AppendRange(c, 0, c.Len())
	for d.Len() < rows {
		d.AppendNull()
	}
	return d
}

// AddRows puts the rows of one table under those of another.
func AddRows() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Add Rows", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{
				{ID: "Dataset1", Kind: service.Dataset, Doc: "The rows that come first; its columns say order and roles."},
				{ID: "Dataset2", Kind: service.Dataset, Doc: "The rows that come after, with columns of the same names."},
			},
			Outputs: []module.Port{datasetOut},
			Doc:     "Puts the rows of the second table under those of the first. Both have the same columns, in any order; whole numbers and numbers become numbers, and categories are united.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			first, second := b.Inputs[0].Schema, b.Inputs[1].Schema
			if len(first) != len(second) {
				return nil, module.Errorf(10, "the first table has %d columns and the second %d", len(first), len(second))
			}
			out, from := make(frame.Schema, len(first)), make([]int, len(first))
			for i := range first {
				if from[i] = second.Index(first[i].Name); from[i] < 0 {
					return nil, module.Errorf(10, "the second table has no column %q", first[i].Name).At(first[i].Name)
				}
				var err error
				if out[i], err = unite(first[i], second[from[i]]); err != nil {
					return nil, err
				}
			}
			return &module.Bound{
				Op: module.OpFunc(func(in, dst []*frame.Frame) error {
					for i, f := range out {
						a, b := in[0].Cols[i], in[1].Cols[from[i]]
						c := frame.NewColumn(f, a.Len()+b.Len())
						appendColumn(c, a)
						appendColumn(c, b)
						dst[0].Cols[i] = c
					}
					return nil
				}),
				Outputs: []frame.Schema{out},
				From:    [][]module.Source{slices.Repeat([]module.Source{module.Computed}, len(out))},
				Reads:   [][]int{allOf(len(first)), allOf(len(first))},
			}, nil
		},
	}
}

func allOf(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// unite returns the field that holds the cells of a and of b: a's, widened.
func unite(a, b frame.Field) (frame.Field, error) {
	f := a
	f.Nullable, f.Optional, f.Missing = a.Nullable || b.Nullable, false, nil
	switch {
	case a.Type == b.Type && a.Type == frame.String:
		f.Levels = nil
		if a.Categorical() && b.Categorical() {
			f.Levels = slices.Clone(a.Levels)
			for _, level := range b.Levels {
				if !slices.Contains(a.Levels, level) {
					f.Levels = append(f.Levels, level)
				}
			}
		}
	case a.Type == b.Type:
	case a.Type.Integer() && b.Type.Integer():
		f.Type = frame.Int64
	case a.Type.Numeric() && b.Type.Numeric():
		f.Type = frame.Double
	default:
		return f, module.Errorf(16, "column %q is %s in the first table and %s in the second", a.Name, a.Type, b.Type).At(a.Name)
	}
	return f, nil
}

// appendColumn appends all cells of c to dst, whose field unite made.
func appendColumn(dst, c *frame.Column) {
	if dst.Field.Type != frame.Double || c.Field.Type == frame.Double {
		dst.AppendRange(c, 0, c.Len())
		return
	}
	for r := range c.Len() {
		appendCell(dst, c, r)
	}
}

// appendCell appends cell r of c to dst, whose field unite made.
func appendCell(dst, c *frame.Column, r int) {
	if dst.Field.Type == frame.Double {
		dst.AppendFloat(c.Float(r))
		return
	}
	dst.AppendFrom(c, r)
}
