package runs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
)

// Deployable is what publishing takes of an experiment: exactly what its last
// successful run used and made.
type Deployable struct {
	Manifest     []byte // as it is to be stored
	Parsed       *service.Manifest
	Name         string // of the experiment
	ExperimentID string
	RunID        string
	RunBy        string
	Warnings     []string
	Models       []Model
}

// Model is a saved model or transformation that a deployment uses.
type Model struct {
	Asset    string // in the manifest
	Kind     service.PortKind
	Name     string
	Version  int
	Digest   string
	Newer    int // number of a later version that exists; 0 = none
	Verified bool
}

// Codes of the refusals to publish.
const (
	CodeNeverRun = "ExperimentNotRun"
	CodeEdited   = "ExperimentEdited"
	CodeFailed   = "LastRunFailed"
	CodeRunning  = "RunNotFinished"
)

// sampleRows is how many recorded rows a manifest carries.
const sampleRows = 3

// Deployable makes the manifest of an experiment. It refuses an experiment
// that was never run, whose last run failed, that was edited since, or that
// would answer nothing.
func (r *Runs) Deployable(ctx context.Context, ws, experimentID string) (*Deployable, error) {
	x, err := r.catalog.Experiment(ctx, ws, experimentID)
	if err != nil {
		return nil, err
	}
	doc, err := graph.Parse(x.Doc)
	if err != nil {
		return nil, err
	}
	run, err := r.lastSuccess(ctx, ws, experimentID, artifact.Digest(doc.Canonical()))
	if err != nil {
		return nil, err
	}
	b := &builder{r: r, run: run, out: &Deployable{Name: x.Name, ExperimentID: x.ID, RunID: run.ID, RunBy: run.By}}
	if b.run, b.nodes, err = r.read(ctx, ws, run.ID); err != nil {
		return nil, err
	}
	if b.g, err = r.graph(ctx, run); err != nil {
		return nil, err
	}
	if err := b.build(ctx); err != nil {
		return nil, err
	}
	return b.out, nil
}

// lastSuccess returns the newest run that finished, if it ran the experiment
// as it is now.
func (r *Runs) lastSuccess(ctx context.Context, ws, experimentID, canonical string) (*Run, error) {
	list, err := r.List(ctx, ws, experimentID, 200)
	if err != nil {
		return nil, err
	}
	refuse := func(code, format string, args ...any) error {
		return fault.New(fault.InvalidOperation, code, format, args...).At(experimentID)
	}
	if len(list) == 0 {
		return nil, refuse(CodeNeverRun, "the experiment was never run: run it first")
	}
	i := slices.IndexFunc(list, func(run *Run) bool { return run.State == Finished })
	if i >= 0 && list[i].canonical == canonical {
		return list[i], nil
	}
	newest := list[0]
	same := newest.canonical == canonical
	switch {
	case same && newest.State == Failed:
		return nil, refuse(CodeFailed, "the last run failed: %s", newest.Error.Message)
	case same && !newest.State.Ended():
		return nil, refuse(CodeRunning, "the run has not finished yet: wait for it, then publish")
	case same && newest.State == Cancelled:
		return nil, refuse(CodeNeverRun, "the last run was cancelled: run the experiment, then publish")
	case i < 0:
		return nil, refuse(CodeNeverRun, "no run of the experiment has finished: run it first")
	}
	return nil, refuse(CodeEdited, "the experiment was edited since its last successful run (%s): run it again, then publish", list[i].Ended.Format("2006-01-02 15:04:05Z"))
}

// builder makes a manifest of a run.
type builder struct {
	r     *Runs
	run   *Run
	nodes map[string]*Node
	g     *graph.Graph
	cut   *graph.Cut
	m     service.Manifest
	given map[string]string // values for parameters without a default, as in the run
	out   *Deployable
}

func (b *builder) build(ctx context.Context) error {
	if err := graph.Fault(b.g.Publishable()); err != nil {
		return err
	}
	cut, problems := b.g.Cut(b.r.Palette())
	if err := graph.Fault(problems); err != nil {
		return err
	}
	b.cut = cut
	b.m = service.Manifest{Format: scoring.ManifestFormat, Graph: cut.Doc.Canonical(), Whole: len(cut.Whole)+len(cut.Apart) > 0 || cut.BatchOnly || cut.Outside, BatchOnly: cut.BatchOnly}
	for _, step := range []func(context.Context) error{b.assets, b.ports, b.pins, b.settle, b.samples} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	b.warn()
	body, err := encodeManifest(&b.m)
	b.out.Manifest, b.out.Parsed = body, &b.m
	return err
}

// assets names the artifacts that the graph's assets hold.
func (b *builder) assets(ctx context.Context) error {
	for _, id := range sortedKeys(b.cut.Assets) {
		held := b.cut.Assets[id]
		a := service.Asset{Name: id, Kind: b.cut.Doc.Assets[id].Kind}
		if held.AssetID == "" {
			res, err := resultAt(b.nodes, b.g, held.Result)
			if err != nil {
				return err
			}
			a.Digest = res.Digest
		} else if err := b.saved(ctx, held.AssetID, &a); err != nil {
			return err
		}
		b.m.Assets = append(b.m.Assets, a)
	}
	return nil
}

// saved fills in an asset that is a saved thing of the workspace.
func (b *builder) saved(ctx context.Context, id string, a *service.Asset) error {
	used := b.run.Assets[id]
	if used.Kind == service.Dataset { // the table as the run read it
		i := slices.IndexFunc(b.g.Nodes, func(v graph.Vertex) bool { return v.AssetID == id })
		res, err := resultAt(b.nodes, b.g, graph.Ref{Node: i})
		a.Digest = res.Digest
		return err
	}
	a.Digest = used.Digest
	suffix := "trained model"
	if used.Kind == service.Transformation {
		suffix = "transform"
	}
	a.Resource = fmt.Sprintf("%s [%s]", used.Name, suffix)
	m := Model{Asset: id, Kind: used.Kind, Name: used.Name, Version: used.Number, Digest: used.Digest}
	v, err := b.r.catalog.Saved(ctx, b.run.Workspace, used.Kind, used.Name, used.Number)
	if err == nil {
		m.Verified = !v.Unverified
		if v, err = b.r.catalog.Saved(ctx, b.run.Workspace, used.Kind, used.Name, 0); err == nil && v.Number > used.Number {
			m.Newer = v.Number
		}
	}
	if err != nil && !fault.Is(err, fault.NotFound) { // deleted since: its artifact is the run's
		return err
	}
	b.out.Models = append(b.out.Models, m)
	return nil
}

// ports pins the schemas of inputs and outputs as they flowed in the run.
func (b *builder) ports(ctx context.Context) error {
	for _, in := range b.g.Inputs {
		s, err := b.schemaAt(ctx, in.Sample)
		if err != nil {
			return err
		}
		b.m.Inputs = append(b.m.Inputs, service.Port{Name: in.Name, Schema: s})
	}
	for _, i := range b.g.Outputs {
		v := &b.g.Nodes[i]
		if kind := b.g.Output(v.In[0]).Kind; kind != service.Dataset {
			if b.constant(v.ID) {
				return fault.New(fault.Unsupported, "", "web service output %q gives a %s that is the same in every call: save it from the run instead", v.OutputID, kind).At(v.ID)
			}
			b.m.Outputs = append(b.m.Outputs, service.Port{Name: v.OutputID, Kind: kind})
			continue
		}
		s, err := b.schemaAt(ctx, v.In[0])
		if err != nil {
			return err
		}
		b.m.Outputs = append(b.m.Outputs, service.Port{Name: v.OutputID, Schema: s})
	}
	for _, p := range b.cut.Doc.Params {
		i := slices.IndexFunc(b.g.Doc.Params, func(q graph.Param) bool { return q.Name == p.Name })
		declared := b.g.Doc.Params[i].Parameter
		b.m.Parameters = append(b.m.Parameters, declared)
		if declared.Default == nil && declared.Type != service.ParamSecret {
			if b.given == nil {
				b.given = make(map[string]string)
			}
			l := p.Links[0]
			b.given[p.Name] = b.g.Nodes[b.g.Vertex(l.NodeID)].Values.Text(l.ParameterKey)
		}
	}
	return nil
}

// constant reports whether what a Web Service Output gives is an asset.
func (b *builder) constant(id string) bool {
	for _, e := range b.cut.Doc.Edges {
		if e.TargetNode == id {
			return b.cut.Doc.Nodes[e.SourceNode].AssetID != ""
		}
	}
	return false
}

func (b *builder) schemaAt(ctx context.Context, ref graph.Ref) (frame.Schema, error) {
	res, err := resultAt(b.nodes, b.g, ref)
	if err != nil {
		return nil, err
	}
	return b.r.schema(ctx, b.run.Workspace, res)
}

// pins keeps the schema of every table inside the graph.
func (b *builder) pins(ctx context.Context) error {
	for _, id := range sortedKeys(b.cut.Doc.Nodes) {
		n := b.cut.Doc.Nodes[id]
		i := b.g.Vertex(id)
		if n.Module == "" || i < 0 {
			continue
		}
		for port, p := range b.g.Nodes[i].Mod.Outputs {
			if p.Kind != service.Dataset {
				continue
			}
			s, err := b.schemaAt(ctx, graph.Ref{Node: i, Port: port})
			if err != nil {
				return err
			}
			b.m.Pins = append(b.m.Pins, service.Pin{Node: id, Port: port, Schema: s})
		}
	}
	return nil
}

// settle decides which input columns a call may leave out, and which are not
// echoed: what the plan does not read is optional, and so is the label, which
// a predictive service accepts but does not give back.
func (b *builder) settle(ctx context.Context) error {
	d, err := b.load(ctx)
	if err != nil {
		return err
	}
	if d.Interpreted() { // what trains reads every column it is given
		for i := range b.m.Inputs {
			for c := range b.m.Inputs[i].Schema {
				b.m.Inputs[i].Schema[c].Nullable = true
			}
		}
		return nil
	}
	if d.Secret() {
		return nil // the plan is not known without the secret: all stays required
	}
	flow, err := d.Flow(b.given)
	if err != nil {
		return err
	}
	predictive := b.g.Kind() == graph.Predictive
	label := func(k, i int) bool {
		f := &b.m.Outputs[k].Schema[i]
		return predictive && f.Role == frame.Label && b.isInput(f.Name)
	}
	reads := flow.Reads(func(k, i int) bool { return !label(k, i) })
	for k := range b.m.Outputs {
		out := &b.m.Outputs[k]
		var kept frame.Schema
		for i, f := range out.Schema {
			from := flow.From[k][i]
			if label(k, i) && !b.needed(reads, f.Name) {
				continue
			}
			f.Optional = false
			f.Nullable = f.Nullable || from != scoring.NoColumn
			kept = append(kept, f)
		}
		if len(kept) == 0 {
			return fault.New(fault.Package, module.Code(20), "web service output %q gives the label only, which a predictive service does not echo", out.Name).At(out.Name)
		}
		out.Schema = kept
	}
	for i := range b.m.Inputs {
		for c := range b.m.Inputs[i].Schema {
			f := &b.m.Inputs[i].Schema[c]
			f.Nullable, f.Optional = true, !reads[i][c]
		}
	}
	return nil
}

// isInput reports whether an input of the service has a label called name;
// needed, whether its cells decide something.
func (b *builder) isInput(name string) bool {
	return slices.ContainsFunc(b.m.Inputs, func(p service.Port) bool {
		i := p.Schema.Index(name)
		return i >= 0 && p.Schema[i].Role == frame.Label
	})
}

func (b *builder) needed(reads [][]bool, name string) bool {
	for i, p := range b.m.Inputs {
		if c := p.Schema.Index(name); c >= 0 && reads[i][c] {
			return true
		}
	}
	return false
}

// samples records a call with the first rows of the sample data, and its
// answer.
func (b *builder) samples(ctx context.Context) error {
	if len(b.m.Inputs) == 0 {
		return nil
	}
	d, err := b.load(ctx)
	if err != nil || d.Secret() || d.Interpreted() {
		return err
	}
	tables := make([]*frame.Frame, len(b.g.Inputs))
	for i, in := range b.g.Inputs {
		res, err := resultAt(b.nodes, b.g, in.Sample)
		if err != nil {
			return err
		}
		v, err := b.r.load(ctx, b.run.Workspace, res)
		if err != nil {
			return err
		}
		tables[i] = v.Frame
	}
	req, err := d.Request(tables, sampleRows, b.given)
	if err != nil {
		return err
	}
	answer, err := d.Answer(ctx, req)
	if err != nil {
		return fault.Wrap(err, fault.Package, "score the sample rows")
	}
	b.m.Samples = []service.Sample{{Request: req, Answer: answer}}
	return nil
}

// load compiles the manifest as it is so far.
func (b *builder) load(ctx context.Context) (*scoring.Deployment, error) {
	body, err := encodeManifest(&b.m)
	if err != nil {
		return nil, err
	}
	return scoring.Load(ctx, artifact.Digest(body), body, func(ctx context.Context, digest string) ([]byte, error) {
		return b.r.artifacts.Get(ctx, b.run.Workspace, digest)
	})
}

// warn says what publishing has decided and what the publisher may not expect.
func (b *builder) warn() {
	say := func(format string, args ...any) {
		b.out.Warnings = append(b.out.Warnings, fmt.Sprintf(format, args...))
	}
	name := func(id string) string {
		return fmt.Sprintf("%q (%s)", id, b.g.Nodes[b.g.Vertex(id)].Module)
	}
	for _, id := range b.cut.Frozen {
		say("node %s is frozen: the service applies what its run learned and learns nothing from requests", name(id))
	}
	for _, id := range slices.Compact(b.cut.Folded) {
		if slices.Contains(b.cut.Frozen, id) {
			continue // what it learned is given out beside its rows
		}
		say("node %s does not depend on the service's inputs: the service uses the result of its run", name(id))
	}
	for _, id := range b.cut.Whole {
		if b.cut.BatchOnly {
			break // goes without saying
		}
		say("node %s needs all rows together: a call applies it to the rows of its request, a batch runs whole", name(id))
	}
	if b.cut.BatchOnly {
		say("the service answers batch jobs only: it trains or evaluates, or gives a model")
	}
	for _, out := range b.cut.Apart {
		say("web service output %q does not depend on the service's inputs: a call gives it once, a batch runs whole", out)
	}
	for _, m := range b.out.Models {
		if m.Newer > 0 {
			say("the service uses version %d of %q; version %d exists", m.Version, m.Name, m.Newer)
		}
	}
	var hidden []string
	for _, in := range b.m.Inputs {
		for _, f := range in.Schema {
			if f.Role == frame.Label && f.Optional && b.g.Kind() == graph.Predictive {
				hidden = append(hidden, f.Name)
			}
		}
	}
	if len(hidden) > 0 {
		say("the label %s is accepted but not needed, and is not given back", strings.Join(hidden, ", "))
	}
}

// encodeManifest writes a manifest as it is stored: fixed field order, no HTML
// escaping, no newline at the end.
func encodeManifest(m *service.Manifest) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "encode the manifest")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
