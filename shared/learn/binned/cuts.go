package binned

import (
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/model/trees"
)

// plan is the cut points of a number, for either precision of scoring.
type plan struct {
	wide           bool // float32 does not tell apart enough of its values
	cuts32, cuts64 []float64
}

// scratch is the working memory of one worker.
type scratch struct {
	keys, spare []uint64
	values      []float64
	counts      []int32
}

// plan chooses cut points from some rows of a column.
func (s *scratch) plan(x []float64, rows []int32, bins, perBin int) plan {
	s.sort(x, rows)
	bins = max(2, min(bins, len(s.keys)/perBin))
	s.collapse(func(v float64) float64 { return v })
	p := plan{cuts64: cuts(s.values, s.counts, bins, 0)}
	n := len(s.values)
	overflow := n > 0 && max(-s.values[0], s.values[n-1]) > math.MaxFloat32
	s.collapse(func(v float64) float64 { return float64(float32(v)) })
	// Where float32 merges some of very many values, quantiles stay what they
	// are; where each value could have had a bin, it is needed.
	p.wide = overflow || len(s.values) < min(n, 4*bins)
	if !p.wide {
		p.cuts32 = cuts(s.values, s.counts, bins, 32)
	}
	return p
}

// sort leaves the values that are not missing in s.keys, in order, each as an
// integer that compares as it does.
func (s *scratch) sort(x []float64, rows []int32) {
	s.keys = s.keys[:0]
	add := func(v float64) {
		if v != v {
			return
		}
		b := math.Float64bits(v + 0) // -0 becomes 0
		s.keys = append(s.keys, b^(uint64(int64(b)>>63)|1<<63))
	}
	if rows == nil {
		for _, v := range x {
			add(v)
		}
	} else {
		for _, r := range rows {
			add(x[r])
		}
	}
	if len(s.keys) < 1<<9 {
		slices.Sort(s.keys)
		return
	}
	s.radix()
}

// radix sorts s.keys by eleven bits at a time, leaving out digits that all
// keys share.
func (s *scratch) radix() {
	const width, digits = 11, 6
	var counts [digits][1 << width]int32
	for _, k := range s.keys {
		for d := range digits {
			counts[d][k>>(width*d)&(1<<width-1)]++
		}
	}
	s.spare = slices.Grow(s.spare[:0], len(s.keys))[:len(s.keys)]
	for d := range digits {
		c, shift := &counts[d], width*d
		if int(c[s.keys[0]>>shift&(1<<width-1)]) == len(s.keys) {
			continue
		}
		at := int32(0)
		for i, n := range c {
			c[i], at = at, at+n
		}
		for _, k := range s.keys {
			i := k >> shift & (1<<width - 1)
			s.spare[c[i]] = k
			c[i]++
		}
		s.keys, s.spare = s.spare, s.keys
	}
}

// collapse makes s.values the distinct values of s.keys, after round, and
// s.counts how often each is there.
func (s *scratch) collapse(round func(float64) float64) {
	s.values, s.counts = s.values[:0], s.counts[:0]
	last, key := math.NaN(), uint64(0)
	for i, k := range s.keys {
		if i > 0 && k == key {
			s.counts[len(s.counts)-1]++
			continue
		}
		key = k
		v := round(math.Float64frombits(k ^ (uint64(^int64(k)>>63) | 1<<63)))
		if v == last {
			s.counts[len(s.counts)-1]++
			continue
		}
		last = v
		s.values, s.counts = append(s.values, v), append(s.counts, 1)
	}
}

// cuts chooses at most bins-1 cut points between values: each value alone in
// its bin where there are bins enough, else bins of about as many rows each; a
// value that would fill a bin has one of its own.
func cuts(values []float64, counts []int32, bins, bits int) []float64 {
	n := len(values)
	if n <= 1 {
		return nil
	}
	if n <= bins {
		out := make([]float64, n-1)
		for i := range out {
			out[i] = between(values[i], values[i+1], bits)
		}
		return out
	}
	total := 0
	for _, c := range counts {
		total += int(c)
	}
	out := make([]float64, 0, bins-1)
	full := (total + bins - 1) / bins // what makes a value fill a bin
	// Bins and rows that are left for values that do not.
	left, rows := bins, total
	for _, c := range counts {
		if int(c) >= full {
			left, rows = left-1, rows-int(c)
		}
	}
	in := 0 // rows in the current bin
	for i := range n - 1 {
		c := int(counts[i])
		in += c
		big := c >= full
		if !big {
			rows -= c
		}
		// Before a big value the bin closes, unless it is less than half full.
		target := float64(rows+in) / float64(max(left, 1))
		if big || float64(in) >= target || int(counts[i+1]) >= full && 2*float64(in) >= target {
			if len(out) == bins-1 {
				break
			}
			out = append(out, between(values[i], values[i+1], bits))
			if !big {
				left--
			}
			in = 0
		}
	}
	return out
}

// between returns a cut point a < cut <= b, half-way where there is room: a
// float32 where bits is 32 and a and b are.
func between(a, b float64, bits int) float64 {
	c := a/2 + b/2
	if bits == 32 {
		c = float64(float32(c))
	}
	if c <= a {
		return b
	}
	return c
}

// numbers bins a column of numbers.
func (m *Matrix) numbers(x []float64, p *plan) (Feature, []uint8) {
	f := Feature{Cuts: p.cuts64}
	narrow := m.Input == trees.Float32
	if narrow {
		f.Cuts = p.cuts32
	}
	out := make([]uint8, len(x))
	table := newTable(f.Cuts)
	present := false
	for r, v := range x {
		if v != v {
			out[r], f.Missing = Missing, true
			continue
		}
		present = true
		if narrow {
			v = float64(float32(v))
		}
		out[r] = table.bin(v)
	}
	if present {
		f.Bins = len(f.Cuts) + 1
	}
	return f, out
}

// table finds the bin of a value without a branch that depends on it.
type table [256]float64

func newTable(cuts []float64) *table {
	var t table
	for i := range t {
		t[i] = math.Inf(1)
	}
	copy(t[:], cuts)
	return &t
}

// bin returns the number of cuts that are not above v: at most 254.
func (t *table) bin(v float64) uint8 {
	v = min(v, math.MaxFloat64) // what float32 cannot hold is infinite
	k := notAbove(t[127], v) << 7
	k += notAbove(t[(k+63)&255], v) << 6
	k += notAbove(t[(k+31)&255], v) << 5
	k += notAbove(t[(k+15)&255], v) << 4
	k += notAbove(t[(k+7)&255], v) << 3
	k += notAbove(t[(k+3)&255], v) << 2
	k += notAbove(t[(k+1)&255], v) << 1
	k += notAbove(t[k&255], v)
	return uint8(k)
}

func notAbove(cut, v float64) (one uint) {
	if cut <= v {
		one = 1
	}
	return one
}
