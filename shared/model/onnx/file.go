package onnx

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// File is an ONNX model as its converter wrote it.
type File struct {
	g    *graph
	size int
	made map[string]int // node that makes a value
	// constants are the initializers by name.
	constants map[string]*tensor
}

// Input is a tensor that a model reads.
type Input struct {
	Name  string
	Type  Type
	Width int // columns; 0 where the file does not say
}

// Output is what a model answers.
type Output struct {
	Name string
	// Type is of the tensor's elements; of a sequence of maps, of the
	// numbers in them.
	Type  Type
	Width int // numbers in a row; 0 where the file does not say
	// Classes are the labels that belong to the numbers, where the file says.
	Classes []string
	// Coupled says that the numbers are probabilities of an SVM, which answers
	// the class with the most votes, not always that of the highest.
	Coupled bool
	// Votes says that the numbers are of pairs of classes: an SVM's of more
	// than two classes without probabilities.
	Votes  bool
	tensor string // the value behind it
}

// Is reports whether b begins as an ONNX model does: with the version of its
// intermediate representation, and then texts and messages of ModelProto.
func Is(b []byte) bool {
	if !bytes.HasPrefix(b, []byte{0x08}) {
		return false
	}
	f := fields{b: b[:min(len(b), 4096)]}
	if !f.next() || f.typ != protowire.VarintType || f.value == 0 || f.value > 100 {
		return false
	}
	for len(f.b) > 0 {
		num, typ, n := protowire.ConsumeTag(f.b)
		if n < 0 {
			return false
		}
		switch {
		case num == 7 && typ == protowire.BytesType, num == 8 && typ == protowire.BytesType:
			return true // the graph, or an operator set
		case num > 25, num == 5 && typ != protowire.VarintType:
			return false
		}
		if !f.next() {
			return false
		}
	}
	return false
}

// Read takes a file apart. It keeps parts of b. Errors are *Refusal.
func Read(b []byte) (*File, error) {
	g, err := parse(b)
	if err != nil {
		return nil, err
	}
	f := &File{g: g, size: len(b), made: map[string]int{}, constants: make(map[string]*tensor, len(g.initializers))}
	for i := range g.initializers {
		if c := &g.initializers[i]; f.constants[c.name] == nil {
			f.constants[c.name] = c.tensor
		}
	}
	for i := range g.nodes {
		for _, name := range g.nodes[i].outputs {
			if name != "" {
				f.made[name] = i
			}
		}
	}
	return f, nil
}

// Producer returns the name and version of the program that wrote the file.
func (f *File) Producer() string { return f.g.producer }

// Inputs returns the tensors that the graph reads, in its order.
func (f *File) Inputs() []Input {
	var inputs []Input
	for i := range f.g.inputs {
		p := &f.g.inputs[i]
		if f.initializer(p.name) != nil {
			continue
		}
		inputs = append(inputs, Input{p.name, p.typ, width(p)})
	}
	return inputs
}

// width is the number of columns of a port: 1 of rank 1, 0 where not said.
func width(p *port) int {
	switch len(p.dims) {
	case 1:
		return 1
	case 2:
		return int(max(0, p.dims[1]))
	}
	return 0
}

// initializer returns the constant of a name, nil where there is none.
func (f *File) initializer(name string) *tensor { return f.constants[name] }

// maker returns the node that makes a value, nil where none does.
func (f *File) maker(name string) *node {
	if i, ok := f.made[name]; ok {
		return &f.g.nodes[i]
	}
	return nil
}

// Outputs returns what the graph answers, in its order. A ZipMap, which makes
// maps from class to number of a row of numbers, is looked through.
func (f *File) Outputs() []Output {
	var outputs []Output
	for i := range f.g.outputs {
		p := &f.g.outputs[i]
		o := Output{Name: p.name, Type: p.typ, Width: width(p), tensor: p.name}
		if n := f.maker(p.name); n != nil && n.op == "ZipMap" && len(n.inputs) == 1 {
			o.Type, o.tensor = Float, n.inputs[0]
			o.Classes = classLabels(n)
			o.Width = len(o.Classes)
		} else if p.typ == Float || p.typ == Double {
			o.Classes = f.classes(p.name)
			if o.Width > 0 && o.Width != len(o.Classes) {
				o.Classes = nil
			}
		}
		o.Coupled, o.Votes = f.svm(o.tensor)
		outputs = append(outputs, o)
	}
	return outputs
}

// svm says what the numbers of an SVM are.
func (f *File) svm(name string) (coupled, votes bool) {
	n := f.maker(name)
	if n == nil || n.op != "SVMClassifier" {
		return false, false
	}
	has := func(name string) bool {
		return slices.ContainsFunc(n.attrs, func(a attr) bool { return a.name == name && len(a.floats)+len(a.ints) > 0 })
	}
	coupled = has("prob_a")
	return coupled, !coupled && has("vectors_per_class") && len(classLabels(n)) > 2
}

// classLabels reads the class labels of a ZipMap or a classifier.
func classLabels(n *node) []string {
	var classes []string
	for i := range n.attrs {
		switch a := &n.attrs[i]; a.name {
		case "classlabels_strings":
			classes = append(classes, a.strings...)
		case "classlabels_int64s", "classlabels_ints":
			for _, v := range a.ints {
				classes = append(classes, strconv.FormatInt(v, 10))
			}
		}
	}
	return classes
}

// maxWay is over how many operators labels are looked for; converters write a
// few.
const maxWay = 256

// classes finds the labels that belong to a row of scores: of the classifier
// that makes them, through operators that keep their order, or of the labels
// that the graph picks by the largest score.
func (f *File) classes(name string) []string {
	for range maxWay {
		n := f.maker(name)
		if n == nil || len(n.inputs) == 0 {
			break
		}
		if c := classLabels(n); c != nil {
			return c
		}
		switch n.op {
		case "Identity", "Cast", "Normalizer", "Softmax", "Sigmoid", "Reshape", "Clip", "Div":
			name = n.inputs[0]
			continue
		case "Mul":
			if t := f.initializer(n.inputs[len(n.inputs)-1]); t != nil && t.len() == 1 && t.typ.known() && t.typ != String && t.at(0) > 0 {
				name = n.inputs[0]
				continue
			}
		}
		break
	}
	for i := range f.g.outputs {
		if n := f.maker(f.g.outputs[i].name); n != nil {
			if c := f.picked(n); c != nil {
				return c
			}
		}
	}
	return nil
}

// picked returns the constant list that a chain of operators picks a label from.
func (f *File) picked(n *node) []string {
	for range maxWay {
		if n == nil || len(n.inputs) == 0 {
			return nil
		}
		switch n.op {
		case "ArrayFeatureExtractor", "Gather":
			t := f.initializer(n.inputs[0])
			if t == nil {
				return nil
			}
			var list []string
			for i := range t.len() {
				list = append(list, t.text(i))
			}
			return list
		case "LabelEncoder":
			for i := range n.attrs {
				if n.attrs[i].name == "values_strings" {
					return n.attrs[i].strings
				}
			}
			return nil
		case "Cast", "Reshape", "Identity", "Squeeze", "Flatten":
			n = f.maker(n.inputs[0])
		default:
			return nil
		}
	}
	return nil
}

// Agreement runs the graph on sample rows, and says of how many rows the label
// that it answers is the one that decide picks by the numbers of o: the class
// of that place. Of classes that the file does not name, a label is the place.
func (f *File) Agreement(o, label Output, widths []int, decide func(numbers []float64) int) (agree, rows int, err error) {
	body, err := f.canonical([]string{o.tensor, label.tensor}, widths)
	if err != nil {
		return 0, 0, err
	}
	g, err := parse(body)
	if err != nil {
		return 0, 0, err
	}
	m, err := newModel(g, len(body))
	if err != nil {
		return 0, 0, err
	}
	x, text := m.sample(BlockRows, 1)
	s := m.session()
	s.lenient()
	if err := s.fill(x, text, BlockRows, 0, BlockRows); err != nil {
		return 0, 0, err
	}
	numbers, err := s.answers(BlockRows)
	if err != nil {
		return 0, 0, err
	}
	labels := s.r.output(1)
	n := len(numbers) / BlockRows
	if labels.len() != BlockRows || n == 0 {
		return 0, 0, refuse("output %q has shape %v for %d rows", label.Name, labels.shape, BlockRows)
	}
	for r := range BlockRows {
		k, class := decide(numbers[r*n:r*n+n]), labels.text(r)
		if o.Classes != nil && k < len(o.Classes) && o.Classes[k] == class || o.Classes == nil && strconv.Itoa(k) == class {
			agree++
		}
	}
	return agree, BlockRows, nil
}

// Canonical returns the bytes of a graph with o as its only answer, in which
// input i has widths[i] columns. Errors are *Refusal.
func (f *File) Canonical(o Output, widths []int) ([]byte, error) {
	return f.canonical([]string{o.tensor}, widths)
}

func (f *File) canonical(answers []string, widths []int) ([]byte, error) {
	nodes, err := needed(f.g, answers)
	if err != nil {
		return nil, err
	}
	c := &graph{opsets: map[string]int64{}, nodes: make([]node, 0, len(nodes))}
	used := map[string]bool{}
	for _, name := range answers {
		used[name] = true
		c.outputs = append(c.outputs, port{name: name, typ: Float})
	}
	for _, n := range nodes {
		keep := *n
		keep.name = ""
		c.nodes = append(c.nodes, keep)
		c.opsets[n.domain] = f.g.opsets[n.domain]
		for _, in := range n.inputs {
			used[in] = true
		}
	}
	if len(c.opsets) == 0 {
		return nil, refuse("its answer %q needs no operator", answers[0])
	}
	for _, init := range f.g.initializers {
		if used[init.name] {
			c.initializers = append(c.initializers, init)
		}
	}
	slices.SortFunc(c.initializers, func(a, b initializer) int { return cmp.Compare(a.name, b.name) })
	for k := range f.g.inputs {
		in := &f.g.inputs[k]
		if f.initializer(in.name) != nil {
			continue
		}
		i := len(c.inputs)
		if i >= len(widths) || widths[i] < 1 {
			return nil, refuse("input %q has no known number of columns", in.name)
		}
		port := port{name: in.name, typ: in.typ, dims: []int64{-1, int64(widths[i])}}
		switch {
		case len(in.dims) > 2:
			return nil, refuse("input %q has %d dimensions, not two", in.name, len(in.dims))
		case len(in.dims) == 1:
			port.dims = port.dims[:1]
		}
		c.inputs = append(c.inputs, port)
	}
	return c.encode(f.size), nil
}
