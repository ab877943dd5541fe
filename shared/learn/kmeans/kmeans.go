// Package kmeans learns K-Means Clustering: centers that rows are near to.
//
// It is Lloyd's algorithm (1957, published 1982): rows go to the nearest center,
// centers to the mean of their rows, until nothing moves. By the Euclidean metric
// that goes down the sum of rows' squared distances to their centers by weight;
// by the cosine metric rows and centers have length 1 (Dhillon and Modha 2001,
// "Concept decompositions for large sparse text data using clustering"), and
// it goes down the sum of 1 less the cosine. A center that no row is nearest to
// goes to the row that is farthest from its own.
package kmeans

import (
	"context"
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/centroids"
)

// Initialization is how the first centers are chosen.
type Initialization int

const (
	// PlusPlus draws rows by their squared distance to the centers drawn
	// before, each time the best of several (Arthur and Vassilvitskii 2007).
	PlusPlus Initialization = iota
	// PlusPlusFast draws likewise, by a Markov chain that looks at a few rows
	// only (Bachem, Lucic, Hassani and Krause 2016, "Fast and provably good
	// seedings for k-means").
	PlusPlusFast
	// FirstN takes the first rows that differ.
	FirstN
	// Random deals the rows at random, and takes the means.
	Random
	// Evenly takes points at equal distances between the least and the
	// greatest of all features.
	Evenly
	// ByLabel takes the means of the rows of the most frequent labels. Where
	// there are fewer labels than centers, the others are chosen as by PlusPlus.
	ByLabel
)

// Labels is what the label column, where there is one, is to a clustering.
type Labels int

const (
	// Ignore does not look at it.
	Ignore Labels = iota
	// Fill makes a feature of 0 and 1 of each label for training; a row
	// without one gets that whose rows' mean is the nearest.
	Fill
	// Overwrite does the same, and after each round gives all rows of a
	// cluster the label of the row nearest to its center.
	Overwrite
)

// Options are the learner's parameters.
type Options struct {
	// Centers is the number of clusters, at least 1.
	Centers        int
	Initialization Initialization
	Metric         centroids.Metric
	// Iterations is the most rounds; at least 1.
	Iterations int
	Labels     Labels
	// Normalize brings each feature to the range from 0 to 1 first.
	Normalize bool
	// Starts is how many times it is done from other first centers, the best
	// of which is kept; at least 1.
	Starts int
	// Seed draws first centers.
	Seed uint64
	// UnknownLevels is learn.Form's.
	UnknownLevels bool
}

// Defaults are the Studio's.
var Defaults = Options{Centers: 2, Iterations: 100, Starts: 1, UnknownLevels: true}

// Learner is K-means.
type Learner struct{ o Options }

// New returns the learner. Options out of their range are module error 0008.
func New(o Options) (*Learner, error) {
	switch {
	case o.Centers < 1 || o.Centers > centroids.MaxCenters:
		return nil, learn.Errorf(8, "%d centroids: it must be from 1 to %d", o.Centers, centroids.MaxCenters)
	case o.Iterations < 1:
		return nil, learn.Errorf(8, "%d iterations: it must be 1 or more", o.Iterations)
	case o.Starts < 1:
		return nil, learn.Errorf(8, "%d seeds to sweep: it must be 1 or more", o.Starts)
	case o.Initialization < PlusPlus || o.Initialization > ByLabel:
		return nil, learn.Errorf(8, "initialization %d is none", o.Initialization)
	case o.Labels < Ignore || o.Labels > Overwrite:
		return nil, learn.Errorf(8, "assign label mode %d is none", o.Labels)
	case o.Metric > centroids.Cosine:
		return nil, learn.Errorf(8, "metric %d is none", o.Metric)
	}
	return &Learner{o}, nil
}

// Name is the Studio's name of the module.
func (l *Learner) Name() string { return "K-Means Clustering" }

// Kind is clustering.
func (l *Learner) Kind() model.Kind { return model.Clustering }

// Form asks for indicators and complete rows, and for the label where an option
// is about it.
func (l *Learner) Form() learn.Form {
	return learn.Form{
		Complete: true, UnknownLevels: l.o.UnknownLevels,
		Guide: l.o.Labels != Ignore || l.o.Initialization == ByLabel,
	}
}

// Train finds the centers. Fewer rows than centers are module error 0021, and
// no label column where the first centers are to come of it 0058.
func (l *Learner) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	if d.Rows < l.o.Centers {
		return nil, learn.Errorf(21, "%d rows can be learned from: there must be one for each of %d centroids", d.Rows, l.o.Centers)
	}
	if l.o.Initialization == ByLabel && d.Guides == 0 {
		return nil, learn.Errorf(58, "the table has no label column for the first centroids to come of: mark one with Edit Metadata, or choose another initialization")
	}
	t := &training{o: l.o, d: d, s: s}
	if err := t.load(); err != nil {
		return nil, err
	}
	if err := t.run(ctx); err != nil {
		return nil, err
	}
	w := centroids.Weights{Features: t.features, Metric: l.o.Metric, Offset: t.offset, Scale: t.scale}
	for k := range l.o.Centers {
		for _, v := range t.best[k*t.width:][:t.features] {
			w.Centers = append(w.Centers, v/t.unit)
		}
	}
	body, err := w.Encode()
	if err != nil {
		return nil, learn.Errorf(33, "the centroids are too large for numbers: %v", err)
	}
	return &learn.Trained{Engine: model.EngineCentroids, Body: body, Transform: model.Transform{Name: model.Identity}}, nil
}

// training is a run of the learner.
type training struct {
	o        Options
	d        *learn.Data
	s        *learn.Session
	features int
	// width is of a row or a center: the features, and behind them one number
	// for each label where labels are features of 0 and 1.
	width int
	// x is the rows, one after the other: scaled, of length 1 by the cosine
	// metric, and times unit, a power of two, so that no square overflows.
	x             []float64
	unit          float64
	offset, scale []float64 // of each feature where they are normalised

	state
	cluster []int32   // of each row
	cost    []float64 // of each row: what its own center costs
}

func (t *training) row(r int) []float64 { return t.x[r*t.width:][:t.width] }

// Values whose largest is beyond these are brought near 1.
const (
	large = 1e150
	small = 1e-150
)

// maxCells bounds rows with labels as features.
const maxCells = 1 << 26

// load makes x.
func (t *training) load() error {
	d, n := t.d, len(t.d.X)
	t.features, t.width, t.unit = n, n, 1
	if t.o.Labels != Ignore {
		t.width += d.Guides
	}
	if t.width > n && t.width*d.Rows > maxCells {
		return learn.Errorf(14, "the label has %d different values in %d rows: too many to make a feature of each", d.Guides, d.Rows)
	}
	t.cluster, t.cost = make([]int32, d.Rows), make([]float64, d.Rows)
	if t.o.Normalize {
		t.offset, t.scale = make([]float64, n), make([]float64, n)
	}
	top := 0.0
	for f, x := range d.X {
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, v := range x {
			lo, hi = min(lo, v), max(hi, v)
		}
		top = max(top, -lo, hi)
		if !t.o.Normalize {
			continue
		}
		if math.IsInf(hi-lo, 0) {
			return learn.Errorf(33, "feature %d goes from %v to %v: too far to normalize", f+1, lo, hi)
		}
		t.offset[f] = lo
		if s := 1 / (hi - lo); hi > lo && !math.IsInf(s, 0) {
			t.scale[f] = s
		}
	}
	if !t.o.Normalize && t.o.Metric == centroids.Euclidean && (top > large || top < small && top > 0) {
		_, exp := math.Frexp(top)
		t.unit = math.Ldexp(1, -max(exp, -1000))
	}
	t.x = make([]float64, d.Rows*t.width)
	t.s.Spans(d.Rows, func(_, from, to int) {
		const block = 64 // rows whose cells stay in the cache
		for lo := from; lo < to; lo += block {
			for f, x := range d.X {
				for r := lo; r < min(lo+block, to); r++ {
					v := x[r] * t.unit
					if t.o.Normalize {
						v = (x[r] - t.offset[f]) * t.scale[f]
					}
					t.x[r*t.width+f] = v
				}
			}
		}
		if t.o.Metric == centroids.Cosine {
			for r := from; r < to; r++ {
				centroids.Normalize(t.row(r)[:n])
			}
		}
	})
	return nil
}

// apart is what a row a costs at a center b: the squared distance; or 1 less
// the cosine, which is half of that, and half the squared distance of the labels.
// Zeros have no direction, and cost 1.
func (t *training) apart(a, b []float64) float64 {
	if t.o.Metric == centroids.Euclidean {
		return square(a, b)
	}
	n := t.features
	return centroids.Angle(a[:n], b[:n]) + square(a[n:], b[n:])/2
}

func square(a, b []float64) float64 {
	b = b[:len(a)]
	var s, t, u, v float64 // four sums: none waits for the others
	f := 0
	for ; f+4 <= len(a); f += 4 {
		i, j, k, l := a[f]-b[f], a[f+1]-b[f+1], a[f+2]-b[f+2], a[f+3]-b[f+3]
		s += float64(i * i)
		t += float64(j * j)
		u += float64(k * k)
		v += float64(l * l)
	}
	for ; f < len(a); f++ {
		d := a[f] - b[f]
		s += float64(d * d)
	}
	return (s + t) + (u + v)
}
