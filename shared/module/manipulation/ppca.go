package manipulation

import (
	"context"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/portico-ml/portico/shared/module"
)

const (
	// keptVariance is the part of the variance that the components must carry:
	// it decides their number.
	keptVariance = 0.8
	// leastNoise keeps the equations solvable where components explain all.
	leastNoise = 1e-9
)

// latent is probabilistic PCA (Tipping and Bishop 1999): a row is a linear
// function of few hidden numbers, plus noise. Missing dimensions are what is
// expected of them given the others.
type latent struct {
	Means   []float64   `json:"means"`   // by dimension
	Weights [][]float64 `json:"weights"` // by dimension, of each component
	Noise   float64     `json:"noise"`   // variance
}

// learnLatent learns from scaled rows, whose missing cells are 0, by
// expectation maximisation over the cells that are there (Ilin and Raiko 2010).
func learnLatent(ctx context.Context, rows []float64, missing []bool, p, iterations int) (*latent, error) {
	l, err := startLatent(rows, p)
	if err != nil {
		return nil, err
	}
	for range iterations {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := l.step(rows, missing); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// startLatent is the solution for rows without missing cells.
func startLatent(rows []float64, p int) (*latent, error) {
	n := len(rows) / p
	l := &latent{Means: make([]float64, p), Weights: make([][]float64, p), Noise: leastNoise}
	if p == 1 {
		l.Weights[0] = []float64{}
		return l, nil
	}
	sums := make([]float64, p*p)
	for r := 0; r < len(rows); r += p {
		row := rows[r : r+p]
		for i, a := range row {
			for j := i; j < p; j++ {
				sums[i*p+j] += float64(a * row[j])
			}
		}
	}
	for i := range sums {
		sums[i] /= float64(n)
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(mat.NewSymDense(p, sums), true) {
		return nil, module.Errorf(39, "the principal components of the imputation cannot be computed")
	}
	values := eigen.Values(nil) // ascending
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	total, kept, q := 0.0, 0.0, 0
	for _, v := range values {
		total += max(v, 0)
	}
	for q < p-1 && (q == 0 || kept < keptVariance*total) {
		kept += max(values[p-1-q], 0)
		q++
	}
	l.Noise = max((total-kept)/float64(p-q), leastNoise)
	for d := range p {
		l.Weights[d] = make([]float64, q)
		for k := range q {
			l.Weights[d][k] = vectors.At(d, p-1-k) * math.Sqrt(max(values[p-1-k]-l.Noise, 0))
		}
	}
	return l, nil
}

// sums are what a step gathers of some rows.
type sums struct {
	hh []float64 // of products of the hidden numbers, with their uncertainty
	h  []float64 // of the hidden numbers
	n  float64
}

func newSums(q int) sums { return sums{hh: make([]float64, q*q), h: make([]float64, q)} }

// add adds a row's hidden numbers, but for their uncertainty.
func (s *sums) add(hidden []float64) {
	q := len(hidden)
	for i, v := range hidden {
		s.h[i] += v
		products := s.hh[i*q : (i+1)*q]
		for j, w := range hidden {
			products[j] += float64(v * w)
		}
	}
	s.n++
}

// cellSums are what a step gathers of the rows in which one dimension is there.
type cellSums struct {
	sums
	hx    []float64
	x, xx float64
}

// pattern is what rows that lack the same dimensions have in common.
type pattern struct {
	missing []bool
	factor  []float64 // Cholesky factor of the equations of the hidden numbers
	cov     []float64 // their uncertainty: noise times the inverse
	rows    float64
}

// patternMemory bounds the patterns that a step keeps, in bytes.
const patternMemory = 64 << 20

// step is one iteration: it expects the hidden numbers of every row, and fits
// each dimension to them.
func (l *latent) step(rows []float64, missing []bool) error {
	p, q := len(l.Means), len(l.Weights[0])
	all, lack := newSums(q), make([]sums, p) // of the rows without a dimension
	cells := make([]cellSums, p)
	for d := range p {
		lack[d], cells[d] = newSums(q), cellSums{hx: make([]float64, q)}
	}
	patterns := make(map[string]*pattern)
	var order []*pattern // as they come, for sums of one order
	most := patternMemory / (16*(q*q+1) + p)
	h, key := l.filler(), make([]byte, p)
	for r := 0; r < len(rows); r += p {
		row, gone := rows[r:r+p], missing[r:r+p]
		for d, g := range gone {
			key[d] = 0
			if g {
				key[d] = 1
			}
		}
		pat := patterns[string(key)]
		if pat == nil {
			pat = h.pattern(gone)
			if len(patterns) < most {
				patterns[string(key)] = pat
				order = append(order, pat)
			} else {
				pat.count(1, &all, lack)
			}
		}
		pat.rows++
		h.expect(row, gone, pat.factor)
		all.add(h.hidden)
		for d, x := range row {
			if gone[d] {
				lack[d].add(h.hidden)
				continue
			}
			c := &cells[d]
			c.x += x
			c.xx += float64(x * x)
			for k, v := range h.hidden {
				c.hx[k] += float64(v * x)
			}
		}
	}
	for _, pat := range order {
		pat.count(pat.rows, &all, lack)
	}
	for d := range cells {
		cells[d].sums = all.less(&lack[d])
	}
	return l.fit(cells)
}

// count adds the uncertainty of some rows of the pattern.
func (pat *pattern) count(rows float64, all *sums, lack []sums) {
	for i, v := range pat.cov {
		all.hh[i] += float64(rows * v)
	}
	for d, gone := range pat.missing {
		if gone {
			for i, v := range pat.cov {
				lack[d].hh[i] += float64(rows * v)
			}
		}
	}
}

func (s *sums) less(t *sums) sums {
	out := newSums(len(s.h))
	for i := range s.hh {
		out.hh[i] = s.hh[i] - t.hh[i]
	}
	for i := range s.h {
		out.h[i] = s.h[i] - t.h[i]
	}
	out.n = s.n - t.n
	return out
}

// fit sets means, weights and noise to those that the sums make likeliest.
func (l *latent) fit(at []cellSums) error {
	q := len(l.Weights[0])
	errors, cells := 0.0, 0.0
	a, b := make([]float64, (q+1)*(q+1)), make([]float64, q+1)
	for d := range at {
		s := &at[d]
		// Weights and mean together: the mean is the weight of a constant 1.
		for i := range q {
			copy(a[i*(q+1):], s.hh[i*q:(i+1)*q])
			a[q*(q+1)+i] = s.h[i]
			b[i] = s.hx[i]
		}
		a[q*(q+1)+q], b[q] = s.n, s.x
		for i := range q + 1 {
			a[i*(q+1)+i] += leastNoise
		}
		if !cholesky(a, q+1) {
			return module.Errorf(39, "the principal components of the imputation cannot be fitted")
		}
		solve(a, q+1, b)
		copy(l.Weights[d], b[:q])
		l.Means[d] = b[q]
		errors += s.error(b[:q], b[q])
		cells += s.n
	}
	l.Noise = max(errors/cells, leastNoise)
	return nil
}

// error is the sum of squared errors that is expected with these weights and
// this mean.
func (s *cellSums) error(w []float64, mean float64) float64 {
	q := len(w)
	e := s.xx - float64(2*mean*s.x) + float64(s.n*mean*mean)
	for i := range q {
		e += float64(2 * w[i] * (mean*s.h[i] - s.hx[i]))
		for j := range q {
			e += float64(w[i] * w[j] * s.hh[i*q+j])
		}
	}
	return e
}

func (l *latent) filler() *latentFiller {
	q := len(l.Weights[0])
	return &latentFiller{latent: l, factor: make([]float64, q*q), hidden: make([]float64, q)}
}

// latentFiller is the memory of a latent at work.
type latentFiller struct {
	*latent
	factor []float64
	hidden []float64
}

// equations sets factor to the Cholesky factor of the equations of the hidden
// numbers of a row that lacks some dimensions.
func (h *latentFiller) equations(missing []bool, factor []float64) {
	q := len(h.hidden)
	clear(factor)
	for i := range q {
		factor[i*q+i] = h.Noise
	}
	for d, w := range h.Weights {
		if missing[d] {
			continue
		}
		for i, v := range w {
			for j := range i + 1 {
				factor[i*q+j] += float64(v * w[j])
			}
		}
	}
	cholesky(factor, q) // definite: the noise is above 0
}

// expect sets hidden to what is expected of a row, by the factor of its
// equations.
func (h *latentFiller) expect(row []float64, missing []bool, factor []float64) {
	clear(h.hidden)
	for d, w := range h.Weights {
		if missing[d] {
			continue
		}
		x := row[d] - h.Means[d]
		for i, v := range w {
			h.hidden[i] += float64(v * x)
		}
	}
	solve(factor, len(h.hidden), h.hidden)
}

// pattern makes the pattern of rows that lack some dimensions.
func (h *latentFiller) pattern(missing []bool) *pattern {
	q := len(h.hidden)
	pat := &pattern{missing: missing, factor: make([]float64, q*q), cov: make([]float64, q*q)}
	h.equations(missing, pat.factor)
	column := make([]float64, q)
	for k := range q {
		clear(column)
		column[k] = h.Noise
		solve(pat.factor, q, column)
		for j := range q {
			pat.cov[j*q+k] = column[j]
		}
	}
	return pat
}

// fill makes latentFiller a filler.
func (h *latentFiller) fill(row []float64, missing []bool) {
	h.equations(missing, h.factor)
	h.expect(row, missing, h.factor)
	for d, w := range h.Weights {
		if missing[d] {
			row[d] = h.Means[d]
			for k, v := range w {
				row[d] += float64(v * h.hidden[k])
			}
		}
	}
}
