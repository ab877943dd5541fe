package graph

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// New resolves an experiment that is to be run. Where it has problems, all of
// them are returned and the graph is nil.
func New(d *Document, palette *module.Palette) (*Graph, []Problem) {
	w := wire(d, palette)
	w.parameters(false)
	w.graphParameters()
	for _, in := range w.Inputs {
		if len(in.Targets) > 0 && in.Sample == None {
			t := in.Targets[0]
			w.problem(Problem{Node: w.Nodes[in.Node].ID, Port: w.inputID(t), Rule: "missing-input"}, 3,
				"web service input %q needs sample data: connect a dataset to %s too; in the run it flows through the port, in the service the input takes its place", in.Name, w.place(t))
		}
	}
	return w.done()
}

// Open resolves the graph of a deployment: Web Service Inputs are sources, and
// required graph parameters come with the call.
func Open(d *Document, palette *module.Palette) (*Graph, []Problem) {
	w := wire(d, palette)
	w.parameters(true)
	w.graphParameters()
	return w.done()
}

func (w *wiring) done() (*Graph, []Problem) {
	if len(w.problems) > 0 {
		return nil, w.problems
	}
	return w.Graph, nil
}

// Validate reports all problems of an experiment; none means it can run.
func Validate(d *Document, palette *module.Palette) []Problem {
	_, problems := New(d, palette)
	return problems
}

// Publishable reports what keeps a valid experiment from being a web service.
func (g *Graph) Publishable() []Problem {
	if len(g.Outputs) > 0 || slices.ContainsFunc(g.Nodes, func(v Vertex) bool { return v.Mod != nil && v.Mod.Sink() }) {
		return nil
	}
	return []Problem{{Rule: "no-output", Code: module.Code(3), Message: "the experiment has neither a Web Service Output nor an Export Data: a service made from it would answer nothing"}}
}

// Fault makes one error of problems; nil of none.
func Fault(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	var e *fault.Error
	for i, p := range problems {
		target := p.Node
		if p.Port != "" {
			target += "/" + p.Port
		} else if p.Parameter != "" {
			target += "/" + p.Parameter
		}
		if i == 0 {
			e = fault.New(fault.Package, p.Code, "%s", p.Message).At(target)
			continue
		}
		e.More = append(e.More, fault.Detail{Code: p.Code, Target: target, Message: p.Message})
	}
	return e
}

// parameters checks the parameters of every module node. A node's own value
// goes before the default of a graph parameter linked to it. With open, what
// graph parameters fill may be absent.
func (w *wiring) parameters(open bool) {
	filled := make(map[string][]string) // node -> parameters that come with the call
	defaults := make(map[Link]string)
	for _, p := range w.Doc.Params {
		for _, l := range p.Links {
			if open {
				filled[l.NodeID] = append(filled[l.NodeID], l.ParameterKey)
			}
			if p.Default != nil {
				defaults[l] = *p.Default
			}
		}
	}
	for i := range w.Nodes {
		v := &w.Nodes[i]
		if v.Mod == nil {
			continue
		}
		given := maps.Clone(v.Parameters)
		for l, text := range defaults {
			if _, own := given[l.ParameterKey]; !own && l.NodeID == v.ID && v.Mod.Param(l.ParameterKey) != nil {
				if given == nil {
					given = make(map[string]string)
				}
				given[l.ParameterKey] = text
			}
		}
		for _, name := range v.literalCredentials() {
			w.problem(Problem{Node: v.ID, Parameter: name, Rule: "credential"}, 2, "node %q (%s): parameter %q is a credential, which no experiment keeps: link it to a graph parameter of type Credential, or use a named connection", v.ID, v.Mod.Name, name)
		}
		var problems []module.Problem
		v.Values, problems = v.Mod.Resolve(given, filled[v.ID]...)
		if len(problems) == 0 && len(filled[v.ID]) == 0 {
			problems = v.Mod.Misnamed(v.Values)
		}
		for _, p := range problems {
			w.problem(Problem{Node: v.ID, Parameter: p.Param, Rule: p.Rule}, p.Number, "node %q (%s): %s", v.ID, v.Mod.Name, p.Message)
		}
	}
}

// literalCredentials names the parameters that hold a secret in the document.
func (v *Vertex) literalCredentials() (names []string) {
	for i := range v.Mod.Params {
		if p := &v.Mod.Params[i]; p.Secret() && v.Parameters[p.Name] != "" {
			names = append(names, p.Name)
		}
	}
	return names
}

// CheckCredentials refuses a document that holds a credential: it may not even
// be kept as a draft.
func CheckCredentials(d *Document, palette *module.Palette) error {
	for _, id := range slices.Sorted(maps.Keys(d.Nodes)) {
		n := d.Nodes[id]
		if n == nil || n.Module == "" {
			continue
		}
		mod := palette.Lookup(n.Module)
		if mod == nil {
			continue
		}
		v := &Vertex{Node: n, ID: id, Mod: mod}
		for _, name := range v.literalCredentials() {
			return bad("node %q (%s): parameter %q is a credential, which is not kept in an experiment: link it to a graph parameter of type Credential and give it with each run, or use a named connection", id, mod.Name, name).At(id + "/" + name)
		}
	}
	return nil
}

// graphParameters checks the declarations of graph parameters and their links.
func (w *wiring) graphParameters() {
	linked := make(map[Link]string)
	for i := range w.Doc.Params {
		p := &w.Doc.Params[i]
		if p.Name == "" {
			w.problem(Problem{Rule: "bad-name"}, 2, "a graph parameter has an empty name")
		}
		if err := checkParameter(&p.Parameter); err != nil {
			w.problem(Problem{Parameter: p.Name, Rule: "bad-graph-parameter"}, 2, "graph parameter %q: %v", p.Name, err)
		}
		if len(p.Links) == 0 {
			w.problem(Problem{Parameter: p.Name, Rule: "not-connected"}, 2, "graph parameter %q is linked to nothing", p.Name)
		}
		for _, l := range p.Links {
			w.link(p, l)
			if other, taken := linked[l]; taken {
				w.problem(Problem{Node: l.NodeID, Parameter: l.ParameterKey, Rule: "duplicate-link"}, 2, "graph parameters %q and %q both set parameter %q of node %q", other, p.Name, l.ParameterKey, l.NodeID)
			}
			linked[l] = p.Name
		}
	}
}

func (w *wiring) link(p *Param, l Link) {
	where := Problem{Node: l.NodeID, Parameter: l.ParameterKey, Rule: "unknown-link"}
	i, ok := w.index[l.NodeID]
	if !ok {
		w.problem(where, 2, "graph parameter %q is linked to node %q, which is not there", p.Name, l.NodeID)
		return
	}
	v := &w.Nodes[i]
	if v.Mod == nil {
		if v.Module == "" {
			w.problem(where, 2, "graph parameter %q is linked to node %q, which is no module", p.Name, l.NodeID)
		}
		return
	}
	q := v.Mod.Param(l.ParameterKey)
	switch {
	case q == nil:
		w.problem(where, 2, "graph parameter %q is linked to parameter %q, which module %q does not have", p.Name, l.ParameterKey, v.Mod.Name)
		return
	case !compatible(p.Type, q.Type):
		where.Rule = "wrong-type"
		w.problem(where, 17, "graph parameter %q is %s, parameter %q of module %q is %s", p.Name, p.Type, q.Name, v.Mod.Name, q.Type)
		return
	case q.ChangesSchema(v.Values) && w.feedsOutput(i):
		where.Rule = "schema-parameter"
		w.problem(where, 2, "graph parameter %q would change the schema of the service's output: parameter %q of node %q cannot be a graph parameter on a path to a web service output", p.Name, q.Name, l.NodeID)
	}
	if p.Default != nil {
		if _, err := q.Parse(*p.Default); err != nil {
			where.Rule = "bad-parameter"
			w.problem(where, 2, "graph parameter %q: its default does not suit parameter %q of module %q: %v", p.Name, q.Name, v.Mod.Name, err)
		}
	}
	for _, o := range p.Options {
		if _, err := q.Parse(o); err != nil {
			where.Rule = "bad-parameter"
			w.problem(where, 2, "graph parameter %q: option %q does not suit parameter %q of module %q: %v", p.Name, o, q.Name, v.Mod.Name, err)
		}
	}
}

// feedsOutput reports whether a path leads from vertex i to a Web Service
// Output.
func (w *wiring) feedsOutput(i int) bool {
	reached := make([]bool, len(w.Nodes))
	reached[i] = true
	for again := true; again; { // to a fixed point: the order may be broken by a cycle
		again = false
		for j := range w.Nodes {
			if !reached[j] && slices.ContainsFunc(w.Nodes[j].In, func(r Ref) bool { return r.Node >= 0 && reached[r.Node] }) {
				reached[j], again = true, true
			}
		}
	}
	return slices.ContainsFunc(w.Outputs, func(o int) bool { return reached[o] })
}

func compatible(global service.ParamType, local module.Type) bool {
	switch global {
	case service.ParamString:
		return local == module.String || local == module.Script || local == module.ColumnPicker || local == module.Enumerated
	case service.ParamInt:
		return local == module.Int || local == module.Float
	case service.ParamFloat, service.ParamDouble:
		return local == module.Float
	case service.ParamBoolean:
		return local == module.Boolean
	case service.ParamEnum:
		return local == module.Enumerated || local == module.String
	case service.ParamSecret:
		return local == module.Credential
	}
	return false
}

// checkParameter checks the declaration of a global parameter.
func checkParameter(p *service.Parameter) error {
	switch p.Type {
	case service.ParamString, service.ParamInt, service.ParamFloat, service.ParamDouble, service.ParamBoolean:
	case service.ParamEnum:
		if len(p.Options) == 0 {
			return fmt.Errorf("an Enumerated parameter needs options")
		}
	case service.ParamSecret:
		if p.Default != nil {
			return fmt.Errorf("a Credential has no default")
		}
	default:
		return fmt.Errorf("type %q is not one of String, Int, Float, Double, Boolean, Enumerated, Credential", p.Type)
	}
	if p.Default != nil {
		if _, err := ParseParameter(p, *p.Default); err != nil {
			return fmt.Errorf("its default: %w", err)
		}
	}
	return nil
}

// ParseParameter checks a text as a value of a global parameter and returns it
// in its one canonical spelling. The error does not repeat a secret.
func ParseParameter(p *service.Parameter, text string) (string, error) {
	q := module.Param{Options: p.Options}
	switch p.Type {
	case service.ParamInt:
		q.Type = module.Int
	case service.ParamFloat, service.ParamDouble:
		q.Type = module.Float
	case service.ParamBoolean:
		q.Type = module.Boolean
	case service.ParamEnum:
		q.Type = module.Enumerated
	default:
		q.Type = module.String
	}
	if p.Type == service.ParamInt { // 25 and 25.0 are one
		if x, err := strconv.ParseFloat(text, 64); err == nil && x == float64(int64(x)) && x < 1<<53 && x > -1<<53 {
			text = strconv.FormatInt(int64(x), 10)
		}
	}
	return q.Parse(text)
}
