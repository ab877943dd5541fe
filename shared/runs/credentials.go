package runs

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// Sealer closes what only the program may read; ad says where it is kept, and
// opens it. auth.Ring is one.
type Sealer interface {
	Seal(plaintext, ad []byte) []byte
	Open(sealed, ad []byte) ([]byte, error)
}

func sealedFor(r *Run) []byte { return []byte("portico/run\x00" + r.Workspace + "\x00" + r.ID) }

// seal puts credentials into a run's row. They are values of the document's
// graph parameters of type Credential, and of no other.
func (r *Runs) seal(run *Run, d *graph.Document, given map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(d.Params, func(p graph.Param) bool { return p.Name == name && p.Type == service.ParamSecret }) {
			return fault.New(fault.BadArgument, "UnexpectedParameter", "the experiment has no graph parameter %q of type Credential", name).At(name)
		}
	}
	if len(given) == 0 {
		return nil
	}
	if r.sealer == nil {
		return fault.New(fault.Unsupported, "", "runs take no credentials here")
	}
	plain, err := json.Marshal(given)
	if err != nil {
		return err
	}
	run.sealed = r.sealer.Seal(plain, sealedFor(run))
	return nil
}

// credentials fills the parameters of vertex v that the run's credentials are
// for.
func (x *executor) credentials(v *graph.Vertex) (module.Values, error) {
	if len(x.run.sealed) == 0 || v.Mod == nil || !v.Mod.Outside {
		return v.Values, nil
	}
	plain, err := x.r.sealer.Open(x.run.sealed, sealedFor(x.run))
	if err != nil {
		return v.Values, err
	}
	var given map[string]string
	if json.Unmarshal(plain, &given) != nil {
		return v.Values, fault.New(fault.Internal, "", "the credentials of run %s are not what was sealed", x.run.ID) // the cause would quote them
	}
	values := v.Values
	for _, p := range x.g.Doc.Params {
		text, ok := given[p.Name]
		for _, l := range p.Links {
			if ok && l.NodeID == v.ID {
				values = values.With(l.ParameterKey, text)
			}
		}
	}
	return values, nil
}

// Keepable refuses a document that holds a credential, even one that does not
// parse: it may be kept as a draft.
func (r *Runs) Keepable(doc []byte) error {
	d, err := graph.Parse(doc)
	if err != nil {
		d = graph.Skim(doc)
	}
	return graph.CheckCredentials(d, r.Palette())
}
