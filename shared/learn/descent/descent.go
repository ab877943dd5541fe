// Package descent learns Linear Regression by online gradient descent.
//
// It goes through the rows and moves the weights towards each by a step of the
// learning rate down (label - s)²/2 + l2/2·Σ w², s = w·z + b. Steps are implicit
// (Kulis and Bartlett 2010): the slope is taken where the step ends, so that no
// rate overshoots. The label is learned in units of its deviation.
package descent

import (
	"context"
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/online"
	"github.com/portico-ml/portico/shared/learn/scaled"
	"github.com/portico-ml/portico/shared/model"
)

// Options are the parameters of the module's solution method Online Gradient
// Descent.
type Options struct {
	// Rate is the learning rate, above 0.
	Rate float64
	// Epochs are the passes over the rows, at least 1.
	Epochs int
	// L2 is the penalty's weight.
	L2 float64
	// Normalize centres the features and divides them by their deviation first.
	Normalize bool
	// Average takes the mean of the weights over the second half of the steps
	// for the model's, not their last.
	Average bool
	// Decrease divides the rate by the root of the number of steps.
	Decrease bool
	// Seed draws the order of the rows.
	Seed uint64
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{Rate: 0.1, Epochs: 10, L2: 0.001, Normalize: true, Average: true, Decrease: true, UnknownLevels: true}

// Learner is linear regression by online gradient descent.
type Learner struct{ o Options }

// New returns the learner. Options out of their range are module error 0008.
func New(o Options) (*Learner, error) {
	switch {
	case !(o.Rate > 0) || math.IsInf(o.Rate, 0):
		return nil, learn.Errorf(8, "the learning rate %v must be above 0", o.Rate)
	case o.Epochs < 1:
		return nil, learn.Errorf(8, "%d training epochs: it must be 1 or more", o.Epochs)
	case !(o.L2 >= 0) || math.IsInf(o.L2, 0):
		return nil, learn.Errorf(8, "the regularization weight %v must be 0 or more", o.L2)
	}
	return &Learner{o}, nil
}

// Name is the Studio's name of the module.
func (l *Learner) Name() string { return "Linear Regression" }

// Kind is regression.
func (l *Learner) Kind() model.Kind { return model.Regression }

// Form asks for indicators and complete rows.
func (l *Learner) Form() learn.Form {
	return learn.Form{Complete: true, UnknownLevels: l.o.UnknownLevels}
}

// Train goes through the rows.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	by := scaled.Raw
	if l.o.Normalize {
		by = scaled.Deviation
	}
	m := scaled.New(d, by)
	n := m.Features
	state := make([]float64, 2*(n+1)) // w and b, and the sums of their second half
	w, sum := state[:n+1], state[n+1:]
	x, unit := m.ByRow(), float64(d.Rows)/d.TotalWeight()
	mean, deviation := moments(d)
	total := d.Rows * l.o.Epochs
	passes := online.Passes{Rows: d.Rows, Passes: l.o.Epochs, Seed: l.o.Seed}
	err := passes.Run(ctx, s, state, func(row, t int) {
		z := x[row*n:][:n]
		rate := l.o.Rate
		if l.o.Decrease {
			rate /= math.Sqrt(float64(t + 1))
		}
		of := rate * unit * d.WeightOf(row)
		miss := (d.Label[row]-mean)/deviation - (online.Dot(w[:n], z) + w[n])
		step := miss * of / (1 + of*(1+online.Dot(z, z)))
		online.Add(w[:n], step, z)
		w[n] += step
		shrink := 1 / (1 + rate*l.o.L2)
		for f := range w[:n] {
			w[f] *= shrink
		}
		if t >= total/2 {
			online.Add(sum, 1, w)
		}
	})
	if err != nil {
		return nil, err
	}
	if l.o.Average {
		copy(w, sum)
		for f := range w {
			w[f] /= float64(total - total/2)
		}
	}
	for f := range w {
		w[f] *= deviation
	}
	body, err := m.Fold(w[:n], []float64{w[n] + mean}).Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the model's weights are too large for numbers: %v", err)
	}
	return &learn.Trained{Engine: model.EngineLinear, Body: body, Transform: model.Transform{Name: model.Identity}}, nil
}

// moments returns the label's mean and its deviation, the latter 1 where all
// labels are alike.
func moments(d *learn.Data) (mean, deviation float64) {
	mean = d.MeanLabel()
	top := 0.0
	for _, y := range d.Label {
		top = max(top, math.Abs(y-mean))
	}
	if top == 0 {
		return mean, 1
	}
	square := 0.0
	for r, y := range d.Label {
		e := (y - mean) / top
		square += float64(d.WeightOf(r) * float64(e*e))
	}
	return mean, top * math.Sqrt(square/d.TotalWeight())
}
