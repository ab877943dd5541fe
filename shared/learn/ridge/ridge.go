// Package ridge solves penalised least squares: the weights w and base b of
// scaled features z for which
//
//	Σ weight·(label - w·z - b)² + l2·Σ w²
//
// is least. It solves the normal equations, scaled to a unit diagonal, by
// Cholesky's factors, and corrects the solution by its residuals over the rows
// (Björck 1987, "Stability analysis of the method of seminormal equations"), which
// makes up for the squared condition. Where features depend on one another and
// no penalty decides between them, it takes the shortest solution.
package ridge

import (
	"context"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/rowsum"
	"github.com/portico-ml/portico/shared/learn/scaled"
)

// Solution is the least penalised squares.
type Solution struct {
	Weights []float64 // of scaled features
	Base    float64
	// Residual is the weighted sum of squared residuals.
	Residual float64
	// Gram are the sums of the features' products, as scaled.Matrix.Gram has
	// them, without the penalty.
	Gram []float64
}

// system is the normal equations with all the features' diagonals made 1.
type system struct {
	unit  []float64 // what each feature is multiplied by for that
	chol  mat.Cholesky
	eigen *mat.EigenSym // where the factors do not exist, or say too little
	value []float64     // its eigenvalues
}

const (
	// condition beyond which dependent features are taken for what they are.
	condition = 1e12
	// corrections by residuals; each gains some digits.
	corrections = 3
)

// Solve finds the solution. With intercept the features must be centred, as
// scaled.Center and what follows it do; without, the base is 0.
func Solve(ctx context.Context, s *learn.Session, m *scaled.Matrix, d *learn.Data, l2 float64, intercept bool) (*Solution, error) {
	out := &Solution{Weights: make([]float64, m.Features)}
	var err error
	if out.Gram, err = m.Gram(ctx, s, d.Weight); err != nil {
		return nil, err
	}
	eq, err := newSystem(out.Gram, m.Features, l2)
	if err != nil {
		return nil, err
	}
	if intercept {
		out.Base = d.MeanLabel()
	}
	sums := rowsum.New(s, d.Rows, m.Features+2)
	memory := make([][]float64, s.Width())
	for i := 0; ; i++ {
		// The gradient by the weights and the base, and the residual.
		total, err := sums.Over(ctx, func(worker, lo, hi int, into []float64) {
			if memory[worker] == nil {
				memory[worker] = make([]float64, rowsum.BlockRows)
			}
			e := memory[worker][:hi-lo]
			for r := range e {
				e[r] = out.Base
			}
			m.Dot(lo, out.Weights, e)
			for r := range e {
				e[r] = d.Label[lo+r] - e[r]
				w := d.WeightOf(lo + r)
				square := float64(e[r] * e[r])
				e[r] *= w
				into[m.Features] += e[r]
				into[m.Features+1] += float64(w * square)
			}
			m.Sum(lo, e, into)
		})
		if err != nil {
			return nil, err
		}
		out.Residual = total[m.Features+1]
		if i > corrections {
			return out, nil
		}
		g := total[:m.Features]
		for f, w := range out.Weights {
			g[f] -= float64(l2 * w)
		}
		for f, v := range eq.solve(g) {
			out.Weights[f] += v
		}
		if intercept {
			out.Base += total[m.Features] / d.TotalWeight()
		}
	}
}

func newSystem(gram []float64, n int, l2 float64) (*system, error) {
	eq := &system{unit: make([]float64, n)}
	a := mat.NewSymDense(n, nil)
	for f := range n {
		if v := gram[f*n+f] + l2; v > 0 {
			eq.unit[f] = 1 / math.Sqrt(v)
		}
	}
	for f := range n {
		for g := range f {
			a.SetSym(f, g, gram[f*n+g]*eq.unit[f]*eq.unit[g])
		}
		a.SetSym(f, f, 1) // of a constant feature too, whose products are all 0
	}
	if eq.chol.Factorize(a) && eq.chol.Cond() < condition {
		return eq, nil
	}
	eq.eigen = new(mat.EigenSym)
	if !eq.eigen.Factorize(a, true) {
		return nil, learn.Errorf(1000, "the eigenvalues of the features' products cannot be found")
	}
	eq.value = eq.eigen.Values(nil)
	return eq, nil
}

// solve returns the solution of the equations for the right side given.
func (eq *system) solve(g []float64) []float64 {
	n := len(g)
	right := mat.NewVecDense(n, nil)
	for f, v := range g {
		right.SetVec(f, v*eq.unit[f])
	}
	x := mat.NewVecDense(n, nil)
	if eq.eigen == nil {
		// The error says that the condition is large: it was looked at.
		_ = eq.chol.SolveVecTo(x, right)
	} else {
		var vectors mat.Dense
		eq.eigen.VectorsTo(&vectors)
		along := mat.NewVecDense(n, nil)
		along.MulVec(vectors.T(), right)
		for i, v := range eq.value {
			if v > eq.value[n-1]/condition {
				along.SetVec(i, along.AtVec(i)/v)
			} else {
				along.SetVec(i, 0)
			}
		}
		x.MulVec(&vectors, along)
	}
	out := make([]float64, n)
	for f := range out {
		out[f] = x.AtVec(f) * eq.unit[f]
	}
	return out
}
