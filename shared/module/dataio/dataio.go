// Package dataio holds the palette group Data Input and Output.
package dataio

import (
	"context"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Data Input and Output"

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{EnterDataManually(), ExportData(), ImportData(), LoadTrainedModel(), UnpackZippedDatasets()}
}

// The formats of text tables, as the Studio spells them.
var textFormats = []string{"ARFF", "CSV", "SvmLight", "TSV"}

// EnterDataManually makes a small table of what is typed in.
func EnterDataManually() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Enter Data Manually", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Outputs: []module.Port{{ID: "Dataset", Kind: service.Dataset, Doc: "The table."}},
			Params: []module.Param{
				{
					Name: "DataFormat", Type: module.Enumerated, Default: "CSV", Options: textFormats, Schema: true,
					Doc: "How the data are written.",
				},
				{
					Name: "HasHeader", Type: module.Boolean, Default: "true", Schema: true,
					When: &module.When{Param: "DataFormat", Is: []string{"CSV", "TSV"}},
					Doc:  "The first row names the columns; otherwise they are called Col1, Col2, …",
				},
				{Name: "Data", Type: module.Script, Required: true, Schema: true, Doc: "The rows."},
			},
			Doc: "Makes a table of rows typed in. Types are those that ARFF declares; in CSV and TSV they are inferred over all rows: whole numbers, numbers, truth values, dates with time, else text. SVMLight gives the columns Label, Col1, Col2, …",
		},
		Run: func(_ context.Context, c *module.Call) ([]module.Value, error) {
			text := []byte(strings.TrimRight(c.Params.Text("Data"), "\r\n") + "\n")
			f, err := parse(text, c.Params.Text("DataFormat"), c.Params.Bool("HasHeader"))
			if err != nil {
				return nil, err.At("Data")
			}
			return []module.Value{module.Table(f)}, nil
		},
	}
}

// parse reads a whole file of a text format. What cannot be read is module
// error 0049.
func parse(text []byte, name string, header bool) (*frame.Frame, *fault.Error) {
	ft := format.Lookup(name)
	o := format.Options{NoHeader: !header}
	schema, err := ft.Infer(text, o)
	if err != nil {
		return nil, unreadable(err)
	}
	layout, err := frame.NewLayout(schema)
	if err != nil {
		return nil, unreadable(err)
	}
	f, err := ft.Read(text, layout, o)
	if err != nil {
		return nil, unreadable(err)
	}
	return f, nil
}

func unreadable(err error) *fault.Error {
	return module.Errorf(49, "the data cannot be parsed: %s", fault.Of(err).Details()[0].Message)
}
