// Package logistic learns two-class and multiclass logistic regression: the
// most likely linear model of the log odds, or of the softmax of one score for
// each class, with penalties on its weights. Package glm says the objective.
package logistic

import (
	"context"
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/glm"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/stablemath"
)

// Learner is logistic regression.
type Learner struct {
	kind model.Kind
	o    Options
}

// Options are the parameters of both learners.
type Options struct {
	glm.Options
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{glm.Defaults, true}

// TwoClass returns the learner of two classes. Options out of their range are
// module error 0008.
func TwoClass(o Options) (*Learner, error) { return &Learner{model.TwoClass, o}, o.Check() }

// Multiclass returns the learner of any number of classes.
func Multiclass(o Options) (*Learner, error) { return &Learner{model.Multiclass, o}, o.Check() }

// Name is the Studio's name of the module.
func (l *Learner) Name() string {
	if l.kind == model.TwoClass {
		return "Two-Class Logistic Regression"
	}
	return "Multiclass Logistic Regression"
}

// Kind is two-class or multiclass.
func (l *Learner) Kind() model.Kind { return l.kind }

// Form asks for indicators and complete rows.
func (l *Learner) Form() learn.Form {
	return learn.Form{Complete: true, UnknownLevels: l.o.UnknownLevels}
}

// Train fits the model: one output for two classes, else one for each class.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	family, transform := binomial(d), model.Sigmoid
	if l.kind == model.Multiclass {
		family, transform = multinomial(d), model.Softmax
	}
	w, err := glm.Fit(ctx, d, s, l.o.Options, family)
	if err != nil {
		return nil, err
	}
	body, err := w.Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the model's weights are too large for numbers: %v", err)
	}
	return &learn.Trained{Engine: model.EngineLinear, Body: body, Transform: model.Transform{Name: transform}}, nil
}

// binomial has the loss log(1+e**-s) for the positive class, log(1+e**s) for
// the other.
func binomial(d *learn.Data) glm.Family {
	p := d.MeanLabel()
	return glm.Family{
		Outputs: 1, Loss: binomialLoss, Base: []float64{math.Log(p / (1 - p))}, Curvature: []float64{p * (1 - p)},
	}
}

func binomialLoss(label, weight, s []float64) float64 {
	sum := 0.0
	for i, y := range label {
		v := s[i]
		e := stablemath.Exp(-math.Abs(v))
		loss, p := stablemath.Log(1+e), 1/(1+e)
		if v < 0 {
			p = e / (1 + e)
		}
		if (v < 0) == (y > 0) { // on the wrong side
			loss += math.Abs(v)
		}
		w := 1.0
		if weight != nil {
			w = weight[i]
		}
		sum += float64(w * loss)
		s[i] = w * (p - y)
	}
	return sum
}

// multinomial has the loss log Σ e**s - s of the row's class.
func multinomial(d *learn.Data) glm.Family {
	k := d.Classes
	family := glm.Family{Outputs: k}
	total := d.TotalWeight()
	for _, w := range d.ClassWeights() {
		p := w / total
		family.Base = append(family.Base, math.Log(p))
		family.Curvature = append(family.Curvature, p*(1-p))
	}
	family.Loss = func(label, weight, s []float64) float64 { return multinomialLoss(k, label, weight, s) }
	return family
}

func multinomialLoss(k int, label, weight, s []float64) float64 {
	sum, n := 0.0, len(label)
	for i, y := range label {
		top := s[i]
		for c := 1; c < k; c++ {
			top = max(top, s[c*n+i])
		}
		of := s[int(y)*n+i]
		total := 0.0
		for c := range k {
			e := stablemath.Exp(s[c*n+i] - top)
			s[c*n+i] = e
			total += e
		}
		w := 1.0
		if weight != nil {
			w = weight[i]
		}
		sum += float64(w * (stablemath.Log(total) + top - of))
		for c := range k {
			s[c*n+i] *= w / total
		}
		s[int(y)*n+i] -= w
	}
	return sum
}
