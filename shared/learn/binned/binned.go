// Package binned is training data as tree learners read it: each cell a byte,
// the number of its bin.
//
// The bins of a number are intervals between cut points, about as many rows in
// each; those of a category are its levels. A test between two bins is a test
// that scoring makes: a row of the training data goes the way its bin went.
// Binning is deterministic, whatever the number of workers.
package binned

import (
	"math"
	"math/rand/v2"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model/trees"
)

const (
	// MaxBins of values that a feature can have.
	MaxBins = 255
	// Missing is the bin of missing cells.
	Missing = 255
	// sampleRows bounds the rows that cut points are chosen from.
	sampleRows = 1 << 16
)

// Options of binning.
type Options struct {
	// Bins is the most bins of values that a feature gets, 2 to MaxBins; 0 is
	// MaxBins.
	Bins int
	// PerBin bounds the bins of a number besides: at most one for so many rows
	// that have it. 0 is 1.
	PerBin int
	// Seed draws the rows that cut points are chosen from, where there are more
	// than 65,536.
	Seed uint64
}

// Matrix is the features of training data in bins, immutable.
type Matrix struct {
	Rows     int
	Features []Feature
	// Input is the precision in which scoring must read the features: Float32
	// where it tells apart what the bins do.
	Input trees.Precision

	columns [][]uint8
	octets  int
	words   []uint64 // the same row by row: octet g of row r at r·octets+g
}

// Feature is how one feature was binned.
type Feature struct {
	// Levels is the number of codes of a category, the unknown level's among
	// them; 0 for a number.
	Levels int
	// Bins is the number of bins of values, numbered from 0; MaxBins at most.
	// 0 where every cell is missing.
	Bins int
	// Missing says that some cell is missing: it is in bin Missing.
	Missing bool
	// Cuts of a number: bin k holds Cuts[k-1] <= x < Cuts[k]. There are Bins-1.
	Cuts []float64
	// Codes of a category: bin k holds level Codes[k]. Levels that no row has
	// have no bin.
	Codes []int32
	// Rest says that the last bin holds all levels that are none of Codes,
	// because there are more than bins: the rarest.
	Rest bool
}

// Number reports whether the feature is a number, not a category.
func (f *Feature) Number() bool { return f.Levels == 0 }

// New bins the features of d on the workers of s.
func New(d *learn.Data, o Options, s *learn.Session) *Matrix {
	if o.Bins == 0 {
		o.Bins = MaxBins
	}
	m := &Matrix{
		Rows: d.Rows, Features: make([]Feature, len(d.X)), columns: make([][]uint8, len(d.X)),
		octets: (len(d.X) + 7) / 8,
	}
	plans := make([]plan, len(d.X))
	rows := sample(d.Rows, o.Seed)
	scratch := make([]scratch, s.Width())
	s.Each(len(d.X), func(worker, f int) {
		if d.Levels[f] == 0 {
			plans[f] = scratch[worker].plan(d.X[f], rows, o.Bins, max(1, o.PerBin))
		}
	})
	m.Input = trees.Float32
	for f := range plans {
		if plans[f].wide {
			m.Input = trees.Float64
		}
	}
	s.Each(len(d.X), func(_, f int) {
		if n := d.Levels[f]; n > 0 {
			m.Features[f], m.columns[f] = categories(d.X[f], n, o.Bins)
			return
		}
		m.Features[f], m.columns[f] = m.numbers(d.X[f], &plans[f])
	})
	m.words = make([]uint64, m.Rows*m.octets)
	s.Spans(m.Rows, func(_, from, to int) {
		for ; from < to; from += addRows {
			m.interleave(from, min(to, from+addRows))
		}
	})
	return m
}

// Column returns the bins of feature f, by row: read only.
func (m *Matrix) Column(f int) []uint8 { return m.columns[f] }

// Less returns the test, of a number, that sends the bins up to bin left; all
// values, where bin is the last one or more.
func (m *Matrix) Less(f, bin int) trees.Node {
	if bin >= len(m.Features[f].Cuts) {
		return trees.Node{Test: trees.LessEqual, Feature: int32(f), Threshold: math.Inf(1)}
	}
	return trees.Node{Test: trees.Less, Feature: int32(f), Threshold: m.Features[f].Cuts[bin]}
}

// In returns the test, of a category, that sends the levels of the bins for
// which right is true right. All others go left: those of the bin Rest, those
// that no row has, and the unknown level.
func (m *Matrix) In(f int, right func(bin int) bool) trees.Node {
	n := trees.Node{Test: trees.In, Feature: int32(f)}
	for bin, code := range m.Features[f].Codes {
		if right(bin) {
			n.Set = append(n.Set, code)
		}
	}
	return n
}

// sample returns the rows to choose cut points from: all, or one drawn from
// each of sampleRows equal stretches; nil is all.
func sample(n int, seed uint64) []int32 {
	if n <= sampleRows {
		return nil
	}
	random := rand.New(rand.NewPCG(seed, 0x62696e6e6564))
	rows := make([]int32, sampleRows)
	for i := range rows {
		from, to := i*n/sampleRows, (i+1)*n/sampleRows
		rows[i] = int32(from + random.IntN(to-from))
	}
	return rows
}
