// Package glm fits penalised generalised linear models: what logistic and
// Poisson regression have in common.
//
// The objective is
//
//	Σ weight·loss(label, s) + L2/2·Σ w² + L1·Σ |w|,  s = w·z + b
//
// over rows and, in the penalties, over outputs and features; z are the
// features scaled to a range of 1 (package scaled), and the base b of each
// output is not penalised. As it is not, centring the features changes no
// optimum; it makes the way there shorter.
package glm

import (
	"context"
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/lbfgs"
	"github.com/portico-ml/portico/shared/learn/rowsum"
	"github.com/portico-ml/portico/shared/learn/scaled"
	"github.com/portico-ml/portico/shared/model/linear"
)

// Options are the parameters that the Studio gives such models.
type Options struct {
	// L1 and L2 are the penalties' weights.
	L1, L2 float64
	// Tolerance ends training: where the objective's gradient is not longer
	// than Tolerance times the weights' length, or Tolerance.
	Tolerance float64
	// Memory is how many steps L-BFGS remembers.
	Memory int
}

// Defaults are the Studio's.
var Defaults = Options{L1: 1, L2: 1, Tolerance: 1e-7, Memory: 20}

// Check returns the module error of an option out of its range.
func (o Options) Check() error {
	switch {
	case !(o.L1 >= 0) || !(o.L2 >= 0) || math.IsInf(o.L1+o.L2, 0):
		return learn.Errorf(8, "the regularization weights L1 %v and L2 %v must be 0 or more", o.L1, o.L2)
	case !(o.Tolerance > 0) || math.IsInf(o.Tolerance, 0):
		return learn.Errorf(8, "the optimization tolerance %v must be above 0", o.Tolerance)
	case o.Memory < 1 || o.Memory > maxMemory:
		return learn.Errorf(8, "the memory size %d for L-BFGS is outside 1 to %d", o.Memory, maxMemory)
	}
	return nil
}

const (
	maxMemory     = 1000
	maxIterations = 10_000
)

// Family is a loss with its link.
type Family struct {
	Outputs int
	// Loss returns the sum over rows of weight times loss. Output k of row i
	// is s[k*len(label)+i]; it is replaced by weight times the loss's
	// derivative by it. The weights are nil where all are 1.
	Loss func(label, weight, s []float64) float64
	// Base is where the search begins, for each output: the best for weights
	// of 0, or near it.
	Base []float64
	// Curvature is the second derivative of each output's loss by it, about.
	Curvature []float64
}

// Fit trains a model of family on d and returns it in the features' own units.
func Fit(ctx context.Context, d *learn.Data, s *learn.Session, o Options, family Family) (*linear.Weights, error) {
	m := scaled.New(d, scaled.Range)
	p := objective{d: d, m: m, family: family, l2: o.L2}
	n := family.Outputs * m.Features
	p.sums = rowsum.New(s, d.Rows, n+family.Outputs+1)
	p.margins = make([][]float64, s.Width())
	for w := range p.margins {
		p.margins[w] = make([]float64, family.Outputs*rowsum.BlockRows)
	}
	start := make([]float64, n+family.Outputs)
	copy(start[n:], family.Base)
	problem := lbfgs.Problem{Value: p.value, Curvature: p.curvature()}
	if o.L1 > 0 {
		problem.L1 = make([]float64, len(start))
		for i := range n {
			problem.L1[i] = o.L1
		}
	}
	r, err := lbfgs.Minimize(ctx, problem, start, lbfgs.Options{Memory: o.Memory, Tolerance: o.Tolerance, MaxIterations: maxIterations}, s.Saved, s.Checkpoint)
	if err != nil {
		return nil, err
	}
	if r.Converged {
		s.Log("the optimization ended after %d iterations with the objective at %.9g", r.Iterations, r.Value)
	} else {
		s.Log("the optimization stopped at its limit of %d iterations with the objective at %.9g", r.Iterations, r.Value)
	}
	return m.Fold(r.X[:n], r.X[n:]), nil
}

// objective computes the smooth part. The variables are the weights of all
// features for each output, then the bases.
type objective struct {
	d       *learn.Data
	m       *scaled.Matrix
	family  Family
	l2      float64
	sums    *rowsum.Sums
	margins [][]float64 // by worker
}

func (p *objective) value(ctx context.Context, x, gradient []float64) (float64, error) {
	k, features := p.family.Outputs, p.m.Features
	n := k * features
	total, err := p.sums.Over(ctx, func(worker, lo, hi int, into []float64) {
		rows := hi - lo
		s := p.margins[worker][:k*rows]
		for j := range k {
			out := s[j*rows:][:rows]
			for i := range out {
				out[i] = x[n+j]
			}
			p.m.Dot(lo, x[j*features:][:features], out)
		}
		var weight []float64
		if p.d.Weight != nil {
			weight = p.d.Weight[lo:hi]
		}
		into[n+k] += p.family.Loss(p.d.Label[lo:hi], weight, s)
		for j := range k {
			g := s[j*rows:][:rows]
			p.m.Sum(lo, g, into[j*features:][:features])
			for _, v := range g {
				into[n+j] += v
			}
		}
	})
	if err != nil {
		return 0, err
	}
	copy(gradient, total)
	square := 0.0
	for i, w := range x[:n] {
		square += float64(w * w)
		gradient[i] += float64(p.l2 * w)
	}
	return total[n+k] + p.l2/2*square, nil
}

// curvature estimates the second derivative by each variable.
func (p *objective) curvature() []float64 {
	k, features := p.family.Outputs, p.m.Features
	c := make([]float64, 0, k*features+k)
	rows := p.d.TotalWeight()
	for _, h := range p.family.Curvature {
		for f := range features {
			v := float64(h*p.m.Square(f)) + p.l2
			if !(v > tiny*rows) { // a constant without a penalty
				v = 1
			}
			c = append(c, v)
		}
	}
	for _, h := range p.family.Curvature {
		c = append(c, max(h*rows, tiny*rows))
	}
	return c
}

// tiny is no curvature at all, of one row.
const tiny = 1e-12
