// Package svm learns Two-Class Support Vector Machine, a linear one.
//
// The objective is lambda/2·Σ w² plus the mean over rows, by weight, of half
// the squared hinge loss max(0, 1 - y·s)², s = w·z + b and y the class as -1 or
// 1. It is approached one row at a time as by Pegasos (Shalev-Shwartz, Singer and
// Srebro 2007), but by implicit steps (Kulis and Bartlett 2010) of a rate that
// falls as 1/√t: they overshoot neither at the first rows nor at large ones.
// The model is the average of the second half of the steps (Rakhlin, Shamir and
// Sridharan 2012), with Platt's sigmoid (package platt).
package svm

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
	// Iterations are the passes over the rows, at least 1.
	Iterations int
	// Lambda is the weight of the penalty, above 0.
	Lambda float64
	// Normalize scales the features to a range of 1 first.
	Normalize bool
	// Project brings the weights back to length 1, after each row, where they
	// are longer.
	Project bool
	// Seed draws the order of the rows, and the folds that the sigmoid is
	// fitted on.
	Seed uint64
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{Iterations: 1, Lambda: 0.001, Normalize: true, UnknownLevels: true}

// Learner is the linear support vector machine.
type Learner struct{ o Options }

// New returns the learner. Options out of their range are module error 0008.
func New(o Options) (*Learner, error) {
	switch {
	case !(o.Lambda > 0) || math.IsInf(o.Lambda, 0):
		return nil, learn.Errorf(8, "lambda %v must be above 0", o.Lambda)
	case o.Iterations < 1:
		return nil, learn.Errorf(8, "%d iterations: it must be 1 or more", o.Iterations)
	}
	return &Learner{o}, nil
}

// Name is the Studio's name of the module.
func (l *Learner) Name() string { return "Two-Class Support Vector Machine" }

// Kind is two-class.
func (l *Learner) Kind() model.Kind { return model.TwoClass }

// Form asks for indicators and complete rows.
func (l *Learner) Form() learn.Form {
	return learn.Form{Complete: true, UnknownLevels: l.o.UnknownLevels}
}

// halfLife is the number of rows after which the rate has fallen to 1/√2.
const halfLife = 10

// Train goes through the rows.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	by := scaled.Raw
	if l.o.Normalize {
		by = scaled.Range
	}
	m := scaled.New(d, by)
	x := m.ByRow()
	return platt.Train(ctx, d, m, x, s, l.o.Seed, func(ctx context.Context, s *learn.Session, rows []int) (platt.Linear, error) {
		return l.average(ctx, d, x, s, rows)
	})
}

// average returns the mean of the second half of the steps over some of the
// rows; the features of a row stand side by side in x.
func (l *Learner) average(ctx context.Context, d *learn.Data, x []float64, s *learn.Session, rows []int) (platt.Linear, error) {
	n := len(d.X)
	state := make([]float64, 2*(n+1)) // w and b, and the sums of their second half
	w, sum := state[:n+1], state[n+1:]
	unit := online.Unit(d, rows)
	total := len(rows) * l.o.Iterations
	half := total / 2
	passes := online.Passes{Rows: len(rows), Passes: l.o.Iterations, Seed: l.o.Seed}
	err := passes.Run(ctx, s, state, func(i, t int) {
		row := rows[i]
		z := x[row*n:][:n]
		y := 2*d.Label[row] - 1
		rate := 1 / math.Sqrt(1+float64(t)/halfLife)
		if short := 1 - y*(online.Dot(w[:n], z)+w[n]); short > 0 {
			of := rate * unit * d.WeightOf(row)
			step := y * short * of / (1 + of*(1+online.Dot(z, z)))
			online.Add(w[:n], step, z)
			w[n] += step
		}
		shrink := 1 / (1 + rate*l.o.Lambda)
		for f := range w[:n] {
			w[f] *= shrink
		}
		if l.o.Project {
			project(w[:n])
		}
		if t >= half {
			online.Add(sum, 1, w)
		}
	})
	if err != nil {
		return platt.Linear{}, err
	}
	for f := range sum {
		sum[f] /= float64(total - half)
	}
	return platt.Linear{Weights: sum[:n], Base: sum[n]}, nil
}

func project(w []float64) {
	if length := math.Sqrt(online.Dot(w, w)); length > 1 {
		for f := range w {
			w[f] /= length
		}
	}
}
