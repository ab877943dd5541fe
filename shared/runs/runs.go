// Package runs executes experiments and makes deployments of their runs.
//
// A run keeps its own copy of the experiment's graph, with `latest` versions
// resolved to digests. Its nodes are executed one after another by the queue
// function runs; each result is an artifact, found again by a key of module,
// code version, parameters and inputs, so that a run that died goes on from
// what it had, and a second run repeats only what changed. A node has finished
// once its results are stored, beside which the next node is at work already.
//
// Rows of the table "runs", and the query each serves:
//
//	partition           row               serves
//	{ws}.{run}          run               one run; its ETag guards every step of its executor
//	{ws}.{run}          node.{id}         the state of one node; Get reads the partition at once
//	{ws}.{experiment}   {time}.{run}      the runs of an experiment, the newest first; never changed
//	{ws}.cache.{kk}     {key}             the results of a node; kk = first two digits of the key
//	active              {ws}.{run}        runs that have not ended, for sweep
//
// States: NotStarted → Running → Finished | Failed; NotStarted and Running →
// Cancelled. An executor takes a run by raising its epoch; each of its steps is
// one Apply on condition of the run row, so an executor that was given up for
// dead can do nothing any more when it wakes.
package runs

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/palette"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Queue is the name of the queue whose messages Execute takes.
const Queue = "runs"

// Catalog is what runs read of a workspace.
type Catalog interface {
	Experiment(ctx context.Context, ws, id string) (*catalog.Experiment, error)
	Experiments(ctx context.Context, ws string) ([]*catalog.Experiment, error)
	// DeletedExperiments lists the ids of experiments that were.
	DeletedExperiments(ctx context.Context, ws string) ([]string, error)
	// Saved returns a version of a dataset, trained model or transformation;
	// number 0 is the newest.
	Saved(ctx context.Context, ws string, kind service.PortKind, name string, number int) (*catalog.Version, error)
	SaveModel(ctx context.Context, ws string, m catalog.NewModel, by auth.Identity) (*catalog.Version, error)
	// Table reads a version of a dataset.
	Table(ctx context.Context, ws, name string, number int) (*frame.Frame, error)
}

// State is where a run or a node stands.
type State string

const (
	NotStarted State = "NotStarted"
	Running    State = "Running"
	Failed     State = "Failed"
	Cancelled  State = "Cancelled"
	Finished   State = "Finished"
)

// Ended reports whether the state is final.
func (s State) Ended() bool { return s == Failed || s == Cancelled || s == Finished }

// Run is one execution of an experiment.
type Run struct {
	Workspace    string           `json:"-"`
	ID           string           `json:"id"`
	ExperimentID string           `json:"experimentId"`
	State        State            `json:"state"`
	By           string           `json:"by"`
	Created      time.Time        `json:"created"`
	Started      time.Time        `json:"started,omitzero"`
	Ended        time.Time        `json:"ended,omitzero"`
	Error        *Failure         `json:"error,omitempty"`
	Assets       map[string]Asset `json:"assets,omitempty"` // by the document's asset id
	Nodes        []Node           `json:"nodes,omitempty"`  // in the order of execution; Get only

	doc       string // digest of the document
	canonical string // digest of its canonical bytes
	sealed    []byte // credentials, until it ends
	epoch     int64
	updated   time.Time
	etag      string
}

// Asset is the version of a saved thing that a run used.
type Asset struct {
	Kind   service.PortKind `json:"kind"`
	Name   string           `json:"name"`
	Number int              `json:"version"`
	Digest string           `json:"digest"`
}

// Failure says what ended a run or a node.
type Failure struct {
	Node    string `json:"node,omitempty"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Node is the state of one node of a run.
type Node struct {
	ID      string    `json:"id"`
	Module  string    `json:"module,omitempty"`
	State   State     `json:"state"`
	Cached  bool      `json:"cached,omitempty"` // the results are an earlier execution's
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Error   *Failure  `json:"error,omitempty"`
	Log     []string  `json:"log,omitempty"`
	Results []Result  `json:"results,omitempty"` // by output port

	starts int64  // executions begun and not known to have ended, since saved
	saved  string // digest of what a long training saved to go on from
}

// Result is what a node gave at an output port.
type Result struct {
	Port    string           `json:"port"`
	Kind    service.PortKind `json:"kind"`
	Digest  string           `json:"digest"`
	Rows    int              `json:"rows"`
	Columns int              `json:"columns"`
	// Schema is the digest of a table's schema, an artifact of its own: what
	// publishing pins.
	Schema string `json:"schema,omitempty"`
	// View is the digest of what the module says of the result for people to look
	// at, an artifact of its own.
	View string `json:"view,omitempty"`
}

// Limits bound the work of a process. Zero values mean the defaults.
type Limits struct {
	Node  time.Duration // one node: 50 min
	Slice time.Duration // no node is begun later in a message, and training pauses; the run goes on in the next: 5 min
	Save  time.Duration // between the checkpoints of a training: 30 s
	Beat  time.Duration // how often an executor says it is alive: 5 s
	Stuck time.Duration // without a sign of life, sweep sends the run again: 2 min
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&l.Node, 50 * time.Minute}, {&l.Slice, 5 * time.Minute}, {&l.Save, 30 * time.Second}, {&l.Beat, 5 * time.Second}, {&l.Stuck, 2 * time.Minute}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	return l
}

// maxStarts is how often a node may end its worker.
const maxStarts = 3

// Config is what Runs work with.
type Config struct {
	Store   *storage.Store
	Catalog Catalog
	// Outside, where set, gives modules what they reach the world by; see
	// module.Outside. delivery names the run.
	Outside func(ws, delivery string) module.Outside
	// Sealer keeps the credentials of a run; without one a run has none.
	Sealer Sealer
	// Retention is how long results of runs are kept; 0 = 90 days.
	Retention time.Duration
	Limits    Limits
	Log       *slog.Logger
}

// Runs is the runs of a store, safe for concurrent use.
type Runs struct {
	tables    storage.Tables
	queues    storage.Queues
	artifacts *artifact.Store
	catalog   Catalog
	outside   func(ws, delivery string) module.Outside
	sealer    Sealer
	retention time.Duration
	limits    Limits
	log       *slog.Logger
}

// New returns the runs of c.Store.
func New(c Config) *Runs {
	return &Runs{
		tables: c.Store.Tables, queues: c.Store.Queues, artifacts: artifact.New(c.Store.Blobs),
		catalog: c.Catalog, outside: c.Outside, sealer: c.Sealer,
		retention: cmp.Or(c.Retention, 90*24*time.Hour), limits: c.Limits.withDefaults(), log: c.Log,
	}
}

// Palette returns the modules that experiments may use.
func (r *Runs) Palette() *module.Palette { return palette.Shared() }

// Message asks for a run to be executed.
type Message struct {
	Workspace string `json:"ws"`
	Run       string `json:"run"`
}

// Validate reports all problems of a document: those of its graph, and assets
// that the workspace does not have. A document that does not parse is an
// error.
func (r *Runs) Validate(ctx context.Context, ws string, doc []byte) ([]graph.Problem, error) {
	d, err := graph.Parse(doc)
	if err != nil {
		return nil, err
	}
	problems := graph.Validate(d, r.Palette())
	_, more, err := r.resolve(ctx, ws, d)
	return append(problems, more...), err
}

// resolve finds the version of every asset that a node stands for.
func (r *Runs) resolve(ctx context.Context, ws string, d *graph.Document) (map[string]Asset, []graph.Problem, error) {
	used := make(map[string]string) // asset -> the first node that stands for it
	for id, n := range d.Nodes {
		if first, ok := used[n.AssetID]; n.AssetID != "" && (!ok || id < first) {
			used[n.AssetID] = id
		}
	}
	out := make(map[string]Asset, len(used))
	var problems []graph.Problem
	for _, id := range sortedKeys(used) {
		a := d.Assets[id]
		if a == nil {
			continue // the graph's problem
		}
		number, err := a.Number()
		if err == nil {
			var v *catalog.Version
			if v, err = r.catalog.Saved(ctx, ws, a.Kind, a.Name, number); err == nil {
				out[id] = Asset{a.Kind, v.Name, v.Number, v.Digest}
				continue
			}
		}
		if k := fault.KindOf(err); k != fault.NotFound && k != fault.BadArgument {
			return nil, nil, err
		}
		problems = append(problems, graph.Problem{Node: used[id], Rule: "unknown-asset", Code: module.Code(3), Message: fmt.Sprintf("asset %q: %s", id, fault.Of(err).Msg)})
	}
	return out, problems, nil
}

// Start begins a run of the experiment as it is now. An experiment with
// problems is refused with all of them.
func (r *Runs) Start(ctx context.Context, ws, experimentID, by string) (*Run, error) {
	return r.StartWith(ctx, ws, experimentID, by, nil)
}

// StartWith is Start with values for the experiment's graph parameters of type
// Credential. They are kept sealed, and no longer than the run takes.
func (r *Runs) StartWith(ctx context.Context, ws, experimentID, by string, credentials map[string]string) (*Run, error) {
	x, err := r.catalog.Experiment(ctx, ws, experimentID)
	if err != nil {
		return nil, err
	}
	d, err := graph.Parse(x.Doc)
	if err != nil {
		return nil, err
	}
	problems := graph.Validate(d, r.Palette())
	assets, more, err := r.resolve(ctx, ws, d)
	if err != nil {
		return nil, err
	}
	if err := graph.Fault(append(problems, more...)); err != nil {
		return nil, err
	}
	run := &Run{
		Workspace: ws, ID: service.NewID(), ExperimentID: x.ID, State: NotStarted, By: by,
		Created: now(), Assets: assets, canonical: artifact.Digest(d.Canonical()),
	}
	run.updated = run.Created
	if err := r.seal(run, d, credentials); err != nil {
		return nil, err
	}
	if run.doc, err = r.artifacts.Put(ctx, ws, x.Doc); err != nil {
		return nil, err
	}
	// The rows that lead to the run come first: sweep drops the active one, and
	// List passes over the other, where no run follows.
	if err := r.activate(ctx, run); err != nil {
		return nil, err
	}
	if _, err := r.tables.Apply(ctx, table, ws+"."+x.ID, storage.Op{Kind: storage.Insert, Row: indexRow(run), Props: storage.Props{"run": run.ID}}); err != nil {
		return nil, err
	}
	if _, err := r.tables.Apply(ctx, table, runPartition(run), storage.Op{Kind: storage.Insert, Row: runRow, Props: run.props()}); err != nil {
		return nil, err
	}
	return run, event.Send(ctx, r.queues, Queue, Message{ws, run.ID}, 0)
}

// Get returns a run with its nodes in the order of their execution.
func (r *Runs) Get(ctx context.Context, ws, id string) (*Run, error) {
	run, nodes, err := r.read(ctx, ws, id)
	if err != nil {
		return nil, err
	}
	g, err := r.graph(ctx, run)
	if fault.Is(err, fault.Package) { // of a release that had other modules
		for _, id := range sortedKeys(nodes) {
			run.Nodes = append(run.Nodes, *nodes[id])
		}
		return run, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range g.Nodes {
		v := &g.Nodes[i]
		if v.InputID != "" || v.OutputID != "" {
			continue // ports do nothing in a run
		}
		n, ok := nodes[v.ID]
		if !ok {
			n = &Node{ID: v.ID, State: NotStarted}
		}
		if run.State.Ended() && !n.State.Ended() { // nobody works on it any more
			n.State = Cancelled
			if !n.Started.IsZero() {
				n.Ended = run.Ended
			}
		}
		n.Module = v.Module
		run.Nodes = append(run.Nodes, *n)
	}
	return run, nil
}

// List returns up to limit runs of an experiment, the newest first, without
// their nodes.
func (r *Runs) List(ctx context.Context, ws, experimentID string, limit int) ([]*Run, error) {
	out := []*Run{}
	if !service.ValidID(experimentID) {
		return out, nil
	}
	for e, err := range r.tables.Query(ctx, table, ws+"."+experimentID, storage.Range{}) {
		if err != nil {
			return nil, err
		}
		run, err := r.row(ctx, ws, e.Props.Str("run"))
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if out = append(out, run); len(out) == limit {
			break
		}
	}
	return out, nil
}

// Document returns the document that a run keeps, to open it as a new draft.
func (r *Runs) Document(ctx context.Context, ws, id string) (json.RawMessage, error) {
	run, err := r.row(ctx, ws, id)
	if err != nil {
		return nil, err
	}
	return r.artifacts.Get(ctx, ws, run.doc)
}

// graph resolves the graph that a run keeps.
func (r *Runs) graph(ctx context.Context, run *Run) (*graph.Graph, error) {
	body, err := r.artifacts.Get(ctx, run.Workspace, run.doc)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "read the run's document")
	}
	d, err := graph.Parse(body)
	if err != nil {
		return nil, err
	}
	g, problems := graph.New(d, r.Palette())
	return g, graph.Fault(problems)
}

// Cancel ends a run. It is repeatable and succeeds quietly where the run has
// ended.
func (r *Runs) Cancel(ctx context.Context, ws, id string) (*Run, error) {
	for {
		run, err := r.row(ctx, ws, id)
		if err != nil || run.State.Ended() {
			return run, err
		}
		run.State, run.Ended = Cancelled, now()
		err = r.write(ctx, run)
		if err == nil {
			return run, r.deactivate(ctx, run)
		}
		if !fault.HasCode(err, storage.CodeCondition) {
			return nil, err
		}
	}
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
