package forest

import (
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/grow"
)

// valueScale brings labels about their mean and within 1, so that no square of
// one is too large or too small. Dividing by a power of two is exact.
type valueScale struct {
	center float64
	unit   float64
}

// maxSpread is the furthest from their mean that labels can be: mean squares of
// them must be numbers.
const maxSpread = 1e150

// rescale brings the values of draws on their scale.
func rescale(d *learn.Data, draws []grow.Draw) (valueScale, error) {
	weight, sum, largest := 0.0, 0.0, 0.0
	for _, y := range d.Label {
		largest = max(largest, math.Abs(y))
	}
	if largest > maxSpread {
		return valueScale{}, learn.Errorf(33, "the label %v is too large: the squares of labels above %v are infinite", largest, maxSpread)
	}
	for _, d := range draws {
		weight += d.Weight
		sum += float64(d.Weight * d.Value)
	}
	s := valueScale{center: sum / weight, unit: 1}
	spread := 0.0
	for _, y := range d.Label {
		spread = max(spread, math.Abs(y-s.center))
	}
	if spread > 0 {
		_, exponent := math.Frexp(spread)
		s.unit = math.Ldexp(1, max(exponent, -1000))
	}
	for i := range draws {
		draws[i].Value = (draws[i].Value - s.center) / s.unit
	}
	return s, nil
}
