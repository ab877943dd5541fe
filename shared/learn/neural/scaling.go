package neural

import (
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model/neural"
)

// maxBins is the most bins of a feature.
const maxBins = 256

// scaling returns a network without layers that scales the features of d.
func scaling(d *learn.Data, by Normalizer) *neural.Network {
	n := &neural.Network{Features: len(d.X)}
	switch by {
	case MinMax:
		n.Scaling = neural.Affine
		for _, x := range d.X {
			lo, hi := math.Inf(1), math.Inf(-1)
			for _, v := range x {
				lo, hi = min(lo, v), max(hi, v)
			}
			n.Offset, n.Scale = append(n.Offset, lo), append(n.Scale, inverse(hi-lo))
		}
	case Gaussian:
		n.Scaling = neural.Affine
		for _, x := range d.X {
			mean, deviation := moments(d, x)
			n.Offset, n.Scale = append(n.Offset, mean), append(n.Scale, inverse(deviation))
		}
	case Binning:
		n.Scaling = neural.Quantum
		for _, x := range d.X {
			n.Cuts = append(n.Cuts, cuts(x))
		}
	}
	return n
}

// inverse is 1/v, or 0 of what is no range: the feature is a constant.
func inverse(v float64) float64 {
	if s := 1 / v; v > 0 && !math.IsInf(s, 0) {
		return s
	}
	return 0
}

// moments returns mean and standard deviation of x by weight.
func moments(d *learn.Data, x []float64) (mean, deviation float64) {
	top := 0.0
	for _, v := range x {
		top = max(top, math.Abs(v))
	}
	if top == 0 {
		return 0, 0
	}
	// In units of the largest, whose squares do not overflow; differences from
	// the first keep the digits of features far from 0.
	total, first, sum := d.TotalWeight(), x[0]/top, 0.0
	for r, v := range x {
		sum += float64(d.WeightOf(r) * (v/top - first))
	}
	center := first + sum/total
	sum = 0
	for r, v := range x {
		e := v/top - center
		sum += float64(d.WeightOf(r) * float64(e*e))
	}
	if slices.Min(x) == slices.Max(x) {
		sum = 0
	}
	return center * top, math.Sqrt(sum/total) * top
}

// cuts are the least values of all bins but the first: bins of as many rows
// each, but that equal values are in one.
func cuts(x []float64) []float64 {
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	var out []float64
	for b := 1; b < maxBins; b++ {
		at := b * len(sorted) / maxBins
		v := sorted[at] + 0 // -0 is 0
		if v > sorted[0] && (len(out) == 0 || v > out[len(out)-1]) {
			out = append(out, v)
		}
	}
	return out
}
