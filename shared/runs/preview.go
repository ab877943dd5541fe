package runs

import (
	"context"
	"encoding/json"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/summary"
)

// Preview is what there is to see of a result.
type Preview struct {
	Port    string           `json:"port"`
	Kind    service.PortKind `json:"kind"`
	Digest  string           `json:"digest"`
	Rows    int              `json:"rows"` // of the whole table
	Columns frame.Schema     `json:"columns,omitempty"`
	// Values are the first rows, cells as text; null where missing. Long texts
	// are cut where there are many.
	Values [][]*string `json:"values,omitzero"`
	// Statistics describe the columns over all rows, in order.
	Statistics []summary.Column `json:"statistics,omitempty"`
	// Model describes a trained model.
	Model *model.Summary `json:"model,omitempty"`
	// View is what the module says of the result: the document of an evaluation,
	// how a model was trained; of an untrained model or a transformation it is
	// the thing itself, where it is not large.
	View json.RawMessage `json:"view,omitempty"`
}

// Look says how much of a table to show.
type Look struct {
	Rows       int  // at most maxPreview
	Statistics bool // of the columns, over all rows
}

// Limits of a preview.
const (
	maxPreview   = 1000    // rows
	maxCells     = 200_000 // cells, but at least one row
	maxDescribed = 1000    // columns with statistics
	maxView      = 1 << 20 // bytes of an untrained model or a transformation
)

// Preview shows what a node of a run gave at an output port. port "" is the
// only port.
func (r *Runs) Preview(ctx context.Context, ws, runID, node, port string, look Look) (*Preview, error) {
	_, res, err := r.result(ctx, ws, runID, node, port)
	if err != nil {
		return nil, err
	}
	return r.preview(ctx, ws, res, look)
}

// result finds what a node gave at a port; an empty port is the only one.
func (r *Runs) result(ctx context.Context, ws, runID, node, port string) (*Run, Result, error) {
	run, nodes, err := r.read(ctx, ws, runID)
	if err != nil {
		return nil, Result{}, err
	}
	n := nodes[node]
	if n == nil || n.State != Finished {
		return nil, Result{}, fault.New(fault.NotFound, "ResultNotFound", "node %q has no result in this run", node).At(node)
	}
	for _, res := range n.Results {
		if res.Port == port || port == "" && len(n.Results) == 1 {
			return run, res, nil
		}
	}
	var ports []string
	for _, res := range n.Results {
		ports = append(ports, strconv.Quote(res.Port))
	}
	if port == "" {
		return nil, Result{}, fault.New(fault.NotFound, "ResultNotFound", "node %q has several output ports: name one of %s", node, strings.Join(ports, ", ")).At(node)
	}
	return nil, Result{}, fault.New(fault.NotFound, "ResultNotFound", "node %q has no output port %q: its ports are %s", node, port, strings.Join(ports, ", ")).At(port)
}

// Value returns all of what a node of a run gave at a port, and for a table the
// format that its module says a download has; "" where it says nothing.
func (r *Runs) Value(ctx context.Context, ws, runID, node, port string) (v module.Value, format string, err error) {
	run, res, err := r.result(ctx, ws, runID, node, port)
	if err != nil {
		return v, "", err
	}
	// A graph of a release that had other modules is no reason to give nothing.
	if g, err := r.graph(ctx, run); err == nil {
		for i := range g.Nodes {
			if m := g.Nodes[i].Mod; m != nil && g.Nodes[i].ID == node {
				format = m.Outputs[m.Output(res.Port)].Format
			}
		}
	}
	v, err = r.load(ctx, ws, res)
	return v, format, err
}

func (r *Runs) preview(ctx context.Context, ws string, res Result, look Look) (*Preview, error) {
	p := &Preview{Port: res.Port, Kind: res.Kind, Digest: res.Digest, Rows: res.Rows}
	if res.View != "" {
		view, err := r.artifact(ctx, ws, res.View, "what the node says of its result")
		if err != nil {
			return nil, err
		}
		p.View = view
	}
	if res.Kind == service.Dataset {
		return p, r.look(ctx, ws, res, look, p)
	}
	v, err := r.load(ctx, ws, res)
	if err != nil {
		return nil, err
	}
	switch {
	case res.Kind == service.TrainedModel:
		if p.Model, err = model.Summarize(v.Artifact); err != nil {
			return nil, err
		}
	case p.View == nil && len(v.Artifact) <= maxView && json.Valid(v.Artifact):
		p.View = v.Artifact
	}
	return p, nil
}

// look shows a table. It holds no more columns of it at once than there are
// processors.
func (r *Runs) look(ctx context.Context, ws string, res Result, look Look, p *Preview) error {
	rows := min(max(look.Rows, 0), maxPreview, max(1, maxCells/max(1, res.Columns)), res.Rows)
	p.Columns, p.Values = make(frame.Schema, 0, res.Columns), make([][]*string, rows)
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0))
	var statistics [maxDescribed]summary.Column
	var cells summary.Cells
	err := r.columns(ctx, ws, res, func(c *frame.Column) error {
		i := len(p.Columns)
		p.Columns = append(p.Columns, *c.Field)
		for row := range p.Values {
			p.Values[row] = append(p.Values[row], cells.Print(c, row))
		}
		if look.Statistics && i < maxDescribed {
			all.Go(func() error {
				statistics[i] = summary.Describe(c)
				return nil
			})
		}
		return nil
	})
	all.Wait()
	if look.Statistics {
		p.Statistics = statistics[:min(len(p.Columns), maxDescribed)]
	}
	return err
}
