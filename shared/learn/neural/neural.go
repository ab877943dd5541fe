// Package neural learns Two-Class Neural Network, Multiclass Neural Network and
// Neural Network Regression: fully connected layers, by back-propagation
// (Rumelhart, Hinton and Williams 1986).
//
// Training goes through the rows by stochastic gradient descent, a mini-batch
// being one row: after each the weights move against the gradient of the row's
// loss, times the learning rate and the row's weight over the mean weight, and
// by momentum times the move before. The loss is the cross entropy of a
// sigmoid or softmax of the last layer's sums, or for regression half the
// squared error, in units of the label's deviation.
package neural

import (
	"context"
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/online"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/neural"
)

// Normalizer is what is done to features first.
type Normalizer int

const (
	// MinMax brings each feature to the range from 0 to 1.
	MinMax Normalizer = iota
	// Binning puts the rows in bins of as many rows each, 256 at most, and
	// takes the bin's number over the number of the last.
	Binning
	// Gaussian takes the difference from the mean over the standard deviation.
	Gaussian
	// None takes features as they are.
	None
)

// Options are the learner's parameters.
type Options struct {
	// Net is the network's shape.
	Net Net
	// Rate is how far a row moves the weights; above 0.
	Rate float64
	// Iterations are the passes over the rows, at least 1.
	Iterations int
	// Diameter is the range of the first weights, which are drawn between half
	// of it below and above 0; above 0.
	Diameter float64
	// Momentum is the share of a move that the next one repeats: from 0 to
	// less than 1.
	Momentum   float64
	Normalizer Normalizer
	// Shuffle takes the rows in another order in each pass.
	Shuffle bool
	// Seed draws the first weights and the orders.
	Seed uint64
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{
	Net: Net{Hidden: []Hidden{{100, neural.Sigmoid}}}, Rate: 0.1, Iterations: 100, Diameter: 0.1, Shuffle: true, UnknownLevels: true,
}

// Learner is a neural network.
type Learner struct {
	kind model.Kind
	o    Options
}

// New returns the learner of two-class, multiclass or regression models.
// Options out of their range are module error 0008.
func New(kind model.Kind, o Options) (*Learner, error) {
	switch {
	case !(o.Rate > 0) || math.IsInf(o.Rate, 0):
		return nil, learn.Errorf(8, "the learning rate %v must be above 0", o.Rate)
	case o.Iterations < 1:
		return nil, learn.Errorf(8, "%d iterations: it must be 1 or more", o.Iterations)
	case !(o.Diameter > 0) || math.IsInf(o.Diameter, 0):
		return nil, learn.Errorf(8, "the initial weights diameter %v must be above 0", o.Diameter)
	case !(o.Momentum >= 0 && o.Momentum < 1):
		return nil, learn.Errorf(8, "the momentum %v must be 0 or more, and less than 1", o.Momentum)
	case o.Normalizer < MinMax || o.Normalizer > None:
		return nil, learn.Errorf(8, "normalizer %d is none", o.Normalizer)
	}
	l := &Learner{kind, o}
	if kind != model.TwoClass && kind != model.Multiclass && kind != model.Regression {
		return nil, learn.Errorf(13, "a neural network answers no %s", kind)
	}
	return l, o.Net.check(kind)
}

// Name is the Studio's name of the module.
func (l *Learner) Name() string {
	switch l.kind {
	case model.TwoClass:
		return "Two-Class Neural Network"
	case model.Multiclass:
		return "Multiclass Neural Network"
	}
	return "Neural Network Regression"
}

// Kind is two-class, multiclass or regression.
func (l *Learner) Kind() model.Kind { return l.kind }

// Form asks for indicators and complete rows.
func (l *Learner) Form() learn.Form {
	return learn.Form{Complete: true, UnknownLevels: l.o.UnknownLevels}
}

// Train goes through the rows. A network that the data does not fit is module
// error 0002, weights that grow beyond all numbers 0033.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	outputs, transform, err := l.output(d)
	if err != nil {
		return nil, err
	}
	t, err := l.start(d, outputs, transform)
	if err != nil {
		return nil, err
	}
	s.Log("%d weights in %d layers", len(t.weights), len(t.net.Layers))
	passes := online.Passes{Rows: d.Rows, Passes: l.o.Iterations, Seed: l.o.Seed, InOrder: !l.o.Shuffle}
	if err := passes.Run(ctx, s, t.state, func(row, _ int) { t.step(row) }); err != nil {
		return nil, err
	}
	last := &t.net.Layers[len(t.net.Layers)-1]
	if l.kind == model.Regression {
		last.Bias[0] = float64(last.Bias[0]*t.deviation) + t.mean
		for i := range last.Weights {
			last.Weights[i] *= t.deviation
		}
	}
	body, err := t.net.Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the weights grew beyond all numbers: choose a smaller learning rate than %v, or a normalizer (%v)", l.o.Rate, err)
	}
	return &learn.Trained{Engine: model.EngineNeural, Body: body, Transform: model.Transform{Name: transform}}, nil
}

// output is the number of nodes of the last layer, and what makes answers of
// its sums.
func (l *Learner) output(d *learn.Data) (nodes int, transform string, err error) {
	n := l.o.Net
	switch l.kind {
	case model.Regression:
		nodes, transform = 1, model.Identity
	case model.TwoClass:
		if nodes, transform = 1, model.Sigmoid; n.Outputs == 2 || n.Output == Softmax {
			nodes, transform = 2, model.Softmax
		}
	default:
		nodes, transform = d.Classes, model.Softmax
	}
	if nodes > 1 && n.Output == Sigmoid {
		transform = model.Sigmoids
	}
	if n.Outputs != 0 && n.Outputs != nodes {
		return 0, "", learn.Errorf(2, "the network has %d output nodes: this data needs %d", n.Outputs, nodes)
	}
	if n.Inputs != 0 && n.Inputs != len(d.X) {
		return 0, "", learn.Errorf(2, "the network has %d input nodes, the data %d features: each level of a category is one; write auto", n.Inputs, len(d.X))
	}
	return nodes, transform, nil
}
