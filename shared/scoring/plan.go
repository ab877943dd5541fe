package scoring

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// plan is a deployment's graph bound for one set of parameters: immutable.
type plan struct {
	d     *Deployment
	steps []step
	// slots are the tables of a call: those of the inputs first, then one per
	// table that a node gives; a constant one is there already.
	slots   []slot
	outputs []output
	size    int64
	works   sync.Pool
}

type step struct {
	vertex  int
	bound   *module.Bound
	in, out []int // slots by port; -1 where no table flows
}

type slot struct {
	schema   frame.Schema
	constant *frame.Frame
}

// output is a Web Service Output: the columns it takes of a slot.
type output struct {
	slot   int
	cols   []int
	layout *frame.Layout // of the slot's own fields, so that level codes copy
}

// compile binds every node with values as the global parameters. Nodes that
// none of the changed parameters fills share their binding with base.
func (d *Deployment) compile(base *plan, values map[string]string) (*plan, error) {
	p := &plan{d: d}
	slots := make(map[graph.Ref]int)
	for _, port := range d.Manifest.Inputs {
		p.slots = append(p.slots, slot{schema: port.Schema})
	}
	filled := d.filled(values)
	for i := range d.graph.Nodes {
		v := &d.graph.Nodes[i]
		ref := graph.Ref{Node: i}
		switch {
		case v.InputID != "":
			k := d.input(v.InputID)
			if k < 0 {
				return nil, mismatch(v.ID, "the manifest has no input %q", v.InputID)
			}
			slots[ref] = k
		case v.AssetID != "":
			if a := d.assets[v.AssetID]; a.Const != nil {
				slots[ref] = len(p.slots)
				p.slots = append(p.slots, slot{schema: a.Schema, constant: a.Const})
			}
		case v.Mod != nil:
			bound, err := d.bind(p, base, i, slots, filled[v.ID])
			if err != nil {
				return nil, err
			}
			p.add(i, bound, slots)
		}
	}
	for k, i := range d.graph.Outputs {
		if err := p.addOutput(k, i, slots); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// filled groups the values of global parameters by node.
func (d *Deployment) filled(values map[string]string) map[string]map[string]string {
	out := make(map[string]map[string]string)
	for _, p := range d.graph.Doc.Params {
		text, ok := values[p.Name]
		if !ok {
			continue
		}
		for _, l := range p.Links {
			if out[l.NodeID] == nil {
				out[l.NodeID] = make(map[string]string)
			}
			out[l.NodeID][l.ParameterKey] = text
		}
	}
	return out
}

// bind binds vertex i, or takes base's binding where its parameters are the
// same: the schemas it was bound to are pinned, so they are the same too.
func (d *Deployment) bind(p *plan, base *plan, i int, slots map[graph.Ref]int, given map[string]string) (*module.Bound, error) {
	v := &d.graph.Nodes[i]
	if len(given) == 0 && base != nil {
		for _, s := range base.steps {
			if s.vertex == i {
				return s.bound, nil
			}
		}
	}
	values, err := d.parameters(v, given)
	if err != nil {
		return nil, err
	}
	b := &module.Binding{Params: values, Palette: d.palette, Inputs: make([]module.Input, len(v.In)), Pinned: d.pinned(i)}
	for k, r := range v.In {
		if r == graph.None {
			continue
		}
		src := &d.graph.Nodes[r.Node]
		if src.AssetID != "" {
			b.Inputs[k] = d.assets[src.AssetID]
		} else {
			b.Inputs[k] = module.Input{Schema: p.slots[slots[r]].schema, Connected: true}
		}
	}
	bound, err := v.Mod.Bind(b)
	if err != nil {
		return nil, fault.Wrap(err, fault.Package, fmt.Sprintf("bind node %q (%s)", v.ID, v.Mod.Name))
	}
	for port, pin := range b.Pinned {
		if v.Mod.Outputs[port].Kind == service.Dataset {
			if err := same(pin, bound.Outputs[port]); err != nil {
				return nil, mismatch(v.ID, "its output is not what was pinned: %v", err)
			}
		}
	}
	return bound, nil
}

// parameters completes the parameters of a node with those that the call
// gives.
func (d *Deployment) parameters(v *graph.Vertex, given map[string]string) (module.Values, error) {
	params := make(map[string]string, len(v.Parameters)+len(given))
	maps.Copy(params, v.Parameters)
	maps.Copy(params, given)
	values, problems := v.Mod.Resolve(params)
	if len(problems) > 0 {
		return values, fault.New(fault.BadArgument, codeInvalid, "node %q (%s): %s", v.ID, v.Mod.Name, problems[0].Message).At(problems[0].Param)
	}
	return values, nil
}

// pinned are the schemas that vertex i gave in the run that was published, by
// port; nil where none is pinned.
func (d *Deployment) pinned(i int) []frame.Schema {
	var out []frame.Schema
	for port := range d.graph.Nodes[i].Mod.Outputs {
		if pin, ok := d.pins[graph.Ref{Node: i, Port: port}]; ok {
			if out == nil {
				out = make([]frame.Schema, len(d.graph.Nodes[i].Mod.Outputs))
			}
			out[port] = pin
		}
	}
	return out
}

// same reports how two schemas differ in what a table holds.
func same(want, got frame.Schema) error {
	if len(want) != len(got) {
		return fmt.Errorf("%d columns instead of %d", len(got), len(want))
	}
	for i := range want {
		w, g := &want[i], &got[i]
		switch {
		case w.Name != g.Name:
			return fmt.Errorf("column %q instead of %q", g.Name, w.Name)
		case w.Type != g.Type:
			return fmt.Errorf("column %q is %s instead of %s", w.Name, g.Type, w.Type)
		case (w.Levels == nil) != (g.Levels == nil) || !slices.Equal(w.Levels, g.Levels):
			return fmt.Errorf("column %q has other levels", w.Name)
		}
	}
	return nil
}

// add appends the step of vertex i.
func (p *plan) add(i int, bound *module.Bound, slots map[graph.Ref]int) {
	v := &p.d.graph.Nodes[i]
	s := step{vertex: i, bound: bound, in: make([]int, len(v.In)), out: make([]int, len(v.Mod.Outputs))}
	for k, r := range v.In {
		s.in[k] = -1
		if at, ok := slots[r]; ok && r != graph.None {
			s.in[k] = at
		}
	}
	for port := range v.Mod.Outputs {
		slots[graph.Ref{Node: i, Port: port}] = len(p.slots)
		s.out[port] = len(p.slots)
		p.slots = append(p.slots, slot{schema: bound.Outputs[port]})
	}
	if m, ok := bound.Op.(module.Sizer); ok {
		p.size += m.Size()
	}
	p.steps = append(p.steps, s)
}

// addOutput maps the k-th output of the manifest to columns of its slot.
func (p *plan) addOutput(k, vertex int, slots map[graph.Ref]int) error {
	v := &p.d.graph.Nodes[vertex]
	port := &p.d.Manifest.Outputs[k]
	at, ok := slots[v.In[0]]
	if !ok || port.Name != v.OutputID {
		return mismatch(v.ID, "output %q of the manifest is no table of the graph", port.Name)
	}
	o := output{slot: at}
	from := p.slots[at].schema
	fields := make(frame.Schema, 0, len(port.Schema))
	for i := range port.Schema {
		c := from.Index(port.Schema[i].Name)
		if c < 0 {
			return mismatch(v.ID, "column %q of output %q is not there", port.Schema[i].Name, port.Name)
		}
		if err := same(port.Schema[i:i+1], from[c:c+1]); err != nil {
			return mismatch(v.ID, "output %q: %v", port.Name, err)
		}
		o.cols = append(o.cols, c)
		fields = append(fields, from[c])
	}
	var err error
	if o.layout, err = frame.NewLayout(fields); err != nil {
		return mismatch(v.ID, "output %q: %v", port.Name, err)
	}
	p.outputs = append(p.outputs, o)
	return nil
}
