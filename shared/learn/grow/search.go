// Package grow is what decision forests and jungles are grown with: the rows
// that a tree is given, the search for the split that parts the rows of a node
// best, and the growing of an ensemble, tree by tree.
//
// A Search is of the splits that random candidates allow, by classes
// (information gain) or by the values of a label (variance): Begin with the
// rows of a node, Try features one by one, and ask for the Best. Missing cells
// go the way that parts best, with every candidate. The levels of a category
// are brought in an order first, so that a set of levels is a cut like any
// other: by the mean of their labels, where one of these cuts is the best there
// is (Breiman et al., Classification and Regression Trees, 1984, §4.2.2); by
// chance where there are classes, for of fifty levels that are in the order of
// their classes some cut always fits, and says nothing about other rows.
package grow

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/model/trees"
)

// Split parts rows by the bin of one feature.
type Split struct {
	Feature int
	// Gain is how much the rows' impurity falls, in total.
	Gain  float64
	right [4]uint64 // bit b: bin b goes right
	last  int       // of a number: the last bin that goes left
}

// Right reports whether rows in bin b go right.
func (s *Split) Right(b uint8) bool { return s.right[b>>6]>>(b&63)&1 != 0 }

func (s *Split) set(b uint8, right bool) {
	s.right[b>>6] &^= 1 << (b & 63)
	if right {
		s.right[b>>6] |= 1 << (b & 63)
	}
}

// Node returns the test, without children.
func (s *Split) Node(m *binned.Matrix) trees.Node {
	var n trees.Node
	switch f := &m.Features[s.Feature]; {
	case !f.Number():
		n = m.In(s.Feature, func(bin int) bool { return s.Right(uint8(bin)) })
	case s.last >= len(f.Cuts): // values left, missing cells right
		n = trees.Node{Test: trees.LessEqual, Feature: int32(s.Feature), Threshold: math.Inf(1)}
	default:
		n = m.Less(s.Feature, s.last)
	}
	if n.Missing = trees.Left; s.Right(binned.Missing) {
		n.Missing = trees.Right
	}
	return n
}

// Partition brings the draws that go left before the others, in their order,
// and returns how many do. Spare is as long as draws.
func (s *Split) Partition(m *binned.Matrix, draws, spare []Draw) int {
	column := m.Column(s.Feature)
	left, right := 0, 0
	for _, d := range draws {
		if s.Right(column[d.Row]) {
			spare[right] = d
			right++
		} else {
			draws[left] = d
			left++
		}
	}
	copy(draws[left:], spare[:right])
	return left
}

// group is the rows of one bin.
type group struct {
	bin    uint8
	first  int32 // its events begin here, and end where the next group's begin
	end    int32 // of arrange
	count  int32
	weight float64
	key    float64 // of a category: what its bins are ordered by
}

// event is some weight of one class, or some rows' labels together.
type event struct {
	class  int32
	weight float64
	value  float64 // weight times value
}

// Search looks for splits of one matrix. It is the working memory of one
// goroutine.
type Search struct {
	m       *binned.Matrix
	measure measure
	classes *classMeasure // nil of a search by values
	width   int           // classes; 1 where there are none
	min     int           // the fewest draws on either side
	draws   []Draw
	count   int
	weight  float64
	best    Split
	found   bool

	groups  []group
	events  []event
	moved   []event
	missing group // of the feature at hand; its events stand last
	end     int32 // of the last group's events
	keys    []uint32
	spare   []uint32
	counts  [256]int32
	cells   []event // of dense: bin by class
}

// measure is how well rows are parted: by classes or by values.
type measure interface {
	begin(draws []Draw)
	// restart puts all rows right.
	restart()
	// move brings the rows of events left.
	move(events []event)
	// gain of the parting as it stands.
	gain() float64
	// key is what the bins of a category are ordered by.
	key(events []event, weight float64, random *rand.Rand) float64
}

// Begin takes the rows to part.
func (s *Search) Begin(draws []Draw) {
	s.draws, s.found = draws, false
	s.count, s.weight = 0, 0
	for i := range draws {
		s.count += int(draws[i].Count)
		s.weight += draws[i].Weight
	}
	s.measure.begin(draws)
}

// Weight returns the weight of the rows.
func (s *Search) Weight() float64 { return s.weight }

// Best returns the best split since Begin; false where no feature that was
// tried parts the rows.
func (s *Search) Best() (Split, bool) { return s.best, s.found }

// Try measures at most limit splits by feature f, chosen at random among those
// that the rows can tell apart, and keeps the best. It returns how many there
// were to choose from: none where all rows are in the same bin.
func (s *Search) Try(f, limit int, random *rand.Rand) int {
	s.gather(f)
	n := len(s.groups)
	all := n - 1
	if s.missing.count > 0 {
		all = 2*n - 1 // missing cells on either side, and on a side of their own
	}
	if n == 0 || all < 1 {
		return 0
	}
	if !s.m.Features[f].Number() {
		s.arrange(random)
	}
	pick := picker{all, min(limit, all), random}
	c := cut{group: -1}
	s.scan(false, &pick, &c)
	if s.missing.count > 0 {
		s.scan(true, &pick, &c)
	}
	if c.group >= 0 && (!s.found || c.gain > s.best.Gain+tie) {
		s.keep(f, c)
	}
	return all
}

// picker chooses a number of things as they come by (Knuth, The Art of Computer
// Programming, vol. 2, §3.4.2, algorithm S).
type picker struct {
	left, want int
	random     *rand.Rand
}

func (p *picker) take() bool {
	p.left--
	if p.want > p.left || p.want > 0 && p.random.IntN(p.left+1) < p.want {
		p.want--
		return true
	}
	return false
}

// cut parts the groups of a feature behind one of them.
type cut struct {
	group       int
	missingLeft bool
	gain        float64
}

// tie is a difference of gains that rounding may make: of splits that gain the
// same the first is taken.
const tie = 1e-9

// scan moves group after group left and measures.
func (s *Search) scan(missingLeft bool, pick *picker, best *cut) {
	s.measure.restart()
	count := 0
	if missingLeft {
		s.measure.move(s.events[s.missing.first:])
		count = int(s.missing.count)
	}
	last := len(s.groups) - 1
	if missingLeft || s.missing.count == 0 {
		last-- // nothing would be left for the right
	}
	for i := 0; i <= last; i++ {
		if pick.want == 0 {
			return
		}
		g := &s.groups[i]
		s.measure.move(s.events[g.first:s.endOf(i)])
		count += int(g.count)
		if !pick.take() || count < s.min || s.count-count < s.min {
			continue
		}
		if gain := s.measure.gain(); best.group < 0 || gain > best.gain+tie {
			*best = cut{i, missingLeft, gain}
		}
	}
}

func (s *Search) endOf(group int) int32 {
	if group+1 < len(s.groups) {
		return s.groups[group+1].first
	}
	return s.end
}

// keep remembers the split of feature f by cut c.
func (s *Search) keep(f int, c cut) {
	s.found = true
	s.best = Split{Feature: f, Gain: c.gain}
	b, i, missingLeft := &s.best, c.group, c.missingLeft
	left := 0.0
	for _, g := range s.groups[:i+1] {
		left += g.weight
	}
	if missingLeft {
		left += s.missing.weight
	}
	lighterLeft := left < s.weight-left
	feature := &s.m.Features[f]
	if feature.Number() {
		// Half-way between the bins that rows have.
		b.last = feature.Bins - 1
		if i+1 < len(s.groups) {
			b.last = (int(s.groups[i].bin) + int(s.groups[i+1].bin) - 1) / 2
		}
		for bin := b.last + 1; bin < feature.Bins; bin++ {
			b.set(uint8(bin), true)
		}
	} else {
		// What no row here has goes with the larger side, and that is left: only
		// levels that are named can go right. The bin of the rest cannot.
		flip := lighterLeft
		if feature.Rest {
			if at := slices.IndexFunc(s.groups, func(g group) bool { return int(g.bin) == feature.Bins-1 }); at >= 0 {
				flip = at > i
			}
		}
		for k, g := range s.groups {
			b.set(g.bin, (k > i) != flip)
		}
		if flip {
			missingLeft, lighterLeft = !missingLeft, !lighterLeft
		}
	}
	right := lighterLeft // with the larger side, where no row here tells
	if s.missing.count > 0 {
		right = !missingLeft
	}
	b.set(binned.Missing, right)
}

// arrange orders the bins of a category.
func (s *Search) arrange(random *rand.Rand) {
	for i := range s.groups {
		g := &s.groups[i]
		g.end = s.endOf(i)
		g.key = s.measure.key(s.events[g.first:g.end], g.weight, random)
	}
	slices.SortStableFunc(s.groups, func(a, b group) int { return cmp.Compare(a.key, b.key) })
	// A group's events end where the next one's begin, so they move with it.
	s.moved = s.moved[:0]
	for i := range s.groups {
		g := &s.groups[i]
		events := s.events[g.first:g.end]
		g.first = int32(len(s.moved))
		s.moved = append(s.moved, events...)
	}
	copy(s.events, s.moved)
}

// gather makes the groups of feature f: dense, by adding up cells, where there
// are more rows than cells; else by sorting the rows.
func (s *Search) gather(f int) {
	s.groups, s.events, s.missing = s.groups[:0], s.events[:0], group{}
	column, bins := s.m.Column(f), s.m.Features[f].Bins
	if len(s.draws) >= max(32, bins*s.width) {
		s.dense(column, bins)
	} else {
		s.sorted(column)
	}
}

func (s *Search) dense(column []uint8, bins int) {
	if s.cells == nil {
		s.cells = make([]event, 256*s.width)
	}
	for i := range s.draws {
		d := &s.draws[i]
		b := column[d.Row]
		s.counts[b] += d.Count
		c := &s.cells[int(b)*s.width+int(d.Class)]
		c.weight += d.Weight
		c.value += float64(d.Weight * d.Value)
	}
	for bin := range bins {
		if s.counts[bin] > 0 {
			s.groups = append(s.groups, s.take(uint8(bin)))
		}
	}
	s.end = int32(len(s.events))
	if s.counts[binned.Missing] > 0 {
		s.missing = s.take(binned.Missing)
	}
}

// take makes a group of a bin's cells, and clears them.
func (s *Search) take(bin uint8) group {
	g := group{bin: bin, first: int32(len(s.events)), count: s.counts[bin]}
	cells := s.cells[int(bin)*s.width:][:s.width]
	for k, c := range cells {
		if c.weight > 0 {
			g.weight += c.weight
			s.events = append(s.events, event{int32(k), c.weight, c.value})
		}
	}
	clear(cells)
	s.counts[bin] = 0
	return g
}

func (s *Search) sorted(column []uint8) {
	s.keys = s.keys[:0]
	for i := range s.draws {
		s.keys = append(s.keys, uint32(column[s.draws[i].Row])<<24|uint32(i))
	}
	s.sort()
	for _, key := range s.keys {
		bin, d := uint8(key>>24), &s.draws[key&0xffffff]
		g := &s.missing
		if bin != binned.Missing {
			if n := len(s.groups); n == 0 || s.groups[n-1].bin != bin {
				s.groups = append(s.groups, group{bin: bin, first: int32(len(s.events))})
			}
			g = &s.groups[len(s.groups)-1]
		} else if g.count == 0 {
			*g = group{bin: bin, first: int32(len(s.events))}
		}
		s.events = append(s.events, event{d.Class, d.Weight, float64(d.Weight * d.Value)})
		g.count += d.Count
		g.weight += d.Weight
	}
	s.end = int32(len(s.events))
	if s.missing.count > 0 {
		s.end = s.missing.first
	}
}

// sort orders the keys, which have the number of the draw below the bin: where
// there are more draws than 24 bits can number, they are summed densely.
func (s *Search) sort() {
	if len(s.keys) < 24 {
		for i := 1; i < len(s.keys); i++ {
			k := s.keys[i]
			at := i
			for ; at > 0 && s.keys[at-1] > k; at-- {
				s.keys[at] = s.keys[at-1]
			}
			s.keys[at] = k
		}
		return
	}
	for _, k := range s.keys {
		s.counts[k>>24]++
	}
	at := int32(0)
	for i, n := range s.counts {
		s.counts[i], at = at, at+n
	}
	s.spare = slices.Grow(s.spare[:0], len(s.keys))[:len(s.keys)]
	for _, k := range s.keys {
		s.spare[s.counts[k>>24]] = k
		s.counts[k>>24]++
	}
	s.keys, s.spare = s.spare, s.keys
	clear(s.counts[:])
}
