package xgboost

import (
	"math"

	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/stablemath"
)

// objective is what an XGBoost objective means for scoring: its PredTransform
// and its ProbToMargin.
type objective struct {
	kind      model.Kind
	transform string
	link      link
	note      string
}

// link takes a base score from the scale of predictions to that of margins.
type link int

const (
	plain link = iota
	logit
	logarithm
)

var objectives = map[string]objective{
	"binary:logistic": {kind: model.TwoClass, transform: model.Sigmoid, link: logit},
	"binary:logitraw": {
		kind: model.TwoClass, transform: model.Sigmoid,
		note: "objective binary:logitraw: Scored Probabilities are the logistic of the margin, where XGBoost's predict gives the margin itself",
	},
	"binary:hinge": {
		kind: model.TwoClass, transform: model.Step,
		note: "objective binary:hinge has no probabilities: Scored Probabilities are 0 or 1",
	},
	"multi:softprob": {kind: model.Multiclass, transform: model.Softmax},
	"multi:softmax":  {kind: model.Multiclass, transform: model.Softmax},

	"reg:squarederror":     {kind: model.Regression, transform: model.Identity},
	"reg:linear":           {kind: model.Regression, transform: model.Identity},
	"reg:squaredlogerror":  {kind: model.Regression, transform: model.Identity},
	"reg:pseudohubererror": {kind: model.Regression, transform: model.Identity},
	"reg:absoluteerror":    {kind: model.Regression, transform: model.Identity},
	"reg:quantileerror":    {kind: model.Regression, transform: model.Identity},
	"reg:logistic":         {kind: model.Regression, transform: model.Sigmoid, link: logit},
	"reg:gamma":            {kind: model.Regression, transform: model.Exp, link: logarithm},
	"reg:tweedie":          {kind: model.Regression, transform: model.Exp, link: logarithm},
	"count:poisson":        {kind: model.Regression, transform: model.Exp, link: logarithm},
	"survival:cox":         {kind: model.Regression, transform: model.Exp, link: logarithm},
	"survival:aft":         {kind: model.Regression, transform: model.Exp, link: logarithm},
	"rank:pairwise":        {kind: model.Regression, transform: model.Identity},
	"rank:ndcg":            {kind: model.Regression, transform: model.Identity},
	"rank:map":             {kind: model.Regression, transform: model.Identity},
}

// margin returns base score b on the scale of margins, in float32 steps as
// XGBoost computes it; false where the link is not defined at b.
func (o objective) margin(b float64) (float64, bool) {
	x := float32(b)
	switch o.link {
	case logit:
		if !(x > 0 && x < 1) {
			return 0, false
		}
		odds := float32(1/x) - 1
		return float64(-float32(stablemath.Log(float64(odds)))), true
	case logarithm:
		if !(x > 0) {
			return 0, false
		}
		x = float32(stablemath.Log(float64(x)))
	}
	return float64(x), !math.IsInf(float64(x), 0)
}
