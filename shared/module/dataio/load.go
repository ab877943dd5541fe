package dataio

import (
	"context"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// maxModel bounds a model file that is loaded.
const maxModel = 256 << 20

// LoadTrainedModel reads a model file from outside.
func LoadTrainedModel() *module.Module {
	const source = "Data source"
	blob := when(source, fromBlob)
	account, sas := when("Authentication type", byAccount), when("Authentication type", bySAS)
	return &module.Module{
		Spec: module.Spec{
			Name: "Load Trained Model", Group: group, CodeVersion: 1, Nature: module.WholeTable, Outside: true, BatchUnless: "Allow to use in RRS",
			Outputs: []module.Port{{ID: "Trained model", Kind: service.TrainedModel, Doc: "The model."}},
			Params: []module.Param{
				{Name: source, Type: module.Enumerated, Default: fromBlob, Options: []string{fromWeb, fromBlob}, Doc: "Where the model file is."},
				named(),
				{Name: "URL of trained model", Type: module.String, When: when(source, fromWeb), Doc: "Full http or https address of an .ilearner file that anybody may read. A redirect is refused."},
				{Name: "Authentication type", Type: module.Enumerated, Default: byAccount, Options: []string{bySAS, byAccount}, When: blob, Doc: "By the account's key, or by an address that is public or carries a shared access signature."},
				{Name: "URI", Type: module.String, When: sas, Doc: "Address of the blob, without a signature."},
				{Name: "Shared access signature", Type: module.Credential, When: sas, Doc: "The part of the address behind the question mark, where it is not public: a global parameter of type Credential fills it."},
				{Name: "Azure account name", Type: module.String, When: account, Doc: "The storage account."},
				{Name: "Azure account key", Type: module.Credential, When: account, Doc: "The account's key: a global parameter of type Credential fills it."},
				{Name: "Path to trained model", Type: module.String, When: account, Doc: "container/path/model.ilearner."},
				{Name: "Allow to use in RRS", Type: module.Boolean, Default: "false", Doc: "Load the model in each call of the published service, too, whatever time that takes; otherwise the service works in batch jobs only."},
				{Name: "Use cached results", Type: module.Boolean, Default: "false", Doc: "Load again only when a parameter has changed; otherwise every run loads."},
			},
			Doc: "Loads a trained model (.ilearner) from a web address or a blob when the experiment runs, and in a published service in each call, so that a model can be replaced where it lies.",
		},
		Run: func(ctx context.Context, c *module.Call) ([]module.Value, error) {
			out, err := c.Beyond()
			if err != nil {
				return nil, err
			}
			p, err := modelPlace(c.Params)
			if err != nil {
				return nil, err
			}
			file, err := out.Fetch(ctx, p, maxModel)
			if err != nil {
				return nil, err
			}
			scoring, _, err := model.Split(file)
			if err == nil {
				_, err = model.Open(scoring)
			}
			if err != nil {
				return nil, module.Errorf(82, "the file of %s is not a model that can be loaded", p.String()).Because(err)
			}
			return []module.Value{{Kind: service.TrainedModel, Artifact: scoring}}, nil
		},
	}
}

// modelPlace is the place that the parameters name.
func modelPlace(v module.Values) (p connect.Place, err error) {
	p.Source, p.Connection = kinds[v.Text("Data source")], v.Text("Named connection")
	switch {
	case p.Source == connect.HTTP:
		p.URL = v.Text("URL of trained model")
		return p, unsigned("URL of trained model", p.URL)
	case v.Text("Authentication type") == byAccount || p.Connection != "":
		p.RelativeLocation = v.Text("Path to trained model")
		return p, accountOf(&p, v, "Azure account name", "Azure account key")
	}
	p.Source = connect.HTTP
	p.URL, err = signed("URI", v.Text("URI"), v.Text("Shared access signature"))
	return p, err
}
