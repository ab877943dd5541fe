// Package perceptron learns Two-Class Averaged Perceptron.
//
// The perceptron (Rosenblatt 1958) goes through the rows; where a row's score
// s = w·z + b falls short of its class's side of 0 by a margin of 1, it moves w
// and b towards the row: by the learning rate, or where that is less, by what
// makes up for the shortfall (Crammer et al. 2006, "Online passive-aggressive
// algorithms"). Those are steps down the hinge loss max(0, 1 - y·s). The model is
// the average of w and b over all steps (Freund and Schapire 1999, Collins 2002),
// with Platt's sigmoid (package platt). The features z are scaled to a range
// of 1.
package perceptron

import (
	"context"
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/online"
	"github.com/portico-ml/portico/shared/learn/platt"
	"github.com/portico-ml/portico/shared/learn/scaled"
	"github.com/portico-ml/portico/shared/model"
)

// Options are the learner's parameters.
type Options struct {
	// Rate is how far one row moves the weights at most; above 0.
	Rate float64
	// Iterations are the passes over the rows, at least 1.
	Iterations int
	// Seed draws the order of the rows, and the folds that the sigmoid is
	// fitted on.
	Seed uint64
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{Rate: 1, Iterations: 10, UnknownLevels: true}

// Learner is the averaged perceptron.
type Learner struct{ o Options }

// New returns the learner. Options out of their range are module error 0008.
func New(o Options) (*Learner, error) {
	switch {
	case !(o.Rate > 0) || math.IsInf(o.Rate, 0):
		return nil, learn.Errorf(8, "the learning rate %v must be above 0", o.Rate)
	case o.Iterations < 1:
		return nil, learn.Errorf(8, "%d iterations: it must be 1 or more", o.Iterations)
	}
	return &Learner{o}, nil
}

// Name is the Studio's name of the module.
func (l *Learner) Name() string { return "Two-Class Averaged Perceptron" }

// Kind is two-class.
func (l *Learner) Kind() model.Kind { return model.TwoClass }

// Form asks for indicators and complete rows.
func (l *Learner) Form() learn.Form {
	return learn.Form{Complete: true, UnknownLevels: l.o.UnknownLevels}
}

// Train goes through the rows. A row moves the weights by its own weight, in
// units of the mean weight.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	m := scaled.New(d, scaled.Range)
	x := m.ByRow()
	return platt.Train(ctx, d, m, x, s, l.o.Seed, func(ctx context.Context, s *learn.Session, rows []int) (platt.Linear, error) {
		return l.average(ctx, d, x, s, rows)
	})
}

// average returns the mean of the steps over some of the rows; the features of
// a row stand side by side in x.
func (l *Learner) average(ctx context.Context, d *learn.Data, x []float64, s *learn.Session, rows []int) (platt.Linear, error) {
	n := len(d.X)
	// w and b, and behind them the sum over moves of each with the number of
	// rows before it, which gives their average.
	state := make([]float64, 2*(n+1))
	w, moved := state[:n+1], state[n+1:]
	unit := online.Unit(d, rows)
	passes := online.Passes{Rows: len(rows), Passes: l.o.Iterations, Seed: l.o.Seed}
	err := passes.Run(ctx, s, state, func(i, t int) {
		row := rows[i]
		z := x[row*n:][:n]
		y := 2*d.Label[row] - 1
		short := 1 - y*(online.Dot(w[:n], z)+w[n])
		if short <= 0 {
			return
		}
		step := y * unit * d.WeightOf(row) * min(l.o.Rate, short/(1+online.Dot(z, z)))
		online.Add(w[:n], step, z)
		w[n] += step
		online.Add(moved[:n], step*float64(t), z)
		moved[n] += step * float64(t)
	})
	if err != nil {
		return platt.Linear{}, err
	}
	total := float64(len(rows)) * float64(l.o.Iterations)
	for f := range w {
		w[f] -= moved[f] / total
	}
	return platt.Linear{Weights: w[:n], Base: w[n]}, nil
}
