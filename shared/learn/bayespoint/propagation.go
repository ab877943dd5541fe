package bayespoint

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/rowsum"
	"github.com/portico-ml/portico/shared/learn/scaled"
	"github.com/portico-ml/portico/shared/model/stablemath"
)

// propagation is the approximate posterior: a normal distribution of the
// weights and, last, the bias, as the product of the prior and of one factor
// for each row, normal in the row's score. A row of weight 2 has its factor
// twice.
type propagation struct {
	d    *learn.Data
	s    *learn.Session
	m    *scaled.Matrix
	bias bool

	// The factors by their natural parameters, the posterior mean, and the
	// number of rounds: together what a checkpoint saves.
	state            []float64
	precision, shift []float64
	mean             []float64

	chol  mat.Cholesky // of the posterior precision
	lower []float64    // its factor, row by row
	known bool         // that it is that of the state
	sums  *rowsum.Sums
	work  [][]float64 // of each worker
}

func newPropagation(d *learn.Data, s *learn.Session, m *scaled.Matrix, bias bool) (*propagation, error) {
	n := m.Features + 1
	p := &propagation{
		d: d, s: s, m: m, bias: bias, state: make([]float64, 2*d.Rows+n+1),
		lower: make([]float64, n*n), sums: rowsum.New(s, d.Rows, 2*n), work: make([][]float64, s.Width()),
	}
	p.precision, p.shift, p.mean = p.state[:d.Rows], p.state[d.Rows:][:d.Rows], p.state[2*d.Rows:][:n]
	if s.Saved == nil {
		return p, nil
	}
	if len(s.Saved) != 8*len(p.state) {
		return nil, errors.New("the saved state is not of this training")
	}
	for i := range p.state {
		p.state[i] = math.Float64frombits(binary.LittleEndian.Uint64(s.Saved[8*i:]))
	}
	return p, nil
}

func (p *propagation) save() ([]byte, error) {
	b := make([]byte, 0, 8*len(p.state))
	for _, v := range p.state {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b, nil
}

func (p *propagation) rounds() int { return int(p.state[len(p.state)-1]) }

// round brings every row's factor in line with the posterior of the others,
// then the posterior in line with the factors. It returns how far the mean
// moved at most.
func (p *propagation) round(ctx context.Context) (moved float64, err error) {
	if !p.known { // the prior's, or that of a saved state
		if _, err := p.posterior(ctx); err != nil {
			return 0, err
		}
	}
	if err := p.factors(ctx); err != nil {
		return 0, err
	}
	mean, err := p.posterior(ctx)
	if err != nil {
		return 0, err
	}
	for i, v := range mean {
		moved = max(moved, math.Abs(v-p.mean[i]))
	}
	copy(p.mean, mean)
	p.state[len(p.state)-1]++
	return moved, nil
}

// posterior finds the factor of the posterior precision, and the mean.
func (p *propagation) posterior(ctx context.Context) ([]float64, error) {
	weight := make([]float64, p.d.Rows)
	for r, v := range p.precision {
		weight[r] = v * p.d.WeightOf(r)
	}
	gram, err := p.m.Gram(ctx, p.s, weight)
	if err != nil {
		return nil, err
	}
	features, n := p.m.Features, p.m.Features+1
	total, err := p.sums.Over(ctx, func(worker, lo, hi int, into []float64) {
		shift := p.memory(worker)[:hi-lo]
		for i := range shift {
			shift[i] = p.shift[lo+i] * p.d.WeightOf(lo+i)
			into[features] += shift[i]
			into[n+features] += weight[lo+i]
		}
		p.m.Sum(lo, shift, into[:features])
		p.m.Sum(lo, weight[lo:hi], into[n:][:features])
	})
	if err != nil {
		return nil, err
	}
	right, cross := total[:n], total[n:]
	if !p.bias {
		clear(cross)
		right[features] = 0
	}
	a := mat.NewSymDense(n, nil)
	for f := range features {
		for g := range f {
			a.SetSym(f, g, gram[f*features+g])
		}
		a.SetSym(f, f, gram[f*features+f]+1.0/weightVariance)
		a.SetSym(features, f, cross[f])
	}
	a.SetSym(features, features, cross[features]+1.0/biasVariance)
	if !p.chol.Factorize(a) {
		return nil, learn.Errorf(33, "the posterior of the weights has no precision: the features differ too much in size")
	}
	var lower mat.TriDense
	p.chol.LTo(&lower)
	for f := range n {
		for g := range f + 1 {
			p.lower[f*n+g] = lower.At(f, g)
		}
	}
	p.known = true
	mean := mat.NewVecDense(n, nil)
	// The error says that the condition is large: the prior bounds it.
	_ = p.chol.SolveVecTo(mean, mat.NewVecDense(n, right))
	return mean.RawVector().Data, nil
}

// memory is a worker's own: a block of rows of every feature and the bias, and
// two numbers for each row besides.
func (p *propagation) memory(worker int) []float64 {
	if p.work[worker] == nil {
		p.work[worker] = make([]float64, (p.m.Features+3)*blockRows)
	}
	return p.work[worker]
}

// blockRows are the rows whose factors are brought in line together.
const blockRows = rowsum.BlockRows

// factors brings the factors of all rows in line with the posterior.
func (p *propagation) factors(ctx context.Context) error {
	blocks := (p.d.Rows + blockRows - 1) / blockRows
	p.s.Each(blocks, func(worker, i int) {
		if ctx.Err() != nil {
			return
		}
		lo := i * blockRows
		hi := min(lo+blockRows, p.d.Rows)
		rows, work := hi-lo, p.memory(worker)
		mean, variance, y := work[:rows], work[blockRows:][:rows], work[2*blockRows:]
		for r := range mean {
			mean[r] = p.mean[p.m.Features]
		}
		p.m.Dot(lo, p.mean[:p.m.Features], mean)
		p.variances(lo, variance, y)
		for r := range mean {
			p.factor(lo+r, mean[r], variance[r])
		}
	})
	return ctx.Err()
}

// variances writes the posterior variance of the scores of rows from lo: the
// squared length of what solves the lower factor for the row. It uses y, which
// holds a row of BlockRows numbers for each feature and the bias.
func (p *propagation) variances(lo int, variance, y []float64) {
	n, rows := p.m.Features+1, len(variance)
	clear(variance)
	for f := range n {
		to := y[f*blockRows:][:rows]
		switch {
		case f < p.m.Features:
			p.m.Read(f, lo, to)
		case p.bias:
			for r := range to {
				to[r] = 1
			}
		default:
			clear(to)
		}
		l := p.lower[f*n:][:f+1]
		g := 0
		for ; g+4 <= f; g += 4 {
			a, b := y[g*blockRows:][:rows], y[(g+1)*blockRows:][:rows]
			c, d := y[(g+2)*blockRows:][:rows], y[(g+3)*blockRows:][:rows]
			la, lb, lc, ld := l[g], l[g+1], l[g+2], l[g+3]
			for r := range to {
				to[r] -= (float64(la*a[r]) + float64(lb*b[r])) + (float64(lc*c[r]) + float64(ld*d[r]))
			}
		}
		for ; g < f; g++ {
			a, la := y[g*blockRows:][:rows], l[g]
			for r := range to {
				to[r] -= float64(la * a[r])
			}
		}
		for r := range to {
			to[r] /= l[f]
			variance[r] += float64(to[r] * to[r])
		}
	}
}

// factor brings the factor of row r in line with the posterior mean and
// variance of its score: it is what makes the moments of the posterior without
// it, times the row's likelihood, come out right (Rasmussen and Williams 2006,
// section 3.6).
func (p *propagation) factor(r int, mean, variance float64) {
	if !(variance > 0) {
		return // a row of zeros says nothing without a bias
	}
	y := 2*p.d.Label[r] - 1
	left := 1/variance - p.precision[r]
	if !(left > 0) {
		return // rounding took the rest of the posterior away; the next round brings it back
	}
	v := 1 / left
	m := v * (mean/variance - p.shift[r])
	root := math.Sqrt(1 + v)
	z := y * m / root
	h := hazard(z)
	alpha, q := y*h/root, h*(z+h)/(1+v)
	rest := 1 - v*q
	p.precision[r] = q / rest
	p.shift[r] = (alpha + m*q) / rest
}

// hazard is the normal density over the cumulative distribution at z.
func hazard(z float64) float64 {
	if z < -25 {
		// The asymptotic series, where both are next to nothing.
		s := 1 / (z * z)
		return -z * (1 + s*(1-s*(2-10*s)))
	}
	return stablemath.Exp(-z*z/2) / math.Sqrt(2*math.Pi) / stablemath.Normal(z)
}
