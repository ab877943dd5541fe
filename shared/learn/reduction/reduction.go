// Package reduction learns many classes by two-class learners.
//
// One-vs-All Multiclass asks a two-class model for each class whether a row is
// of it; the probabilities are divided by their sum. Ordinal Regression, for
// classes in an order, asks a model for each class but the last whether a row
// is above it (Frank and Hall 2001); a class's probability is the difference
// between two neighbours, where a model that gives more than the one before it
// counts as giving the same, so that they are never negative and sum to 1.
package reduction

import (
	"context"
	"encoding/json"

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
	return wrap("Ordinal Regression", base, model.Steps)
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

// progress is what a checkpoint saves: the models that are trained, and the
// state of the next one's training, if it began.
type progress struct {
	Parts []model.Part
	Next  []byte
}

// Train trains one two-class model after the other.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	var p progress
	if s.Saved != nil {
		if err := json.Unmarshal(s.Saved, &p); err != nil {
			return nil, err
		}
	}
	n := d.Classes
	if l.combination == model.Steps {
		n--
	}
	for len(p.Parts) < n {
		part, err := l.part(ctx, d, s, p)
		if err != nil {
			return nil, err
		}
		p.Parts, p.Next = append(p.Parts, part), nil
		s.Log("%d of %d two-class models are trained", len(p.Parts), n)
		if err := s.Checkpoint(p.encode); err != nil {
			return nil, err
		}
	}
	body, err := (&model.Several{Combination: l.combination, Parts: p.Parts}).Encode()
	if err != nil {
		return nil, err
	}
	return &learn.Trained{Engine: model.EngineSeveral, Body: body, Transform: model.Transform{Name: model.Probabilities}}, nil
}

func (p progress) encode() ([]byte, error) { return json.Marshal(p) }

// part trains the model of the next class.
func (l *Learner) part(ctx context.Context, d *learn.Data, s *learn.Session, done progress) (model.Part, error) {
	class := float64(len(done.Parts))
	two := *d
	two.Classes, two.Label = 2, make([]float64, d.Rows)
	for r, y := range d.Label {
		if l.combination == model.Shares && y == class || l.combination == model.Steps && y > class {
			two.Label[r] = 1
		}
	}
	inner := s.Inner(done.Next, func(next []byte) ([]byte, error) { return progress{done.Parts, next}.encode() })
	t, err := l.base.Train(ctx, &two, inner)
	if err != nil {
		return model.Part{}, err
	}
	return model.Part{Engine: t.Engine, Body: t.Body, Transform: t.Transform}, nil
}
