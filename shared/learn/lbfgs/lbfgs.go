// Package lbfgs minimises smooth convex functions of many variables, plus a
// weighted sum of their absolute values.
//
// Without absolute values it is L-BFGS (Nocedal 1980; Liu and Nocedal 1989);
// with them OWL-QN (Andrew and Gao 2007, "Scalable training of L1-regularized
// log-linear models"), which keeps variables at exactly 0. Both begin from a
// diagonal estimate of the second derivatives, where the caller has one.
package lbfgs

import (
	"context"
	"fmt"
	"math"
)

// Problem is what to minimise: the function that Value computes plus the sum
// of L1[i]·|x[i]|.
type Problem struct {
	// Value returns the smooth part at x and writes its gradient. A value that
	// is infinite or no number is one too far away.
	Value func(ctx context.Context, x, gradient []float64) (float64, error)
	// L1 are the weights of the absolute values, 0 or more; nil where all are 0.
	L1 []float64
	// Curvature estimates the second derivative by each variable, above 0; nil
	// where nothing is known.
	Curvature []float64
}

// Options bound the search.
type Options struct {
	// Memory is how many steps the second derivatives are estimated from.
	Memory int
	// Tolerance ends the search: where the gradient, of absolute values the
	// least subgradient, is not longer than Tolerance·max(1, |x|).
	Tolerance float64
	// MaxIterations ends it in any case.
	MaxIterations int
}

// Result is where a search ended.
type Result struct {
	X          []float64
	Value      float64
	Iterations int
	// Converged says that the tolerance was met, or the precision of the
	// numbers allows no better.
	Converged bool
}

// search is a Problem on its way: what a checkpoint saves is x, the steps, and
// how far it came.
type search struct {
	p Problem
	o Options

	iteration int
	x         []float64
	f         float64 // with the absolute values
	g         []float64
	pg        []float64 // the least subgradient
	norm      float64   // of pg
	s, y      [][]float64
	rho       []float64

	stalled int // iterations without progress that numbers can show
	best    float64

	d, xt, gt, pgt []float64
	alpha          []float64
}

// Minimize searches from x, or goes on from what an earlier search of the same
// problem saved. Between iterations it calls checkpoint with what saves its
// state; a search that goes on ends with the same bits. An error of Value or
// checkpoint ends it.
func Minimize(ctx context.Context, p Problem, x []float64, o Options, saved []byte, checkpoint func(func() ([]byte, error)) error) (Result, error) {
	n := len(x)
	s := &search{
		p: p, o: o, x: append([]float64(nil), x...), g: make([]float64, n), pg: make([]float64, n),
		d: make([]float64, n), xt: make([]float64, n), gt: make([]float64, n), pgt: make([]float64, n),
		alpha: make([]float64, o.Memory),
	}
	if saved != nil {
		if err := s.restore(saved); err != nil {
			return Result{}, err
		}
	}
	var err error
	if s.f, err = s.value(ctx, s.x, s.g); err != nil {
		return Result{}, err
	}
	if !finite(s.f) {
		return Result{}, fmt.Errorf("the function is %v where the search begins", s.f)
	}
	s.norm = s.subgradient(s.x, s.g, s.pg)
	if saved == nil {
		s.best = s.norm
	}
	for {
		if s.norm <= o.Tolerance*max(1, length(s.x)) || s.stalled >= maxStalled {
			return Result{s.x, s.f, s.iteration, true}, nil
		}
		if s.iteration >= o.MaxIterations {
			return Result{s.x, s.f, s.iteration, false}, nil
		}
		moved, err := s.step(ctx)
		if err != nil {
			return Result{}, err
		}
		if !moved {
			return Result{s.x, s.f, s.iteration, true}, nil
		}
		s.iteration++
		if err := checkpoint(func() ([]byte, error) { return s.save(), nil }); err != nil {
			return Result{}, err
		}
	}
}

const (
	// noise is the part of a value that may be rounding: the value is a sum
	// over many rows.
	noise = 1e-13
	// maxStalled iterations that neither lower the value by more than noise
	// nor shorten the gradient end a search.
	maxStalled = 12
	// sufficient decrease, and curvature, of a line search.
	decrease  = 1e-4
	curvature = 0.9
	// maxTrials of one line search.
	maxTrials = 50
)

// step moves x along one direction. It reports false where no step is better.
func (s *search) step(ctx context.Context) (bool, error) {
	f, norm := s.f, s.norm
	for {
		s.direction()
		moved, err := false, error(nil)
		if s.p.L1 == nil {
			moved, err = s.smooth(ctx)
		} else {
			moved, err = s.orthant(ctx)
		}
		if err != nil {
			return false, err
		}
		if moved {
			break
		}
		if len(s.s) == 0 {
			return false, nil
		}
		// The estimate of the second derivatives misleads: begin it anew.
		s.s, s.y, s.rho = nil, nil, nil
	}
	if s.f < f-noise*math.Abs(f) || s.norm < s.best {
		s.stalled = 0
	} else {
		s.stalled++
	}
	s.best = min(s.best, s.norm, norm)
	return true, nil
}

// direction sets d to minus the estimated inverse second derivatives times pg.
func (s *search) direction() {
	for i, v := range s.pg {
		s.d[i] = -v
	}
	k := len(s.s)
	for j := k - 1; j >= 0; j-- {
		s.alpha[j] = s.rho[j] * dot(s.s[j], s.d)
		add(s.d, -s.alpha[j], s.y[j])
	}
	gamma := 1.0
	if k > 0 {
		gamma = 1 / (s.rho[k-1] * s.scaledSquare(s.y[k-1]))
	}
	for i := range s.d {
		s.d[i] *= gamma
		if s.p.Curvature != nil {
			s.d[i] /= s.p.Curvature[i]
		}
	}
	for j := range k {
		beta := s.rho[j] * dot(s.y[j], s.d)
		add(s.d, s.alpha[j]-beta, s.s[j])
	}
	if s.p.L1 != nil {
		// Only where it descends by the subgradient too.
		for i, v := range s.pg {
			if s.d[i]*v >= 0 {
				s.d[i] = 0
			}
		}
	}
}

// scaledSquare is y'·C⁻¹·y for the curvature C.
func (s *search) scaledSquare(y []float64) float64 {
	if s.p.Curvature == nil {
		return dot(y, y)
	}
	sum := 0.0
	for i, v := range y {
		sum += float64(float64(v*v) / s.p.Curvature[i])
	}
	return sum
}

// first is the length of the first trial step: 1, but for the very first
// direction of a function whose curvature nobody knows.
func (s *search) first() float64 {
	if len(s.s) > 0 || s.p.Curvature != nil {
		return 1
	}
	return min(1, 1/length(s.d))
}

// smooth is the line search without absolute values: for a point of sufficient
// decrease and curvature (weak Wolfe conditions), by bisection. Where the
// values do not differ by more than rounding, the slopes alone decide, as in
// Hager and Zhang (2005).
func (s *search) smooth(ctx context.Context) (bool, error) {
	slope := dot(s.g, s.d)
	if !(slope < 0) {
		return false, nil
	}
	lo, hi, t := 0.0, math.Inf(1), s.first()
	for range maxTrials {
		for i := range s.xt {
			s.xt[i] = s.x[i] + float64(t*s.d[i])
		}
		f, err := s.value(ctx, s.xt, s.gt)
		if err != nil {
			return false, err
		}
		at := dot(s.gt, s.d)
		near := math.Abs(f-s.f) <= noise*math.Abs(s.f) && at <= (2*decrease-1)*slope
		switch {
		case !finite(f) || !finite(at) || f > s.f+decrease*t*slope && !near:
			hi = t
		case at < curvature*slope:
			lo = t
		default:
			s.accept(f)
			return true, nil
		}
		if math.IsInf(hi, 1) {
			t *= 2
		} else {
			t = (lo + hi) / 2
		}
	}
	return false, nil
}

// orthant is the line search of OWL-QN: backtracking within the orthant of x,
// and of the steepest descent where a variable is 0.
func (s *search) orthant(ctx context.Context) (bool, error) {
	if !(dot(s.pg, s.d) < 0) {
		return false, nil
	}
	t := s.first()
	for range maxTrials {
		descent := 0.0
		for i := range s.xt {
			v := s.x[i] + float64(t*s.d[i])
			if s.p.L1[i] > 0 {
				side := s.x[i]
				if side == 0 {
					side = -s.pg[i]
				}
				if v*side <= 0 {
					v = 0
				}
			}
			s.xt[i] = v
			descent += float64(s.pg[i] * (v - s.x[i]))
		}
		f, err := s.value(ctx, s.xt, s.gt)
		if err != nil {
			return false, err
		}
		if finite(f) {
			near := math.Abs(f-s.f) <= noise*math.Abs(s.f)
			if f <= s.f+decrease*descent || near && s.subgradient(s.xt, s.gt, s.pgt) < s.norm {
				s.accept(f)
				return true, nil
			}
		}
		t /= 2
	}
	return false, nil
}

// accept moves to xt, and remembers the step where it says something of the
// second derivatives.
func (s *search) accept(f float64) {
	var step, change []float64
	if len(s.s) == s.o.Memory {
		step, change = s.s[0], s.y[0] // the oldest is forgotten
		s.s, s.y, s.rho = s.s[1:], s.y[1:], s.rho[1:]
		copy(step, s.xt)
		copy(change, s.gt)
	} else {
		step, change = append([]float64(nil), s.xt...), append([]float64(nil), s.gt...)
	}
	add(step, -1, s.x)
	add(change, -1, s.g)
	if sy := dot(step, change); sy > 1e-12*length(step)*length(change) && !math.IsInf(1/sy, 0) {
		s.s, s.y, s.rho = append(s.s, step), append(s.y, change), append(s.rho, 1/sy)
	}
	s.x, s.xt = s.xt, s.x
	s.g, s.gt = s.gt, s.g
	s.f = f
	s.norm = s.subgradient(s.x, s.g, s.pg)
}

// value is the function with the absolute values.
func (s *search) value(ctx context.Context, x, gradient []float64) (float64, error) {
	f, err := s.p.Value(ctx, x, gradient)
	if err != nil {
		return 0, err
	}
	for i, l := range s.p.L1 {
		f += float64(l * math.Abs(x[i]))
	}
	return f, nil
}

// subgradient writes the least subgradient at x and returns its length.
func (s *search) subgradient(x, g, pg []float64) float64 {
	copy(pg, g)
	for i, l := range s.p.L1 {
		switch {
		case x[i] > 0:
			pg[i] += l
		case x[i] < 0:
			pg[i] -= l
		case g[i] > l:
			pg[i] -= l
		case g[i] < -l:
			pg[i] += l
		default:
			pg[i] = 0
		}
	}
	return length(pg)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += float64(v * b[i])
	}
	return sum
}

func add(to []float64, c float64, v []float64) {
	for i := range to {
		to[i] += float64(c * v[i])
	}
}

func length(v []float64) float64 { return math.Sqrt(dot(v, v)) }
