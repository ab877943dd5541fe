package scaled

import (
	"context"

	"github.com/portico-ml/portico/shared/learn"
)

// MaxGram is the most features whose products are formed: their matrix has
// MaxGram² numbers.
const MaxGram = 5000

// The products of tile features by tile features are formed together, chunk
// rows at a time, so that both stay in a core's cache.
const (
	tile  = 32
	chunk = 512
)

// Gram returns the sum over rows of weight times each product of two features:
// that of features f and g at [f*Features+g] and [g*Features+f]. The weights
// are nil where all are 1. More features than MaxGram are module error 0138.
func (m *Matrix) Gram(ctx context.Context, s *learn.Session, weight []float64) ([]float64, error) {
	n := m.Features
	if n > MaxGram {
		return nil, learn.Errorf(138, "%d features are more than %d: this learner needs memory for each pair of them; choose fewer, or another learner", n, MaxGram)
	}
	out := make([]float64, n*n)
	type pair struct{ f, g int }
	var pairs []pair
	for f := 0; f < n; f += tile {
		for g := 0; g <= f; g += tile {
			pairs = append(pairs, pair{f, g})
		}
	}
	memory := make([][2][]float64, s.Width())
	s.Each(len(pairs), func(worker, i int) {
		if memory[worker][0] == nil {
			memory[worker] = [2][]float64{make([]float64, tile*chunk), make([]float64, tile*chunk)}
		}
		f, g := pairs[i].f, pairs[i].g
		nf, ng := min(tile, n-f), min(tile, n-g)
		var sums [tile * tile]float64
		for lo := 0; lo < m.Rows && ctx.Err() == nil; lo += chunk {
			rows := min(chunk, m.Rows-lo)
			a, b := memory[worker][0], memory[worker][1]
			m.read(f, nf, lo, rows, a)
			m.read(g, ng, lo, rows, b)
			if weight != nil {
				for j := range nf {
					for r, w := range weight[lo:][:rows] {
						a[j*chunk+r] *= w
					}
				}
			}
			products(a, b, nf, ng, rows, &sums)
		}
		for j := range nf {
			for k := range ng {
				if g+k <= f+j {
					out[(f+j)*n+g+k], out[(g+k)*n+f+j] = sums[j*tile+k], sums[j*tile+k]
				}
			}
		}
	})
	return out, ctx.Err()
}

// Read writes feature f of the rows from lo.
func (m *Matrix) Read(f, lo int, to []float64) {
	x, c, s := m.x[f][lo:][:len(to)], m.center[f], m.scale[f]
	for r, v := range x {
		to[r] = (v - c) * s
	}
}

// read writes count features from f, of rows from lo, to a: feature j at
// [j*chunk:].
func (m *Matrix) read(f, count, lo, rows int, a []float64) {
	for j := range count {
		m.Read(f+j, lo, a[j*chunk:][:rows])
	}
}

// products adds the products of nf by ng features to sums, two by two.
func products(a, b []float64, nf, ng, rows int, sums *[tile * tile]float64) {
	for j := 0; j < nf; j += 2 {
		// A feature without a partner goes with itself, and its second sums
		// are not kept.
		j1 := min(j+1, nf-1)
		p, q := a[j*chunk:][:rows], a[j1*chunk:][:rows]
		for k := 0; k < ng; k += 2 {
			k1 := min(k+1, ng-1)
			x, y := b[k*chunk:][:rows], b[k1*chunk:][:rows]
			var px, py, qx, qy float64
			for r, v := range p {
				w := q[r]
				px += float64(v * x[r])
				py += float64(v * y[r])
				qx += float64(w * x[r])
				qy += float64(w * y[r])
			}
			sums[j*tile+k] += px
			if k1 > k {
				sums[j*tile+k1] += py
			}
			if j1 > j {
				sums[j1*tile+k] += qx
				if k1 > k {
					sums[j1*tile+k1] += qy
				}
			}
		}
	}
}
