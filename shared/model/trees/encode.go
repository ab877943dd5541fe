package trees

import (
	"encoding/binary"
	"math"
	"slices"
)

// The canonical bytes of a forest, little-endian: a header of sixteen uint32,
// then the arrays below, each beginning at a multiple of eight bytes.
//
//	base       [outputs]float64
//	outputOf   [trees]uint32   output that the tree adds to
//	nodesOf    [trees]uint32   inner nodes of the tree; it has one leaf more
//	cutEnds    [features]uint32
//	setEnds    [sets]uint32
//	setFeature [sets]uint32    ascending
//	setItems   [items]uint32   categories of a set, ascending
//	nodes      [nodes]uint64   see pack
//	cuts       [cuts]float     thresholds of a feature, ascending; float32 where Input is
//	leaves     [nodes+trees]float  float32 where Sum is
//	covers     [nodes+trees]float32  of the leaves; only with flagCovers
//
// Inner nodes and leaves of a tree lie in breadth-first order, so the shape
// needs two bits per node and no file can describe anything but a tree.
type header struct {
	Version, Flags, Features, Outputs  uint32
	Trees, Nodes, Cuts, Sets, SetItems uint32
	_, _, _, _, _, _, _                uint32
}

const (
	version    = 1
	headerSize = 64

	flagInput64 = 1 << 0
	flagSum64   = 1 << 1
	flagAverage = 1 << 2
	flagCovers  = 1 << 3
)

// pack is an inner node: feature, index of its cut within the feature or of
// its set, and flags.
//
//	bits 0-31   cut index within the feature's cuts, or set index
//	bits 32-55  feature
//	bit  56     left child is a leaf
//	bit  57     right child is a leaf
//	bit  58     test is In
//	bits 60-62  treatment of missing values
func pack(test uint32, feature int32, leftLeaf, rightLeaf, in bool, m Missing) uint64 {
	v := uint64(test) | uint64(feature)<<32 | uint64(m)<<60
	if leftLeaf {
		v |= 1 << 56
	}
	if rightLeaf {
		v |= 1 << 57
	}
	if in {
		v |= 1 << 58
	}
	return v
}

type packed uint64

func (p packed) test() uint32     { return uint32(p) }
func (p packed) feature() uint32  { return uint32(p>>32) & 0xffffff }
func (p packed) leftLeaf() bool   { return p>>56&1 != 0 }
func (p packed) rightLeaf() bool  { return p>>57&1 != 0 }
func (p packed) in() bool         { return p>>58&1 != 0 }
func (p packed) missing() Missing { return Missing(p >> 60 & 7) }
func (p packed) wellFormed() bool { return p>>63 == 0 && p>>59&1 == 0 && p.missing() < missings }

// Encode checks f and returns its canonical bytes. Errors are *Refusal.
func (f *Forest) Encode() ([]byte, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	all, largest := 0, 0
	for t := range f.Trees {
		n := len(f.Trees[t].Nodes)
		all, largest = all+n, max(largest, n)
	}
	e := encoder{
		f: f, reached: make([]int32, 0, all), ends: make([]int, 0, len(f.Trees)), seen: make([]bool, largest),
		cuts: make([][]float64, f.Features),
	}
	for t := range f.Trees {
		if err := e.reach(t); err != nil {
			return nil, err
		}
	}
	e.collectCuts()
	e.collectSets()
	leaves := (len(e.reached) + len(f.Trees)) / 2
	e.nodesOf, e.leaves = make([]uint32, 0, len(f.Trees)), make([]float64, 0, leaves)
	e.nodes = make([]uint64, 0, leaves-len(f.Trees))
	if f.Covers {
		e.covers = make([]float64, 0, leaves)
	}
	for t := range f.Trees {
		e.tree(t)
	}
	return e.bytes(), nil
}

type encoder struct {
	f        *Forest
	reached  []int32 // the nodes of each tree, one after the other, in breadth-first order
	ends     []int   // per tree: where its nodes end in reached
	seen     []bool  // of reach
	cuts     [][]float64
	sets     []set
	setIndex map[string]uint32
	nodes    []uint64
	nodesOf  []uint32
	leaves   []float64
	covers   []float64
}

type set struct {
	feature int32
	items   []int32
}

// cut returns the threshold t as the smallest value of the input precision
// that goes right: every test becomes x < cut.
func (f *Forest) cut(n *Node) float64 {
	t := n.Threshold
	if f.Input == Float64 {
		if n.Test == LessEqual {
			t = math.Nextafter(t, math.Inf(1))
		}
		return t + 0 // -0 becomes 0: they compare alike
	}
	c := float32(t)
	if v := float64(c); v < t || v == t && n.Test == LessEqual {
		c = math.Nextafter32(c, float32(math.Inf(1)))
	}
	return float64(c) + 0
}

// never reports that no x, however large, goes right: x <= +Inf.
func (n *Node) never() bool { return n.Test == LessEqual && math.IsInf(n.Threshold, 1) }

func (e *encoder) collectCuts() {
	for t := range e.f.Trees {
		for _, i := range e.order(t) {
			n := &e.f.Trees[t].Nodes[i]
			if (n.Test == Less || n.Test == LessEqual) && !n.never() {
				e.cuts[n.Feature] = append(e.cuts[n.Feature], e.f.cut(n))
			}
		}
	}
	for i := range e.cuts {
		slices.Sort(e.cuts[i])
		e.cuts[i] = slices.Compact(e.cuts[i])
	}
}

// collectSets gathers the distinct (feature, set) pairs in the order of
// feature and items, so that equal forests have equal bytes.
func (e *encoder) collectSets() {
	seen := map[string]bool{}
	for t := range e.f.Trees {
		for _, i := range e.order(t) {
			n := &e.f.Trees[t].Nodes[i]
			if n.Test != In {
				continue
			}
			s := set{n.Feature, canonicalSet(n.Set)}
			if key := s.key(); !seen[key] {
				seen[key] = true
				e.sets = append(e.sets, s)
			}
		}
	}
	slices.SortFunc(e.sets, func(a, b set) int {
		if a.feature != b.feature {
			return int(a.feature - b.feature)
		}
		return slices.Compare(a.items, b.items)
	})
	e.setIndex = make(map[string]uint32, len(e.sets))
	for i := range e.sets {
		e.setIndex[e.sets[i].key()] = uint32(i)
	}
}

func canonicalSet(items []int32) []int32 {
	if slices.IsSorted(items) {
		return slices.Compact(slices.Clone(items))
	}
	s := slices.Clone(items)
	slices.Sort(s)
	return slices.Compact(s)
}

func (s set) key() string {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+4*len(s.items)), uint32(s.feature))
	for _, c := range s.items {
		b = binary.LittleEndian.AppendUint32(b, uint32(c))
	}
	return string(b)
}

// reach finds the nodes of tree t in breadth-first order and checks each. A
// child outside the tree, or one that is reached twice, refuses the forest;
// nodes that no path reaches are left out.
func (e *encoder) reach(t int) error {
	nodes := e.f.Trees[t].Nodes
	seen := e.seen[:len(nodes)]
	clear(seen)
	seen[0] = true
	k := len(e.reached)
	e.reached = append(e.reached, 0)
	for ; k < len(e.reached); k++ {
		i := e.reached[k]
		n := &nodes[i]
		if err := e.f.checkNode(t, int(i), n); err != nil {
			return err
		}
		if n.Test == Leaf {
			continue
		}
		for _, c := range [2]int32{n.Left, n.Right} {
			if c < 0 || int(c) >= len(nodes) {
				return refuse(t, int(i), "child %d of %d nodes", c, len(nodes))
			}
			if seen[c] {
				return refuse(t, int(i), "child %d is reached twice", c)
			}
			seen[c] = true
			e.reached = append(e.reached, c)
		}
	}
	e.ends = append(e.ends, len(e.reached))
	return nil
}

// order returns the nodes of tree t in breadth-first order.
func (e *encoder) order(t int) []int32 {
	start := 0
	if t > 0 {
		start = e.ends[t-1]
	}
	return e.reached[start:e.ends[t]]
}

// tree appends the inner nodes and leaves of tree t.
func (e *encoder) tree(t int) {
	nodes := e.f.Trees[t].Nodes
	before := len(e.nodes)
	for _, i := range e.order(t) {
		n := &nodes[i]
		if n.Test == Leaf {
			e.leaves = append(e.leaves, n.Value)
			if e.f.Covers {
				e.covers = append(e.covers, n.Cover)
			}
			continue
		}
		var test uint32
		if n.Test == In {
			test = e.setIndex[set{n.Feature, canonicalSet(n.Set)}.key()]
		} else if cuts := e.cuts[n.Feature]; n.never() {
			test = uint32(len(cuts))
		} else {
			k, _ := slices.BinarySearch(cuts, e.f.cut(n))
			test = uint32(k)
		}
		e.nodes = append(e.nodes, pack(test, n.Feature, nodes[n.Left].Test == Leaf, nodes[n.Right].Test == Leaf, n.Test == In, n.Missing))
	}
	e.nodesOf = append(e.nodesOf, uint32(len(e.nodes)-before))
}

func (e *encoder) bytes() []byte {
	f := e.f
	var w writer
	h := header{
		Version: version, Features: uint32(f.Features), Outputs: uint32(f.Outputs),
		Trees: uint32(len(f.Trees)), Nodes: uint32(len(e.nodes)), Sets: uint32(len(e.sets)),
	}
	if f.Input == Float64 {
		h.Flags |= flagInput64
	}
	if f.Sum == Float64 {
		h.Flags |= flagSum64
	}
	if f.Average {
		h.Flags |= flagAverage
	}
	if f.Covers {
		h.Flags |= flagCovers
	}
	for i := range e.cuts {
		h.Cuts += uint32(len(e.cuts[i]))
	}
	for i := range e.sets {
		h.SetItems += uint32(len(e.sets[i].items))
	}
	// Close enough for most: what is left out is the sets.
	size := headerSize + 8*(len(f.Base)+len(e.nodes)+int(h.Cuts)+len(e.leaves)+len(e.covers)) + 8*len(f.Trees) + 4*f.Features + 512
	w.b, _ = binary.Append(make([]byte, 0, size), binary.LittleEndian, h)

	for _, b := range f.Base {
		w.float(Float64, b)
	}
	w.align()
	for i := range f.Trees {
		w.u32(uint32(f.Trees[i].Output))
	}
	w.align()
	for _, n := range e.nodesOf {
		w.u32(n)
	}
	w.align()
	end := uint32(0)
	for i := range e.cuts {
		end += uint32(len(e.cuts[i]))
		w.u32(end)
	}
	w.align()
	end = 0
	for i := range e.sets {
		end += uint32(len(e.sets[i].items))
		w.u32(end)
	}
	w.align()
	for i := range e.sets {
		w.u32(uint32(e.sets[i].feature))
	}
	w.align()
	for i := range e.sets {
		for _, c := range e.sets[i].items {
			w.u32(uint32(c))
		}
	}
	w.align()
	for _, n := range e.nodes {
		w.b = binary.LittleEndian.AppendUint64(w.b, n)
	}
	for i := range e.cuts {
		for _, c := range e.cuts[i] {
			w.float(f.Input, c)
		}
	}
	w.align()
	for _, v := range e.leaves {
		w.float(f.Sum, v)
	}
	w.align()
	if f.Covers {
		for _, v := range e.covers {
			w.float(Float32, v)
		}
		w.align()
	}
	return w.b
}

type writer struct{ b []byte }

func (w *writer) u32(v uint32) { w.b = binary.LittleEndian.AppendUint32(w.b, v) }

func (w *writer) float(p Precision, v float64) {
	if p == Float64 {
		w.b = binary.LittleEndian.AppendUint64(w.b, math.Float64bits(v))
	} else {
		w.b = binary.LittleEndian.AppendUint32(w.b, math.Float32bits(float32(v)))
	}
}

func (w *writer) align() {
	for len(w.b)%8 != 0 {
		w.b = append(w.b, 0)
	}
}
