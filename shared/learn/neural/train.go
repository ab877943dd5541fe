package neural

import (
	"math"
	"math/rand/v2"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/neural"
	"github.com/portico-ml/portico/shared/model/stablemath"
)

// training is a network and what moves its weights.
type training struct {
	d         *learn.Data
	o         Options
	net       *neural.Network
	transform string
	x         []float64 // scaled rows, one after the other
	rate      float64   // of a row of weight 1
	// The label of regression is learned as its difference from mean over
	// deviation.
	mean, deviation float64

	state   []float64 // weights and, with momentum, moves
	weights []float64 // of all layers, biases first: the layers' lists are parts of it
	moves   []float64
	// Of each layer: the nodes' sums, what activations make of them, and the
	// loss's slope by the sums.
	sums, nodes, slopes [][]float64
}

// start makes the network with its first weights.
func (l *Learner) start(d *learn.Data, outputs int, transform string) (*training, error) {
	t := &training{d: d, o: l.o, net: scaling(d, l.o.Normalizer), transform: transform, deviation: 1}
	t.rate = l.o.Rate * float64(d.Rows) / d.TotalWeight()
	if l.kind == model.Regression {
		t.units()
	}
	inputs, total := len(d.X), 0
	for i := range len(l.o.Net.Hidden) + 1 {
		layer := neural.Layer{Nodes: outputs, Activation: neural.Linear}
		if i < len(l.o.Net.Hidden) {
			layer.Nodes, layer.Activation = l.o.Net.Hidden[i].Nodes, l.o.Net.Hidden[i].Activation
		}
		t.net.Layers = append(t.net.Layers, layer)
		if total += (inputs + 1) * layer.Nodes; total > maxWeights {
			return nil, learn.Errorf(138, "the network has more than %d weights: give it fewer hidden nodes, or the data fewer features", maxWeights)
		}
		inputs = layer.Nodes
	}
	t.state = make([]float64, total)
	if l.o.Momentum > 0 {
		t.state = make([]float64, 2*total)
	}
	t.weights, t.moves = t.state[:total], t.state[total:]
	rng := rand.New(rand.NewPCG(l.o.Seed, math.MaxUint64)) // passes draw by their number
	for i := range t.weights {
		t.weights[i] = l.o.Diameter * (rng.Float64() - 0.5)
	}
	rest := t.weights
	inputs = len(d.X)
	for i := range t.net.Layers {
		layer := &t.net.Layers[i]
		n := layer.Nodes
		layer.Bias, layer.Weights, rest = rest[:n], rest[n:(inputs+1)*n], rest[(inputs+1)*n:]
		inputs = n
		t.sums = append(t.sums, make([]float64, n))
		t.nodes = append(t.nodes, make([]float64, n))
		t.slopes = append(t.slopes, make([]float64, n))
	}
	t.load()
	return t, nil
}

// maxWeights bounds the memory of a training.
const maxWeights = 1 << 26

// units sets mean and deviation of the label.
func (t *training) units() {
	t.mean = t.d.MeanLabel()
	top := 0.0
	for _, y := range t.d.Label {
		top = max(top, math.Abs(y-t.mean))
	}
	_, exponent := math.Frexp(top)
	sum := 0.0
	for r, y := range t.d.Label {
		e := math.Ldexp(y-t.mean, -exponent) // whose square is neither too large nor too small
		sum += float64(t.d.WeightOf(r) * float64(e*e))
	}
	if v := math.Ldexp(math.Sqrt(sum/t.d.TotalWeight()), exponent); v > 0 && !math.IsInf(v, 0) {
		t.deviation = v
	}
}

// load scales the rows.
func (t *training) load() {
	n := len(t.d.X)
	t.x = make([]float64, t.d.Rows*n)
	const block = 64 // rows whose cells stay in the cache
	for lo := 0; lo < t.d.Rows; lo += block {
		for f, x := range t.d.X {
			for r := lo; r < min(lo+block, t.d.Rows); r++ {
				t.x[r*n+f] = t.net.Scaled(f, x[r])
			}
		}
	}
}

// step moves the weights by one row.
func (t *training) step(row int) {
	in := t.x[row*len(t.d.X):][:len(t.d.X)]
	last := len(t.net.Layers) - 1
	for i := range t.net.Layers {
		l := &t.net.Layers[i]
		l.Sum(in, t.sums[i])
		copy(t.nodes[i], t.sums[i])
		l.Activation.Apply(t.nodes[i])
		in = t.nodes[i]
	}
	t.slope(row, t.nodes[last], t.slopes[last])
	rate := t.rate * t.d.WeightOf(row)
	for i := last; i >= 0; i-- {
		l := &t.net.Layers[i]
		in := t.x[row*len(t.d.X):][:len(t.d.X)]
		if i > 0 {
			in = t.nodes[i-1]
			back(l, t.slopes[i], t.slopes[i-1])
			a := t.net.Layers[i-1].Activation
			for j := range t.slopes[i-1] {
				t.slopes[i-1][j] *= a.Slope(t.sums[i-1][j], in[j])
			}
		}
		if t.o.Momentum > 0 {
			t.gather(i, in, t.slopes[i], rate)
			continue
		}
		move(l, in, t.slopes[i], rate)
	}
	if t.o.Momentum > 0 {
		for i, m := range t.moves {
			t.weights[i] += m
		}
	}
}

// slope makes the loss's slope by the last layer's sums.
func (t *training) slope(row int, sums, slopes []float64) {
	y := t.d.Label[row]
	switch t.transform {
	case model.Identity:
		slopes[0] = sums[0] - (y-t.mean)/t.deviation
	case model.Sigmoid:
		slopes[0] = stablemath.Sigmoid(sums[0]) - y
	case model.Sigmoids:
		for k, v := range sums {
			slopes[k] = stablemath.Sigmoid(v)
		}
		slopes[int(y)]--
	default:
		top, total := sums[0], 0.0
		for _, v := range sums {
			top = max(top, v)
		}
		for k, v := range sums {
			slopes[k] = stablemath.Exp(v - top)
			total += slopes[k]
		}
		for k := range slopes {
			slopes[k] /= total
		}
		slopes[int(y)]--
	}
}

// back makes the slopes by a layer's inputs of those by its sums.
func back(l *neural.Layer, slopes, inputs []float64) {
	n := len(slopes)
	for i := range inputs {
		w := l.Weights[i*n:][:n]
		var a, b float64
		j := 0
		for ; j+2 <= n; j += 2 {
			a += float64(w[j] * slopes[j])
			b += float64(w[j+1] * slopes[j+1])
		}
		if j < n {
			a += float64(w[j] * slopes[j])
		}
		inputs[i] = a + b
	}
}

// move moves a layer's weights against the slopes.
func move(l *neural.Layer, in, slopes []float64, rate float64) {
	n := len(slopes)
	for j, s := range slopes {
		s *= rate
		slopes[j] = s
		l.Bias[j] -= s
	}
	for i, x := range in {
		if x == 0 {
			continue
		}
		w := l.Weights[i*n:][:n]
		for j, s := range slopes {
			w[j] -= float64(x * s)
		}
	}
}

// gather makes the next moves of layer i: momentum times those before, and
// those against the slopes.
func (t *training) gather(i int, in, slopes []float64, rate float64) {
	at, inputs := 0, len(t.d.X)
	for k := range i {
		at += (inputs + 1) * t.net.Layers[k].Nodes
		inputs = t.net.Layers[k].Nodes
	}
	n := len(slopes)
	m := t.moves[at:][:(inputs+1)*n]
	for j, s := range slopes {
		slopes[j] = s * rate
		m[j] = float64(t.o.Momentum*m[j]) - slopes[j]
	}
	for i, x := range in {
		row := m[(i+1)*n:][:n]
		for j, s := range slopes {
			row[j] = float64(t.o.Momentum*row[j]) - float64(x*s)
		}
	}
}
