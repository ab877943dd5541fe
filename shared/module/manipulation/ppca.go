package manipulation

import (
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
func learnLatent(rows []float64, missing []bool, p, iterations int) (*latent, error) {
	l, err := startLatent(rows, p)
	if err != nil {
		return nil, err
	}
	for range iterations {
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

// sums are what a step gathers of the rows in which one dimension is there.
type sums struct {
	hh []float64 // of products of the hidden numbers, with their uncertainty
	h  []float64
	hx []float64
	x  float64
	xx float64
	n  float64
}

// step is one iteration: it expects the hidden numbers of every row, and fits
// each dimension to them.
func (l *latent) step(rows []float64, missing []bool) error {
	p, q := len(l.Means), len(l.Weights[0])
	at := make([]sums, p)
	for d := range at {
		at[d] = sums{hh: make([]float64, q*q), h: make([]float64, q), hx: make([]float64, q)}
	}
	h := l.filler()
	cov := make([]float64, q*q)
	column := make([]float64, q)
	for r := 0; r < len(rows); r += p {
		row, gone := rows[r:r+p], missing[r:r+p]
		h.expect(row, gone)
		for k := range q { // of the hidden numbers: noise times the inverse
			clear(column)
			column[k] = l.Noise
			solve(h.factor, q, column)
			for j := range q {
				cov[j*q+k] = column[j] + float64(h.hidden[j]*h.hidden[k])
			}
		}
		for d, x := range row {
			if !gone[d] {
				at[d].add(x, h.hidden, cov)
			}
		}
	}
	return l.fit(at)
}

func (s *sums) add(x float64, hidden, products []float64) {
	for i, v := range products {
		s.hh[i] += v
	}
	for k, v := range hidden {
		s.h[k] += v
		s.hx[k] += float64(v * x)
	}
	s.x += x
	s.xx += float64(x * x)
	s.n++
}

// fit sets means, weights and noise to those that the sums make likeliest.
func (l *latent) fit(at []sums) error {
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
func (s *sums) error(w []float64, mean float64) float64 {
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

// expect sets hidden to what is expected of a row, and factor to the Cholesky
// factor of its equations.
func (h *latentFiller) expect(row []float64, missing []bool) {
	q := len(h.hidden)
	clear(h.factor)
	clear(h.hidden)
	for i := range q {
		h.factor[i*q+i] = h.Noise
	}
	for d, w := range h.Weights {
		if missing[d] {
			continue
		}
		x := row[d] - h.Means[d]
		for i, v := range w {
			h.hidden[i] += float64(v * x)
			for j := range i + 1 {
				h.factor[i*q+j] += float64(v * w[j])
			}
		}
	}
	cholesky(h.factor, q) // definite: the noise is above 0
	solve(h.factor, q, h.hidden)
}

// fill makes latentFiller a filler.
func (h *latentFiller) fill(row []float64, missing []bool) {
	h.expect(row, missing)
	for d, w := range h.Weights {
		if missing[d] {
			row[d] = h.Means[d]
			for k, v := range w {
				row[d] += float64(v * h.hidden[k])
			}
		}
	}
}
