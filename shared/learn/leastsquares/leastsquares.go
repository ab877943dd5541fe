// Package leastsquares learns Linear Regression by ordinary least squares:
// exactly, with a penalty on the weights. Package ridge says the objective;
// features are in their own units, and the intercept is not penalised.
package leastsquares

import (
	"context"
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/ridge"
	"github.com/portico-ml/portico/shared/learn/scaled"
	"github.com/portico-ml/portico/shared/model"
)

// Options are the parameters of the module's solution method Ordinary Least
// Squares.
type Options struct {
	// L2 is the penalty's weight.
	L2 float64
	// Intercept lets the line miss the origin.
	Intercept bool
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{L2: 0.001, Intercept: true, UnknownLevels: true}

// Learner is linear regression by ordinary least squares.
type Learner struct{ o Options }

// New returns the learner. Options out of their range are module error 0008.
func New(o Options) (*Learner, error) {
	if !(o.L2 >= 0) || math.IsInf(o.L2, 0) {
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

// Train solves the least squares.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	by := scaled.Raw
	if l.o.Intercept {
		by = scaled.Center
	}
	m := scaled.New(d, by)
	r, err := ridge.Solve(ctx, s, m, d, l.o.L2, l.o.Intercept)
	if err != nil {
		return nil, err
	}
	body, err := m.Fold(r.Weights, []float64{r.Base}).Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the model's weights are too large for numbers: %v", err)
	}
	return &learn.Trained{Engine: model.EngineLinear, Body: body, Transform: model.Transform{Name: model.Identity}}, nil
}
