package onnx

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// program is a graph that can run: every operator known, every attribute
// settled, constants computed. It is immutable.
type program struct {
	consts  []*tensor // by value; nil where it is computed
	inputs  []int     // values
	outputs []int
	steps   []step
	nodes   []*node // of a compiler that only orders them
	budget  budget
}

// step computes values of values. A missing optional input is value none.
type step struct {
	name    string // of its node, for refusals
	op      op
	in, out []int
}

const none = -1

// op makes the kernel of a step for one session, with the kernel's memory.
type op func() kernel

// kernel computes a step's outputs. It checks what it is given: shapes and
// values may be the data's.
type kernel func(c *call) error

// always is the op of a kernel without memory.
func always(k kernel) op { return func() kernel { return k } }

// operator is what the executor knows of an ONNX operator.
type operator struct {
	min, max int // inputs
	build    func(d *decl) (op, error)
}

const variadic = 1 << 16

// Operator sets that the operators are written for.
const (
	oldestCore, newestCore = 1, 28
	newestML               = 5
)

// compiler numbers values and collects steps.
type compiler struct {
	g       *graph
	values  map[string]int
	p       *program
	makers  map[string]int // node that makes a value
	state   []uint8        // of nodes: 0 untouched, 1 being visited, 2 done
	scratch scratch        // of constants: its budget is what they may still fill
	order   bool           // only the order of the nodes is wanted
}

// compile makes a program that computes the given outputs, and leaves out
// what they do not need. allowance bounds what one row's run may fill, in
// elements.
func compile(g *graph, outputs []string, allowance int) (*program, error) {
	c := &compiler{g: g, p: &program{budget: budget(allowance)}}
	c.scratch.left = c.p.budget // constants have one row's allowance together
	if err := checkOpsets(g); err != nil {
		return nil, err
	}
	return c.p, c.compile(outputs)
}

// needed returns the nodes that make values, in an order that can run. It does
// not look into them.
func needed(g *graph, outputs []string) ([]*node, error) {
	c := &compiler{g: g, p: new(program), order: true}
	err := c.compile(outputs)
	return c.p.nodes, err
}

func (c *compiler) compile(outputs []string) error {
	g := c.g
	values := len(g.initializers) + len(g.inputs) + len(g.nodes)
	c.values, c.makers, c.state = make(map[string]int, values), make(map[string]int, len(g.nodes)), make([]uint8, len(g.nodes))
	c.p.consts = make([]*tensor, 0, values)
	for i := range g.initializers {
		init := &g.initializers[i]
		if !init.typ.known() && !c.order {
			return refuse("initializer %q: elements of type %s are not supported", init.name, init.typ)
		}
		if err := c.define(init.name, init.tensor); err != nil {
			return err
		}
	}
	for i := range g.inputs {
		if c.isInitializer(g.inputs[i].name) { // old files list their weights as inputs
			continue
		}
		if err := c.define(g.inputs[i].name, nil); err != nil {
			return err
		}
		c.p.inputs = append(c.p.inputs, c.values[g.inputs[i].name])
	}
	for i := range g.nodes {
		for _, name := range g.nodes[i].outputs {
			if _, twice := c.makers[name]; twice && name != "" {
				return at(&g.nodes[i], refuse("value %q is made twice", name))
			}
			c.makers[name] = i
		}
	}
	for _, name := range outputs {
		if err := c.need(name); err != nil {
			return err
		}
		c.p.outputs = append(c.p.outputs, c.values[name])
	}
	return nil
}

func checkOpsets(g *graph) error {
	core, ok := g.opsets[""]
	if !ok && len(g.opsets) == 0 {
		return refuse("the file imports no operator set")
	}
	if ok && (core < oldestCore || core > newestCore) {
		return refuse("operator set %d of ai.onnx: this program reads %d to %d", core, oldestCore, newestCore)
	}
	if ml := g.opsets["ai.onnx.ml"]; ml > newestML {
		return refuse("operator set %d of ai.onnx.ml: this program reads up to %d", ml, newestML)
	}
	return nil
}

func (c *compiler) isInitializer(name string) bool {
	k, ok := c.values[name]
	return ok && c.p.consts[k] != nil
}

// define gives a name its value.
func (c *compiler) define(name string, constant *tensor) error {
	if _, twice := c.values[name]; twice || name == "" {
		return refuse("value %q is there twice or has no name", name)
	}
	c.values[name] = len(c.p.consts)
	c.p.consts = append(c.p.consts, constant)
	return nil
}

// need adds the steps that make a value. The walk keeps its own stack: a
// file's graph may be as deep as it is long.
func (c *compiler) need(name string) error {
	if _, ok := c.values[name]; ok {
		return nil
	}
	root, ok := c.makers[name]
	if !ok || name == "" {
		return refuse("nothing makes value %q", name)
	}
	stack := []int{root}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		n := &c.g.nodes[i]
		if c.state[i] == 2 {
			stack = stack[:len(stack)-1]
			continue
		}
		ready := true
		for _, in := range n.inputs {
			if _, ok := c.values[in]; ok || in == "" {
				continue
			}
			from, ok := c.makers[in]
			if !ok {
				return at(n, refuse("nothing makes its input %q", in))
			}
			if c.state[from] == 1 {
				return at(n, refuse("its input %q depends on itself", in))
			}
			stack, ready = append(stack, from), false
		}
		if !ready {
			if c.state[i] == 1 {
				return at(n, refuse("its inputs depend on itself"))
			}
			c.state[i] = 1
			continue
		}
		if err := at(n, c.add(n)); err != nil {
			return err
		}
		c.state[i] = 2
		stack = stack[:len(stack)-1]
	}
	return nil
}

// add compiles one node whose inputs are there.
func (c *compiler) add(n *node) error {
	if c.order {
		c.p.nodes = append(c.p.nodes, n)
		for _, name := range n.outputs {
			if name == "" {
				continue
			}
			if err := c.define(name, nil); err != nil {
				return err
			}
		}
		return nil
	}
	known := core
	switch n.domain {
	case "":
	case "ai.onnx.ml":
		known = ml
	case "com.microsoft":
		known = microsoft
	default:
		return refuse("operators of domain %q are not supported", n.domain)
	}
	o, ok := known[n.op]
	if !ok {
		return refuse("the operator is not supported")
	}
	if len(n.inputs) < o.min || len(n.inputs) > o.max {
		return refuse("%d inputs, not %d to %d", len(n.inputs), o.min, o.max)
	}
	if len(n.outputs) == 0 || len(n.outputs) > 1<<10 {
		return refuse("%d outputs", len(n.outputs))
	}
	s := step{name: n.title()}
	d := &decl{node: n, opset: c.g.opsets[n.domain], read: make([]bool, len(n.attrs))}
	constant := true
	for i, name := range n.inputs {
		k := none
		if name != "" {
			k = c.values[name]
			constant = constant && c.p.consts[k] != nil
			d.consts = append(d.consts, c.p.consts[k])
		} else {
			if i < o.min {
				return refuse("its input %d is missing", i)
			}
			d.consts = append(d.consts, nil)
		}
		s.in = append(s.in, k)
	}
	var err error
	if s.op, err = o.build(d); err != nil {
		return err
	}
	for i, read := range d.read {
		if !read {
			return refuse("attribute %q is not supported", n.attrs[i].name)
		}
	}
	for _, name := range n.outputs {
		if name == "" {
			name = fmt.Sprintf("\x00%d", len(c.p.consts))
		}
		if err := c.define(name, nil); err != nil {
			return err
		}
		s.out = append(s.out, c.values[name])
	}
	if constant {
		return c.fold(&s)
	}
	c.p.steps = append(c.p.steps, s)
	return nil
}

// fold runs a step of constants now.
func (c *compiler) fold(s *step) error {
	k := call{scratch: &c.scratch}
	for _, v := range s.in {
		var t *tensor
		if v != none {
			t = c.p.consts[v]
		}
		k.in = append(k.in, t)
	}
	for range s.out {
		k.out = append(k.out, new(tensor))
	}
	if err := s.op()(&k); err != nil {
		return err
	}
	for i, v := range s.out {
		c.p.consts[v] = k.out[i]
	}
	return nil
}

// decl reads a node's attributes. One that nobody reads refuses the node:
// it may change what the operator means.
type decl struct {
	*node
	opset  int64
	consts []*tensor // inputs that are constants
	read   []bool
}

func (d *decl) attr(name string) *attr {
	for i := range d.attrs {
		if d.attrs[i].name == name && !d.attrs[i].nested {
			d.read[i] = true
			return &d.attrs[i]
		}
	}
	return nil
}

func (d *decl) has(name string) bool {
	return slices.ContainsFunc(d.attrs, func(a attr) bool { return a.name == name })
}

func (d *decl) int(name string, otherwise int64) int64 {
	if a := d.attr(name); a != nil {
		return a.int
	}
	return otherwise
}

func (d *decl) float(name string, otherwise float32) float32 {
	if a := d.attr(name); a != nil {
		return a.float
	}
	return otherwise
}

func (d *decl) word(name, otherwise string) string {
	if a := d.attr(name); a != nil {
		return a.text
	}
	return otherwise
}

func (d *decl) ints(name string) []int64 {
	if a := d.attr(name); a != nil {
		return a.ints
	}
	return nil
}

func (d *decl) floats(name string) []float32 {
	if a := d.attr(name); a != nil {
		return a.floats
	}
	return nil
}

func (d *decl) strings(name string) []string {
	if a := d.attr(name); a != nil {
		return a.strings
	}
	return nil
}

func (d *decl) tensor(name string) *tensor {
	if a := d.attr(name); a != nil {
		return a.tensor
	}
	return nil
}

// oneOf reads an attribute that has one of some words.
func (d *decl) oneOf(name string, words ...string) (string, error) {
	w := d.word(name, words[0])
	if !slices.Contains(words, w) {
		return "", refuse("%s is %q: one of %s", name, w, strings.Join(words, ", "))
	}
	return w, nil
}

// sorted returns a map's keys in order.
func sorted[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
