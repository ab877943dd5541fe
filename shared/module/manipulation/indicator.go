package manipulation

import (
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// ConvertToIndicatorValues makes one 0/1 column of each level of the selected
// columns.
func ConvertToIndicatorValues() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Convert to Indicator Values", Aliases: []string{"Indicator Values"},
			Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs: []module.Port{datasetIn}, Outputs: []module.Port{datasetOut},
			Params: []module.Param{
				{
					Name: "Categorical columns to convert", Type: module.ColumnPicker, Required: true, Schema: true,
					Doc: "Columns marked as categorical, with Edit Metadata where the data are not.",
				},
				{
					Name: "Overwrite categorical columns", Type: module.Boolean, Default: "false", Schema: true,
					Doc: "Drop the converted columns and keep their indicators only.",
				},
			},
			Doc: "Appends a column {column}-{value} for each level of a categorical column: 1 in the rows with that level, 0 in the others. A column with missing cells gets {column}-Missing besides. A level that the experiment's run did not know is 0 in all of them.",
		},
		// Whether a column has missing cells is learned from the run's data.
		Pin: func(c *module.Call) ([]frame.Schema, error) {
			table := c.Inputs[0].Frame
			outs, err := indicators(c.Params, table.Schema(), func(col int) bool { return table.Cols[col].Nulls() > 0 })
			if err != nil {
				return nil, err
			}
			s := make(frame.Schema, len(outs))
			for i := range outs {
				s[i] = outs[i].Field
			}
			return []frame.Schema{s}, nil
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			in := b.Inputs[0].Schema
			outs, err := indicators(b.Params, in, func(col int) bool {
				if b.Pinned == nil {
					return in[col].Nullable
				}
				return b.Pinned[0].Index(in[col].Name+missingSuffix) >= 0
			})
			if err != nil {
				return nil, err
			}
			return module.RowMap{Outs: outs}.Bind(in, 0, 1)
		},
	}
}

const missingSuffix = "-Missing"

func indicators(p module.Values, in frame.Schema, missing func(col int) bool) ([]module.Out, error) {
	picked, err := p.Columns("Categorical columns to convert").Resolve(in)
	if err != nil {
		return nil, err
	}
	if len(picked) == 0 {
		return nil, module.Errorf(20, "no column is selected: select at least one categorical column")
	}
	convert := make([]bool, len(in))
	for _, c := range picked {
		if !in[c].Categorical() {
			return nil, module.Errorf(56, "column %q is not categorical: mark it with Edit Metadata", in[c].Name).At(in[c].Name)
		}
		convert[c] = true
	}
	var outs []module.Out
	for c := range in {
		if !convert[c] || !p.Bool("Overwrite categorical columns") {
			outs = append(outs, module.Pass(in, c))
		}
	}
	for _, c := range picked {
		for code, level := range in[c].Levels {
			outs = append(outs, indicator(c, in[c].Name+"-"+level, func(col *frame.Column, r int) bool {
				return col.Codes[r] == int32(code) && !col.IsNull(r)
			}))
		}
		if missing(c) {
			outs = append(outs, indicator(c, in[c].Name+missingSuffix, (*frame.Column).IsNull))
		}
	}
	return outs, nil
}

func indicator(c int, name string, is func(*frame.Column, int) bool) module.Out {
	return module.Out{
		Field: frame.Field{Name: name, Type: frame.Int32}, From: -1, Reads: []int{c},
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			col := in.Cols[c]
			for r := range col.Len() {
				v := int64(0)
				if is(col, r) {
					v = 1
				}
				dst.AppendInt(v)
			}
			return nil
		},
	}
}
