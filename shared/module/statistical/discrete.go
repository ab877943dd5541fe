package statistical

import (
	"fmt"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// ReplaceDiscreteValues puts the probability of another column's value in the
// place of a discrete value.
func ReplaceDiscreteValues() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Replace Discrete Values", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{datasetIn}, Outputs: []module.Port{datasetOut},
			Params: []module.Param{
				{Name: "Discrete columns", Type: module.ColumnPicker, Required: true, Schema: true, Doc: "The columns whose values are to be represented by a number."},
				{Name: "Replacement columns", Type: module.ColumnPicker, Required: true, Schema: true, Doc: "The columns whose values give the number: as many as the discrete ones, or one for all of them."},
				{
					Name: "Result mode", Type: module.Enumerated, Default: appendMode, Options: []string{appendMode, inPlace, resultOnly}, Schema: true,
					Doc: "Append the probabilities as new columns, put them in the place of the discrete columns, or give them only.",
				},
			},
			Doc: "Represents a discrete value by a probability: of the rows with this value, the part that has the row's value in the replacement column. New columns are named like Prob(replacement|discrete). A row where either is missing has none.",
		},
		Bind: bindDiscrete,
	}
}

func bindDiscrete(b *module.Binding) (*module.Bound, error) {
	in, p := b.Inputs[0].Schema, b.Params
	discrete, err := selected(p, "Discrete columns", in)
	if err != nil {
		return nil, err
	}
	by, err := selected(p, "Replacement columns", in)
	if err != nil {
		return nil, err
	}
	if len(by) != len(discrete) && len(by) != 1 {
		return nil, module.Errorf(22, "%q selects %d columns and %q %d: select as many, or one", "Discrete columns", len(discrete), "Replacement columns", len(by))
	}
	mode := p.Text("Result mode")
	var schema frame.Schema
	var from []module.Source
	if mode != resultOnly {
		schema = append(schema, in...)
		for i := range in {
			from = append(from, module.Source{Port: 0, Col: i})
		}
	}
	at := make([]int, len(discrete)) // of the results
	for k, d := range discrete {
		f := frame.Field{Type: frame.Double, Nullable: true}
		if mode == inPlace {
			f.Name, f.Role = in[d].Name, in[d].Role
			at[k], schema[d], from[d] = d, f, module.Computed
			continue
		}
		f.Name = module.Unique(fmt.Sprintf("Prob(%s|%s)", in[by[min(k, len(by)-1)]].Name, in[d].Name), func(n string) bool { return schema.Index(n) >= 0 })
		at[k] = len(schema)
		schema, from = append(schema, f), append(from, module.Computed)
	}
	bound, err := wholeTable(schema, append(append([]int(nil), discrete...), by...), func(t, out *frame.Frame) error {
		for i, src := range from {
			if src != module.Computed {
				out.Cols[i] = t.Cols[src.Col]
			}
		}
		for k, d := range discrete {
			conditional(out.Cols[at[k]], t.Cols[d], t.Cols[by[min(k, len(by)-1)]])
		}
		return nil
	})
	if bound != nil {
		bound.From = [][]module.Source{from}
	}
	return bound, err
}

func selected(p module.Values, param string, in frame.Schema) ([]int, error) {
	picked, err := p.Columns(param).Resolve(in)
	if err == nil && len(picked) == 0 {
		err = module.Errorf(20, "parameter %q selects no column", param)
	}
	return picked, err
}

// conditional appends, for each row, P(its value of by | its value of d).
func conditional(dst, d, by *frame.Column) {
	type pair struct{ d, by string }
	total, both := map[string]int{}, map[pair]int{}
	rows := make([]pair, d.Len())
	for r := range rows {
		if d.IsNull(r) || by.IsNull(r) {
			continue
		}
		rows[r] = pair{string(d.Print(nil, r)), string(by.Print(nil, r))}
		total[rows[r].d]++
		both[rows[r]]++
	}
	for r, pr := range rows {
		if d.IsNull(r) || by.IsNull(r) {
			dst.AppendNull()
			continue
		}
		dst.AppendFloat(float64(both[pr]) / float64(total[pr.d]))
	}
}
