// Package oneclass learns One-Class SVM: the region where most rows are.
//
// It is the machine of Schölkopf, Platt, Shawe-Taylor, Smola and Williamson
// (2001, "Estimating the support of a high-dimensional distribution"): least
// ½·αᵀKα where 0 ≤ α ≤ v, Σα = nu·Σv, v being the rows' weights and
// K = e**(-gamma·d²) of features scaled to the range from 0 to 1. A row's score
// is f = Σ α·K - rho, below 0 outside of the region; a share of about nu of the
// rows are there. Gamma is 1 over the number of features and the variance of
// all cells. The search is sequential minimal optimization, pairs of rows
// chosen by second-order information (Fan, Chen and Lin 2005).
//
// The probability of an anomaly is 1/(1+e**(5·f/rho)): 0.5 at the region's edge,
// 0.993 infinitely far from all rows, where f is -rho.
package oneclass

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/kernel"
)

// Options are the learner's parameters.
type Options struct {
	// Nu bounds the share of rows outside of the region from above, and that
	// of the model's vectors from below: above 0, at most 1.
	Nu float64
	// Epsilon is by how much two rows' slopes may still disagree where the
	// search ends; above 0.
	Epsilon float64
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{Nu: 0.1, Epsilon: 0.001, UnknownLevels: true}

// steepness of the probability.
const steepness = 5

// Learner is the one-class SVM.
type Learner struct{ o Options }

// New returns the learner. Options out of their range are module error 0008.
func New(o Options) (*Learner, error) {
	switch {
	case !(o.Nu > 0 && o.Nu <= 1):
		return nil, learn.Errorf(8, "nu is %v: it must be above 0, and 1 at most", o.Nu)
	case !(o.Epsilon > 0) || math.IsInf(o.Epsilon, 0):
		return nil, learn.Errorf(8, "epsilon is %v: it must be above 0", o.Epsilon)
	}
	return &Learner{o}, nil
}

// Name is the Studio's name of the module.
func (l *Learner) Name() string { return "One-Class Support Vector Machine" }

// Kind is anomaly.
func (l *Learner) Kind() model.Kind { return model.Anomaly }

// Form asks for indicators and complete rows.
func (l *Learner) Form() learn.Form {
	return learn.Form{Complete: true, UnknownLevels: l.o.UnknownLevels}
}

// Train finds the region.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	t := &search{d: d, s: s, n: len(d.X), epsilon: l.o.Epsilon}
	t.load()
	if s.Saved != nil {
		if err := t.restore(s.Saved); err != nil {
			return nil, err
		}
	} else if err := t.start(ctx, l.o.Nu); err != nil {
		return nil, err
	}
	if err := t.run(ctx); err != nil {
		return nil, err
	}
	rho := t.rho()
	w := kernel.Weights{Gamma: t.gamma, Base: -rho, Offset: t.offset, Scale: t.scale}
	for r, a := range t.alpha {
		if a > 0 {
			w.Coefficients = append(w.Coefficients, a)
			w.Vectors = append(w.Vectors, t.row(r)...)
		}
	}
	s.Log("%d steps; %d of %d rows are vectors", t.steps, len(w.Coefficients), d.Rows)
	body, err := w.Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the model's numbers are too large: %v", err)
	}
	return &learn.Trained{Engine: model.EngineKernel, Body: body, Transform: model.Transform{Name: model.Sigmoid, Scale: -steepness / rho}}, nil
}

// search is a training.
type search struct {
	d             *learn.Data
	s             *learn.Session
	n             int // features
	epsilon       float64
	x             []float64 // scaled rows, one after the other
	offset, scale []float64
	gamma         float64

	steps int
	alpha []float64
	slope []float64 // of the objective by each alpha: K·alpha
	cache cache
}

func (t *search) row(r int) []float64 { return t.x[r*t.n:][:t.n] }

// load scales the rows and sets gamma.
func (t *search) load() {
	t.offset, t.scale = make([]float64, t.n), make([]float64, t.n)
	t.x = make([]float64, t.d.Rows*t.n)
	for f, x := range t.d.X {
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, v := range x {
			lo, hi = min(lo, v), max(hi, v)
		}
		t.offset[f] = lo
		if s := 1 / (hi - lo); hi > lo && !math.IsInf(s, 0) {
			t.scale[f] = s
		}
		for r, v := range x {
			t.x[r*t.n+f] = (v - lo) * t.scale[f]
		}
	}
	cells, sum := t.d.TotalWeight()*float64(t.n), 0.0
	for r := range t.d.Rows {
		w := t.d.WeightOf(r)
		for _, z := range t.row(r) {
			sum += float64(w * z)
		}
	}
	mean, square := sum/cells, 0.0
	for r := range t.d.Rows {
		w := t.d.WeightOf(r)
		for _, z := range t.row(r) {
			square += float64(w * float64((z-mean)*(z-mean)))
		}
	}
	if t.gamma = 1; square > 0 {
		t.gamma = 1 / (float64(t.n) * (square / cells))
	}
	t.cache = cache{columns: make(map[int]*column), most: max(2, cacheCells/t.d.Rows)}
}

// start gives the first rows the alphas.
func (t *search) start(ctx context.Context, nu float64) error {
	t.alpha, t.slope = make([]float64, t.d.Rows), make([]float64, t.d.Rows)
	left := nu * t.d.TotalWeight()
	for r := range t.alpha {
		a := min(left, t.d.WeightOf(r))
		if a <= 0 {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		t.alpha[r] = a
		left -= a
		for i, k := range t.column(r) {
			t.slope[i] += float64(a * k)
		}
	}
	return nil
}

// every is how many steps come between two checkpoints.
const every = 64

// run moves pairs of alphas until the slopes agree.
func (t *search) run(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		i, j := t.pair()
		if i < 0 {
			return nil
		}
		t.move(i, j)
		if t.steps++; t.steps%every != 0 {
			continue
		}
		if err := t.s.Checkpoint(t.save); err != nil {
			return err
		}
	}
}

// tau is the least curvature of a pair: equal rows have none.
const tau = 1e-12

// pair chooses an alpha to raise, that of the least slope, and one to lower: the
// objective falls the most by the two. It returns -1 where the slopes agree.
func (t *search) pair() (i, j int) {
	i, j = -1, -1
	for r, g := range t.slope {
		if t.alpha[r] < t.d.WeightOf(r) && (i < 0 || g < t.slope[i]) {
			i = r
		}
	}
	if i < 0 {
		return -1, -1
	}
	k := t.column(i)
	best, widest := 0.0, 0.0
	for r, g := range t.slope {
		d := g - t.slope[i]
		if t.alpha[r] == 0 || d <= 0 {
			continue
		}
		widest = max(widest, d)
		if gain := float64(d*d) / max(tau, 2-2*k[r]); gain > best {
			best, j = gain, r
		}
	}
	if widest < t.epsilon {
		return -1, -1
	}
	return i, j
}

// move raises alpha i and lowers alpha j by as much.
func (t *search) move(i, j int) {
	ki, kj := t.column(i), t.column(j)
	by := (t.slope[j] - t.slope[i]) / max(tau, 2-2*ki[j])
	room := t.d.WeightOf(i) - t.alpha[i]
	by = min(by, room, t.alpha[j])
	if t.alpha[i] += by; by == room {
		t.alpha[i] = t.d.WeightOf(i)
	}
	t.alpha[j] -= by
	for r := range t.slope {
		t.slope[r] += float64(by * (ki[r] - kj[r]))
	}
}

// rho is the slope of the rows at the edge of the region: the mean of those
// whose alpha is between its bounds; without such rows the middle of where it
// can be.
func (t *search) rho() float64 {
	sum, free := 0.0, 0.0
	lo, hi := math.Inf(-1), math.Inf(1)
	for r, g := range t.slope {
		switch w := t.d.WeightOf(r); {
		case t.alpha[r] >= w:
			lo = max(lo, g)
		case t.alpha[r] == 0:
			hi = min(hi, g)
		default:
			sum += float64(w * g)
			free += w
		}
	}
	switch {
	case free > 0:
		return sum / free
	case math.IsInf(hi, 0): // every alpha is at its bound
		return lo
	}
	return (lo + hi) / 2
}

// save writes steps, alphas and slopes, little-endian.
func (t *search) save() ([]byte, error) {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+16*len(t.alpha)), uint64(t.steps))
	for _, list := range [][]float64{t.alpha, t.slope} {
		for _, v := range list {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	return b, nil
}

func (t *search) restore(b []byte) error {
	if len(b) != 8+16*t.d.Rows {
		return errors.New("the saved state is not of this training")
	}
	all := make([]float64, 2*t.d.Rows)
	for i := range all {
		all[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8+8*i:]))
	}
	t.steps, t.alpha, t.slope = int(binary.LittleEndian.Uint64(b)), all[:t.d.Rows], all[t.d.Rows:]
	return nil
}
