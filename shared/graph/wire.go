package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// Graph is a document whose edges are resolved against a palette, its nodes in
// an order in which each comes after what it needs.
type Graph struct {
	Doc    *Document
	Nodes  []Vertex
	Inputs []Input // Web Service Inputs, by name
	// Outputs are the vertices of the Web Service Outputs, by name.
	Outputs []int
	index   map[string]int
}

// Vertex is a node with its edges.
type Vertex struct {
	ID string
	*Node
	Mod *module.Module // of a module node; nil otherwise
	// In are the sources of the input ports; the only port of a Web Service
	// Output included. In a run the sample data's edge is here; after Deploy
	// the Web Service Input's.
	In []Ref
	// Values are the module's parameters, complete.
	Values module.Values
}

// Ref is an output port: a vertex and its port. Node is -1 where nothing is
// connected.
type Ref struct{ Node, Port int }

// None is the Ref of a port that is not connected.
var None = Ref{-1, 0}

// Input is a Web Service Input: the ports it names, and what flows through
// them in a run.
type Input struct {
	Name    string
	Node    int
	Targets []Ref // input ports
	Sample  Ref   // None after Deploy
}

// Vertex returns the position of the node called id, or -1.
func (g *Graph) Vertex(id string) int {
	if i, ok := g.index[id]; ok {
		return i
	}
	return -1
}

// Output describes output port p of vertex v: its id and kind.
func (g *Graph) Output(r Ref) module.Port {
	v := &g.Nodes[r.Node]
	switch {
	case v.Mod != nil:
		return v.Mod.Outputs[r.Port]
	case v.AssetID != "":
		return module.Port{ID: assetPort, Kind: g.Doc.Assets[v.AssetID].Kind}
	}
	return module.Port{Kind: service.Dataset}
}

// assetPort is the id of an asset node's one output.
const assetPort = "Results"

// Kind derives what the experiment is for: training where a module makes a
// trained model, predictive where one uses it, data otherwise.
func (g *Graph) Kind() Kind {
	kind := Data
	for i := range g.Nodes {
		m := g.Nodes[i].Mod
		if m == nil {
			continue
		}
		if trains(&g.Nodes[i]) {
			return Training
		}
		if slices.ContainsFunc(m.Inputs, func(p module.Port) bool { return p.Kind == service.TrainedModel }) {
			kind = Predictive
		}
	}
	return kind
}

// Problem is one thing wrong with a document, and where.
type Problem struct {
	Node      string `json:"node,omitempty"`
	Port      string `json:"port,omitempty"`
	Parameter string `json:"parameter,omitempty"`
	Rule      string `json:"rule"`
	Code      string `json:"code"` // classic module error
	Message   string `json:"message"`
}

// wiring collects problems while a Graph is made.
type wiring struct {
	*Graph
	palette  *module.Palette
	badly    map[string]bool // places whose source has been reported
	problems []Problem
}

func (w *wiring) problem(p Problem, number int, format string, args ...any) {
	p.Code, p.Message = module.Code(number), fmt.Sprintf(format, args...)
	w.problems = append(w.problems, p)
}

// wire resolves nodes and edges. Where it reports nothing, the graph is whole.
func wire(d *Document, palette *module.Palette) *wiring {
	w := &wiring{Graph: &Graph{Doc: d, index: make(map[string]int)}, palette: palette, badly: make(map[string]bool)}
	ids := slices.Sorted(maps.Keys(d.Nodes))
	if len(ids) == 0 {
		w.problem(Problem{Rule: "empty"}, 3, "the experiment has no nodes")
	}
	for i, id := range ids {
		w.index[id] = i
		w.Nodes = append(w.Nodes, w.vertex(id, d.Nodes[id]))
	}
	w.edges()
	w.sort()
	w.ports()
	return w
}

// maxName bounds the ids of nodes and of web service inputs and outputs, which
// become parts of storage keys.
const maxName = 64

func validName(s string) bool {
	if s == "" || len(s) > maxName || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

const nameRule = "1 to 64 letters, digits, '.', '_' and '-', not ending with '.'"

func (w *wiring) vertex(id string, n *Node) Vertex {
	v := Vertex{ID: id, Node: n}
	if !validName(id) {
		w.problem(Problem{Node: id, Rule: "bad-name"}, 2, "node id %q is not %s", id, nameRule)
	}
	switch {
	case n.things() != 1:
		w.problem(Problem{Node: id, Rule: "bad-node"}, 2, "node %q must have exactly one of module, assetId, inputId and outputId; it has %d", id, n.things())
		return v
	case n.Module == "" && (len(n.Parameters) > 0 || n.CodeVersion != 0):
		w.problem(Problem{Node: id, Rule: "bad-node"}, 2, "node %q has parameters or a code version, which only a module has", id)
		return v
	case n.Module != "":
		v.Mod = w.palette.Lookup(n.Module)
		if v.Mod != nil && n.CodeVersion > 0 {
			v.Mod = w.palette.Version(n.Module, n.CodeVersion)
		}
		switch {
		case v.Mod == nil:
			w.unknownModule(id, n)
			return v
		case !v.Mod.HasCode():
			w.problem(Problem{Node: id, Rule: "not-a-module"}, 2, "node %q: %s is written as a node with an inputId or outputId", id, v.Mod.Name)
			v.Mod = nil
			return v
		}
		v.In = make([]Ref, len(v.Mod.Inputs))
	case n.AssetID != "":
		a := w.Doc.Assets[n.AssetID]
		switch {
		case a == nil:
			w.problem(Problem{Node: id, Rule: "unknown-asset"}, 3, "asset %q is not among the document's assets", n.AssetID)
		case a.Kind != service.Dataset && a.Kind != service.TrainedModel && a.Kind != service.Transformation:
			w.problem(Problem{Node: id, Rule: "bad-asset"}, 2, "asset %q: kind %q is not one of Dataset, TrainedModel, Transformation", n.AssetID, a.Kind)
		}
	case !validName(n.InputID + n.OutputID):
		w.problem(Problem{Node: id, Rule: "bad-name"}, 2, "the name %q is not %s", n.InputID+n.OutputID, nameRule)
		fallthrough
	default:
		if n.OutputID != "" {
			v.In = make([]Ref, 1)
		}
	}
	for i := range v.In {
		v.In[i] = None
	}
	return v
}

// things counts what the node says it is.
func (n *Node) things() (count int) {
	for _, s := range []string{n.Module, n.AssetID, n.InputID, n.OutputID} {
		if s != "" {
			count++
		}
	}
	return count
}

func (w *wiring) unknownModule(id string, n *Node) {
	p := Problem{Node: id, Rule: "unknown-module"}
	switch instead := module.Refused(n.Module); {
	case instead != "":
		p.Rule = "refused-module"
		w.problem(p, 2, "module %q: %s", n.Module, instead)
	case n.CodeVersion > 0 && w.palette.Lookup(n.Module) != nil:
		w.problem(p, 2, "this release has no code version %d of module %q", n.CodeVersion, n.Module)
	default:
		hint := ""
		if near := w.palette.Nearest(n.Module); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		w.problem(p, 2, "there is no module %q%s", frame.Clip([]byte(n.Module)), hint)
	}
}

// edges resolves the edges to Refs and collects the Web Service Inputs.
func (w *wiring) edges() {
	taken := make(map[Ref]bool)
	feeds := make(map[int][]Ref) // by input vertex
	for i, e := range w.Doc.Edges {
		place := fmt.Sprintf("edges[%d]", i)
		src, ok1 := w.index[e.SourceNode]
		dst, ok2 := w.index[e.TargetNode]
		if !ok1 {
			w.problem(Problem{Node: e.SourceNode, Rule: "unknown-node"}, 2, "%s begins at node %q, which is not there", place, e.SourceNode)
		}
		if !ok2 {
			w.problem(Problem{Node: e.TargetNode, Rule: "unknown-node"}, 2, "%s ends at node %q, which is not there", place, e.TargetNode)
		}
		from, to := None, None
		if ok1 {
			from, ok1 = w.sourcePort(place, src, e.SourcePort)
		}
		if ok2 {
			to, ok2 = w.targetPort(place, dst, e.TargetPort)
		}
		if !ok1 || !ok2 {
			if ok2 {
				w.badly[w.place(to)] = true
			}
			continue
		}
		if w.Nodes[src].InputID != "" {
			feeds[src] = append(feeds[src], to)
			continue
		}
		if taken[to] {
			w.problem(Problem{Node: e.TargetNode, Port: w.inputID(to), Rule: "port-taken"}, 2, "port %q of node %q has two sources", w.inputID(to), e.TargetNode)
			continue
		}
		taken[to] = true
		w.Nodes[dst].In[to.Port] = from
	}
	w.services(feeds)
}

func (w *wiring) sourcePort(place string, v int, id string) (Ref, bool) {
	n := &w.Nodes[v]
	port := -1
	switch {
	case n.things() != 1:
		return None, false // reported
	case n.Module != "":
		if n.Mod == nil {
			return None, false // reported
		}
		port = n.Mod.Output(id)
	case n.OutputID == "" && (id == "" || id == assetPort):
		port = 0
	}
	if port < 0 {
		w.noPort(place, n, id, "output")
		return None, false
	}
	return Ref{v, port}, true
}

func (w *wiring) targetPort(place string, v int, id string) (Ref, bool) {
	n := &w.Nodes[v]
	port := -1
	switch {
	case n.things() != 1:
		return None, false // reported
	case n.Module != "":
		if n.Mod == nil {
			return None, false // reported
		}
		port = n.Mod.Input(id)
	case n.OutputID != "" && id == "":
		port = 0
	}
	if port < 0 {
		w.noPort(place, n, id, "input")
		return None, false
	}
	return Ref{v, port}, true
}

func (w *wiring) noPort(place string, v *Vertex, id, dir string) {
	ports := []module.Port{}
	if v.Mod != nil {
		if ports = v.Mod.Inputs; dir == "output" {
			ports = v.Mod.Outputs
		}
	}
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = fmt.Sprintf("%q", p.ID)
	}
	has := "it has none"
	if len(names) > 0 {
		has = "it has " + strings.Join(names, ", ")
	}
	w.problem(Problem{Node: v.ID, Port: id, Rule: "unknown-port"}, 2, "%s: node %q has no %s port %q; %s", place, v.ID, dir, id, has)
}

// inputID names input port r.
func (g *Graph) inputID(r Ref) string {
	if m := g.Nodes[r.Node].Mod; m != nil {
		return m.Inputs[r.Port].ID
	}
	return ""
}

// services collects Web Service Inputs and Outputs.
func (w *wiring) services(feeds map[int][]Ref) {
	seen := make(map[string]string)
	fed := make(map[Ref]string) // input port -> Web Service Input
	for i := range w.Nodes {
		v := &w.Nodes[i]
		name, kind := v.InputID, "input"
		if v.OutputID != "" {
			name, kind = v.OutputID, "output"
		}
		if name == "" || v.things() != 1 {
			continue
		}
		if other, dup := seen[kind+name]; dup {
			w.problem(Problem{Node: v.ID, Rule: "duplicate-name"}, 2, "nodes %q and %q are both web service %s %q", other, v.ID, kind, name)
		}
		seen[kind+name] = v.ID
		if kind == "output" {
			w.Outputs = append(w.Outputs, i)
			continue
		}
		in := Input{Name: name, Node: i, Targets: feeds[i], Sample: None}
		if len(in.Targets) == 0 {
			w.problem(Problem{Node: v.ID, Rule: "not-connected"}, 3, "web service input %q names no port", name)
		}
		for k, t := range in.Targets {
			w.target(v, t, fed)
			ref := w.Nodes[t.Node].In[t.Port]
			if k == 0 {
				in.Sample = ref
			} else if ref != in.Sample {
				w.problem(Problem{Node: v.ID, Rule: "different-samples"}, 10, "web service input %q names ports with different sample data: %s and %s", name, w.place(in.Targets[0]), w.place(t))
			}
			if ref == None {
				w.Nodes[t.Node].In[t.Port] = Ref{i, 0} // a deployment: the input is the source
			}
		}
		w.Inputs = append(w.Inputs, in)
	}
	slices.SortFunc(w.Inputs, func(a, b Input) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(w.Outputs, func(a, b int) int { return strings.Compare(w.Nodes[a].OutputID, w.Nodes[b].OutputID) })
}

// target checks that a Web Service Input may fill a port.
func (w *wiring) target(v *Vertex, t Ref, fed map[Ref]string) {
	where := Problem{Node: w.Nodes[t.Node].ID, Port: w.inputID(t), Rule: "port-taken"}
	if other, taken := fed[t]; taken {
		w.problem(where, 2, "web service inputs %q and %q both fill %s", other, v.InputID, w.place(t))
	}
	fed[t] = v.InputID
	if m := w.Nodes[t.Node].Mod; m != nil && m.Inputs[t.Port].Kind != service.Dataset {
		where.Rule = "wrong-kind"
		w.problem(where, 13, "web service input %q fills %s, which takes a %s: a call sends tables", v.InputID, w.place(t), m.Inputs[t.Port].Kind)
	}
}

func (g *Graph) place(r Ref) string {
	return fmt.Sprintf("port %q of node %q", g.inputID(r), g.Nodes[r.Node].ID)
}

// sort puts the vertices in topological order, by id among equals, or reports
// the cycles.
func (w *wiring) sort() {
	n := len(w.Nodes)
	need := make([]int, n)
	next := make([][]int, n)
	for i := range w.Nodes {
		for _, r := range w.Nodes[i].In {
			if r.Node >= 0 {
				need[i]++
				next[r.Node] = append(next[r.Node], i)
			}
		}
	}
	var ready, order []int
	for i := range n {
		if need[i] == 0 {
			ready = append(ready, i)
		}
	}
	whole := true
	for {
		for len(ready) > 0 {
			i := ready[0]
			ready = ready[1:]
			order = append(order, i)
			for _, j := range next[i] {
				if need[j]--; need[j] == 0 {
					at, _ := slices.BinarySearch(ready, j)
					ready = slices.Insert(ready, at, j)
				}
			}
		}
		if len(order) == n {
			break
		}
		// What comes after a cycle may have cycles of its own: go on as if the
		// first node of this one needed nothing.
		whole = false
		first := w.cycle(need)
		need[first] = 0
		ready = append(ready, first)
	}
	if !whole {
		return
	}
	pos := make([]int, n)
	for to, from := range order {
		pos[from] = to
	}
	sorted := make([]Vertex, n)
	for i := range w.Nodes {
		v := w.Nodes[i]
		for k, r := range v.In {
			v.In[k] = w.moved(r, pos)
		}
		sorted[pos[i]] = v
		w.index[v.ID] = pos[i]
	}
	w.Nodes = sorted
	for i := range w.Inputs {
		in := &w.Inputs[i]
		in.Node, in.Sample = pos[in.Node], w.moved(in.Sample, pos)
		for k, t := range in.Targets {
			in.Targets[k] = w.moved(t, pos)
		}
	}
	for i, o := range w.Outputs {
		w.Outputs[i] = pos[o]
	}
}

func (w *wiring) moved(r Ref, pos []int) Ref {
	if r.Node >= 0 {
		r.Node = pos[r.Node]
	}
	return r
}

// cycle reports one cycle, found by walking backwards from a node that never
// became ready – each such node has a source that did not either – and returns
// its first node.
func (w *wiring) cycle(need []int) int {
	i := slices.IndexFunc(need, func(k int) bool { return k > 0 })
	var path []int
	seen := make(map[int]int)
	for {
		if from, again := seen[i]; again {
			path = path[from:]
			break
		}
		seen[i] = len(path)
		path = append(path, i)
		for _, r := range w.Nodes[i].In {
			if r.Node >= 0 && need[r.Node] > 0 {
				i = r.Node
				break
			}
		}
	}
	slices.Reverse(path)
	first := slices.Index(path, slices.Min(path)) // vertices are in the order of their ids
	path = append(path[first:], path[:first]...)
	names := make([]string, 0, len(path))
	for k, j := range path {
		if more := len(path) - maxCycle; more > 0 && k == maxCycle-1 {
			names = append(names, fmt.Sprintf("… (%d more)", more+1))
			break
		}
		names = append(names, w.Nodes[j].ID)
	}
	what := fmt.Sprintf("the nodes %s form a cycle", strings.Join(names, " → "))
	if len(path) == 1 {
		what = fmt.Sprintf("node %q is its own source", names[0])
	}
	w.problem(Problem{Node: names[0], Rule: "cycle"}, 2, "%s", what)
	return path[0]
}

// maxCycle bounds the nodes of a cycle that its message names.
const maxCycle = 20

// ports checks what flows: missing inputs and kinds.
func (w *wiring) ports() {
	for i := range w.Nodes {
		v := &w.Nodes[i]
		for k, r := range v.In {
			want := service.Dataset
			id, optional := "", false
			if v.Mod != nil {
				want, id, optional = v.Mod.Inputs[k].Kind, v.Mod.Inputs[k].ID, v.Mod.Inputs[k].Optional
			}
			switch {
			case r == None && w.badly[w.place(Ref{i, k})]: // reported
			case r == None && v.OutputID != "":
				w.problem(Problem{Node: v.ID, Rule: "not-connected"}, 3, "web service output %q is connected to nothing", v.OutputID)
			case r == None && !optional:
				w.problem(Problem{Node: v.ID, Port: id, Rule: "missing-input"}, 3, "port %q of node %q (%s) has no source", id, v.ID, v.Mod.Name)
			case r == None || v.OutputID != "": // an output takes any kind
			default:
				if a := w.Nodes[r.Node].AssetID; a != "" && w.Doc.Assets[a] == nil {
					continue // reported
				}
				if got := w.Output(r).Kind; got != want {
					w.problem(Problem{Node: v.ID, Port: id, Rule: "wrong-kind"}, 13, "port %q of node %q takes %s, node %q gives %s", id, v.ID, want, w.Nodes[r.Node].ID, got)
				}
			}
		}
	}
}
