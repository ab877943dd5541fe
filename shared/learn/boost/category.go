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
	// setLevels is the most levels of a set that goes right.
	setLevels = 32

	// Sets of levels easily fit noise. What keeps them from it is counted in
	// sums of second derivatives: rows, for squared error; for classes several
	// times as many, the more the surer the model is of them.

	// levelSum is the least by which a level can be in a set that goes right.
	levelSum = 10
	// smoothing draws the mean gradient of a level to zero before levels are
	// sorted by it.
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
// 1958). Scale is what the packing multiplies second derivatives by.
func (s *scratch) set(c *contest, count *counter, goes *binSet, feature *binned.Feature, scale float64) bool {
	levels := s.levels[:0]
	others := false // there are rows of levels that only go left
	for i, b := range s.bins[:s.n] {
		if feature.Rest && int(b) == feature.Bins-1 {
			others = true
			continue
		}
		levels = append(levels, level{bin: b, g: s.g[i+1] - s.g[i], h: s.h[i+1] - s.h[i]})
	}
	t := sets{contest: c, count: count, missing: s.missingG != 0 || s.missingH != 0}
	if len(levels) <= alone {
		for i, l := range levels {
			t.try(levels[i:i+1], i, l.g, l.h)
		}
		if t.missing || others {
			t.all(levels)
		}
	} else {
		known := len(levels)
		levels = common(levels, scale)
		others = others || len(levels) < known
		t.ranges(levels)
	}
	if t.to == 0 {
		return false
	}
	// Levels that no row here has go left, with the more rows where that can
	// be chosen.
	heavy := 2*t.h > s.totalH
	flip := heavy && !others
	for i, l := range levels {
		if in := t.from <= i && i < t.to; in != flip {
			goes.add(l.bin)
		}
	}
	missingRight := t.missingRight != flip
	if !t.missing {
		missingRight = heavy && !flip
	}
	if missingRight {
		goes.add(binned.Missing)
	}
	return true
}

// common leaves the levels that can be in a set, in the order of their smoothed
// mean gradients.
func common(levels []level, scale float64) []level {
	levels = slices.DeleteFunc(levels, func(l level) bool { return l.h < levelSum*scale })
	for i := range levels {
		levels[i].mean = levels[i].g / (levels[i].h + smoothing*scale)
	}
	slices.SortFunc(levels, func(a, b level) int {
		return cmp.Or(cmp.Compare(a.mean, b.mean), cmp.Compare(a.bin, b.bin))
	})
	return levels
}

// sets is the contest between ranges of levels that go right.
type sets struct {
	*contest
	count        *counter
	missing      bool // there are missing values to send, too
	from, to     int
	missingRight bool
	h            float64 // of what goes right
}

// all tries all levels against what is no level.
func (t *sets) all(levels []level) {
	g, h := 0.0, 0.0
	for _, l := range levels {
		g, h = g+l.g, h+l.h
	}
	t.try(levels, 0, g, h)
}

// ranges tries the first levels and the last ones, one more each time.
func (t *sets) ranges(levels []level) {
	n := len(levels)
	most := min(setLevels, (n+1)/2)
	for _, last := range [2]bool{false, true} {
		g, h := 0.0, 0.0
		for i := range most {
			from, to := 0, i+1
			l := levels[i]
			if last {
				from, to = n-1-i, n
				l = levels[from]
			}
			g, h = g+l.g, h+l.h
			t.try(levels[from:to], from, g, h)
		}
	}
}

// try sends a range of levels that begins at from, of these sums, right,
// without the missing values and with them.
func (t *sets) try(levels []level, from int, g, h float64) {
	t.side(levels, from, g, h, false)
	if t.missing {
		s := t.count.s
		t.side(levels, from, g+s.missingG, h+s.missingH, true)
	}
}

func (t *sets) side(levels []level, from int, g, h float64, missing bool) {
	num, den, yes := t.beats(g, h)
	if !yes {
		return
	}
	known, enough := t.count.shown(h)
	if !known {
		n := int32(0)
		for _, l := range levels {
			n += t.count.s.counts[l.bin]
		}
		enough = t.count.enough(n, missing)
	}
	if enough {
		t.num, t.den = num, den
		t.from, t.to, t.missingRight, t.h = from, from+len(levels), missing, h
	}
}
