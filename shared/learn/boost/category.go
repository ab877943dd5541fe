package boost

import (
	"cmp"
	"slices"

	"github.com/portico-ml/portico/shared/learn/binned"
)

const (
	// alone is the most levels of which each is tried against all others; of
	// more, sets are.
	alone = 4
	// smoothing is the sum of second derivatives by which the mean gradient of
	// a level is drawn to zero before levels are sorted by it, and by which the
	// parts of a leaf are penalised: sets of levels fit noise easily.
	smoothing = 10
)

// level is the sums of one level in a leaf.
type level struct {
	bin        uint8
	g, h, mean float64
}

// set tries sets of levels to send right: each level alone where they are few;
// else the first ones and the last ones in the order of their mean gradients,
// among which the best set is (Fisher, "On grouping for maximum homogeneity",
// 1958).
func (s *scratch) set(c *contest, count *counter, goes *binSet, feature *binned.Feature, smooth float64) bool {
	levels, rest := s.levels[:0], false
	for i, b := range s.bins[:s.n] {
		if feature.Rest && int(b) == feature.Bins-1 {
			rest = true // these always go left
			continue
		}
		l := level{bin: b, g: s.g[i+1] - s.g[i], h: s.h[i+1] - s.h[i]}
		l.mean = l.g / (l.h + smooth)
		levels = append(levels, l)
	}
	t := sets{contest: c, count: count, missing: s.missingG != 0 || s.missingH != 0}
	if len(levels) <= alone {
		for i, l := range levels {
			t.try(levels, i, i+1, l.g, l.h)
		}
		if t.missing || rest {
			t.prefixes(levels, len(levels))
		}
	} else {
		c.lambda += smooth
		c.totalH += smooth
		slices.SortFunc(levels, func(a, b level) int {
			return cmp.Or(cmp.Compare(a.mean, b.mean), cmp.Compare(a.bin, b.bin))
		})
		most := len(levels)
		if !t.missing && !rest {
			most--
		}
		t.prefixes(levels, most)
		if rest {
			t.suffixes(levels)
		}
	}
	if t.to == 0 {
		return false
	}
	right := t.h // with missing values that go there
	// Levels that no row here has go left, with the more rows where that can
	// be chosen.
	flip := !rest && 2*right > s.totalH
	for i, l := range levels {
		if in := t.from <= i && i < t.to; in != flip {
			goes.add(l.bin)
		}
	}
	missingRight := t.missingRight != flip
	if !t.missing {
		missingRight = !flip && 2*right > s.totalH
	}
	if missingRight {
		goes.add(binned.Missing)
	}
	return true
}

// sets is the contest between ranges of levels that go right.
type sets struct {
	*contest
	count        *counter
	missing      bool // there are missing values to send, too
	from, to     int
	missingRight bool
	h            float64
}

// prefixes tries the first levels, up to most of them.
func (t *sets) prefixes(levels []level, most int) {
	g, h := 0.0, 0.0
	for i, l := range levels[:most] {
		g, h = g+l.g, h+l.h
		t.try(levels, 0, i+1, g, h)
	}
}

// suffixes tries the last levels.
func (t *sets) suffixes(levels []level) {
	g, h := 0.0, 0.0
	for i, l := range slices.Backward(levels) {
		g, h = g+l.g, h+l.h
		t.try(levels, i, len(levels), g, h)
	}
}

// try sends levels[from:to], of these sums, right, without the missing values
// and with them.
func (t *sets) try(levels []level, from, to int, g, h float64) {
	t.side(levels, from, to, g, h, false)
	if t.missing {
		s := t.count.s
		t.side(levels, from, to, g+s.missingG, h+s.missingH, true)
	}
}

func (t *sets) side(levels []level, from, to int, g, h float64, missing bool) {
	num, den, yes := t.beats(g, h)
	if !yes {
		return
	}
	known, enough := t.count.shown(h)
	if !known {
		n := int32(0)
		for _, l := range levels[from:to] {
			n += t.count.s.counts[l.bin]
		}
		enough = t.count.enough(n, missing)
	}
	if enough {
		t.num, t.den = num, den
		t.from, t.to, t.missingRight, t.h = from, to, missing, h
	}
}
