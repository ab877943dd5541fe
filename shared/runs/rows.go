package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

const (
	table      = "runs"
	runRow     = "run"
	nodePrefix = "node."
	active     = "active"
)

func runPartition(r *Run) string { return r.Workspace + "." + r.ID }

// indexRow sorts the newest run first.
func indexRow(r *Run) string {
	return fmt.Sprintf("%019d.%s", math.MaxInt64-r.Created.UnixMicro(), r.ID)
}

// indexed is when the run of an index row was created.
func indexed(row string) time.Time {
	digits, _, _ := strings.Cut(row, ".")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return now() // not written by us: nobody's to judge
	}
	return time.UnixMicro(math.MaxInt64 - n)
}

func activeRow(r *Run) string { return r.Workspace + "." + r.ID }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// maxLog bounds the log that a node row keeps, in bytes.
const maxLog = 16 << 10

func (r *Run) props() storage.Props {
	p := storage.Props{
		"experiment": r.ExperimentID, "state": string(r.State), "by": r.By, "created": r.Created,
		"doc": r.doc, "canonical": r.canonical, "epoch": r.epoch, "updated": r.updated,
		"assets": encode(r.Assets),
	}
	if !r.Started.IsZero() {
		p["started"] = r.Started
	}
	if !r.Ended.IsZero() {
		p["ended"] = r.Ended
	}
	if r.Error != nil {
		p["error"] = encode(r.Error)
	}
	if len(r.sealed) > 0 && !r.State.Ended() {
		p["sealed"] = r.sealed
	}
	return p
}

func readRun(ws, id string, e storage.Entity) (*Run, error) {
	p := e.Props
	r := &Run{
		Workspace: ws, ID: id, ExperimentID: p.Str("experiment"), State: State(p.Str("state")), By: p.Str("by"),
		Created: p.Time("created"), Started: p.Time("started"), Ended: p.Time("ended"),
		doc: p.Str("doc"), canonical: p.Str("canonical"), epoch: p.Int("epoch"), updated: p.Time("updated"), sealed: p.Bytes("sealed"), etag: e.ETag,
	}
	return r, decode(p, "assets", &r.Assets, "error", &r.Error)
}

func (n *Node) props() storage.Props {
	p := storage.Props{"state": string(n.State), "cached": n.Cached, "starts": n.starts, "results": encode(n.Results), "log": strings.Join(n.Log, "\n")}
	if !n.Started.IsZero() {
		p["started"] = n.Started
	}
	if !n.Ended.IsZero() {
		p["ended"] = n.Ended
	}
	if n.Error != nil {
		p["error"] = encode(n.Error)
	}
	if n.saved != "" {
		p["saved"] = n.saved
	}
	return p
}

func readNode(e storage.Entity) (*Node, error) {
	p := e.Props
	n := &Node{
		ID: strings.TrimPrefix(e.Row, nodePrefix), State: State(p.Str("state")), Cached: p.Bool("cached"),
		Started: p.Time("started"), Ended: p.Time("ended"), starts: p.Int("starts"), saved: p.Str("saved"),
	}
	if text := p.Str("log"); text != "" {
		n.Log = strings.Split(text, "\n")
	}
	return n, decode(p, "results", &n.Results, "error", &n.Error)
}

// encode writes a value of this package as the text of a property.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("runs: " + err.Error()) // plain structs always encode
	}
	return string(b)
}

// decode reads properties that encode wrote: pairs of a name and where it goes.
func decode(p storage.Props, pairs ...any) error {
	for i := 0; i < len(pairs); i += 2 {
		text := p.Str(pairs[i].(string))
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), pairs[i+1]); err != nil {
			return fault.New(fault.Internal, "", "property %q of a run's row is damaged", pairs[i]).Because(err)
		}
	}
	return nil
}

func notFound() error { return fault.New(fault.NotFound, "RunNotFound", "the run does not exist") }

// row reads a run without its nodes.
func (r *Runs) row(ctx context.Context, ws, id string) (*Run, error) {
	if !service.ValidID(id) {
		return nil, notFound()
	}
	e, err := r.tables.Get(ctx, table, ws+"."+id, runRow)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound()
	}
	if err != nil {
		return nil, err
	}
	return readRun(ws, id, e)
}

// read reads a run and the rows of its nodes.
func (r *Runs) read(ctx context.Context, ws, id string) (*Run, map[string]*Node, error) {
	if !service.ValidID(id) {
		return nil, nil, notFound()
	}
	var run *Run
	nodes := make(map[string]*Node)
	for e, err := range r.tables.Query(ctx, table, ws+"."+id, storage.Range{}) {
		if err != nil {
			return nil, nil, err
		}
		if e.Row == runRow {
			run, err = readRun(ws, id, e)
		} else {
			var n *Node
			if n, err = readNode(e); err == nil {
				nodes[n.ID] = n
			}
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if run == nil {
		return nil, nil, notFound()
	}
	return run, nodes, nil
}

// write replaces a run's row, and writes the rows of nodes, on condition that
// the run is as it was read.
func (r *Runs) write(ctx context.Context, run *Run, nodes ...*Node) error {
	run.updated = now()
	ops := []storage.Op{{Kind: storage.Replace, Row: runRow, IfMatch: run.etag, Props: run.props()}}
	for _, n := range nodes {
		ops = append(ops, storage.Op{Kind: storage.Upsert, Row: nodePrefix + n.ID, Props: n.props()})
	}
	etags, err := r.tables.Apply(ctx, table, runPartition(run), ops...)
	if err != nil {
		return err
	}
	run.etag = etags[0]
	return nil
}

func (r *Runs) activate(ctx context.Context, run *Run) error {
	_, err := r.tables.Apply(ctx, table, active, storage.Op{Kind: storage.Upsert, Row: activeRow(run), Props: storage.Props{"since": run.Created}})
	return err
}

func (r *Runs) deactivate(ctx context.Context, run *Run) error {
	_, err := r.tables.Apply(ctx, table, active, storage.Op{Kind: storage.Delete, Row: activeRow(run), IfMatch: storage.AnyETag})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// actives yields the workspace and id of every run that has not ended, and the
// row that says so.
func (r *Runs) actives(ctx context.Context) iter.Seq2[storage.Entity, error] {
	return r.tables.Query(ctx, table, active, storage.Range{})
}

// Rescue does what sweep does for runs: it sends those again that nobody works
// on, and forgets those that have ended. It returns how many it sent.
func (r *Runs) Rescue(ctx context.Context) (sent int, err error) {
	for e, err := range r.actives(ctx) {
		if err != nil {
			return sent, err
		}
		ws, id, _ := strings.Cut(e.Row, ".")
		run, err := r.row(ctx, ws, id)
		switch {
		case fault.Is(err, fault.NotFound):
			if now().Sub(e.Props.Time("since")) < r.limits.Stuck {
				continue // Start is about to write it
			}
			run = &Run{Workspace: ws, ID: id, State: Cancelled}
		case err != nil:
			return sent, err
		}
		if run.State.Ended() {
			if err := r.deactivate(ctx, run); err != nil {
				return sent, err
			}
			continue
		}
		if now().Sub(run.updated) < r.limits.Stuck {
			continue
		}
		if err := r.send(ctx, run); err != nil {
			return sent, err
		}
		sent++
	}
	return sent, nil
}
