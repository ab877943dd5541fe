package runs

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/summary"
)

// Comparison is how two runs differ: in their experiments, in the versions
// they used, and in what their nodes gave.
type Comparison struct {
	Runs [2]RunHead `json:"runs"`
	// Nodes are those that differ in anything, in the order of their ids.
	Nodes []NodeDifference `json:"nodes"`
	// Edges are those that one of the experiments has alone.
	Edges [2][]graph.Edge `json:"edges"`
	// Assets are saved things whose version differs, by the document's asset id.
	Assets map[string][2]*Asset `json:"assets,omitempty"`
}

// RunHead is a run without its nodes.
type RunHead struct {
	ID           string    `json:"id"`
	ExperimentID string    `json:"experimentId"`
	State        State     `json:"state"`
	By           string    `json:"by"`
	Created      time.Time `json:"created"`
	Ended        time.Time `json:"ended,omitzero"`
}

// NodeDifference is a node that the runs do not have alike. What belongs to one
// run only is null for the other.
type NodeDifference struct {
	ID     string     `json:"id"`
	Module [2]*string `json:"module"`
	// Parameters that differ, as the documents have them; null where a document
	// leaves one out.
	Parameters map[string][2]*string `json:"parameters,omitempty"`
	State      [2]*State             `json:"state"`
	Seconds    [2]*float64           `json:"seconds"`
	Results    []ResultDifference    `json:"results,omitempty"`
}

// ResultDifference is an output port that gave different things.
type ResultDifference struct {
	Port string           `json:"port"`
	Kind service.PortKind `json:"kind"`
	Rows [2]*int          `json:"rows"`
	// Tables are the first rows of small tables, so that evaluations can be
	// seen side by side.
	Tables [2]*Preview `json:"tables,omitzero"`
}

// smallTable bounds the tables that a comparison shows.
const smallTable = 100

// Compare says how two runs of a workspace differ.
func (r *Runs) Compare(ctx context.Context, ws, a, b string) (*Comparison, error) {
	var c Comparison
	var sides [2]side
	for k, id := range []string{a, b} {
		run, nodes, err := r.read(ctx, ws, id)
		if err != nil {
			return nil, err
		}
		body, err := r.artifacts.Get(ctx, ws, run.doc)
		if err != nil {
			return nil, err
		}
		doc, err := graph.Parse(body)
		if err != nil {
			return nil, err
		}
		sides[k] = side{run, nodes, doc}
		c.Runs[k] = RunHead{run.ID, run.ExperimentID, run.State, run.By, run.Created, run.Ended}
	}
	ids := slices.Sorted(maps.Keys(union(sides[0].doc.Nodes, sides[1].doc.Nodes)))
	c.Nodes = []NodeDifference{}
	for _, id := range ids {
		d, err := r.compareNode(ctx, ws, id, sides)
		if err != nil {
			return nil, err
		}
		if d != nil {
			c.Nodes = append(c.Nodes, *d)
		}
	}
	for k := range sides {
		c.Edges[k] = slices.DeleteFunc(slices.Clone(sides[k].doc.Edges), func(e graph.Edge) bool {
			return slices.Contains(sides[1-k].doc.Edges, e)
		})
	}
	for id := range union(sides[0].run.Assets, sides[1].run.Assets) {
		x, inA := sides[0].run.Assets[id]
		y, inB := sides[1].run.Assets[id]
		if x == y && inA == inB {
			continue
		}
		if c.Assets == nil {
			c.Assets = make(map[string][2]*Asset)
		}
		c.Assets[id] = [2]*Asset{given(x, inA), given(y, inB)}
	}
	return &c, nil
}

// side is one run of a comparison.
type side struct {
	run   *Run
	nodes map[string]*Node
	doc   *graph.Document
}

func union[V any](a, b map[string]V) map[string]V {
	u := maps.Clone(a)
	if u == nil {
		u = make(map[string]V)
	}
	maps.Copy(u, b)
	return u
}

func given[T any](v T, ok bool) *T {
	if !ok {
		return nil
	}
	return &v
}

// compareNode returns nil where a node is the same in both.
func (r *Runs) compareNode(ctx context.Context, ws, id string, sides [2]side) (*NodeDifference, error) {
	d := &NodeDifference{ID: id}
	var docs [2]*graph.Node
	var nodes [2]*Node
	for k, s := range sides {
		if docs[k] = s.doc.Nodes[id]; docs[k] == nil {
			continue
		}
		what := docs[k].Module + docs[k].AssetID + docs[k].InputID + docs[k].OutputID
		d.Module[k] = &what
		if n := s.nodes[id]; n != nil {
			nodes[k], d.State[k] = n, &n.State
			if !n.Started.IsZero() && !n.Ended.IsZero() {
				seconds := n.Ended.Sub(n.Started).Seconds()
				d.Seconds[k] = &seconds
			}
		}
	}
	same := docs[0] != nil && docs[1] != nil && *d.Module[0] == *d.Module[1]
	if same {
		p, q := docs[0].Parameters, docs[1].Parameters
		for name := range union(p, q) {
			x, inA := p[name]
			y, inB := q[name]
			if x == y && inA == inB {
				continue
			}
			if d.Parameters == nil {
				d.Parameters = make(map[string][2]*string)
			}
			d.Parameters[name] = [2]*string{given(x, inA), given(y, inB)}
		}
	}
	var err error
	if d.Results, err = r.compareResults(ctx, ws, nodes); err != nil {
		return nil, err
	}
	stateSame := (d.State[0] == nil) == (d.State[1] == nil) && (d.State[0] == nil || *d.State[0] == *d.State[1])
	if same && stateSame && d.Parameters == nil && d.Results == nil {
		return nil, nil
	}
	return d, nil
}

func (r *Runs) compareResults(ctx context.Context, ws string, nodes [2]*Node) ([]ResultDifference, error) {
	var of [2][]Result
	for k, n := range nodes {
		if n != nil {
			of[k] = n.Results
		}
	}
	var out []ResultDifference
	for i := range max(len(of[0]), len(of[1])) {
		if i < len(of[0]) && i < len(of[1]) && of[0][i].Digest == of[1][i].Digest {
			continue
		}
		var d ResultDifference
		for k := range of {
			if i >= len(of[k]) {
				continue
			}
			res := of[k][i]
			d.Port, d.Kind = res.Port, res.Kind
			if res.Kind != service.Dataset {
				continue
			}
			d.Rows[k] = &res.Rows
			if res.Rows > smallTable {
				continue
			}
			v, err := r.load(ctx, ws, res)
			if err != nil {
				return nil, err
			}
			var cells summary.Cells
			d.Tables[k] = &Preview{Port: res.Port, Kind: res.Kind, Digest: res.Digest, Rows: res.Rows, Columns: v.Frame.Schema(), Values: cells.Rows(v.Frame, smallTable)}
		}
		out = append(out, d)
	}
	return out, nil
}
