package scoring

import (
	"context"
	"errors"
	"fmt"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// Some modules have no op that could be bound beforehand: those that train and
// evaluate, and those that learn a transformation that the service gives out.
// A deployment with one of them is interpreted: each call executes its nodes
// in order, as a run does, with the schemas of the run that was published
// where a module would otherwise look at the data.

// Execute runs the deployment over Inputs, as Score does, and returns the
// outputs whatever their kind.
func (s *Session) Execute(ctx context.Context) ([]module.Value, error) {
	if s.d.interpreted {
		if err := s.begin(); err != nil {
			return nil, err
		}
		if s.Outside == nil {
			return s.d.interpret(ctx, nil, s.Inputs, s.values)
		}
		world := &late{Outside: s.Outside}
		out, err := s.d.interpret(ctx, world, s.Inputs, s.values)
		for _, export := range world.exports {
			if err == nil {
				err = export(ctx)
			}
		}
		return out, err
	}
	tables, err := s.Score(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]module.Value, len(tables))
	for i, f := range tables {
		out[i] = module.Table(f)
	}
	return out, nil
}

// late writes outside what a call exports when nothing else can fail any more.
type late struct {
	module.Outside
	exports []func(context.Context) error
}

// Export keeps the table for the end of the call.
func (l *late) Export(_ context.Context, node string, p connect.Place, f *frame.Frame) error {
	l.exports = append(l.exports, func(ctx context.Context) error { return l.Outside.Export(ctx, node, p, f) })
	return nil
}

// Interpreted reports whether a call executes the graph node by node.
func (d *Deployment) Interpreted() bool { return d.interpreted }

func (d *Deployment) interpret(ctx context.Context, outside module.Outside, inputs []*frame.Frame, values map[string]string) ([]module.Value, error) {
	results := make(map[graph.Ref]module.Value)
	filled := d.filled(values)
	for i := range d.graph.Nodes {
		if err := ctx.Err(); err != nil {
			return nil, deadline(err)
		}
		v := &d.graph.Nodes[i]
		switch {
		case v.InputID != "":
			k := d.input(v.InputID)
			if k < 0 {
				return nil, mismatch(v.ID, "the manifest has no input %q", v.InputID)
			}
			results[graph.Ref{Node: i}] = module.Table(inputs[k])
		case v.AssetID != "":
			a := d.assets[v.AssetID]
			results[graph.Ref{Node: i}] = module.Value{Kind: d.graph.Doc.Assets[v.AssetID].Kind, Frame: a.Const, Artifact: a.Artifact}
		case v.Mod != nil:
			out, err := d.execute(ctx, outside, i, filled[v.ID], results)
			if err != nil {
				return nil, err
			}
			for port, value := range out {
				results[graph.Ref{Node: i, Port: port}] = value
			}
		}
	}
	out := make([]module.Value, len(d.graph.Outputs))
	for k, i := range d.graph.Outputs {
		var err error
		if out[k], err = d.give(k, results[d.graph.Nodes[i].In[0]]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// execute runs vertex i.
func (d *Deployment) execute(ctx context.Context, outside module.Outside, i int, given map[string]string, results map[graph.Ref]module.Value) ([]module.Value, error) {
	v := &d.graph.Nodes[i]
	params, err := d.parameters(v, given)
	if err != nil {
		return nil, err
	}
	call := &module.Call{Params: params, Palette: d.palette, Inputs: make([]module.Value, len(v.In)), Log: func(string, ...any) {}, Node: v.ID, Outside: outside}
	for k, r := range v.In {
		if r != graph.None {
			call.Inputs[k] = results[r]
		}
	}
	if v.Mod.Pin != nil || v.Mod.Make != nil {
		call.Pinned = d.pinned(i)
	}
	out, err := v.Mod.Execute(ctx, call)
	if row, ok := errors.AsType[*RowError](err); ok {
		return nil, row.Fault // the row is not one of the call's inputs'
	}
	if err != nil && ctx.Err() != nil {
		return nil, deadline(ctx.Err())
	}
	return out, err
}

// give is the k-th output. Where RRS may be asked too, its columns are those
// that were pinned.
func (d *Deployment) give(k int, v module.Value) (module.Value, error) {
	port := &d.Manifest.Outputs[k]
	if v.Frame == nil || d.Manifest.BatchOnly {
		return v, nil
	}
	f := &frame.Frame{Cols: make([]*frame.Column, len(port.Schema))}
	for i := range port.Schema {
		c := v.Frame.Col(port.Schema[i].Name)
		if c == nil {
			return v, changed(port, "column %q is not there", port.Schema[i].Name)
		}
		if c.Field.Type != port.Schema[i].Type {
			return v, changed(port, "column %q is %s instead of %s", c.Field.Name, c.Field.Type, port.Schema[i].Type)
		}
		f.Cols[i] = c
	}
	return module.Table(f), nil
}

func changed(port *service.Port, format string, args ...any) error {
	return fault.New(fault.ModuleExecution, "ModuleOutputMetadataMismatch", "output %q is not what was published: %s", port.Name, fmt.Sprintf(format, args...)).At(port.Name)
}
