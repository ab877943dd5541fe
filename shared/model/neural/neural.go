// Package neural scores fully connected neural networks, with the scaling of
// their features.
//
// A layer's node is its bias plus the sum of weights times the nodes before it,
// those that are not 0 in their order, four at a time, each product rounded: it
// does not depend on the rows that come with a row or on the CPU. The last
// layer gives sums; what makes probabilities of them is the transform in a
// model's header.
package neural

import (
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// Activation is what a node of a layer makes of its sum.
type Activation uint32

// The activations.
const (
	Linear   Activation = iota // x
	Sigmoid                    // 1/(1+e**-x)
	Tanh                       // tanh x
	Rectify                    // max(0, x)
	Soft                       // ln(1+e**x)
	Bounded                    // x, at least 0 and at most 1
	Square                     // x²
	Absolute                   // |x|
)

// Scaling is what is done to features first.
type Scaling uint32

// The scalings.
const (
	Raw     Scaling = iota
	Affine          // (x-Offset)·Scale
	Quantum         // the share of Cuts that x is not below
)

// Network describes a network.
type Network struct {
	Features int
	Scaling  Scaling
	// Offset and Scale are of each feature, for Affine.
	Offset, Scale []float64
	// Cuts are of each feature, ascending, for Quantum. A feature without any
	// is 0.
	Cuts   [][]float64
	Layers []Layer
}

// Layer is one layer, fully connected to the one before.
type Layer struct {
	Nodes      int
	Activation Activation
	Bias       []float64
	// Weights has that of input i to node j at [i*Nodes+j].
	Weights []float64
}

// Limits of a network.
const (
	MaxFeatures = 1 << 20
	MaxLayers   = 64
	MaxNodes    = 1 << 16
	MaxWeights  = 1 << 27
)

// ErrDamaged is the cause of every error of Open.
var ErrDamaged = errors.New("damaged neural network")

// check verifies what n's lists must be.
func (n *Network) check() error {
	if n.Features < 1 || n.Features > MaxFeatures || len(n.Layers) < 1 || len(n.Layers) > MaxLayers {
		return fmt.Errorf("%w: %d features and %d layers", ErrDamaged, n.Features, len(n.Layers))
	}
	offsets, cuts := 0, 0
	switch n.Scaling {
	case Raw:
	case Affine:
		offsets = n.Features
	case Quantum:
		cuts = n.Features
	default:
		return fmt.Errorf("%w: scaling %d", ErrDamaged, n.Scaling)
	}
	if len(n.Offset) != offsets || len(n.Scale) != offsets || len(n.Cuts) != cuts {
		return fmt.Errorf("%w: %d offsets, %d scales and cuts of %d for %d features", ErrDamaged, len(n.Offset), len(n.Scale), len(n.Cuts), n.Features)
	}
	for f, list := range n.Cuts {
		for i, c := range list {
			if i > 0 && !(c > list[i-1]) {
				return fmt.Errorf("%w: the cuts of feature %d do not rise", ErrDamaged, f)
			}
		}
	}
	lists := append([][]float64{n.Offset, n.Scale}, n.Cuts...)
	inputs := n.Features
	for i := range n.Layers {
		l := &n.Layers[i]
		if l.Nodes < 1 || l.Nodes > MaxNodes || inputs*l.Nodes > MaxWeights || len(l.Bias) != l.Nodes || len(l.Weights) != inputs*l.Nodes || l.Activation > Absolute {
			return fmt.Errorf("%w: layer %d of %d nodes has activation %d, %d biases and %d weights of %d inputs", ErrDamaged, i, l.Nodes, l.Activation, len(l.Bias), len(l.Weights), inputs)
		}
		inputs = l.Nodes
		lists = append(lists, l.Bias, l.Weights)
	}
	for _, list := range lists {
		for _, v := range list {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%w: a number is %v", ErrDamaged, v)
			}
		}
	}
	return nil
}

// Model is a network ready to score, immutable.
type Model struct{ n Network }

// Features returns the number of features of a row.
func (m *Model) Features() int { return m.n.Features }

// Outputs returns the number of nodes of the last layer.
func (m *Model) Outputs() int { return m.n.Layers[len(m.n.Layers)-1].Nodes }

// limit is the most of a scaled feature's magnitude: beyond, sums would
// overflow.
const limit = 1e100

// Scaled returns what the first layer reads of value x of feature f.
func (n *Network) Scaled(f int, x float64) float64 {
	if x != x {
		return x
	}
	switch n.Scaling {
	case Affine:
		x = (x - n.Offset[f]) * n.Scale[f]
	case Quantum:
		cuts := n.Cuts[f]
		if len(cuts) == 0 {
			return 0
		}
		above := sort.Search(len(cuts), func(i int) bool { return cuts[i] > x })
		return float64(above) / float64(len(cuts))
	}
	return max(-limit, min(limit, x))
}

// Sum makes the sums of a layer of its inputs.
func (l *Layer) Sum(in, out []float64) {
	copy(out, l.Bias)
	n := len(out)
	var v [4]float64
	var w [4][]float64
	have := 0
	for i, x := range in {
		if x == 0 {
			continue
		}
		v[have], w[have] = x, l.Weights[i*l.Nodes:][:n]
		if have++; have < 4 {
			continue
		}
		have = 0
		a, b, c, d := w[0], w[1], w[2], w[3]
		a, b, c, d = a[:n], b[:n], c[:n], d[:n]
		for j := range out {
			out[j] += (float64(v[0]*a[j]) + float64(v[1]*b[j])) + (float64(v[2]*c[j]) + float64(v[3]*d[j]))
		}
	}
	for i := range have {
		x, row := v[i], w[i][:n]
		for j := range out {
			out[j] += float64(x * row[j])
		}
	}
}

// Apply replaces sums by what the activation makes of them.
func (a Activation) Apply(x []float64) {
	for j, v := range x {
		switch a {
		case Sigmoid:
			v = stablemath.Sigmoid(v)
		case Tanh:
			v = stablemath.Tanh(v)
		case Rectify:
			v = max(0, v)
		case Soft:
			if v < 36 { // above, ln(1+e**x) is x
				v = stablemath.Log(1 + stablemath.Exp(v))
			}
		case Bounded:
			v = max(0, min(1, v))
		case Square:
			v *= v
		case Absolute:
			v = math.Abs(v)
		}
		x[j] = v
	}
}

// Slope returns the derivative of the activation where the sum is x and it
// gives y.
func (a Activation) Slope(x, y float64) float64 {
	switch a {
	case Sigmoid:
		return y * (1 - y)
	case Tanh:
		return 1 - float64(y*y)
	case Rectify:
		if x <= 0 {
			return 0
		}
	case Soft:
		return stablemath.Sigmoid(x)
	case Bounded:
		if x <= 0 || x >= 1 {
			return 0
		}
	case Square:
		return 2 * x
	case Absolute:
		return math.Copysign(1, x)
	}
	return 1
}

// Session is the working memory of one goroutine's scoring.
type Session struct {
	m     *Model
	nodes [2][]float64 // of a layer and the one before it
}

// NewSession makes working memory.
func (m *Model) NewSession() *Session {
	widest := m.n.Features
	for _, l := range m.n.Layers {
		widest = max(widest, l.Nodes)
	}
	return &Session{m: m, nodes: [2][]float64{make([]float64, widest), make([]float64, widest)}}
}

// Predict writes the sums of n rows' last layers to out. Feature f of row r is
// x[f*n+r]; a row with a NaN has none. It does not allocate.
func (s *Session) Predict(x []float64, n int, out []float64) {
	net := &s.m.n
	outputs := s.m.Outputs()
	for r := range n {
		in := s.nodes[0][:net.Features]
		missing := false
		for f := range in {
			in[f] = net.Scaled(f, x[f*n+r])
			missing = missing || in[f] != in[f]
		}
		to := out[r*outputs:][:outputs]
		for i := range net.Layers {
			l := &net.Layers[i]
			if i == len(net.Layers)-1 {
				l.Sum(in, to)
				l.Activation.Apply(to)
				break
			}
			next := s.nodes[(i+1)%2][:l.Nodes]
			l.Sum(in, next)
			l.Activation.Apply(next)
			in = next
		}
		if missing { // whatever an activation makes of it
			for k := range to {
				to[k] = math.NaN()
			}
		}
	}
}
