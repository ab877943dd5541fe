package trees

import "slices"

// lanes is how many trees a row walks side by side: enough independent chains
// of loads to hide their latency.
const lanes = 8

// perfectDepth is the deepest tree that is padded to a perfect one, at the
// price of 2^depth nodes and leaves.
const perfectDepth = 8

// maxLayout bounds the nodes of either layout, far above any real model.
const maxLayout = 1 << 30

// group is a run of up to eight consecutive trees in one layout.
//
//	perfect: the trees are in one heap at nodes[node:], below its nodes 8 to 15
//	         (see heapPlace); tree k's leaves are leaves[node+k<<depth:]. Short
//	         branches are padded with tests that are always true and copies of
//	         their leaf.
//	linked:  tree k starts at links[node+k]; see link.
type group struct {
	node   uint32
	first  uint32 // number of its first tree
	trees  uint8
	depth  uint8 // of a perfect group
	linked bool
}

// heapPlace is where in its group's heap tree k has its node h, counted as if
// its root were node 1 of a heap of its own.
func heapPlace(k, h uint32) uint32 { return h + (lanes-1+k)<<(bitLen(h)-1) }

// link is a node of a tree too deep or too lop-sided to pad. Its children are
// at left and left+1. A leaf tests slot 0 with rank 0, which is true, and has
// left = its own index - 1: it leads to itself.
type link struct {
	test uint32
	left uint32
}

type number interface{ float32 | float64 }

// totals is what a forest's leaves are added to, in the precision of its sums.
type totals[T number] struct {
	base   []T
	divide []T // per output: number of its trees, where averaging
}

func totalsOf[T number](f *file) totals[T] {
	t := totals[T]{base: make([]T, f.Outputs)}
	for i, b := range f.base {
		t.base[i] = T(b)
	}
	if f.Flags&flagAverage != 0 {
		t.divide = make([]T, f.Outputs)
		for _, o := range f.outputOf {
			t.divide[o]++
		}
	}
	return t
}

// total is what a sum of output o comes to.
func (t *totals[T]) total(o int, sum T) float64 {
	if t.divide != nil {
		sum /= max(1, t.divide[o])
	}
	return float64(sum)
}

// forest is the walkable form.
type forest[T number] struct {
	totals[T]
	outputOf []uint32
	groups   []group
	nodes    []uint32 // perfect: slot<<8 | rank; the row goes right where row[slot] >= rank
	leaves   []T      // perfect
	links    []link
	roots    []uint32 // linked: index in links of each tree's root
	values   []T      // linked: parallel to links
}

// layOut makes the walkable form of f, whose trees have these depths.
func layOut[T number](f *file, m *slotMap, leaves []T, depths []uint32) (*forest[T], error) {
	w := &forest[T]{totals: totalsOf[T](f), outputOf: slices.Clone(f.outputOf)}
	if err := w.plan(f, depths); err != nil {
		return nil, err
	}
	nodes := f.nodes
	var s scratch
	for _, g := range w.groups {
		for k := range uint32(g.trees) {
			n := f.nodesOf[g.first+k]
			if g.linked {
				linkTree(w, m, nodes[:n], leaves[:n+1], w.roots[g.node+k])
			} else {
				s.perfect(w.nodes[g.node:][:lanes<<g.depth], k, m, nodes[:n])
				padLeaves(w.leaves[g.node+k<<g.depth:][:1<<g.depth], leaves[:n+1], &s, nodes[:n], uint(g.depth))
			}
			nodes, leaves = nodes[n:], leaves[n+1:]
		}
	}
	return w, nil
}

// shapes checks that every tree is whole and returns their depths.
func (f *file) shapes() ([]uint32, error) {
	depths := make([]uint32, f.Trees)
	nodes := f.nodes
	for t, n := range f.nodesOf {
		depth, ok := depthOf(nodes[:n])
		if !ok {
			return nil, damaged("tree %d is not a tree", t)
		}
		depths[t] = depth
		nodes = nodes[n:]
	}
	return depths, nil
}

// depthOf returns the number of tests on the longest path of a tree in
// breadth-first order; false where its flags do not describe n nodes.
func depthOf(nodes []uint64) (depth uint32, ok bool) {
	if len(nodes) == 0 {
		return 0, true
	}
	known, end := 1, 1 // nodes announced by a parent; end of the current level
	for i, v := range nodes {
		if i == end {
			depth++
			end = known
		}
		if i >= known {
			return 0, false
		}
		if n := packed(v); !n.leftLeaf() {
			known++
			if !n.rightLeaf() {
				known++
			}
		} else if !n.rightLeaf() {
			known++
		}
	}
	return depth + 1, known == len(nodes)
}

// plan forms groups: eight trees at a time, perfect where their padding is
// small beside the trees themselves.
func (w *forest[T]) plan(f *file, depths []uint32) error {
	var nodes, links uint32
	for first := 0; first < len(depths); first += lanes {
		last := min(first+lanes, len(depths))
		g := group{first: uint32(first), trees: uint8(last - first)}
		depth, inner := uint32(1), uint32(0)
		for t := first; t < last; t++ {
			depth = max(depth, depths[t])
			inner += f.nodesOf[t]
		}
		if depth > perfectDepth || depth > 4 && lanes<<depth > 8*(inner+lanes) {
			g.linked, g.node = true, uint32(len(w.roots))
			for t := first; t < last; t++ {
				w.roots = append(w.roots, links)
				links += 2*f.nodesOf[t] + 1
			}
			for range lanes - int(g.trees) { // so that eight can always be walked
				w.roots = append(w.roots, w.roots[g.node])
			}
		} else {
			g.depth, g.node = uint8(depth), nodes
			nodes += lanes << depth
		}
		if nodes > maxLayout || links > maxLayout {
			return damaged("it is too large")
		}
		w.groups = append(w.groups, g)
	}
	w.nodes = make([]uint32, nodes)
	w.leaves = make([]T, nodes)
	w.links = make([]link, links)
	w.values = make([]T, links)
	return nil
}

// scratch holds the heap position of each node of one tree.
type scratch struct{ heap []uint32 }

// perfect writes the tests of tree k of a group and keeps their heap positions
// for padLeaves.
func (s *scratch) perfect(dst []uint32, k uint32, m *slotMap, nodes []uint64) {
	if len(nodes) == 0 {
		return // all tests stay true, all leaves are the one leaf
	}
	s.heap = append(s.heap[:0], 1)
	for i, v := range nodes {
		n, h := packed(v), s.heap[i]
		dst[heapPlace(k, h)] = m.test(n)
		if !n.leftLeaf() {
			s.heap = append(s.heap, 2*h)
		}
		if !n.rightLeaf() {
			s.heap = append(s.heap, 2*h+1)
		}
	}
}

// padLeaves copies each leaf to all the places below it.
func padLeaves[T number](dst, leaves []T, s *scratch, nodes []uint64, depth uint) {
	if len(nodes) == 0 {
		fill(dst, leaves[0])
		return
	}
	place := func(h uint32) {
		level := bitLen(h) - 1
		lo := (h << (depth - level)) - 1<<depth
		fill(dst[lo:lo+1<<(depth-level)], leaves[0])
		leaves = leaves[1:]
	}
	for i, v := range nodes {
		if packed(v).leftLeaf() {
			place(2 * s.heap[i])
		}
		if packed(v).rightLeaf() {
			place(2*s.heap[i] + 1)
		}
	}
}

func fill[T number | int32](dst []T, v T) {
	for i := range dst {
		dst[i] = v
	}
}

// linkTree writes a tree's nodes and leaves from index root on.
func linkTree[T number](w *forest[T], m *slotMap, nodes []uint64, leaves []T, root uint32) {
	next := root + 1 // where the next pair of children goes
	leaf := func(at uint32) {
		w.links[at] = link{0, at - 1}
		w.values[at] = leaves[0]
		leaves = leaves[1:]
	}
	if len(nodes) == 0 {
		leaf(root)
		return
	}
	queue := make([]uint32, 1, len(nodes)) // places of inner nodes
	queue[0] = root
	for i, v := range nodes {
		n := packed(v)
		w.links[queue[i]] = link{m.test(n), next}
		if n.leftLeaf() {
			leaf(next)
		} else {
			queue = append(queue, next)
		}
		if n.rightLeaf() {
			leaf(next + 1)
		} else {
			queue = append(queue, next+1)
		}
		next += 2
	}
}
