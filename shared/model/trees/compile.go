package trees

import (
	"math/bits"
	"slices"
)

// Ensemble is a forest laid out for scoring, immutable, for any number of
// concurrent sessions.
type Ensemble struct {
	features int
	outputs  int
	slots    int // bytes of a row: slot 0 is what tests that are always true read, whatever it holds
	input    Precision
	numeric  []numericFeature
	plain    []plainFeature // those of numeric that are plain
	others   []int          // and those that are not
	sets     []setFeature
	cuts32   []float32
	cuts64   []float64
	walk     walker     // nil where vectors score single rows too
	wide     kernels    // nil where vectors score nothing
	tables   []cutTable // for rankColumn, beside numeric; nil without the kernels
	ranked   []rowTable // for rankRow, beside plain; nil without the kernels
	stats    Stats
}

// Stats describe an ensemble's layout, for logs and tests.
type Stats struct {
	Trees, Nodes, Slots int
	Outputs             int
	Perfect, Linked     int // trees in each layout of the portable path, where it is taken
	Padded, Asked       int // trees in each layout for vectors
	Deepest             int // tests on the longest path
	MostCuts            int // thresholds of the feature with the most
	LargestSet          int // categories of the largest set
	Bytes               int // memory of the layout
}

// Features returns the number of features of a row.
func (e *Ensemble) Features() int { return e.features }

// Outputs returns the number of sums per row.
func (e *Ensemble) Outputs() int { return e.outputs }

// Stats returns what the layout came to.
func (e *Ensemble) Stats() Stats { return e.stats }

// numericFeature fills the slots of one feature's threshold tests.
type numericFeature struct {
	feature    int
	start, end uint32 // its thresholds
	views      []view
}

// view is the slots of a feature under one treatment of missing values: slot
// base+k holds the rank among thresholds chunk*k and the 253 after it.
type view struct {
	base   uint32
	chunks uint32
	mode   Missing
}

// plainFeature is a numericFeature of one or two slots, for missing values that
// go left and right: what most features of most models are. A slot that it does
// not have is slot 0.
type plainFeature struct {
	feature     uint32
	start, end  uint32
	left, right uint32
}

// findPlain tells plain features from others.
func (e *Ensemble) findPlain() {
	e.plain = make([]plainFeature, 0, len(e.numeric))
	for i := range e.numeric {
		f := &e.numeric[i]
		p := plainFeature{feature: uint32(f.feature), start: f.start, end: f.end}
		plain := f.start < f.end
		for _, w := range f.views {
			switch {
			case w.chunks > 1:
				plain = false
			case w.mode == Left:
				p.left = w.base
			case w.mode == Right:
				p.right = w.base
			default:
				plain = false
			}
		}
		if plain {
			e.plain = append(e.plain, p)
		} else {
			e.others = append(e.others, i)
		}
	}
}

// setFeature fills the slots of one feature's category sets: each holds 1
// where the row's category is in the set, which sends it right.
type setFeature struct {
	feature    int
	base, size uint32   // its slots
	categories []uint32 // those that some set holds, ascending
	index      []int32  // of a category in categories, -1 where no set holds it; nil where they are far apart
	ends       []uint32 // members[ends[i-1]:ends[i]]: slots that hold category i
	members    []uint32
	missing    []uint32 // slots where a missing value goes right
}

// slotMap says which slots a node's test reads.
type slotMap struct {
	numeric [][missings]uint32 // per feature and mode: first slot, 0 where unused
	sets    [][Left + 1]uint32 // per set and mode
}

// begin makes an ensemble of f without its trees.
func begin(f *file) (*Ensemble, *slotMap, error) {
	e := &Ensemble{
		features: int(f.Features), outputs: int(f.Outputs), input: f.input,
		// Copies, so that the file's bytes can go.
		cuts32: slices.Clone(f.cuts32), cuts64: slices.Clone(f.cuts64),
	}
	m, err := e.assignSlots(f)
	e.findPlain()
	return e, m, err
}

// compile lays out f, for vectors where the processor has them.
func compile(f *file, vectors bool) (*Ensemble, error) {
	e, m, err := begin(f)
	if err != nil {
		return nil, err
	}
	depths, err := f.shapes()
	if err != nil {
		return nil, err
	}
	if f.sum == Float32 {
		err = lay(e, f, m, f.leaves32, depths, vectors)
	} else {
		err = lay(e, f, m, f.leaves64, depths, vectors)
	}
	if err != nil {
		return nil, err
	}
	e.stats.Trees, e.stats.Nodes, e.stats.Slots, e.stats.Outputs = int(f.Trees), int(f.Nodes), e.slots, e.outputs
	for s := range f.Sets {
		e.stats.LargestSet = max(e.stats.LargestSet, len(f.set(s)))
	}
	for _, depth := range depths {
		e.stats.Deepest = max(e.stats.Deepest, int(depth))
	}
	for i := range e.numeric {
		e.stats.MostCuts = max(e.stats.MostCuts, int(e.numeric[i].end-e.numeric[i].start))
	}
	if vectors {
		e.tabulate()
	}
	return e, nil
}

// lay makes what scores e: the layout for vectors where there is one, and the
// walkable one where that does not score all rows.
func lay[T number](e *Ensemble, f *file, m *slotMap, leaves []T, depths []uint32, vectors bool) error {
	if vectors {
		if w := widen(f, m, leaves, depths, e.slots); w != nil {
			e.wide = w
			w.describe(&e.stats)
			if w.single {
				return nil
			}
		}
	}
	w, err := layOut(f, m, leaves, depths)
	if err != nil {
		return err
	}
	e.walk = w
	w.describe(&e.stats)
	return nil
}

// assignSlots gives every (feature, mode) and (set, mode) in use its slots, in
// the order of features.
func (e *Ensemble) assignSlots(f *file) (*slotMap, error) {
	modes := make([]uint8, f.Features) // bit per mode
	setModes := make([]uint8, f.Sets)
	for _, n := range f.nodes {
		if n := packed(n); n.in() {
			setModes[n.test()] |= 1 << n.missing()
		} else {
			modes[n.feature()] |= 1 << n.missing()
		}
	}
	m := &slotMap{make([][missings]uint32, f.Features), make([][Left + 1]uint32, f.Sets)}
	next := uint64(1)
	s := uint32(0)
	for feature := range f.Features {
		if modes[feature] != 0 {
			nf := numericFeature{feature: int(feature), start: f.cutStart(feature), end: f.cutEnds[feature]}
			nf.views = make([]view, 0, bits.OnesCount8(modes[feature]))
			chunks := (nf.end-nf.start)/chunk + 1
			for mode := range missings {
				if modes[feature]>>mode&1 != 0 {
					m.numeric[feature][mode] = uint32(next)
					nf.views = append(nf.views, view{uint32(next), chunks, mode})
					next += uint64(chunks)
				}
			}
			e.numeric = append(e.numeric, nf)
		}
		first := s
		for s < f.Sets && f.setFeature[s] == feature {
			s++
		}
		if first < s {
			next = e.assignSets(f, m, setModes, feature, first, s, next)
		}
		if next > maxSlots {
			return nil, damaged("its tests need more than %d slots", maxSlots)
		}
	}
	e.slots = int(next)
	return m, nil
}

func (e *Ensemble) assignSets(f *file, m *slotMap, modes []uint8, feature, lo, hi uint32, next uint64) uint64 {
	sf := setFeature{feature: int(feature), base: uint32(next)}
	for s := lo; s < hi; s++ {
		sf.categories = append(sf.categories, f.set(s)...)
	}
	slices.Sort(sf.categories)
	sf.categories = slices.Compact(sf.categories)
	sf.indexCategories()
	// Slots are given set by set; members are then counted into place category
	// by category, each category's in the order of slots.
	at := make([]uint32, len(sf.categories)+1) // at[i]: where category i's next member goes
	members := uint32(0)
	each := func(visit func(category int, slot uint32)) {
		slot := sf.base
		for s := lo; s < hi; s++ {
			for range bits.OnesCount8(modes[s]) {
				for _, c := range f.set(s) {
					i, _ := slices.BinarySearch(sf.categories, c)
					visit(i, slot)
				}
				slot++
			}
		}
	}
	each(func(category int, _ uint32) { at[category+1]++; members++ })
	for i := range sf.categories {
		at[i+1] += at[i]
	}
	sf.members = make([]uint32, members)
	each(func(category int, slot uint32) { sf.members[at[category]] = slot; at[category]++ })
	sf.ends = at[:len(sf.categories)]
	for s := lo; s < hi; s++ {
		for mode := range Left + 1 {
			if modes[s]>>mode&1 == 0 {
				continue
			}
			m.sets[s][mode] = uint32(next)
			if mode == Right {
				sf.missing = append(sf.missing, uint32(next))
			}
			next++
		}
	}
	sf.size = uint32(next) - sf.base
	e.sets = append(e.sets, sf)
	return next
}

// indexCategories spares small codes, as those of text levels are, the search.
func (sf *setFeature) indexCategories() {
	n := len(sf.categories)
	if n == 0 || int(sf.categories[n-1]) >= 64+4*n {
		return
	}
	sf.index = make([]int32, sf.categories[n-1]+1)
	fill(sf.index, -1)
	for i, c := range sf.categories {
		sf.index[c] = int32(i)
	}
}

// find returns where a category stands in categories, -1 where it does not.
func (sf *setFeature) find(category uint32) int {
	if sf.index != nil {
		if int(category) < len(sf.index) {
			return int(sf.index[category])
		}
		return -1
	}
	if i, ok := slices.BinarySearch(sf.categories, category); ok {
		return i
	}
	return -1
}

// test returns the slot a node reads and the rank at which it goes right.
func (m *slotMap) test(n packed) uint32 {
	if n.in() {
		return m.sets[n.test()][n.missing()]<<8 | 1
	}
	base := m.numeric[n.feature()][n.missing()]
	return (base+n.test()/chunk)<<8 | (n.test()%chunk + 1)
}
