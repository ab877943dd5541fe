package model

import (
	"math"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// Transform turns an engine's raw sums into answers: probabilities of the
// classes, or the predicted value.
type Transform struct {
	Name string `json:"name"`
	// Scale multiplies a sum before Sigmoid and Sigmoids; 0 means 1.
	Scale float64 `json:"scale,omitempty"`
	// Center is added to the mean by Moments.
	Center float64 `json:"center,omitempty"`
}

// The transforms.
const (
	Identity = "identity" // the sum itself
	// Probabilities are sums that are the classes' probabilities already.
	Probabilities = "probabilities"
	Sigmoid       = "sigmoid"  // 1/(1+e**-scale·x)
	Probit        = "probit"   // the cumulative standard normal distribution at x
	Exp           = "exp"      // e**x
	Step          = "step"     // 1 where x > 0, else 0
	Softmax       = "softmax"  // e**x over the sum of all classes' e**x
	Sigmoids      = "sigmoids" // 1/(1+e**-scale·x) of each class, not made to sum to 1
	Square        = "square"   // sign(x)·x²
	Log1pExp      = "log1exp"  // ln(1+e**x)
	// Moments are the mean and the mean square of a value about Center; they
	// become its mean and standard deviation.
	Moments = "moments"
)

// outputs returns how many sums of an engine fit the transform; 0 is any.
func (t Transform) outputs() (n int, known bool) {
	switch t.Name {
	case Identity, Probabilities, Softmax, Sigmoids:
		return 0, true
	case Sigmoid, Probit, Exp, Step, Square, Log1pExp:
		return 1, true
	case Moments:
		return 2, true
	}
	return 0, false
}

func (t Transform) scale() float64 {
	if t.Scale == 0 {
		return 1
	}
	return t.Scale
}

// apply transforms the sums of one row in place.
func (t Transform) apply(x []float64) {
	switch t.Name {
	case Sigmoid:
		x[0] = stablemath.Sigmoid(t.scale() * x[0])
	case Probit:
		x[0] = stablemath.Normal(x[0])
	case Exp:
		x[0] = stablemath.Exp(x[0])
	case Step:
		if x[0] > 0 {
			x[0] = 1
		} else {
			x[0] = 0
		}
	case Square:
		x[0] = math.Copysign(x[0]*x[0], x[0])
	case Log1pExp:
		if x[0] < 36 { // above, ln(1+e**x) is x
			x[0] = stablemath.Log(1 + stablemath.Exp(x[0]))
		}
	case Softmax:
		top := x[0]
		for _, v := range x[1:] {
			top = max(top, v)
		}
		sum := 0.0
		for i, v := range x {
			x[i] = stablemath.Exp(v - top)
			sum += x[i]
		}
		for i := range x {
			x[i] /= sum
		}
	case Moments:
		mean := x[0]
		variance := x[1] - float64(mean*mean)
		if variance < 0x1p-48*x[1] { // what rounding leaves where all values are one
			variance = 0
		}
		x[0], x[1] = t.Center+mean, math.Sqrt(variance)
	case Sigmoids:
		for i, v := range x {
			x[i] = stablemath.Sigmoid(t.scale() * v)
		}
	}
}

// complement returns the probability of the other class of a two-class model
// whose raw sum is x, from the sum itself where that is more exact than 1-p.
func (t Transform) complement(x, p float64) float64 {
	switch t.Name {
	case Sigmoid:
		return stablemath.Sigmoid(-t.scale() * x)
	case Probit:
		return stablemath.Normal(-x)
	}
	return 1 - p
}
