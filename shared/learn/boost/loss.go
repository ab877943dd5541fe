package boost

import (
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model/stablemath"
)

// gradient is the first and second derivative of a row's loss by its sum,
// times the row's weight.
type gradient struct{ g, h float32 }

// loss is what the trees make small.
type loss interface {
	// base returns the constant sums of the smallest loss, one an output.
	base() []float64
	// begin readies a round, from the rows' sums by output.
	begin(s *learn.Session, sums [][]float64)
	// bound returns bounds of |g| and h over all rows, for output k; alike says
	// that h is the same for all.
	bound(s *learn.Session, k int, sums []float64) (g, h float64, alike bool)
	// gradients writes those of rows from on to out.
	gradients(k int, sums []float64, from int, out []gradient)
	// unit is what sums must be multiplied by to be scores.
	unit() float64
}

// weights are the rows' weights, brought near 1 where they are extreme: by a
// power of two, which rounds nothing.
type weights struct {
	of    []float64 // nil where all are 1
	top   float64   // the largest
	total float64
	unit  float64 // what they were divided by
}

func newWeights(d *learn.Data) *weights {
	w := &weights{top: 1, total: float64(d.Rows), unit: 1}
	if d.Weight == nil {
		return w
	}
	w.top = 0
	for _, v := range d.Weight {
		w.top = max(w.top, v)
	}
	w.of = d.Weight
	if w.top > 1<<30 || w.top < 1.0/(1<<30) {
		w.unit = powerOfTwo(w.top)
		w.top /= w.unit
		w.of = make([]float64, d.Rows)
		for r, v := range d.Weight {
			w.of[r] = v / w.unit
		}
	}
	w.total = 0
	for _, v := range w.of {
		w.total += v
	}
	return w
}

func (w *weights) row(r int) float64 {
	if w.of == nil {
		return 1
	}
	return w.of[r]
}

// sum adds up the weights of rows.
func (w *weights) sum(rows []uint32) float64 {
	if w.of == nil {
		return float64(len(rows))
	}
	sum := 0.0
	for _, r := range rows {
		sum += w.of[r]
	}
	return sum
}

// penalty is the λ of leaves: 1, a row of weight 1 that pulls to zero. Where
// weights are smaller than 1 on average they are no counts of rows, and it
// shrinks with them.
func (w *weights) penalty(rows int) float64 {
	return min(1/w.unit, w.total/float64(max(rows, 1)))
}

// powerOfTwo returns the largest power of two not above x > 0, within what can
// be divided by.
func powerOfTwo(x float64) float64 {
	_, e := math.Frexp(x)
	return math.Ldexp(1, max(min(e-1, 1022), -1022))
}

// logistic is the loss of two classes: ln(1+e**-s) for the positive one.
type logistic struct {
	label []float64
	w     *weights
}

func newLogistic(d *learn.Data, w *weights) *logistic { return &logistic{d.Label, w} }

func (l *logistic) base() []float64 {
	positive := 0.0
	for r, y := range l.label {
		positive += float64(l.w.row(r) * y)
	}
	p := positive / l.w.total
	return []float64{stablemath.Log(p / (1 - p))}
}

func (l *logistic) begin(*learn.Session, [][]float64) {}

func (l *logistic) bound(*learn.Session, int, []float64) (g, h float64, alike bool) {
	return l.w.top, l.w.top / 4, false
}

func (l *logistic) gradients(_ int, sums []float64, from int, out []gradient) {
	for i := range out {
		r := from + i
		p, w := stablemath.Sigmoid(sums[r]), l.w.row(r)
		out[i] = gradient{float32(w * (p - l.label[r])), float32(w * p * (1 - p))}
	}
}

func (l *logistic) unit() float64 { return 1 }

// softmax is the loss of many classes: the negative logarithm of the
// probability of the row's own.
type softmax struct {
	label   []float64
	classes int
	w       *weights
	norm    []float64 // ln of the sum over classes of e**s, of the round
}

func newSoftmax(d *learn.Data, w *weights) *softmax {
	return &softmax{d.Label, d.Classes, w, make([]float64, d.Rows)}
}

func (l *softmax) base() []float64 {
	out := make([]float64, l.classes)
	for r, y := range l.label {
		out[int(y)] += l.w.row(r)
	}
	for k, v := range out {
		out[k] = stablemath.Log(v / l.w.total)
	}
	return out
}

func (l *softmax) begin(s *learn.Session, sums [][]float64) {
	s.Spans(len(l.norm), func(_, from, to int) {
		for r := from; r < to; r++ {
			top := sums[0][r]
			for _, c := range sums[1:] {
				top = max(top, c[r])
			}
			total := 0.0
			for _, c := range sums {
				total += stablemath.Exp(c[r] - top)
			}
			l.norm[r] = top + stablemath.Log(total)
		}
	})
}

// factor makes the second derivative an upper bound of what the step of one
// class does to all.
func (l *softmax) factor() float64 { return float64(l.classes) / float64(l.classes-1) }

func (l *softmax) bound(*learn.Session, int, []float64) (g, h float64, alike bool) {
	return l.w.top, l.w.top / 4 * l.factor(), false
}

func (l *softmax) gradients(k int, sums []float64, from int, out []gradient) {
	own, factor := float64(k), l.factor()
	for i := range out {
		r := from + i
		p, y, w := min(1, stablemath.Exp(sums[r]-l.norm[r])), 0.0, l.w.row(r)
		if l.label[r] == own {
			y = 1
		}
		out[i] = gradient{float32(w * (p - y)), float32(w * factor * p * (1 - p))}
	}
}

func (l *softmax) unit() float64 { return 1 }

// squared is half the squared error of numbers, whose scale is brought near 1
// by a power of two.
type squared struct {
	label []float64 // divided by scale
	scale float64
	w     *weights
}

func newSquared(d *learn.Data, w *weights) *squared {
	top := 0.0
	for _, y := range d.Label {
		top = max(top, math.Abs(y))
	}
	l := &squared{d.Label, 1, w}
	if top > 0 {
		l.scale = powerOfTwo(top)
		l.label = make([]float64, d.Rows)
		for r, y := range d.Label {
			l.label[r] = y / l.scale
		}
	}
	return l
}

func (l *squared) base() []float64 {
	sum := 0.0
	for r, y := range l.label {
		sum += float64(l.w.row(r) * y)
	}
	return []float64{sum / l.w.total}
}

func (l *squared) begin(*learn.Session, [][]float64) {}

func (l *squared) bound(s *learn.Session, _ int, sums []float64) (g, h float64, alike bool) {
	tops := make([]float64, (len(sums)+learn.SpanRows-1)/learn.SpanRows)
	s.Spans(len(sums), func(span, from, to int) {
		for r := from; r < to; r++ {
			tops[span] = max(tops[span], l.w.row(r)*math.Abs(sums[r]-l.label[r]))
		}
	})
	for _, t := range tops {
		g = max(g, t)
	}
	return g, l.w.top, l.w.of == nil
}

func (l *squared) gradients(_ int, sums []float64, from int, out []gradient) {
	for i := range out {
		r := from + i
		w := l.w.row(r)
		out[i] = gradient{float32(w * (sums[r] - l.label[r])), float32(w)}
	}
}

func (l *squared) unit() float64 { return l.scale }
