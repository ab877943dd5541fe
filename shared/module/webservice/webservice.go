// Package webservice holds the palette group Web Service: the ports of a
// service, as the editor shows them. They have no code: in a document they are
// nodes with an inputId or an outputId.
package webservice

import (
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Web Service"

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{
		{Spec: module.Spec{
			Name: "Web Service Input", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Outputs: []module.Port{{ID: "Dataset", Kind: service.Dataset, Doc: "The rows of a call."}},
			Params:  []module.Param{{Name: "Web service input name", Type: module.String, Default: "input1", Doc: "The name under which callers send the rows."}},
			Doc:     "Names a port that a published service fills with the rows of each call. In a run the sample data connected to the same port flows through it, so its columns are known. In a document: {\"inputId\": name}.",
		}},
		{Spec: module.Spec{
			Name: "Web Service Output", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs: []module.Port{{ID: "Dataset", Kind: service.Dataset, Doc: "What a call answers."}},
			Params: []module.Param{{Name: "Web service output name", Type: module.String, Default: "output1", Doc: "The name under which callers receive it."}},
			Doc:    "Names an output port whose value a published service answers. A port that is not a table makes a service for batches only. In a document: {\"outputId\": name}.",
		}},
	}
}
