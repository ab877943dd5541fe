package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// Conversion is an experiment made of a training experiment that has run.
type Conversion struct {
	Doc *Document
	// Saves are the results of the run that Doc uses as saved things.
	Saves []Save
	// Notes say what was left out, replaced or added.
	Notes []string
}

// Save is a result to be saved, and the asset of the new document that it is
// to be. The asset's name is the saver's affair.
type Save struct {
	Asset string
	Kind  service.PortKind
	Node  string // of the training experiment
	Port  string
	// Module is the module that made it.
	Module string
}

// Run is what conversions know of the training experiment's run.
type Run struct {
	// Schema is the schema of a table that flowed in it.
	Schema func(Ref) (frame.Schema, error)
}

// The names that conversions give, as the Studio did.
const (
	inputName  = "input1"
	outputName = "output1"
	evaluation = "output2"
)

// The modules that conversions put in.
const (
	editMetadata = "Edit Metadata"
	labelColumn  = "Label column" // the trainers' parameter
)

// Predictive makes the scoring experiment of a training experiment: the
// trained model and every fitted transformation on the way become saved
// things, what only trains or evaluates is left out, modules that pick rows
// are left out, and the service gets an input and an output. trainer names the
// node whose model to use; "" is the only one.
func (g *Graph) Predictive(palette *module.Palette, run Run, trainer string) (*Conversion, []Problem) {
	c := g.conversion(palette, run)
	score, problem := c.scorer(trainer)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	v := &g.Nodes[score]
	c.copyNode(v)
	modelPort, dataPort := kindPort(v, service.TrainedModel), kindPort(v, service.Dataset)
	c.need(v.In[modelPort], v.ID, v.Mod.Inputs[modelPort].ID)
	c.data(v.In[dataPort], v.ID, v.Mod.Inputs[dataPort].ID)
	c.tap(Ref{score, dataPort}, v.In[modelPort])
	c.after(score)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return &c.Conversion, nil
}

// Retraining makes of a training experiment the one of a service that trains:
// an input on the training data, and outputs for the trained model and, where
// there is an evaluation, for that.
func (g *Graph) Retraining(palette *module.Palette, run Run, trainer string) (*Conversion, []Problem) {
	c := g.conversion(palette, run)
	if len(g.Inputs)+len(g.Outputs) > 0 {
		return nil, []Problem{{Rule: "has-ports", Code: module.Code(2), Message: "the experiment has web service ports already: it can be published as it is"}}
	}
	t, problem := c.trainer(trainer)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	c.Doc = g.Doc.Clone()
	c.done = nil // everything stays
	v := &g.Nodes[t]
	source := c.source(Ref{t, kindPort(v, service.Dataset)})
	in := c.add(&Node{InputID: inputName})
	for i := range g.Nodes {
		for k, src := range g.Nodes[i].In {
			if src == source {
				c.Doc.Edges = append(c.Doc.Edges, Edge{SourceNode: in, TargetNode: g.Nodes[i].ID, TargetPort: g.inputID(Ref{i, k})})
			}
		}
	}
	out := c.add(&Node{OutputID: outputName})
	made := slices.IndexFunc(v.Mod.Outputs, func(p module.Port) bool { return p.Kind == service.TrainedModel })
	c.Doc.Edges = append(c.Doc.Edges, Edge{SourceNode: v.ID, SourcePort: v.Mod.Outputs[made].ID, TargetNode: out})
	c.note("%s gives the trained model of node %q", outputName, v.ID)
	if i := c.evaluator(t); i >= 0 {
		e := &g.Nodes[i]
		out := c.add(&Node{OutputID: evaluation})
		c.Doc.Edges = append(c.Doc.Edges, Edge{SourceNode: e.ID, SourcePort: e.Mod.Outputs[0].ID, TargetNode: out})
		c.note("%s gives the evaluation of node %q", evaluation, e.ID)
	}
	return &c.Conversion, nil
}

// conversion is a Conversion on its way.
type conversion struct {
	Conversion
	g        *Graph
	palette  *module.Palette
	run      Run
	done     map[Ref]Edge // sources that are in the document: as the source of an edge
	problems []Problem
}

func (g *Graph) conversion(palette *module.Palette, run Run) *conversion {
	return &conversion{
		g: g, palette: palette, run: run, done: make(map[Ref]Edge),
		Conversion: Conversion{Doc: &Document{Nodes: make(map[string]*Node), Assets: make(map[string]*Asset)}},
	}
}

func (c *conversion) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

func (c *conversion) problem(node, rule string, number int, format string, args ...any) *Problem {
	return &Problem{Node: node, Rule: rule, Code: module.Code(number), Message: fmt.Sprintf(format, args...)}
}

// kindPort is the first input port of v that takes kind, or -1.
func kindPort(v *Vertex, kind service.PortKind) int {
	return slices.IndexFunc(v.Mod.Inputs, func(p module.Port) bool { return p.Kind == kind })
}

// trains reports whether v makes a trained model of a table.
func trains(v *Vertex) bool {
	return v.Mod != nil && kindPort(v, service.UntrainedModel) >= 0 && kindPort(v, service.Dataset) >= 0 &&
		slices.ContainsFunc(v.Mod.Outputs, func(p module.Port) bool { return p.Kind == service.TrainedModel })
}

// scores reports whether v scores rows by a trained model.
func scores(v *Vertex) bool {
	return v.Mod != nil && v.Mod.Bind != nil && kindPort(v, service.TrainedModel) >= 0 && kindPort(v, service.Dataset) >= 0
}

// one finds the only vertex that is, or says which there are.
func (c *conversion) one(what string, is func(i int) bool) (int, *Problem) {
	var found []int
	var names []string
	for i := range c.g.Nodes {
		if is(i) {
			found = append(found, i)
			names = append(names, fmt.Sprintf("%q", c.g.Nodes[i].ID))
		}
	}
	switch len(found) {
	case 0:
		return -1, c.problem("", "not-connected", 3, "the experiment has no %s", what)
	case 1:
		return found[0], nil
	}
	return -1, c.problem("", "ambiguous", 22, "the experiment has %d nodes that could be meant (%s): name the node that trains the model", len(found), strings.Join(names, ", "))
}

// trainer is the vertex that trains: the one named, or the only one.
func (c *conversion) trainer(id string) (int, *Problem) {
	return c.one("module that trains"+named(id), func(i int) bool {
		v := &c.g.Nodes[i]
		return trains(v) && (id == "" || v.ID == id)
	})
}

func named(id string) string {
	if id == "" {
		return ""
	}
	return fmt.Sprintf(" called %q", id)
}

// scorer is the vertex that scores by the model of the node called trainer, or
// the only one that scores by a model trained here.
func (c *conversion) scorer(trainer string) (int, *Problem) {
	what := "module that scores by a model that is trained here"
	if trainer != "" {
		what = fmt.Sprintf("module that scores by the model that node %q trains", trainer)
	}
	return c.one(what, func(i int) bool {
		v := &c.g.Nodes[i]
		if !scores(v) {
			return false
		}
		src := v.In[kindPort(v, service.TrainedModel)]
		return src != None && trains(&c.g.Nodes[src.Node]) && (trainer == "" || c.g.Nodes[src.Node].ID == trainer)
	})
}

// evaluator is a vertex that evaluates rows scored by trainer's model, or -1.
func (c *conversion) evaluator(trainer int) int {
	return slices.IndexFunc(c.g.Nodes, func(v Vertex) bool {
		return v.Mod != nil && v.Mod.Run != nil && len(v.Mod.Outputs) > 0 && slices.ContainsFunc(v.In, func(r Ref) bool {
			if r == None || !scores(&c.g.Nodes[r.Node]) {
				return false
			}
			s := &c.g.Nodes[r.Node]
			return s.In[kindPort(s, service.TrainedModel)].Node == trainer
		})
	})
}

func (c *conversion) copyNode(v *Vertex) {
	if c.Doc.Nodes[v.ID] != nil {
		return
	}
	n := *v.Node
	c.Doc.Nodes[v.ID] = &n
	if n.AssetID != "" {
		a := *c.g.Doc.Assets[n.AssetID]
		c.Doc.Assets[n.AssetID] = &a
	}
	for _, p := range c.g.Doc.Params {
		for _, l := range p.Links {
			if l.NodeID == v.ID {
				c.link(p, l)
			}
		}
	}
}

// link keeps a link of graph parameter p.
func (c *conversion) link(p Param, l Link) {
	i := slices.IndexFunc(c.Doc.Params, func(q Param) bool { return q.Name == p.Name })
	if i < 0 {
		i = len(c.Doc.Params)
		p.Links = nil
		c.Doc.Params = append(c.Doc.Params, p)
	}
	c.Doc.Params[i].Links = append(c.Doc.Params[i].Links, l)
}

// add puts in a new node under an id of its own.
func (c *conversion) add(n *Node) string {
	base := strings.ReplaceAll(n.InputID+n.OutputID+n.Module+n.AssetID, " ", "")
	id := base
	for k := 2; c.Doc.Nodes[id] != nil || c.g.Doc.Nodes[id] != nil; k++ {
		id = fmt.Sprintf("%s_%d", base, k)
	}
	c.Doc.Nodes[id] = n
	return id
}

// connect adds the edge from src to an input port.
func (c *conversion) connect(src Edge, target, port string) {
	src.TargetNode, src.TargetPort = target, port
	c.Doc.Edges = append(c.Doc.Edges, src)
}

// need connects the result of the training experiment at r, saved, to a port.
func (c *conversion) need(r Ref, target, port string) {
	src, ok := c.done[r]
	if !ok {
		v := &c.g.Nodes[r.Node]
		if v.AssetID != "" {
			c.copyNode(v)
			src = Edge{SourceNode: v.ID}
		} else {
			src = Edge{SourceNode: c.save(r)}
		}
		c.done[r] = src
	}
	c.connect(src, target, port)
}

// save makes an asset and its node of the result at r.
func (c *conversion) save(r Ref) string {
	v := &c.g.Nodes[r.Node]
	p := c.g.Output(r)
	id := v.ID + "_saved"
	for k := 2; c.Doc.Assets[id] != nil || c.g.Doc.Assets[id] != nil || c.g.Doc.Nodes[id] != nil; k++ {
		id = fmt.Sprintf("%s_saved%d", v.ID, k)
	}
	c.Doc.Assets[id] = &Asset{Kind: p.Kind, Version: "latest"}
	c.Doc.Nodes[id] = &Node{AssetID: id, Position: v.Position}
	c.Saves = append(c.Saves, Save{Asset: id, Kind: p.Kind, Node: v.ID, Port: p.ID, Module: v.Mod.Name})
	c.note("the %s of node %q (%s) is saved", p.Kind, v.ID, v.Mod.Name)
	return id
}

// data connects the table at r to a port, with what makes it.
func (c *conversion) data(r Ref, target, port string) {
	if r == None {
		return
	}
	src, ok := c.done[r]
	if !ok {
		src = c.table(r)
		c.done[r] = src
	}
	if src.SourceNode != "" {
		c.connect(src, target, port)
	}
}

// table puts in what makes the table at r, and returns it as the source of an
// edge.
func (c *conversion) table(r Ref) Edge {
	v := &c.g.Nodes[r.Node]
	if v.Mod == nil {
		c.copyNode(v)
		return Edge{SourceNode: v.ID}
	}
	switch {
	case v.Mod.PicksRows:
		c.note("node %q (%s) is left out: it picks rows to train and test on", v.ID, v.Mod.Name)
		return c.through(v)
	case v.Mod.Nature == module.Fitted:
		return c.apply(r)
	case v.Mod.Run != nil && len(v.In) > 0:
		c.problems = append(c.problems, *c.problem(v.ID, "not-row-wise", 13, "node %q (%s) lies between the data and the scores: it works in a training experiment only", v.ID, v.Mod.Name))
		return Edge{}
	}
	c.copyNode(v)
	for k, in := range v.In {
		switch {
		case in == None:
		case v.Mod.Inputs[k].Kind == service.Dataset:
			c.data(in, v.ID, v.Mod.Inputs[k].ID)
		default:
			c.need(in, v.ID, v.Mod.Inputs[k].ID)
		}
	}
	return c.edge(r)
}

func (c *conversion) edge(r Ref) Edge {
	e := Edge{SourceNode: c.g.Nodes[r.Node].ID}
	if v := &c.g.Nodes[r.Node]; v.Mod != nil && len(v.Mod.Outputs) > 1 {
		e.SourcePort = c.g.Output(r).ID
	}
	return e
}

// through is the source of a node's first table.
func (c *conversion) through(v *Vertex) Edge {
	in := v.In[kindPort(v, service.Dataset)]
	if e, ok := c.done[in]; ok {
		return e
	}
	e := c.table(in)
	c.done[in] = e
	return e
}

// apply puts Apply Transformation in the place of a fitted node, with what its
// run learned.
func (c *conversion) apply(r Ref) Edge {
	v := &c.g.Nodes[r.Node]
	t := slices.IndexFunc(v.Mod.Outputs, func(p module.Port) bool { return p.Kind == service.Transformation })
	m := c.palette.Lookup(applyTransformation)
	if t < 0 || m == nil {
		c.problems = append(c.problems, *c.problem(v.ID, "frozen", 2, "node %q (%s) learns from its input and gives no transformation", v.ID, v.Mod.Name))
		return Edge{}
	}
	c.Doc.Nodes[v.ID] = &Node{Module: m.Name, Position: v.Position, Comment: v.Comment}
	c.need(Ref{r.Node, t}, v.ID, m.Inputs[0].ID)
	c.data(v.In[0], v.ID, m.Inputs[1].ID)
	return Edge{SourceNode: v.ID}
}

// source is where the table at an input port comes from at last: the output of
// a vertex that takes no table.
func (c *conversion) source(port Ref) Ref {
	for {
		src := c.g.Nodes[port.Node].In[port.Port]
		if src == None {
			return src
		}
		v := &c.g.Nodes[src.Node]
		if v.Mod == nil {
			return src
		}
		k := kindPort(v, service.Dataset)
		if k < 0 || v.In[k] == None {
			return src
		}
		port = Ref{src.Node, k}
	}
}

// tap puts in the Web Service Input where the rows to score come from. The
// trainer's label is marked there, so that calls need not send it.
func (c *conversion) tap(port, trained Ref) {
	source := c.source(port)
	if source == None || len(c.problems) > 0 {
		return
	}
	src := c.edge(source)
	label, err := c.label(source, trained)
	if err != nil {
		c.problems = append(c.problems, *c.problem(c.g.Nodes[source.Node].ID, "no-label", 58, "%v", err))
		return
	}
	if label != "" {
		m := c.palette.Lookup(editMetadata)
		id := c.add(&Node{Module: m.Name, Parameters: map[string]string{"Column": module.Names(label).String(), "Fields": "Labels"}})
		for i := range c.Doc.Edges {
			if e := &c.Doc.Edges[i]; e.SourceNode == src.SourceNode && e.SourcePort == src.SourcePort {
				e.SourceNode, e.SourcePort = id, ""
			}
		}
		c.connect(src, id, m.Inputs[0].ID)
		src = Edge{SourceNode: id}
		c.note("column %q is marked as the label: calls need not send it", label)
	}
	in := c.add(&Node{InputID: inputName})
	for _, e := range c.Doc.Edges {
		if e.SourceNode == src.SourceNode && e.SourcePort == src.SourcePort {
			c.Doc.Edges = append(c.Doc.Edges, Edge{SourceNode: in, TargetNode: e.TargetNode, TargetPort: e.TargetPort})
		}
	}
}

// label is the column of the source that the trainer predicts; "" where it has
// none, or it is marked already.
func (c *conversion) label(source, trained Ref) (string, error) {
	v := &c.g.Nodes[trained.Node]
	if v.Mod == nil || v.Mod.Param(labelColumn) == nil {
		return "", nil
	}
	at, err := c.run.Schema(v.In[kindPort(v, service.Dataset)])
	if err != nil {
		return "", err
	}
	picked, err := v.Values.Columns(labelColumn).Resolve(at)
	if err != nil || len(picked) != 1 {
		return "", err
	}
	s, err := c.run.Schema(source)
	if err != nil {
		return "", err
	}
	i := s.Index(at[picked[0]].Name)
	if i < 0 || s[i].Role == frame.Label {
		return "", nil
	}
	return s[i].Name, nil
}

// after puts in the row-wise modules that follow the scores one by one, and
// the Web Service Output.
func (c *conversion) after(at int) {
	r := Ref{at, 0}
	for {
		next, port := -1, 0
		for i := range c.g.Nodes {
			v := &c.g.Nodes[i]
			k := slices.Index(v.In, r)
			if k < 0 || v.Mod == nil || v.Mod.Bind == nil || v.Mod.PicksRows || len(v.In) != 1 || len(v.Mod.Outputs) != 1 {
				continue
			}
			if next >= 0 { // two ways: the scores themselves are the output
				next = -1
				break
			}
			next, port = i, k
		}
		if next < 0 {
			break
		}
		v := &c.g.Nodes[next]
		c.copyNode(v)
		c.connect(c.edge(r), v.ID, v.Mod.Inputs[port].ID)
		r = Ref{next, 0}
	}
	out := c.add(&Node{OutputID: outputName})
	c.connect(c.edge(r), out, "")
}
