package boost

import (
	"math/bits"

	"github.com/portico-ml/portico/shared/learn/binned"
)

// binSet is a set of bins.
type binSet [4]uint64

func (s *binSet) add(bin uint8) { s[bin>>6] |= 1 << (bin & 63) }

// right is 1 where the set has the bin: of a split, those that go right.
func (s *binSet) right(bin uint8) int { return int(s[bin>>6] >> (bin & 63) & 1) }

// first is the lowest bin of values in the set, Missing where there is none.
func (s *binSet) first() int {
	for i, w := range s {
		if w != 0 {
			return 64*i + bits.TrailingZeros64(w)
		}
	}
	return binned.Missing
}

// split is a way to part a leaf.
type split struct {
	gain    float64 // what the loss becomes smaller by, in the packing's units; 0 where there is none
	feature int32
	goes    binSet // the bins that go right
}

// scratch is the working memory of one worker.
type scratch struct {
	sums []binned.Sums
	wide wideSums
	decoded
	levels [256]level
	counts [256]int32 // of rows, by bin
}

// decoded is the sums of one feature's bins in a leaf, of those alone that have
// some: at i, bin bins[i].
type decoded struct {
	n        int
	bins     [256]uint8
	g, h     [257]float64 // sums of the bins before i
	missingG float64
	missingH float64
	totalG   float64 // the missing among them
	totalH   float64
}

func (d *decoded) decode(sums *[256]uint64, bins int, p *packing) {
	n, shift, mask, sum := 0, p.shift&63, p.mask(), uint64(0)
	for b, v := range sums[:bins] {
		if v == 0 {
			continue
		}
		sum += v
		d.bins[n] = uint8(b)
		n++
		d.g[n], d.h[n] = float64(int64(sum)>>shift), float64(sum&mask)
	}
	d.n = n
	missing := sums[binned.Missing]
	d.missingG, d.missingH = float64(int64(missing)>>shift), float64(missing&mask)
	sum += missing
	d.totalG, d.totalH = float64(int64(sum)>>shift), float64(sum&mask)
}

func (d *decoded) decodeWide(sums *[256]struct{ g, h int64 }, bins int) {
	n, sumG, sumH := 0, int64(0), int64(0)
	for b, v := range sums[:bins] {
		if v.g == 0 && v.h == 0 {
			continue
		}
		sumG, sumH = sumG+v.g, sumH+v.h
		d.bins[n] = uint8(b)
		n++
		d.g[n], d.h[n] = float64(sumG), float64(sumH)
	}
	d.n = n
	missing := sums[binned.Missing]
	d.missingG, d.missingH = float64(missing.g), float64(missing.h)
	d.totalG, d.totalH = float64(sumG+missing.g), float64(sumH+missing.h)
}

// score is what a leaf of these sums makes the loss smaller by: twice that.
func score(g, h float64) float64 { return float64(g*g) / h }

// contest is the best of several ways to part the sums of a leaf in two.
type contest struct {
	totalG, totalH float64 // with the penalty of both parts in H
	num, den       float64 // score of the best so far
	lambda         float64
}

// beats reports whether a left part of these sums is the best so far. Scores
// are compared as fractions: it saves divisions, and equal ones stay equal.
func (c *contest) beats(g, h float64) (num, den float64, yes bool) {
	r := c.totalG - g
	a, b := h+c.lambda, c.totalH-h
	num, den = float64(float64(g*g)*b)+float64(float64(r*r)*a), a*b
	return num, den, num*c.den > c.num*den
}

// search finds the best split of a leaf by feature f, whose sums are decoded in
// s; gain 0 where none gains more than least.
func (g *grower) search(s *scratch, l *leaf, f int, least float64) split {
	lambda := g.lambda * g.packing.scaleH
	base := score(s.totalG, s.totalH+lambda)
	// A split must gain more than what rounding makes up.
	start := max(base*(1+1e-9), base+least*(1-1e-9))
	c := contest{totalG: s.totalG, totalH: s.totalH + lambda, num: start, den: 1, lambda: lambda}
	count := counter{g: g, s: s, l: l, f: f, sure: float64(g.minLeaf) * g.packing.mostH}
	out := split{feature: int32(f)}
	found := false
	if g.m.Features[f].Number() {
		found = s.cut(&c, &count, &out.goes)
	} else {
		found = s.set(&c, &count, &out.goes, &g.m.Features[f], g.packing.scaleH)
	}
	if !found {
		return split{}
	}
	out.gain = c.num/c.den - base
	return out
}

// cut tries every cut of a number, with missing values on either side.
func (s *scratch) cut(c *contest, count *counter, goes *binSet) bool {
	at, left, n := 0, false, s.n
	missing := s.missingG != 0 || s.missingH != 0
	if !missing {
		n-- // the last bin has nothing to its right
	}
	for i := 1; i <= n; i++ {
		if num, den, yes := c.beats(s.g[i], s.h[i]); yes && count.allows(i, false, s.h[i]) {
			c.num, c.den, at = num, den, i
		}
	}
	if missing {
		for i := 1; i < s.n; i++ {
			h := s.h[i] + s.missingH
			if num, den, yes := c.beats(s.g[i]+s.missingG, h); yes && count.allows(i, true, h) {
				c.num, c.den, at, left = num, den, i, true
			}
		}
	}
	if at == 0 {
		return false
	}
	if !missing {
		left = 2*s.h[at] >= s.totalH // where no row tells, with the most
	}
	// Between two bins with rows, the cut in the middle; or all values left.
	last := binned.MaxBins - 1
	if at < s.n {
		last = (int(s.bins[at-1]) + int(s.bins[at]) - 1) / 2
	}
	for b := last + 1; b < binned.Missing; b++ {
		goes.add(uint8(b))
	}
	if !left {
		goes.add(binned.Missing)
	}
	return true
}

// counter counts the rows of both sides of a split, where sums of h alone do
// not show that they are enough.
type counter struct {
	g       *grower
	s       *scratch
	l       *leaf
	f       int
	sure    float64 // an h that only enough rows come to
	counted bool
}

// allows reports whether both sides of a cut have rows enough: left the first i
// bins that have some and perhaps the missing values, of that h together.
func (c *counter) allows(i int, missing bool, h float64) bool {
	if known, enough := c.shown(h); known {
		return enough
	}
	n := int32(0)
	for _, b := range c.s.bins[:i] {
		n += c.s.counts[b]
	}
	return c.enough(n, missing)
}

// shown reports whether the h of one side shows if there are rows enough on
// both; else it has the rows counted.
func (c *counter) shown(h float64) (known, enough bool) {
	if h >= c.sure && c.s.totalH-h >= c.sure {
		return true, true
	}
	if c.g.packing.mostH == 1 {
		return true, false // h is the number of rows
	}
	c.count()
	return false, false
}

// count counts the rows of each bin, once.
func (c *counter) count() {
	if c.counted {
		return
	}
	c.counted = true
	c.s.counts = [256]int32{}
	column := c.g.m.Column(c.f)
	for _, r := range c.g.rows[c.l.from:c.l.to] {
		c.s.counts[column[r]]++
	}
}

// enough reports whether a side of n rows, and perhaps those with missing
// values, and the other both are large enough.
func (c *counter) enough(n int32, missing bool) bool {
	if missing {
		n += c.s.counts[binned.Missing]
	}
	return int(n) >= c.g.minLeaf && c.l.size()-int(n) >= c.g.minLeaf
}
