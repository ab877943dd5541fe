package runs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/service"
)

// Provenance is where a saved model or transformation came from: the record
// beside it.
type Provenance struct {
	Run          string           `json:"run"`
	ExperimentID string           `json:"experimentId"`
	Node         string           `json:"node"`
	Port         string           `json:"port"`
	Module       string           `json:"module"`
	Assets       map[string]Asset `json:"assets,omitempty"` // that the run used
	Log          []string         `json:"log,omitempty"`
}

// Save saves what a node of a run gave, a trained model or a transformation,
// under a name: as a new version where the name exists. port "" is the only
// port that gives one.
func (r *Runs) Save(ctx context.Context, ws, runID, node, port, name string, by auth.Identity) (*catalog.Version, error) {
	run, nodes, err := r.read(ctx, ws, runID)
	if err != nil {
		return nil, err
	}
	g, err := r.graph(ctx, run)
	if err != nil {
		return nil, err
	}
	return r.save(ctx, run, nodes, g, node, port, name, by)
}

func (r *Runs) save(ctx context.Context, run *Run, nodes map[string]*Node, g *graph.Graph, node, port, name string, by auth.Identity) (*catalog.Version, error) {
	n, i := nodes[node], g.Vertex(node)
	if n == nil || i < 0 || n.State != Finished {
		return nil, fault.New(fault.NotFound, "ResultNotFound", "node %q has no result in this run", node).At(node)
	}
	savable := func(res Result) bool { return res.Kind == service.TrainedModel || res.Kind == service.Transformation }
	at := -1
	for k, res := range n.Results {
		switch {
		case !savable(res) || port != "" && res.Port != port:
		case at >= 0:
			return nil, fault.New(fault.BadArgument, "BadParameterValue", "node %q gives more than one thing to save: name the port", node).At("port")
		default:
			at = k
		}
	}
	if at < 0 {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "node %q gives no trained model or transformation%s", node, portText(port)).At(node)
	}
	res := n.Results[at]
	body, err := r.artifact(ctx, run.Workspace, res.Digest, "the node's result")
	if err != nil {
		return nil, err
	}
	record := encode(Provenance{
		Run: run.ID, ExperimentID: run.ExperimentID, Node: node, Port: res.Port, Module: g.Nodes[i].Module, Assets: run.Assets, Log: n.Log,
	})
	return r.catalog.SaveModel(ctx, run.Workspace, catalog.NewModel{Kind: res.Kind, Name: name, Artifact: body, Record: []byte(record)}, by)
}

func portText(port string) string {
	if port == "" {
		return ""
	}
	return fmt.Sprintf(" at port %q", port)
}

// Conversion asks for an experiment made of a training experiment.
type Conversion struct {
	To Kind
	// Trainer is the node whose model to use; "" is the only one.
	Trainer string
	// Name is the experiment's, after which what is saved is called.
	Name string
}

// Kind is what an experiment is converted to.
type Kind string

const (
	Predictive Kind = "predictive" // to score by the model
	Retraining Kind = "retraining" // to train it again
)

// Converted is the document of a new experiment, and what was saved for it.
type Converted struct {
	Doc   []byte             `json:"document"`
	Saved []*catalog.Version `json:"saved,omitempty"`
	Notes []string           `json:"notes"`
}

// Convert makes a predictive or a retraining experiment of a training
// experiment's last successful run ("Set Up Web Service"). A predictive one
// uses the run's model and transformations, which are saved: as new versions
// where their names exist.
func (r *Runs) Convert(ctx context.Context, ws, experimentID string, c Conversion, by auth.Identity) (*Converted, error) {
	x, err := r.catalog.Experiment(ctx, ws, experimentID)
	if err != nil {
		return nil, err
	}
	doc, err := graph.Parse(x.Doc)
	if err != nil {
		return nil, err
	}
	last, err := r.lastSuccess(ctx, ws, experimentID, artifact.Digest(doc.Canonical()))
	if err != nil {
		return nil, err
	}
	run, nodes, err := r.read(ctx, ws, last.ID)
	if err != nil {
		return nil, err
	}
	g, err := r.graph(ctx, run)
	if err != nil {
		return nil, err
	}
	flowed := graph.Run{Schema: func(ref graph.Ref) (frame.Schema, error) {
		res, err := resultAt(nodes, g, ref)
		if err != nil {
			return nil, err
		}
		return r.schema(ctx, ws, res)
	}}
	var made *graph.Conversion
	var problems []graph.Problem
	switch c.To {
	case Predictive:
		made, problems = g.Predictive(r.Palette(), flowed, c.Trainer)
	case Retraining:
		made, problems = g.Retraining(r.Palette(), flowed, c.Trainer)
	default:
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "an experiment is converted to %q or %q, not %q", Predictive, Retraining, c.To).At("to")
	}
	if err := graph.Fault(problems); err != nil {
		return nil, err
	}
	out := &Converted{Notes: made.Notes}
	if c.Name == "" {
		c.Name = x.Name
	}
	for i, s := range made.Saves {
		v, err := r.save(ctx, run, nodes, g, s.Node, s.Port, savedName(c.Name, made.Saves, i), by)
		if err != nil {
			return nil, err
		}
		made.Doc.Assets[s.Asset].Name = v.Name
		out.Saved = append(out.Saved, v)
	}
	out.Doc = made.Doc.Bytes()
	return out, nil
}

// savedName calls the model after the experiment, and transformations after
// their modules besides.
func savedName(experiment string, saves []graph.Save, i int) string {
	s := saves[i]
	if s.Kind == service.TrainedModel {
		return experiment
	}
	name := experiment + " " + strings.ToLower(s.Module)
	same := func(o graph.Save) bool { return o.Kind == s.Kind && o.Module == s.Module }
	if k := slices.IndexFunc(saves, same); k != i {
		name += " " + s.Node
	}
	return name
}
