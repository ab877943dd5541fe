// Package dataio holds the palette group Data Input and Output.
package dataio

import (
	"context"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Data Input and Output"

// Modules returns the group's modules.
func Modules() []*module.Module { return []*module.Module{EnterDataManually()} }

// EnterDataManually makes a small table of what is typed in.
func EnterDataManually() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Enter Data Manually", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Outputs: []module.Port{{ID: "Dataset", Kind: service.Dataset, Doc: "The table."}},
			Params: []module.Param{
				{
					Name: "DataFormat", Type: module.Enumerated, Default: "CSV", Options: []string{"CSV", "TSV"}, Schema: true,
					Doc: "How the data are written.",
				},
				{
					Name: "HasHeader", Type: module.Boolean, Default: "true", Schema: true,
					Doc: "The first row names the columns; otherwise they are called Col1, Col2, …",
				},
				{Name: "Data", Type: module.Script, Required: true, Schema: true, Doc: "The rows."},
			},
			Doc: "Makes a table of rows typed in as CSV or TSV. Types are inferred over all rows: whole numbers, numbers, truth values, dates with time, else text.",
		},
		Run: func(_ context.Context, c *module.Call) ([]module.Value, error) {
			text := []byte(strings.TrimRight(c.Params.Text("Data"), "\r\n") + "\n")
			opt := frame.CSV{NoHeader: !c.Params.Bool("HasHeader"), Comma: ','}
			if c.Params.Text("DataFormat") == "TSV" {
				opt.Comma = '\t'
			}
			schema, err := frame.Inference{CSV: opt}.Infer(text)
			if err != nil {
				return nil, parse(err)
			}
			layout, err := frame.NewLayout(schema)
			if err != nil {
				return nil, parse(err)
			}
			f, err := opt.Read(text, layout)
			if err != nil {
				return nil, parse(err)
			}
			return []module.Value{module.Table(f)}, nil
		},
	}
}

// parse is module error 0049: the data cannot be parsed.
func parse(err error) error {
	return module.Errorf(49, "the data cannot be parsed: %s", fault.Of(err).Details()[0].Message).At("Data")
}
