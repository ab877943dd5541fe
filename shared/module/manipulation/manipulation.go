// Package manipulation holds the palette group Data Transformation /
// Manipulation: modules that combine tables, and reshape, describe and clean
// their columns and rows.
package manipulation

import (
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Data Transformation / Manipulation"

var (
	datasetIn  = module.Port{ID: "Dataset", Kind: service.Dataset, Doc: "The table to work on."}
	datasetOut = module.Port{ID: "Results dataset", Kind: service.Dataset, Doc: "The table with the changes."}
)

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{
		AddColumns(), AddRows(), ApplySQLTransformation(), CleanMissingData(), ConvertToIndicatorValues(), EditMetadata(), GroupCategoricalValues(),
		JoinData(), RemoveDuplicateRows(), SelectColumns(), SelectColumnsTransform(), SMOTE(),
	}
}

// SelectColumns projects a table.
func SelectColumns() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Select Columns in Dataset", Aliases: []string{"Project Columns"},
			Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs: []module.Port{datasetIn}, Outputs: []module.Port{datasetOut},
			Params: []module.Param{{
				Name: "Select columns", Type: module.ColumnPicker, Required: true, Schema: true,
				Doc: "The columns to keep, by rule. A list of names keeps their order.",
			}},
			Doc: "Keeps the selected columns and drops the others.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			in := b.Inputs[0].Schema
			picked, err := b.Params.Columns("Select columns").Resolve(in)
			if err != nil {
				return nil, err
			}
			if len(picked) == 0 {
				return nil, module.Errorf(20, "the selection leaves no column of the table")
			}
			var m module.RowMap
			for _, c := range picked {
				m.Outs = append(m.Outs, module.Pass(in, c))
			}
			return m.Bind(in, 0, 1)
		},
	}
}

func hasColumn(s frame.Schema) func(string) bool {
	return func(name string) bool { return s.Index(name) >= 0 }
}
