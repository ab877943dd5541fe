// Package poisson learns Poisson regression: a linear model of the logarithm
// of a count's mean. Package glm says the objective; the loss is e**s - label·s,
// the negative log likelihood but for what does not depend on the model.
package poisson

import (
	"context"
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/glm"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/stablemath"
)

// Learner is Poisson regression.
type Learner struct{ o Options }

// Options are its parameters.
type Options struct {
	glm.Options
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{glm.Defaults, true}

// New returns the learner. Options out of their range are module error 0008.
func New(o Options) (*Learner, error) { return &Learner{o}, o.Check() }

// Name is the Studio's name of the module.
func (l *Learner) Name() string { return "Poisson Regression" }

// Kind is regression.
func (l *Learner) Kind() model.Kind { return model.Regression }

// Form asks for indicators and complete rows.
func (l *Learner) Form() learn.Form {
	return learn.Form{Complete: true, UnknownLevels: l.o.UnknownLevels}
}

// Train fits the model. A label below 0 is module error 0018; fractions are
// taken as they are.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	for _, y := range d.Label {
		if y < 0 {
			return nil, learn.Errorf(18, "the label %v is no count: Poisson regression needs labels of 0 or more", y)
		}
	}
	mean := d.MeanLabel()
	if mean == 0 {
		return nil, learn.Errorf(134, "the label is 0 in every row: there is no rate to learn")
	}
	w, err := glm.Fit(ctx, d, s, l.o.Options, glm.Family{
		Outputs: 1, Loss: loss, Base: []float64{math.Log(mean)}, Curvature: []float64{mean},
	})
	if err != nil {
		return nil, err
	}
	body, err := w.Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the model's weights are too large for numbers: %v", err)
	}
	return &learn.Trained{Engine: model.EngineLinear, Body: body, Transform: model.Transform{Name: model.Exp}}, nil
}

func loss(label, weight, s []float64) float64 {
	sum := 0.0
	for i, y := range label {
		w, mean := 1.0, stablemath.Exp(s[i])
		if weight != nil {
			w = weight[i]
		}
		sum += float64(w * (mean - float64(y*s[i])))
		s[i] = w * (mean - y)
	}
	return sum
}
