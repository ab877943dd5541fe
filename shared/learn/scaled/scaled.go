// Package scaled is training data as linear learners read it: every feature
// centred, and scaled to a range or a deviation of one, without a copy of the
// data. What is learned in these units is folded back into weights of the
// features themselves.
//
// A feature z of a Matrix is (x-center)·scale of a feature x of the data. A
// feature that is constant has scale 0 where features are centred: it is 0 in
// every row and its weight is folded to 0.
package scaled

import (
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model/linear"
)

// By is how features are scaled.
type By int

const (
	// Raw takes features as they are.
	Raw By = iota
	// Magnitude divides them by the largest of their magnitudes: 0 stays 0.
	Magnitude
	// Center takes differences from the mean, of rows by their weight.
	Center
	// Range divides them by the largest value less the smallest.
	Range
	// Deviation divides them by their standard deviation.
	Deviation
)

// Matrix is scaled data. It is immutable.
type Matrix struct {
	Rows, Features int

	x      [][]float64
	unit   []float64 // x is the data's feature times unit, a power of two
	center []float64 // of x
	scale  []float64
	square []float64 // weighted sum of the squares of each scaled feature
}

// Values whose largest is beyond these are brought near 1 first, in a copy, so
// that no difference or quotient of them overflows. A feature all below the
// smallest is a constant: its weight would overflow.
const (
	large    = 1e150
	small    = 1e-150
	smallest = 1e-290
)

// New scales d, whose features have no missing cells.
func New(d *learn.Data, by By) *Matrix {
	n := len(d.X)
	m := &Matrix{
		Rows: d.Rows, Features: n, x: make([][]float64, n),
		unit: make([]float64, n), center: make([]float64, n), scale: make([]float64, n), square: make([]float64, n),
	}
	for f, x := range d.X {
		m.add(f, x, d.Weight, by)
	}
	return m
}

func (m *Matrix) add(f int, x, weight []float64, by By) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	unit := 1.0
	switch top := max(math.Abs(lo), math.Abs(hi)); {
	case top > large || top < small && top > smallest:
		_, exp := math.Frexp(top)
		unit = math.Ldexp(1, -exp)
		scaled := make([]float64, len(x))
		for i, v := range x {
			scaled[i] = v * unit
		}
		x, lo, hi = scaled, lo*unit, hi*unit
	case top <= smallest:
		lo, hi = 0, 0
	}
	m.x[f], m.unit[f] = x, unit
	var center, total float64
	switch {
	case by <= Magnitude && (lo != 0 || hi != 0):
	case lo >= hi:
		m.center[f] = lo
		return
	default:
		center, total = mean(x, weight, lo)
	}
	sum := 0.0
	for i, v := range x {
		d := v - center
		w := 1.0
		if weight != nil {
			w = weight[i]
		}
		sum += float64(w * float64(d*d))
	}
	m.center[f], m.scale[f] = center, 1
	switch by {
	case Magnitude:
		m.scale[f] = 1 / max(-lo, hi)
	case Range:
		m.scale[f] = 1 / (hi - lo)
	case Deviation:
		m.scale[f] = math.Sqrt(total / sum)
	}
	m.square[f] = sum * m.scale[f] * m.scale[f]
}

// mean returns the mean of x by weight, and the sum of the weights. It adds up
// differences from lo, one of the values.
func mean(x, weight []float64, lo float64) (mean, total float64) {
	sum := 0.0
	for i, v := range x {
		w := 1.0
		if weight != nil {
			w = weight[i]
		}
		sum += float64(w * (v - lo))
		total += w
	}
	return lo + sum/total, total
}

// Square returns the sum over rows of weight times the square of feature f.
func (m *Matrix) Square(f int) float64 { return m.square[f] }

// At returns feature f of row r.
func (m *Matrix) At(f, r int) float64 { return (m.x[f][r] - m.center[f]) * m.scale[f] }

// Dot adds to out the sum of weight times feature, for the rows from lo.
func (m *Matrix) Dot(lo int, weights, out []float64) {
	n := len(out)
	f := 0
	for ; f+4 <= m.Features; f += 4 {
		a, b, c, d := m.x[f][lo:][:n], m.x[f+1][lo:][:n], m.x[f+2][lo:][:n], m.x[f+3][lo:][:n]
		ca, cb, cc, cd := m.center[f], m.center[f+1], m.center[f+2], m.center[f+3]
		wa, wb := weights[f]*m.scale[f], weights[f+1]*m.scale[f+1]
		wc, wd := weights[f+2]*m.scale[f+2], weights[f+3]*m.scale[f+3]
		for i := range out {
			out[i] += (float64(wa*(a[i]-ca)) + float64(wb*(b[i]-cb))) + (float64(wc*(c[i]-cc)) + float64(wd*(d[i]-cd)))
		}
	}
	for ; f < m.Features; f++ {
		a, ca, wa := m.x[f][lo:][:n], m.center[f], weights[f]*m.scale[f]
		for i := range out {
			out[i] += float64(wa * (a[i] - ca))
		}
	}
}

// Sum adds to into, for each feature, the sum of g times the feature over the
// rows from lo.
func (m *Matrix) Sum(lo int, g, into []float64) {
	n := len(g)
	f := 0
	for ; f+4 <= m.Features; f += 4 {
		a, b, c, d := m.x[f][lo:][:n], m.x[f+1][lo:][:n], m.x[f+2][lo:][:n], m.x[f+3][lo:][:n]
		ca, cb, cc, cd := m.center[f], m.center[f+1], m.center[f+2], m.center[f+3]
		var sa, sb, sc, sd float64
		for i, v := range g {
			sa += float64(v * (a[i] - ca))
			sb += float64(v * (b[i] - cb))
			sc += float64(v * (c[i] - cc))
			sd += float64(v * (d[i] - cd))
		}
		into[f] += float64(sa * m.scale[f])
		into[f+1] += float64(sb * m.scale[f+1])
		into[f+2] += float64(sc * m.scale[f+2])
		into[f+3] += float64(sd * m.scale[f+3])
	}
	for ; f < m.Features; f++ {
		a, ca := m.x[f][lo:][:n], m.center[f]
		sum := 0.0
		for i, v := range g {
			sum += float64(v * (a[i] - ca))
		}
		into[f] += float64(sum * m.scale[f])
	}
}

// ByRow returns the features row by row, for learners that go through rows one
// at a time: feature f of row r is at [r*Features+f].
func (m *Matrix) ByRow() []float64 {
	out := make([]float64, m.Rows*m.Features)
	const block = 64 // rows whose cells stay in the cache
	for lo := 0; lo < m.Rows; lo += block {
		hi := min(lo+block, m.Rows)
		for f, x := range m.x {
			c, s := m.center[f], m.scale[f]
			for r := lo; r < hi; r++ {
				out[r*m.Features+f] = (x[r] - c) * s
			}
		}
	}
	return out
}

// Fold returns the linear model of the data's own features that has, for each
// output, the weights of the scaled features given: of output k at
// [k*Features:], and its base.
func (m *Matrix) Fold(weights, base []float64) *linear.Weights {
	w := &linear.Weights{
		Features: m.Features, Outputs: len(base),
		Base: append([]float64(nil), base...), Coefficients: make([]float64, len(weights)),
	}
	for k := range base {
		for f := range m.Features {
			v := weights[k*m.Features+f] * m.scale[f]
			w.Coefficients[k*m.Features+f] = v * m.unit[f]
			w.Base[k] -= float64(v * m.center[f])
		}
	}
	return w
}

// Center returns the value of feature f, in the data's units, where the scaled
// feature is 0, and Scale by what a difference from it is multiplied.
func (m *Matrix) Center(f int) float64 { return m.center[f] / m.unit[f] }

// Scale returns what a difference of feature f in the data's units is
// multiplied by.
func (m *Matrix) Scale(f int) float64 { return m.scale[f] * m.unit[f] }
