// Package pcaanomaly learns PCA-Based Anomaly Detection: the subspace that rows
// are near to, by randomized principal component analysis.
//
// With S the sum of x·xᵀ over the rows by weight, x less the mean where that is
// asked for, and R random signs, one column for each component and for the
// oversampling, the subspace searched is that of S·S·S·S·R, made orthogonal after
// each product; in it the components are exact (Halko, Martinsson and Tropp 2011,
// "Finding structure with randomness"). A row's score is the length of what its projection on the
// components leaves, over its own: from 0 to 1, an anomaly from 0.5 on.
package pcaanomaly

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/subspace"
)

// Options are the learner's parameters.
type Options struct {
	// Components is the dimension of the subspace, at least 1. Where there are
	// fewer features it is their number, and no row is an anomaly.
	Components int
	// Oversampling is how many more random columns are drawn; at least 0. More
	// come nearer to the exact components.
	Oversampling int
	// Center takes the mean of the rows from each first.
	Center bool
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{Components: 2, Oversampling: 2, UnknownLevels: true}

// passes is how many times the rows are gone over for the subspace: each brings
// it nearer to the components where their variances are not far apart.
const passes = 4

// Learner finds the subspace.
type Learner struct{ o Options }

// New returns the learner. Options out of their range are module error 0008.
func New(o Options) (*Learner, error) {
	switch {
	case o.Components < 1 || o.Components > subspace.MaxAxes:
		return nil, learn.Errorf(8, "%d components: it must be from 1 to %d", o.Components, subspace.MaxAxes)
	case o.Oversampling < 0 || o.Oversampling > subspace.MaxAxes:
		return nil, learn.Errorf(8, "an oversampling of %d: it must be from 0 to %d", o.Oversampling, subspace.MaxAxes)
	}
	return &Learner{o}, nil
}

// Name is the Studio's name of the module.
func (l *Learner) Name() string { return "PCA-Based Anomaly Detection" }

// Kind is anomaly.
func (l *Learner) Kind() model.Kind { return model.Anomaly }

// Form asks for indicators and complete rows.
func (l *Learner) Form() learn.Form {
	return learn.Form{Complete: true, UnknownLevels: l.o.UnknownLevels}
}

// Train finds the components.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	n := len(d.X)
	t := &analysis{d: d, s: s, n: n, center: make([]float64, n)}
	t.load(l.o.Center)
	components := min(l.o.Components, n)
	if components < l.o.Components {
		s.Log("%d components of %d features: %d are taken, and no row is an anomaly", l.o.Components, n, n)
	}
	width := min(n, l.o.Components+l.o.Oversampling)
	rng := rand.New(rand.NewPCG(0, 0))
	basis := make([][]float64, width)
	for k := range basis {
		basis[k] = make([]float64, n)
		for f := range basis[k] {
			basis[k][f] = 1 - 2*float64(rng.Uint64()>>63)
		}
	}
	for range passes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		basis = orthonormal(t.times(basis))
	}
	w := subspace.Weights{Center: t.center}
	for _, axis := range t.principal(basis, components) {
		w.Axes = append(w.Axes, axis...)
	}
	body, err := w.Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the components are no numbers: %v", err)
	}
	return &learn.Trained{Engine: model.EngineSubspace, Body: body, Transform: model.Transform{Name: model.Identity}}, nil
}

// analysis is a training.
type analysis struct {
	d      *learn.Data
	s      *learn.Session
	n      int // features
	x      []float64
	center []float64
}

func (t *analysis) row(r int) []float64 { return t.x[r*t.n:][:t.n] }

// load makes the rows, one after the other: centered, and times a power of two
// where their squares would overflow or vanish.
func (t *analysis) load(center bool) {
	top, total := 0.0, t.d.TotalWeight()
	for f, x := range t.d.X {
		if center {
			sum := 0.0 // of differences from the first: they keep the digits of features far from 0
			for r, v := range x {
				sum += float64(t.d.WeightOf(r) * (v/2 - x[0]/2) / total)
			}
			t.center[f] = x[0] + 2*sum
		}
		for _, v := range x {
			top = max(top, math.Abs(v/2-t.center[f]/2))
		}
	}
	_, exp := math.Frexp(top)
	t.x = make([]float64, t.d.Rows*t.n)
	for f, x := range t.d.X {
		for r, v := range x {
			t.x[r*t.n+f] = math.Ldexp(v/2-t.center[f]/2, -exp)
		}
	}
}

// times returns S times each vector.
func (t *analysis) times(vectors [][]float64) [][]float64 {
	parts := make([][][]float64, (t.d.Rows+learn.SpanRows-1)/learn.SpanRows)
	t.s.Spans(t.d.Rows, func(span, from, to int) {
		sums := make([][]float64, len(vectors))
		for k, v := range vectors {
			sums[k] = make([]float64, t.n)
			for r := from; r < to; r++ {
				row := t.row(r)
				add(sums[k], t.d.WeightOf(r)*dot(row, v), row)
			}
		}
		parts[span] = sums
	})
	for _, sums := range parts[1:] {
		for k := range sums {
			add(parts[0][k], 1, sums[k])
		}
	}
	return parts[0]
}

// principal returns the components in the space of an orthonormal basis, that of
// the most variance first.
func (t *analysis) principal(basis [][]float64, components int) [][]float64 {
	images := t.times(basis)
	k := len(basis)
	a := make([][]float64, k)
	for i := range a {
		a[i] = make([]float64, k)
		for j := range i + 1 {
			a[i][j] = dot(basis[j], images[i])
			a[j][i] = a[i][j]
		}
	}
	values, vectors := eigen(a)
	order := make([]int, k)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case values[i] > values[j]:
			return -1
		case values[i] < values[j]:
			return 1
		}
		return 0
	})
	var out [][]float64
	for _, c := range order[:min(components, k)] {
		axis := make([]float64, t.n)
		for i, b := range basis {
			add(axis, vectors[i][c], b)
		}
		out = append(out, axis)
	}
	return orthonormal(out)
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for f, v := range a {
		sum += float64(v * b[f])
	}
	return sum
}

func add(to []float64, c float64, v []float64) {
	for f, x := range v {
		to[f] += float64(c * x)
	}
}

// orthonormal makes vectors of length 1 at right angles that span the same, by
// Gram and Schmidt's process, done twice. Vectors that those before span are
// left out.
func orthonormal(vectors [][]float64) [][]float64 {
	var out [][]float64
	for _, v := range vectors {
		before := math.Sqrt(dot(v, v))
		for range 2 {
			for _, o := range out {
				add(v, -dot(o, v), o)
			}
		}
		length := math.Sqrt(dot(v, v))
		if !(length > 1e-12*before) {
			continue
		}
		for f := range v {
			v[f] /= length
		}
		out = append(out, v)
	}
	return out
}

// eigen returns the eigenvalues of a symmetric matrix, which it changes, and
// the eigenvectors, vector c being [·][c], by Jacobi's rotations.
func eigen(a [][]float64) (values []float64, vectors [][]float64) {
	n := len(a)
	vectors = make([][]float64, n)
	for i := range vectors {
		vectors[i] = make([]float64, n)
		vectors[i][i] = 1
	}
	const sweeps = 100 // as a rule ten are enough
	for range sweeps {
		off, whole := 0.0, 0.0
		for i := range n {
			for j := range n {
				if whole += float64(a[i][j] * a[i][j]); i != j {
					off += float64(a[i][j] * a[i][j])
				}
			}
		}
		if off <= 1e-32*whole {
			break
		}
		for p := range n {
			for q := p + 1; q < n; q++ {
				rotate(a, vectors, p, q)
			}
		}
	}
	for i := range n {
		values = append(values, a[i][i])
	}
	return values, vectors
}

// rotate makes a[p][q] zero.
func rotate(a, vectors [][]float64, p, q int) {
	if a[p][q] == 0 {
		return
	}
	theta := (a[q][q] - a[p][p]) / (2 * a[p][q])
	t := 1 / (math.Abs(theta) + math.Hypot(theta, 1))
	if theta < 0 {
		t = -t
	}
	c := 1 / math.Sqrt(1+float64(t*t))
	s := t * c
	turn := func(x, y *float64) {
		u, v := *x, *y
		*x, *y = float64(c*u)-float64(s*v), float64(s*u)+float64(c*v)
	}
	for k := range a {
		turn(&a[k][p], &a[k][q])
	}
	for k := range a {
		turn(&a[p][k], &a[q][k])
	}
	for k := range vectors {
		turn(&vectors[k][p], &vectors[k][q])
	}
}
