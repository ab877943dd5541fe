// Package bayeslinear learns Bayesian Linear Regression.
//
// The model is label = w·z + b + e with z the features scaled to a range of 1,
// e normal of variance v, a priori w normal of variance v/regularization for
// each weight, b flat and v of density 1/v. That is conjugate (Gelman et al.,
// "Bayesian Data Analysis", chapter 14): the posterior mean of w is the ridge
// solution, and what is predicted for a row has a t distribution whose mean
// and standard deviation are the model's answer, exactly.
package bayeslinear

import (
	"context"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/ridge"
	"github.com/portico-ml/portico/shared/learn/scaled"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/bayes"
)

// Options are the learner's parameters.
type Options struct {
	// Regularization is the precision of a weight before any row was seen, in
	// units of the noise's precision; above 0.
	Regularization float64
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{Regularization: 1, UnknownLevels: true}

// Learner is Bayesian linear regression.
type Learner struct{ o Options }

// New returns the learner. Options out of their range are module error 0008.
func New(o Options) (*Learner, error) {
	if !(o.Regularization > 0) || math.IsInf(o.Regularization, 0) {
		return nil, learn.Errorf(8, "the regularization weight %v must be above 0", o.Regularization)
	}
	return &Learner{o}, nil
}

// Name is the Studio's name of the module.
func (l *Learner) Name() string { return "Bayesian Linear Regression" }

// Kind is a distribution.
func (l *Learner) Kind() model.Kind { return model.Distribution }

// Form asks for indicators and complete rows.
func (l *Learner) Form() learn.Form {
	return learn.Form{Complete: true, UnknownLevels: l.o.UnknownLevels}
}

// minWeight is the weight of rows below which the noise's variance has no
// mean.
const minWeight = 3

// Train computes the posterior.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	rows := d.TotalWeight()
	if rows <= minWeight {
		return nil, learn.Errorf(134, "%v rows with a label are too few: the noise around a line needs more than %d", rows, minWeight)
	}
	m := scaled.New(d, scaled.Range)
	r, err := ridge.Solve(ctx, s, m, d, l.o.Regularization, true)
	if err != nil {
		return nil, err
	}
	penalty := 0.0
	for _, w := range r.Weights {
		penalty += float64(l.o.Regularization * float64(w*w))
	}
	noise := (r.Residual + penalty) / (rows - minWeight)
	n := m.Features
	w := &bayes.Weights{
		Base: r.Base, Noise: max(noise*(1+1/rows), math.SmallestNonzeroFloat64),
		Center: make([]float64, n), Coefficients: make([]float64, n), Factor: make([]float64, 0, n*(n+1)/2),
	}
	for f := range n {
		w.Center[f], w.Coefficients[f] = m.Center(f), r.Weights[f]*m.Scale(f)
	}
	if n > 0 {
		lower, err := inverse(r.Gram, n, l.o.Regularization)
		if err != nil {
			return nil, err
		}
		root := math.Sqrt(noise)
		for k := range n {
			for f := range k + 1 {
				w.Factor = append(w.Factor, root*lower.At(k, f)*m.Scale(f))
			}
		}
	}
	body, err := w.Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the model's weights are too large for numbers: %v", err)
	}
	return &learn.Trained{Engine: model.EngineBayes, Body: body, Transform: model.Transform{Name: model.Identity}}, nil
}

// inverse returns the inverse of the lower Cholesky factor of gram plus the
// regularization: of a row's scaled features it makes a vector whose squared
// length is their variance in units of the noise.
func inverse(gram []float64, n int, regularization float64) (*mat.TriDense, error) {
	a := mat.NewSymDense(n, nil)
	for f := range n {
		for g := range f + 1 {
			a.SetSym(f, g, gram[f*n+g])
		}
		a.SetSym(f, f, gram[f*n+f]+regularization)
	}
	var chol mat.Cholesky
	var lower, inverse mat.TriDense
	if !chol.Factorize(a) {
		return nil, learn.Errorf(8, "the regularization weight %v is too small for features that depend on one another", regularization)
	}
	chol.LTo(&lower)
	if err := inverse.InverseTri(&lower); err != nil {
		return nil, learn.Errorf(8, "the regularization weight %v is too small for features that depend on one another", regularization)
	}
	return &inverse, nil
}
