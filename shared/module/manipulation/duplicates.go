package manipulation

import (
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// RemoveDuplicateRows keeps one row of each combination of key cells.
func RemoveDuplicateRows() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Remove Duplicate Rows", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{datasetIn}, Outputs: []module.Port{datasetOut},
			Params: []module.Param{
				{
					Name: "Key column selection filter expression", Type: module.ColumnPicker, Required: true,
					Doc: "The columns whose cells decide: rows that agree in all of them are duplicates. Missing cells are equal to each other.",
				},
				{
					Name: "Retain first duplicate row", Type: module.Boolean, Default: "true",
					Doc: "Keep the first of several duplicates, or the last.",
				},
			},
			Doc: "Keeps one row of those that agree in all key columns, and the order of the rows.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			in := b.Inputs[0].Schema
			picked, err := b.Params.Columns("Key column selection filter expression").Resolve(in)
			if err != nil {
				return nil, err
			}
			if len(picked) == 0 {
				return nil, module.Errorf(20, "no key column is selected")
			}
			var parts []keyPart
			for _, c := range picked {
				parts = append(parts, keyPart{col: c})
			}
			first := b.Params.Bool("Retain first duplicate row")
			return &module.Bound{
				Op: module.OpFunc(func(in, out []*frame.Frame) error {
					if rows := distinctRows(in[0], parts, first); len(rows) < in[0].Rows() {
						out[0].Cols = in[0].Take(rows).Cols
					} else {
						copy(out[0].Cols, in[0].Cols)
					}
					return nil
				}),
				Outputs: []frame.Schema{in},
				From:    [][]module.Source{passAll(0, len(in))},
				Reads:   [][]int{picked},
			}, nil
		},
	}
}

// distinctRows returns the rows to keep, in order.
func distinctRows(f *frame.Frame, parts []keyPart, first bool) []int {
	seen := make(map[string]int) // key -> place in rows
	rows := make([]int, 0, f.Rows())
	var key []byte
	for r := range f.Rows() {
		key, _ = appendKey(key[:0], parts, f, r)
		at, ok := seen[string(key)]
		switch {
		case !ok:
			seen[string(key)] = len(rows)
			rows = append(rows, r)
		case !first:
			rows[at] = -1 // kept no longer
			seen[string(key)] = len(rows)
			rows = append(rows, r)
		}
	}
	kept := rows[:0]
	for _, r := range rows {
		if r >= 0 {
			kept = append(kept, r)
		}
	}
	return kept
}
