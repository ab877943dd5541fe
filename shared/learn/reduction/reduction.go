// Package reduction learns many classes by two-class learners.
//
// One-vs-All Multiclass asks a two-class model for each class whether a row is
// of it; the probabilities are divided by their sum. Ordinal Regression, for
// classes in an order, asks one two-class model whether a row is above a class:
// it learns from every row as often as there are classes but the last, each time
// with that class's place beside the row's features (Li and Lin 2006, "Ordinal
// regression by extended binary classification"). A class's probability is the
// difference between two neighbours. A linear model has the same weights for
// all of them, and their thresholds are in order; where those of another cross,
// the probabilities are put in order (Chernozhukov, Fernández-Val and Galichon
// 2010, "Quantile and probability curves without crossing").
package reduction

import (
	"context"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
)

// Learner learns classes by a two-class learner.
type Learner struct {
	name        string
	base        learn.Learner
	combination model.Combination
}

// OneVsAll returns One-vs-All Multiclass over base, a two-class learner; any
// other is module error 0013.
func OneVsAll(base learn.Learner) (*Learner, error) {
	return wrap("One-vs-All Multiclass", base, model.Shares)
}

// Ordinal returns Ordinal Regression over base, a two-class learner; any other
// is module error 0013. The order of the classes is that of the label column's
// levels, else that of its values.
func Ordinal(base learn.Learner) (*Learner, error) {
	return wrap("Ordinal Regression", base, model.Ranks)
}

func wrap(name string, base learn.Learner, c model.Combination) (*Learner, error) {
	if base.Kind() != model.TwoClass {
		return nil, learn.Errorf(13, "%q needs an untrained two-class model, %q is of kind %s", name, base.Name(), base.Kind())
	}
	return &Learner{name, base, c}, nil
}

// Name is the Studio's name of the module.
func (l *Learner) Name() string { return l.name }

// Kind is multiclass.
func (l *Learner) Kind() model.Kind { return model.Multiclass }

// Form is the two-class learner's.
func (l *Learner) Form() learn.Form { return l.base.Form() }

// Train trains a two-class model for each class, or one of all ranks.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	several := l.oneVsAll
	if l.combination == model.Ranks {
		several = l.ordinal
	}
	m, err := several(ctx, d, s)
	if err != nil {
		return nil, err
	}
	body, err := m.Encode()
	if err != nil {
		return nil, err
	}
	return &learn.Trained{Engine: model.EngineSeveral, Body: body, Transform: model.Transform{Name: model.Probabilities}}, nil
}

// part trains the base learner.
func (l *Learner) part(ctx context.Context, d *learn.Data, s *learn.Session) (model.Part, error) {
	t, err := l.base.Train(ctx, d, s)
	if err != nil {
		return model.Part{}, err
	}
	return model.Part{Engine: t.Engine, Body: t.Body, Transform: t.Transform}, nil
}
