// Package bayespoint learns Two-Class Bayes Point Machine: the average of all
// linear classifiers, each by how well it agrees with the rows (Herbrich,
// Graepel and Campbell 2001).
//
// The model is P(positive) = Φ(w·z + b), a priori w normal of variance 1 for
// each weight and b of variance 100; z are the features scaled to a range of 1.
// The posterior is approximated by a normal distribution by expectation
// propagation (Minka 2001), all rows at once, and its mean is the model: the
// Bayes point. There is no randomness in it.
package bayespoint

import (
	"context"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/scaled"
	"github.com/portico-ml/portico/shared/model"
)

// Options are the learner's parameters.
type Options struct {
	// Iterations bounds the rounds of propagation, at least 1. They end before
	// where nothing moves any more.
	Iterations int
	// Bias is whether the classifiers may miss the origin.
	Bias bool
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{Iterations: 30, Bias: true, UnknownLevels: true}

// Learner is the Bayes point machine.
type Learner struct{ o Options }

// New returns the learner. Options out of their range are module error 0008.
func New(o Options) (*Learner, error) {
	if o.Iterations < 1 {
		return nil, learn.Errorf(8, "%d training iterations: it must be 1 or more", o.Iterations)
	}
	return &Learner{o}, nil
}

// Name is the Studio's name of the module.
func (l *Learner) Name() string { return "Two-Class Bayes Point Machine" }

// Kind is two-class.
func (l *Learner) Kind() model.Kind { return model.TwoClass }

// Form asks for indicators and complete rows.
func (l *Learner) Form() learn.Form {
	return learn.Form{Complete: true, UnknownLevels: l.o.UnknownLevels}
}

// Variances before any row was seen.
const (
	weightVariance = 1
	biasVariance   = 100
)

// settled is how little the posterior mean moves where it is at its end.
const settled = 1e-6

// Train propagates expectations.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	by := scaled.Magnitude // 0 stays 0 where there is no bias to make up for it
	if l.o.Bias {
		by = scaled.Range
	}
	p, err := newPropagation(d, s, scaled.New(d, by), l.o.Bias)
	if err != nil {
		return nil, err
	}
	for p.rounds() < l.o.Iterations {
		moved, err := p.round(ctx)
		if err != nil {
			return nil, err
		}
		if moved <= settled {
			break
		}
		if err := s.Checkpoint(p.save); err != nil {
			return nil, err
		}
	}
	s.Log("the propagation ended after %d rounds", p.rounds())
	n := p.m.Features
	body, err := p.m.Fold(p.mean[:n], p.mean[n:]).Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the model's weights are too large for numbers: %v", err)
	}
	return &learn.Trained{Engine: model.EngineLinear, Body: body, Transform: model.Transform{Name: model.Probit}}, nil
}
