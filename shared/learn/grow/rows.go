package grow

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/learn"
)

// Draw is a row of the training data as a tree sees it.
type Draw struct {
	Row    int32   // of the data
	Count  int32   // how often it was drawn
	Class  int32   // 0 where there are no classes
	Weight float64 // the row's weight times Count
	Value  float64 // the label, 0 where there are classes
}

// Rows returns every row of d once. Weights are divided by a power of two where
// they are below 1 on average, so that weights that are shares count as rows
// do, or so large that their sums might overflow.
func Rows(d *learn.Data) []Draw {
	draws := make([]Draw, d.Rows)
	unit := weightUnit(d)
	for r := range draws {
		draws[r] = Draw{Row: int32(r), Count: 1, Weight: 1}
		if d.Weight != nil {
			draws[r].Weight = d.Weight[r] / unit
		}
		if d.Classes > 0 {
			draws[r].Class = int32(d.Label[r])
		} else {
			draws[r].Value = d.Label[r]
		}
	}
	return draws
}

func weightUnit(d *learn.Data) float64 {
	if d.Weight == nil {
		return 1
	}
	top := slices.Max(d.Weight)
	sum := 0.0
	for _, w := range d.Weight {
		sum += w / top
	}
	mean := sum / float64(d.Rows) * top
	if mean >= 1 && top < 1e150 {
		return 1
	}
	_, exponent := math.Frexp(mean)
	return math.Ldexp(1, exponent-1)
}

// Bootstrap draws n of draws with replacement. A row that is drawn several
// times is there once, with as much weight; rows keep their order.
func Bootstrap(draws []Draw, n int, random *rand.Rand) []Draw {
	times := make([]int32, len(draws))
	for range n {
		times[random.IntN(len(draws))]++
	}
	out := make([]Draw, 0, min(n, len(draws)))
	for i, k := range times {
		if k > 0 {
			d := draws[i]
			d.Count, d.Weight = k, float64(k)*d.Weight
			out = append(out, d)
		}
	}
	return out
}

// Weight is that of all draws.
func Weight(draws []Draw) float64 {
	sum := 0.0
	for i := range draws {
		sum += draws[i].Weight
	}
	return sum
}

// Pure reports that all draws have one label.
func Pure(draws []Draw) bool {
	for i := range draws {
		if draws[i].Class != draws[0].Class || draws[i].Value != draws[0].Value {
			return false
		}
	}
	return true
}

// AddClasses adds the weights of draws to those of their classes.
func AddClasses(draws []Draw, weights []float64) {
	for i := range draws {
		weights[draws[i].Class] += draws[i].Weight
	}
}

// prior is how many samples of the whole table's classes are counted with those
// of a leaf. Without any, a leaf of one row would be as sure as a leaf of many
// that agree, and the mean of few trees could be 0 (Provost and Domingos, Tree
// Induction for Probability-Based Ranking, Machine Learning 52, 2003).
const prior = 0.5

// Shares turns weights of classes in a leaf into probabilities: their shares,
// with half a sample of the classes' shares of the table among them.
type Shares struct{ table []float64 }

// NewShares takes the rows of a table.
func NewShares(classes int, draws []Draw) Shares {
	s := Shares{make([]float64, classes)}
	AddClasses(draws, s.table)
	sum := 0.0
	for _, w := range s.table {
		sum += w
	}
	for k := range s.table {
		s.table[k] /= sum
	}
	return s
}

// Of writes the probabilities of the classes, whose weights in a leaf are
// given, to dst, which may be weights.
func (s Shares) Of(weights, dst []float64) {
	sum := prior
	for _, w := range weights {
		sum += w
	}
	for k, w := range weights {
		dst[k] = (w + float64(prior*s.table[k])) / sum
	}
}
