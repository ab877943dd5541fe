package neural

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/neural"
)

// Net is the shape of a network.
type Net struct {
	// Inputs is the number of features; 0 is as many as there are.
	Inputs int
	// Hidden are the layers between the features and the output. Without any
	// the model is a linear one.
	Hidden []Hidden
	// Outputs is the number of output nodes; 0 is as many as are needed: one
	// for two classes and for regression, one for each class of more.
	Outputs int
	Output  Output
}

// Hidden is a hidden layer.
type Hidden struct {
	Nodes      int
	Activation neural.Activation
}

// Output is what makes answers of the last layer's sums.
type Output int

const (
	// Usual is a sigmoid for two classes, a softmax for more, and the sum
	// itself for regression.
	Usual Output = iota
	Sigmoid
	Softmax
	Linear
)

// check holds n to what a kind of model can have. What it cannot is module
// error 0008 or 0002.
func (n *Net) check(kind model.Kind) error {
	if len(n.Hidden) >= neural.MaxLayers {
		return learn.Errorf(8, "%d hidden layers: there can be %d", len(n.Hidden), neural.MaxLayers-1)
	}
	for _, h := range n.Hidden {
		if h.Nodes < 1 || h.Nodes > neural.MaxNodes {
			return learn.Errorf(8, "a hidden layer of %d nodes: it must have 1 to %d", h.Nodes, neural.MaxNodes)
		}
	}
	regression := kind == model.Regression
	switch {
	case regression && n.Output != Usual && n.Output != Linear:
		return learn.Errorf(2, "the output layer of a regression is linear")
	case !regression && n.Output == Linear:
		return learn.Errorf(2, "the output layer of a classification is sigmoid or softmax, not linear")
	case kind == model.TwoClass && n.Outputs == 1 && n.Output == Softmax:
		return learn.Errorf(2, "a softmax of 1 output node is always 1: give 2 nodes, or a sigmoid")
	}
	return nil
}

// Connected returns the network of sigmoid layers with these numbers of nodes,
// separated by commas: "100" or "100,50". Others are module error 0002.
func Connected(nodes string) (Net, error) {
	var n Net
	for part := range strings.SplitSeq(nodes, ",") {
		v, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || v < 1 {
			return Net{}, learn.Errorf(2, "the number of hidden nodes %q is none: give a number of 1 or more, or several separated by commas", nodes)
		}
		n.Hidden = append(n.Hidden, Hidden{v, neural.Sigmoid})
	}
	return n, nil
}

// activations of hidden layers by their names in Net#.
var activations = map[string]neural.Activation{
	"sigmoid": neural.Sigmoid, "linear": neural.Linear, "tanh": neural.Tanh, "rlinear": neural.Rectify,
	"srlinear": neural.Soft, "brlinear": neural.Bounded, "square": neural.Square, "abs": neural.Absolute,
}

// outputs are what output layers can be.
var outputs = map[string]Output{"sigmoid": Sigmoid, "softmax": Softmax, "linear": Linear}

// Script reads a network definition of the Net# language: that part of it which
// declares fully connected layers, one after the other.
//
//	input Data auto;                          // or [20], or [28, 28]
//	hidden First [100] from Data all;         // a sigmoid
//	hidden Second [50] tanh from First all;   // sigmoid, tanh, linear, rlinear, srlinear, brlinear, square, abs
//	output Result auto softmax from Second all;
//
// What else there is in Net# is module error 0002, which names it and its line:
// constants, connections of several sources, filtered, convolutional, pooling,
// normalising and shared ones.
func Script(text string) (Net, error) {
	p := &script{text: text, line: 1}
	n, err := p.net()
	if err != nil {
		return Net{}, learn.Errorf(2, "line %d of the network definition: %v", p.line, err)
	}
	return n, nil
}

// script takes a definition apart.
type script struct {
	text string
	line int
}

// next returns the next word or sign, "" at the end.
func (p *script) next() (string, error) {
	for p.text != "" {
		switch c := p.text[0]; {
		case c == '\n':
			p.line++
			p.text = p.text[1:]
		case c == ' ' || c == '\t' || c == '\r':
			p.text = p.text[1:]
		case strings.HasPrefix(p.text, "//"):
			_, p.text, _ = strings.Cut(p.text, "\n")
			p.line++
		case strings.HasPrefix(p.text, "/*"):
			comment, rest, closed := strings.Cut(p.text[2:], "*/")
			if !closed {
				return "", fmt.Errorf("a comment is not closed")
			}
			p.line += strings.Count(comment, "\n")
			p.text = rest
		default:
			n := 0
			for n < len(p.text) && wordly(p.text[n]) {
				n++
			}
			token := p.text[:max(1, n)]
			p.text = p.text[len(token):]
			return token, nil
		}
	}
	return "", nil
}

func wordly(c byte) bool {
	return c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= 0x80
}

// want takes the next word, which must be this one.
func (p *script) want(word string) error {
	got, err := p.next()
	if err == nil && got != word {
		err = unlike(word, got)
	}
	return err
}

// others are words of Net# that this does not read.
var others = map[string]string{
	"const": "constants", "where": "filtered connections", "convolve": "convolutional connections", "max": "pooling connections",
	"mean": "pooling connections", "pool": "pooling connections", "response": "response normalization", "norm": "response normalization",
	"share": "shared weights", "weights": "given weights", "sqrt": "the activation sqrt", "{": "connections from several sources",
}

// unlike is the error of a word where another belongs.
func unlike(want, got string) error {
	if what, ok := others[got]; ok {
		return fmt.Errorf("%s (%q) are not supported: a network here is layers, each fully connected to the one before, as in %q", what, got, "hidden H [100] sigmoid from Data all;")
	}
	if got == "" {
		got = "the end"
	}
	return fmt.Errorf("%s where %s belongs", got, want)
}

// net reads declarations up to that of the output.
func (p *script) net() (Net, error) {
	var n Net
	above := "" // the layer declared last
	names := map[string]bool{}
	for {
		kind, err := p.next()
		if err != nil {
			return n, err
		}
		if kind == "" {
			return n, fmt.Errorf("there is no output layer")
		}
		if kind != "input" && kind != "hidden" && kind != "output" {
			return n, unlike("input, hidden or output", kind)
		}
		if (kind == "input") != (above == "") {
			return n, fmt.Errorf("the first layer is the input, and there is one: not %q", kind)
		}
		name, err := p.next()
		switch {
		case err != nil:
			return n, err
		case name == "" || !wordly(name[0]):
			return n, unlike("a layer's name", name)
		case names[name]:
			return n, fmt.Errorf("there are two layers %q", name)
		}
		names[name] = true
		nodes, err := p.size()
		if err != nil {
			return n, err
		}
		if kind == "input" {
			n.Inputs, above = nodes, name
			if err := p.want(";"); err != nil {
				return n, err
			}
			continue
		}
		activation, err := p.from(above)
		if err != nil {
			return n, err
		}
		above = name
		if kind == "hidden" {
			a, ok := activations[activation]
			if activation == "" {
				a, ok = neural.Sigmoid, true
			}
			if !ok {
				return n, fmt.Errorf("a hidden layer has no activation %q: it can be sigmoid, tanh, linear, rlinear, srlinear, brlinear, square or abs", activation)
			}
			if nodes == 0 {
				return n, fmt.Errorf("the hidden layer %q needs its number of nodes, as in [100]", name)
			}
			n.Hidden = append(n.Hidden, Hidden{nodes, a})
			continue
		}
		o, ok := outputs[activation]
		if activation != "" && !ok {
			return n, fmt.Errorf("an output layer has no activation %q: it can be sigmoid, softmax or linear", activation)
		}
		n.Outputs, n.Output = nodes, o
		if rest, err := p.next(); err != nil || rest != "" {
			return n, fmt.Errorf("%q follows the output layer, which is the last (%v)", rest, err)
		}
		return n, nil
	}
}

// size reads "auto", which is 0, or numbers in brackets, and returns their product.
func (p *script) size() (int, error) {
	got, err := p.next()
	switch {
	case err != nil:
		return 0, err
	case got == "auto":
		return 0, nil
	case got != "[":
		return 0, unlike("a number of nodes in brackets, or auto,", got)
	}
	product := 1
	for {
		got, err := p.next()
		if err != nil {
			return 0, err
		}
		v, err := strconv.Atoi(got)
		if err != nil || v < 1 || v > neural.MaxFeatures || product > neural.MaxFeatures/v {
			return 0, fmt.Errorf("%q is no number of nodes from 1 to %d", got, neural.MaxFeatures)
		}
		product *= v
		switch got, err = p.next(); {
		case err != nil:
			return 0, err
		case got == "]":
			return product, nil
		case got != ",":
			return 0, unlike("a comma or a closing bracket", got)
		}
	}
}

// from reads an activation, where there is one, and "from" the layer above
// "all".
func (p *script) from(above string) (activation string, err error) {
	got, err := p.next()
	if err != nil {
		return "", err
	}
	if _, other := others[got]; other {
		return "", unlike("from", got)
	}
	if got != "from" {
		if got == "" || !wordly(got[0]) {
			return "", unlike("an activation or from", got)
		}
		activation = got
		if err := p.want("from"); err != nil {
			return "", err
		}
	}
	source, err := p.next()
	switch {
	case err != nil:
		return "", err
	case source != above:
		if _, other := others[source]; other {
			return "", unlike("", source)
		}
		return "", fmt.Errorf("a layer comes from %q: it must come from the one declared before it, %q", source, above)
	}
	if err := p.want("all"); err != nil {
		return "", err
	}
	return activation, p.want(";")
}
