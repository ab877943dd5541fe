package grow

import (
	"math/rand/v2"

	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/model/stablemath"
)

// Logs are x·ln(x), by table where x is a whole number below its length: most
// of the time that classes take goes into logarithms of counts. Immutable.
type Logs []float64

// NewLogs makes a table for numbers up to n, or as many as pay.
func NewLogs(n int) Logs {
	t := make(Logs, min(n, 1<<20)+1)
	for i := 2; i < len(t); i++ {
		t[i] = float64(i) * stablemath.Log(float64(i))
	}
	return t
}

// Of returns x·ln(x), 0 for x <= 0.
func (t Logs) Of(x float64) float64 {
	if i := int(x); i >= 0 && i < len(t) && float64(i) == x {
		return t[i]
	}
	if !(x > 0) { // a difference of equal sums may be a little below 0
		return 0
	}
	return x * stablemath.Log(x)
}

// Impurity is the entropy of the classes of some weights, times their sum.
func (t Logs) Impurity(weights []float64) float64 {
	sum, logs := 0.0, 0.0
	for _, w := range weights {
		sum += w
		logs += t.Of(w)
	}
	return t.Of(sum) - logs
}

// ByClass makes a search for the split with the largest information gain
// between classes, with at least min draws on either side.
func ByClass(m *binned.Matrix, classes, min int, logs Logs) *Search {
	c := &classMeasure{
		logs: logs, all: make([]float64, classes), left: make([]float64, classes), right: make([]float64, classes),
	}
	return &Search{m: m, measure: c, classes: c, width: classes, min: max(1, min)}
}

// classMeasure keeps the logarithms of either side up to date as rows move.
type classMeasure struct {
	logs        Logs
	all         []float64 // weight of each class
	left, right []float64
	sumL, sumR  float64 // of the weights
	logL, logR  float64 // of x·ln(x) of the weights
	node        float64 // impurity before the split

	beyondL, beyondR []float64 // of Beside
}

// Beside makes the search weigh its rows together with what the two sides
// already hold: weights of classes, which the caller must not change before the
// next Begin. Gains are then comparable among themselves only.
func (s *Search) Beside(left, right []float64) {
	s.classes.beyondL, s.classes.beyondR = left, right
}

func (c *classMeasure) begin(draws []Draw) {
	c.beyondL, c.beyondR = nil, nil
	clear(c.all)
	for i := range draws {
		c.all[draws[i].Class] += draws[i].Weight
	}
	c.node = c.logs.Impurity(c.all)
}

func (c *classMeasure) restart() {
	c.sumL, c.sumR, c.logL, c.logR = 0, 0, 0, 0
	for k, w := range c.all {
		l := 0.0
		if c.beyondL != nil {
			l, w = c.beyondL[k], w+c.beyondR[k]
		}
		c.left[k], c.right[k] = l, w
		c.sumL += l
		c.sumR += w
		c.logL += c.logs.Of(l)
		c.logR += c.logs.Of(w)
	}
}

func (c *classMeasure) move(events []event) {
	for _, e := range events {
		l, r := &c.left[e.class], &c.right[e.class]
		c.logL -= c.logs.Of(*l)
		c.logR -= c.logs.Of(*r)
		*l += e.weight
		*r -= e.weight
		c.logL += c.logs.Of(*l)
		c.logR += c.logs.Of(*r)
		c.sumL += e.weight
		c.sumR -= e.weight
	}
}

func (c *classMeasure) gain() float64 {
	return c.node - (c.logs.Of(c.sumL) - c.logL) - (c.logs.Of(c.sumR) - c.logR)
}

func (c *classMeasure) key(_ []event, _ float64, random *rand.Rand) float64 { return random.Float64() }

// ByValue makes a search for the split that leaves the least variance of the
// values, with at least min draws on either side.
func ByValue(m *binned.Matrix, min int) *Search {
	return &Search{m: m, measure: new(valueMeasure), width: 1, min: max(1, min)}
}

type valueMeasure struct {
	weight, value         float64 // of all rows
	leftWeight, leftValue float64
}

func (v *valueMeasure) begin(draws []Draw) {
	v.weight, v.value = 0, 0
	for i := range draws {
		v.weight += draws[i].Weight
		v.value += float64(draws[i].Weight * draws[i].Value)
	}
}

func (v *valueMeasure) restart() { v.leftWeight, v.leftValue = 0, 0 }

func (v *valueMeasure) move(events []event) {
	for _, e := range events {
		v.leftWeight += e.weight
		v.leftValue += e.value
	}
}

func (v *valueMeasure) gain() float64 {
	w, s := v.weight-v.leftWeight, v.value-v.leftValue
	if !(w > 0 && v.leftWeight > 0) { // of weights too far apart to be added
		return 0
	}
	return v.leftValue*v.leftValue/v.leftWeight + s*s/w - v.value*v.value/v.weight
}

func (v *valueMeasure) key(events []event, weight float64, _ *rand.Rand) float64 {
	sum := 0.0
	for _, e := range events {
		sum += e.value
	}
	return sum / weight
}
