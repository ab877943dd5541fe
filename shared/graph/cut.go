package graph

import (
	"fmt"
	"slices"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// Cut is what a web service keeps of an experiment.
type Cut struct {
	// Doc is the deployment's graph. Its assets carry their kind only: what
	// they hold is the manifest's affair.
	Doc *Document
	// Assets says what each asset of Doc is: an asset of the experiment, or
	// the result of one of its nodes in the run.
	Assets map[string]Held
	// Frozen are the fitted nodes that became the transformation their run
	// learned, and Folded the nodes whose results became assets because no
	// input reaches them. Whole are the whole-table nodes that stay, and the
	// fitted ones that learn anew.
	Frozen, Folded, Whole []string
	// Apart are the tables given out that no input reaches, though the service
	// has inputs: they come once a call or job, not once a row, so its rows
	// cannot be split either.
	Apart []string
	// BatchOnly says that a call trains or evaluates, or that an output is not
	// a table.
	BatchOnly bool
	// Outside says that a call reads or writes outside: once, whatever its rows.
	Outside bool
}

// Held is what an asset of a deployment holds: experiment asset AssetID, or
// the run's result at an output port.
type Held struct {
	AssetID string
	Result  Ref
}

// applyTransformation is the module that frozen nodes become. Its ports are,
// in this order, the transformation and the dataset.
const applyTransformation = "Apply Transformation"

// Cut makes the graph of a deployment: Web Service Inputs take the place of
// the sample data's edges; what no input, graph parameter or outside source
// reaches becomes an asset with the run's result; a fitted node between input
// and output becomes the transformation of the run; what feeds no output is
// dropped with its assets.
func (g *Graph) Cut(palette *module.Palette) (*Cut, []Problem) {
	c := &cutting{
		g: g, apply: palette.Lookup(applyTransformation),
		Cut: Cut{Doc: &Document{Nodes: make(map[string]*Node), Assets: make(map[string]*Asset)}, Assets: make(map[string]Held)},
	}
	c.live()
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		v := &g.Nodes[i]
		if v.OutputID != "" || v.Mod != nil && v.Mod.Sink() {
			c.keep(i)
		}
		if v.OutputID != "" && len(g.Inputs) > 0 && !c.fed[i] {
			c.Apart = append(c.Apart, v.OutputID)
		}
	}
	for _, in := range g.Inputs {
		if len(c.problems) == 0 && c.Doc.Nodes[g.Nodes[in.Node].ID] == nil {
			c.problems = append(c.problems, Problem{
				Node: g.Nodes[in.Node].ID, Rule: "not-connected", Code: module.Code(3),
				Message: fmt.Sprintf("web service input %q leads to no output", in.Name),
			})
		}
	}
	c.params()
	slices.Sort(c.Frozen)
	slices.Sort(c.Folded)
	slices.Sort(c.Whole)
	slices.Sort(c.Apart)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return &c.Cut, nil
}

type cutting struct {
	Cut
	g        *Graph
	apply    *module.Module
	tapped   map[Ref]int // input port -> Web Service Input vertex
	linked   map[string]string
	refit    []bool // a fitted vertex that learns anew in each call: what it learns is given out
	moving   []bool // the vertex can give another result in another call
	fed      []bool // a Web Service Input reaches the vertex
	problems []Problem
}

// live finds the vertices whose results depend on the call, and on its rows.
func (c *cutting) live() {
	c.tapped = make(map[Ref]int)
	for _, in := range c.g.Inputs {
		for _, t := range in.Targets {
			c.tapped[t] = in.Node
		}
	}
	c.linked = make(map[string]string)
	for _, p := range c.g.Doc.Params {
		for _, l := range p.Links {
			c.linked[l.NodeID] = p.Name
		}
	}
	c.refit = make([]bool, len(c.g.Nodes))
	for _, i := range c.g.Outputs {
		src := c.g.Nodes[i].In[0]
		c.refit[src.Node] = c.refit[src.Node] || c.frozen(src) && (c.g.Output(src).Kind != service.Dataset || !c.g.transforms(src.Node))
	}
	c.moving, c.fed = make([]bool, len(c.g.Nodes)), make([]bool, len(c.g.Nodes))
	for i := range c.g.Nodes {
		v := &c.g.Nodes[i]
		c.moving[i] = v.InputID != "" || v.Mod != nil && (v.Mod.Outside || c.linked[v.ID] != "")
		c.fed[i] = v.InputID != ""
		for k := range v.In {
			if _, ok := c.tapped[Ref{i, k}]; ok {
				c.moving[i], c.fed[i] = true, true
			} else if src := v.In[k]; src != None {
				c.moving[i] = c.moving[i] || c.moving[src.Node] && !c.frozen(src)
				c.fed[i] = c.fed[i] || c.fed[src.Node] && !c.frozen(src)
			}
		}
	}
}

// transforms reports whether anything takes the table that fitted vertex v makes
// of its input: then a table of what it learned is about its run, as that is.
func (g *Graph) transforms(v int) bool {
	first := slices.IndexFunc(g.Nodes[v].Mod.Outputs, func(p module.Port) bool { return p.Kind == service.Dataset })
	return slices.ContainsFunc(g.Nodes, func(n Vertex) bool { return slices.Contains(n.In, Ref{v, first}) })
}

// frozen reports that r is what a fitted node learned: in a deployment, that
// of its run, unless the service gives it out.
func (c *cutting) frozen(r Ref) bool {
	mod := c.g.Nodes[r.Node].Mod
	return mod != nil && mod.Learns(r.Port) && !c.refit[r.Node]
}

// source is where an input port's values come from in the deployment.
func (c *cutting) source(v, port int) Ref {
	if in, ok := c.tapped[Ref{v, port}]; ok {
		return Ref{in, 0}
	}
	return c.g.Nodes[v].In[port]
}

// keep puts vertex i and what it needs into the document.
func (c *cutting) keep(i int) {
	v := &c.g.Nodes[i]
	if c.Doc.Nodes[v.ID] != nil {
		return
	}
	n := &Node{AssetID: v.AssetID, InputID: v.InputID, OutputID: v.OutputID}
	c.Doc.Nodes[v.ID] = n
	if v.Mod == nil {
		for k := range v.In {
			src := c.source(i, k)
			c.BatchOnly = c.BatchOnly || c.g.Output(src).Kind != service.Dataset
			c.connect(src, v.ID, "")
		}
		return
	}
	if v.Mod.Nature == module.Fitted && c.moving[i] && !c.refit[i] {
		c.freeze(i, n)
		return
	}
	c.BatchOnly = c.BatchOnly || v.Mod.Run != nil && !v.Mod.Outside || v.Mod.BatchUnless != "" && !v.Values.Bool(v.Mod.BatchUnless)
	c.Outside = c.Outside || v.Mod.Outside
	if v.Mod.Nature == module.WholeTable || c.refit[i] {
		c.Whole = append(c.Whole, v.ID)
	}
	n.Module, n.CodeVersion, n.Parameters = v.Mod.Name, v.Mod.CodeVersion, v.Values.NotDefault()
	for _, p := range c.g.Doc.Params {
		for _, l := range p.Links {
			if l.NodeID == v.ID {
				delete(n.Parameters, l.ParameterKey) // the graph parameter decides it
			}
		}
	}
	for k := range v.In {
		if src := c.source(i, k); src != None {
			c.connect(src, v.ID, v.Mod.Inputs[k].ID)
		}
	}
}

// connect adds an edge from src, which becomes an asset where it is the same
// in every call.
func (c *cutting) connect(src Ref, target, port string) {
	v := &c.g.Nodes[src.Node]
	kind := c.g.Output(src).Kind
	e := Edge{SourceNode: v.ID, TargetNode: target, TargetPort: port}
	switch {
	case v.AssetID != "":
		if c.Doc.Nodes[v.ID] == nil {
			c.Doc.Nodes[v.ID] = &Node{AssetID: v.AssetID}
			c.Doc.Assets[v.AssetID] = &Asset{Kind: kind}
			c.Assets[v.AssetID] = Held{AssetID: v.AssetID}
		}
	case v.Mod == nil: // a Web Service Input
		c.keep(src.Node)
	case c.moving[src.Node] && !c.frozen(src):
		c.keep(src.Node)
		if len(v.Mod.Outputs) > 1 {
			e.SourcePort = c.outputID(src)
		}
	case kind == service.UntrainedModel: // nothing but parameters
		c.keep(src.Node)
	default:
		e.SourceNode = c.hold(src, kind)
		c.Folded = append(c.Folded, v.ID)
	}
	c.Doc.Edges = append(c.Doc.Edges, e)
}

// outputID names output port r as the kept document knows it.
func (c *cutting) outputID(r Ref) string {
	v := &c.g.Nodes[r.Node]
	if v.Mod.Nature == module.Fitted && !c.refit[r.Node] {
		return c.apply.Outputs[0].ID
	}
	return v.Mod.Outputs[r.Port].ID
}

// hold makes an asset and its node of the run's result at r, once, and
// returns the node's id.
func (c *cutting) hold(r Ref, kind service.PortKind) string {
	for id, h := range c.Assets {
		if h.AssetID == "" && h.Result == r {
			return id
		}
	}
	id := fmt.Sprintf("%s.%d", c.g.Nodes[r.Node].ID, r.Port)
	for c.g.Doc.Nodes[id] != nil || c.g.Doc.Assets[id] != nil || c.Doc.Assets[id] != nil {
		id += "_"
	}
	c.Doc.Nodes[id] = &Node{AssetID: id}
	c.Doc.Assets[id] = &Asset{Kind: kind}
	c.Assets[id] = Held{Result: r}
	return id
}

// freeze rewrites fitted vertex i as Apply Transformation.
func (c *cutting) freeze(i int, n *Node) {
	v := &c.g.Nodes[i]
	if p := c.linked[v.ID]; p != "" {
		c.problems = append(c.problems, Problem{
			Node: v.ID, Rule: "frozen", Code: module.Code(2),
			Message: fmt.Sprintf("node %q (%s) learns from its input and is frozen when the experiment is published: it cannot be linked to graph parameter %q", v.ID, v.Mod.Name, p),
		})
		return
	}
	t := slices.IndexFunc(v.Mod.Outputs, func(p module.Port) bool { return p.Kind == service.Transformation })
	if t < 0 || len(v.In) == 0 || c.apply == nil {
		c.problems = append(c.problems, Problem{
			Node: v.ID, Rule: "frozen", Code: module.Code(2),
			Message: fmt.Sprintf("node %q (%s) learns from its input and cannot be frozen: it gives no transformation", v.ID, v.Mod.Name),
		})
		return
	}
	c.Frozen = append(c.Frozen, v.ID)
	n.Module, n.CodeVersion = c.apply.Name, c.apply.CodeVersion
	held := c.hold(Ref{i, t}, service.Transformation)
	c.Doc.Edges = append(c.Doc.Edges, Edge{SourceNode: held, TargetNode: v.ID, TargetPort: c.apply.Inputs[0].ID})
	c.connect(c.source(i, 0), v.ID, c.apply.Inputs[1].ID)
}

// params keeps the graph parameters that still have a link.
func (c *cutting) params() {
	for _, p := range c.g.Doc.Params {
		p.Links = slices.DeleteFunc(slices.Clone(p.Links), func(l Link) bool { return c.Doc.Nodes[l.NodeID] == nil })
		p.Description, p.Default = "", nil // the manifest's affair
		if len(p.Links) > 0 {
			c.Doc.Params = append(c.Doc.Params, p)
		}
	}
}
