// Package convert holds the palette group Data Format Conversions.
//
// In the Studio these modules gave a file to download. Here every table can be
// downloaded in every format, so they pass their table through, say that it
// fits the format, and make that format the one which a download has unless it
// asks for another.
package convert

import (
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Data Format Conversions"

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{
		to("ARFF", format.ARFF, "Weka's attribute-relation file format, which declares types and levels"),
		to("CSV", format.CSV, "comma-separated values with a header row"),
		ConvertToDataset(),
		to("SVMLight", format.SVMLight, "sparse numeric rows as SVM-light and LIBSVM read them: the label, then the features that are not 0"),
		to("TSV", format.TSV, "tab-separated values with a header row"),
	}
}

var datasetIn = module.Port{ID: "Dataset", Kind: service.Dataset, Doc: "The table to convert."}

// to is the module Convert to name.
func to(name, fileFormat, what string) *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Convert to " + name, Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs:  []module.Port{datasetIn},
			Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset, Format: fileFormat, Doc: "The table; downloaded, it is a file of the format."}},
			Doc:     "Offers the table for download as " + name + ": " + what + ". The rows pass through unchanged.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			in := b.Inputs[0].Schema
			if err := format.Lookup(fileFormat).Check(in); err != nil {
				e := fault.Of(err)
				return nil, module.Errorf(17, "%s", e.Msg).At(e.Target)
			}
			var m module.RowMap
			for i := range in {
				m.Outs = append(m.Outs, module.Pass(in, i))
			}
			return m.Bind(in, 0, 1)
		},
	}
}
