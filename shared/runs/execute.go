package runs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Execute works on a run until it ends, or until the message's slice of time is
// over; then the run goes on in another message. What went wrong with the
// experiment is recorded on the run and is no error; an error is passing, and
// worth another delivery.
func (r *Runs) Execute(ctx context.Context, m Message) error {
	x, err := r.take(ctx, m)
	if err != nil || x == nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go x.beat(ctx, stop)

	err = x.work(ctx)
	switch cause := context.Cause(ctx); {
	case errors.Is(err, errSlice):
		return r.send(ctx, x.run)
	case errors.Is(err, errLost) || errors.Is(cause, errLost):
		return nil // cancelled, or another executor has the run
	}
	return err
}

// Give records that a run cannot be executed: its messages have ended their
// worker again and again.
func (r *Runs) Give(ctx context.Context, m Message, cause error) error {
	run, err := r.row(ctx, m.Workspace, m.Run)
	if err != nil || run.State.Ended() {
		return err
	}
	x := &executor{r: r, run: run}
	msg := "the run failed inside the service"
	if died, ok := errors.AsType[*event.DiedError](cause); ok {
		msg = "the run " + died.Error()
	}
	err = x.end(ctx, Failed, &Failure{Code: module.Code(1000), Message: msg})
	if errors.Is(err, errLost) {
		return nil
	}
	return err
}

func (r *Runs) send(ctx context.Context, run *Run) error {
	return event.Send(ctx, r.queues, Queue, Message{run.Workspace, run.ID}, 0)
}

var (
	// errLost says that the run's row is not as this executor left it: the run
	// was cancelled, or another executor took it.
	errLost = errors.New("the run has another executor or is cancelled")
	// errSlice says that the message's time is over.
	errSlice = errors.New("slice of time over")
)

// executor is one taking of a run.
type executor struct {
	r     *Runs
	g     *graph.Graph
	begun time.Time

	mu    sync.Mutex // guards run and writes of its row
	run   *Run
	nodes map[string]*Node

	values map[graph.Ref]module.Value // results still needed
	uses   map[graph.Ref]int          // by how many nodes

	storing *storing                // what is on its way into the store
	giveUp  context.CancelCauseFunc // the work on further nodes
}

// take makes the caller the executor of a run; nil where the run has ended or
// is not there any more.
func (r *Runs) take(ctx context.Context, m Message) (*executor, error) {
	for {
		run, nodes, err := r.read(ctx, m.Workspace, m.Run)
		if fault.Is(err, fault.NotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if run.State.Ended() {
			return nil, r.deactivate(ctx, run)
		}
		run.State = Running
		if run.epoch++; run.Started.IsZero() {
			run.Started = now()
		}
		err = r.write(ctx, run)
		if fault.HasCode(err, storage.CodeCondition) {
			continue
		}
		if err != nil {
			return nil, err
		}
		g, err := r.graph(ctx, run)
		if err != nil {
			return nil, err
		}
		return &executor{r: r, g: g, begun: time.Now(), run: run, nodes: nodes, values: make(map[graph.Ref]module.Value), uses: uses(g)}, nil
	}
}

func uses(g *graph.Graph) map[graph.Ref]int {
	out := make(map[graph.Ref]int)
	for i := range g.Nodes {
		for _, ref := range g.Nodes[i].In {
			if g.Nodes[i].OutputID == "" && ref != graph.None {
				out[ref]++
			}
		}
	}
	return out
}

// beat says every few seconds that the executor is alive, and so learns that
// it has lost the run.
func (x *executor) beat(ctx context.Context, stop context.CancelCauseFunc) {
	tick := time.NewTicker(x.r.limits.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := x.step(ctx); errors.Is(err, errLost) {
			stop(errLost)
			return
		}
	}
}

// step writes the run's row, and those of nodes, as one step of this executor.
func (x *executor) step(ctx context.Context, nodes ...*Node) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.write(ctx, nodes...)
}

// write is step for who holds mu.
func (x *executor) write(ctx context.Context, nodes ...*Node) error {
	err := x.r.write(ctx, x.run, nodes...)
	if fault.HasCode(err, storage.CodeCondition) || fault.Is(err, fault.NotFound) {
		return errLost
	}
	return err
}

// end ends the run. Until that is written the run goes on, or a beat would
// end it without its nodes.
func (x *executor) end(ctx context.Context, s State, f *Failure, nodes ...*Node) error {
	x.mu.Lock()
	before := x.run.State
	x.run.State, x.run.Error, x.run.Ended = s, f, now()
	err := x.write(ctx, nodes...)
	if err != nil {
		x.run.State, x.run.Error, x.run.Ended = before, nil, time.Time{}
	}
	x.mu.Unlock()
	if err != nil {
		return err
	}
	return x.r.deactivate(ctx, x.run)
}

// work executes the nodes in order, and ends the run behind the last one.
func (x *executor) work(ctx context.Context) error {
	walk, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	x.giveUp = stop
	defer x.stored() // a panic on its way up leaves nobody at the store
	n, failure, err := x.walk(walk, ctx)
	// What is on its way into the store comes before what happened meanwhile.
	if before, f, e := x.settle(ctx); f != nil || e != nil {
		n, failure, err = before, f, e
	}
	switch {
	case err != nil:
		return err
	case failure != nil:
		return x.end(ctx, Failed, failure, n)
	}
	return x.end(ctx, Finished, nil)
}

// walk executes the nodes in order, up to one that fails. Storing goes on in
// the context keep where walking is given up.
func (x *executor) walk(ctx, keep context.Context) (*Node, *Failure, error) {
	worked := false // each message gets on, however short its time
	for i := range x.g.Nodes {
		v := &x.g.Nodes[i]
		if v.InputID != "" || v.OutputID != "" {
			continue
		}
		n := x.nodes[v.ID]
		if n == nil {
			n = &Node{ID: v.ID, State: NotStarted}
			x.nodes[v.ID] = n
		}
		if n.State == Finished {
			continue
		}
		if worked && time.Since(x.begun) > x.r.limits.Slice {
			return nil, nil, errSlice
		}
		worked = true
		if failure, err := x.node(ctx, keep, i, n); failure != nil || err != nil {
			return n, failure, err
		}
	}
	return nil, nil, nil
}

// node executes vertex i. A failure is the experiment's; an error is passing.
func (x *executor) node(ctx, keep context.Context, i int, n *Node) (*Failure, error) {
	v := &x.g.Nodes[i]
	key, err := x.key(i)
	if err != nil {
		return nil, err
	}
	if n.Error = nil; n.saved == "" {
		n.Started, n.Log = now(), nil
	}
	results, err := x.cached(ctx, key)
	if err != nil {
		return nil, err
	}
	if n.Cached = results != nil; n.Cached {
		n.State, n.Results, n.Ended, n.saved = Finished, results, now(), ""
		x.drop(i)
		return nil, x.step(ctx, n)
	}
	if n.starts >= maxStarts {
		return x.failed(v, n, module.Errorf(138, "the node has ended its worker %d times: it needs more memory than there is, or more than its %v", n.starts, x.r.limits.Node)), nil
	}
	n.State, n.starts = Running, n.starts+1
	if err := x.step(ctx, n); err != nil {
		return nil, err
	}
	values, err := x.execute(ctx, i, n)
	var m *made
	if err == nil {
		m, err = x.sum(i, values)
	}
	if err == nil {
		err = x.stored()
	}
	if err != nil {
		return x.outcome(ctx, v, n, err)
	}
	n.State, n.Results, n.saved = Finished, m.results, ""
	x.drop(i)
	x.store(keep, v, n, key, m)
	if n.starts > 1 { // should it end its worker again, the next node is not to blame
		return nil, x.stored()
	}
	return nil, nil
}

// outcome is what follows from an error of a node: a failure, or an error that
// is passing.
func (x *executor) outcome(ctx context.Context, v *graph.Vertex, n *Node, err error) (*Failure, error) {
	if errors.Is(err, errSlice) {
		return nil, err
	}
	if passing(ctx, err) {
		if ctx.Err() == nil && fault.Of(err).Msg != "" { // whoever waits for the run may be the one to help
			n.logf("it will be tried again: %s", fault.Of(err).Msg)
		}
		return nil, errors.Join(err, x.notBegun(ctx, n))
	}
	return x.failed(v, n, err), nil
}

// passing reports errors that another execution of the node may not meet: the
// storage's, and the end of the worker itself.
func passing(ctx context.Context, err error) bool {
	if ctx.Err() != nil || errors.Is(err, errLost) {
		return true
	}
	k := fault.KindOf(err)
	return k == fault.Unavailable || k == fault.Throttled
}

// notBegun takes back that a node was begun: an outage is no death. It insists
// for a while, for an outage may hold the taking back too.
func (x *executor) notBegun(ctx context.Context, n *Node) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	n.State, n.starts = NotStarted, n.starts-1
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		err := x.step(ctx, n)
		if err == nil || errors.Is(err, errLost) {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// failed records on the node why it failed.
func (x *executor) failed(v *graph.Vertex, n *Node, err error) *Failure {
	e := fault.Of(err)
	d := e.Details()[0]
	f := &Failure{Node: v.ID, Code: d.Code, Message: d.Message}
	if row, ok := errors.AsType[*module.RowError](err); ok {
		f.Message = row.Error()
	}
	if v.Mod != nil {
		f.Message = fmt.Sprintf("%s (%s): %s", v.Mod.Name, v.ID, f.Message)
	}
	n.State, n.Error, n.Ended = Failed, f, now()
	return f
}

// execute runs the code of vertex i within its time.
func (x *executor) execute(ctx context.Context, i int, n *Node) (values []module.Value, err error) {
	v := &x.g.Nodes[i]
	nodeCtx, cancel := context.WithTimeout(ctx, x.r.limits.Node)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			x.r.log.ErrorContext(ctx, "module panicked", "workspace", x.run.Workspace, "run", x.run.ID, "node", v.ID, "module", v.Module, "error", fault.Panicked(p))
			err = fault.New(fault.ModuleExecution, module.Code(1000), "Error 1000: the module failed inside the service")
		}
		if err != nil && ctx.Err() == nil && errors.Is(nodeCtx.Err(), context.DeadlineExceeded) {
			err = fault.New(fault.ModuleExecution, module.Code(1000), "Error 1000: the node did not end within %v", x.r.limits.Node)
		}
	}()
	if v.AssetID != "" {
		return x.asset(nodeCtx, v)
	}
	inputs := make([]module.Value, len(v.In))
	for k, ref := range v.In {
		if ref == graph.None {
			continue
		}
		if inputs[k], err = x.value(nodeCtx, ref); err != nil {
			return nil, err
		}
		if f := inputs[k].Frame; f != nil && len(f.Cols) == 0 {
			return nil, module.Errorf(3, "the table at port %q has no columns", v.Mod.Inputs[k].ID)
		}
	}
	params, err := x.credentials(v)
	if err != nil {
		return nil, err
	}
	c := &checkpoints{x: x, n: n, last: time.Now(), told: time.Now(), lines: len(n.Log)}
	call := &module.Call{Params: params, Inputs: inputs, Palette: x.r.Palette(), Log: n.logf, Node: v.ID}
	if x.r.outside != nil {
		call.Outside = x.r.outside(x.run.Workspace, "run."+x.run.ID)
	}
	call.Checkpoint = func(state func() ([]byte, error)) error { return c.offer(nodeCtx, state) }
	if call.Saved, err = c.read(nodeCtx); err != nil {
		return nil, err
	}
	values, err = v.Mod.Execute(nodeCtx, call)
	if errors.Is(err, errSlice) {
		return nil, err
	}
	if e := fault.Of(err); err != nil && !v.Mod.Outside && e.Kind.Traits().Retry && nodeCtx.Err() == nil {
		// A module that reaches nothing outside fails the same way every time.
		return nil, fault.New(fault.ModuleExecution, e.Details()[0].Code, "%s", e.Details()[0].Message).Because(err)
	}
	return values, err
}

// logf adds a line to the node's log, as long as there is room.
func (n *Node) logf(format string, args ...any) {
	size := 0
	for _, l := range n.Log {
		size += len(l) + 1
	}
	line := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " ")
	if size+len(line) > maxLog {
		if len(n.Log) > 0 && n.Log[len(n.Log)-1] != "…" {
			n.Log = append(n.Log, "…")
		}
		return
	}
	n.Log = append(n.Log, line)
}

// asset gives what an asset node stands for.
func (x *executor) asset(ctx context.Context, v *graph.Vertex) ([]module.Value, error) {
	a := x.run.Assets[v.AssetID]
	if a.Kind != service.Dataset {
		body, err := x.r.artifacts.Get(ctx, x.run.Workspace, a.Digest)
		return []module.Value{{Kind: a.Kind, Artifact: body}}, err
	}
	saved, err := x.r.catalog.Saved(ctx, x.run.Workspace, a.Kind, a.Name, a.Number)
	if err != nil {
		return nil, err
	}
	if saved.Digest != a.Digest {
		return nil, fault.New(fault.ModuleExecution, module.Code(3), "dataset %q version %d is not the one the run began with", a.Name, a.Number)
	}
	f, err := x.r.catalog.Table(ctx, x.run.Workspace, a.Name, a.Number)
	if err != nil {
		return nil, err
	}
	return []module.Value{module.Table(f)}, nil
}
