package dag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrDamaged is the cause of every error of Open.
var ErrDamaged = errors.New("damaged decision graphs")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Model is a jungle laid out for scoring, immutable.
type Model struct {
	features, outputs int
	single            bool
	nodes             []node
	roots             []uint32 // of each graph, in nodes
	leaves            []float64
	setEnds           []uint32
	setItems          []uint32
	cuts              []float64 // only while opening
	shares            []byte    // only while opening: of the nodes, where they are kept
}

// node is a node with its children's positions in Model.nodes. A leaf's left
// is where its numbers stand.
type node struct {
	cut         float64
	feature     uint32
	left, right uint32
	set         uint32
	test        Test
	missing     bool // goes right
}

// Open reads canonical bytes. It bounds every count by the length of b and
// checks every index, so that a walk need not and comes to an end. Errors wrap
// ErrDamaged.
func Open(b []byte) (*Model, error) {
	m, err := read(b)
	if err != nil {
		return nil, err
	}
	m.shares = nil
	return m, nil
}

// read is Open but for the shares.
func read(b []byte) (*Model, error) {
	var h header
	if len(b) < headerSize {
		return nil, damaged("%d bytes are too few for a header", len(b))
	}
	if _, err := binary.Decode(b[:headerSize], binary.LittleEndian, &h); err != nil {
		return nil, damaged("header: %v", err)
	}
	switch {
	case h.Version != version:
		return nil, damaged("layout version %d, want %d", h.Version, version)
	case h.Flags&^(flagSingle|flagShares) != 0:
		return nil, damaged("unknown flags %#x", h.Flags)
	case h.Features > MaxFeatures:
		return nil, damaged("%d features", h.Features)
	case h.Outputs < 1 || h.Outputs > MaxOutputs:
		return nil, damaged("%d outputs", h.Outputs)
	case h.Graphs < 1 || h.Graphs > MaxGraphs:
		return nil, damaged("%d graphs", h.Graphs)
	}
	numbers := uint64(h.Cuts) + uint64(h.Leaves)*uint64(h.Outputs)
	words := uint64(h.Graphs) + uint64(h.Sets) + uint64(h.SetItems)
	perNode := uint64(nodeSize)
	if h.Flags&flagShares != 0 {
		perNode += shareSize
	}
	if headerSize+8*numbers+4*words+perNode*uint64(h.Nodes) != uint64(len(b)) {
		return nil, damaged("its counts do not fit its %d bytes", len(b))
	}
	r := reader{b[headerSize:]}
	m := &Model{features: int(h.Features), outputs: int(h.Outputs), single: h.Flags&flagSingle != 0}
	m.cuts = r.floats(uint64(h.Cuts))
	m.leaves = r.floats(uint64(h.Leaves) * uint64(h.Outputs))
	nodesOf := r.words(uint64(h.Graphs))
	m.setEnds, m.setItems = r.words(uint64(h.Sets)), r.words(uint64(h.SetItems))
	if err := m.check(); err != nil {
		return nil, err
	}
	if err := m.graphs(nodesOf, r.words(4*uint64(h.Nodes))); err != nil {
		return nil, err
	}
	m.cuts, m.shares = nil, r.b
	return m, m.checkShares()
}

// reader cuts arrays off the front of bytes whose length was checked.
type reader struct{ b []byte }

func (r *reader) floats(n uint64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(r.b[8*i:]))
	}
	r.b = r.b[8*n:]
	return out
}

func (r *reader) words(n uint64) []uint32 {
	out := make([]uint32, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(r.b[4*i:])
	}
	r.b = r.b[4*len(out):]
	return out
}

func (m *Model) check() error {
	for i, c := range m.cuts {
		if math.IsNaN(c) || i > 0 && c <= m.cuts[i-1] {
			return damaged("thresholds are not in order")
		}
	}
	if slices.ContainsFunc(m.leaves, func(v float64) bool { return !finite(v) }) {
		return damaged("a leaf is not finite")
	}
	last := uint32(0)
	for s, end := range m.setEnds {
		if end < last || end > uint32(len(m.setItems)) {
			return damaged("category set %d overlaps another", s)
		}
		for i, c := range m.setItems[last:end] {
			if c > MaxCategory || i > 0 && c <= m.setItems[int(last)+i-1] {
				return damaged("category set %d is not in order", s)
			}
		}
		last = end
	}
	if last != uint32(len(m.setItems)) {
		return damaged("%d categories, the header says %d", last, len(m.setItems))
	}
	return nil
}

// share is that of node i, where there are any.
func (m *Model) share(i int) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(m.shares[shareSize*i:])))
}

func (m *Model) checkShares() error {
	if len(m.shares) == 0 {
		return nil
	}
	for i := range m.nodes {
		if v := m.share(i); !(v >= 0 && v <= 1) || m.nodes[i].test == Leaf && v != 0 {
			return damaged("a node sends the share %v left", v)
		}
	}
	return nil
}

// graphs lays out the nodes, whose words are raw, four each.
func (m *Model) graphs(nodesOf, raw []uint32) error {
	m.nodes = make([]node, 0, len(raw)/4)
	for g, n := range nodesOf {
		first := uint32(len(m.nodes))
		if n < 1 || uint64(n) > uint64(len(raw)/4)-uint64(first) {
			return damaged("graph %d has %d nodes", g, n)
		}
		m.roots = append(m.roots, first)
		for i := range n {
			v, err := m.node(raw[4*(first+i):][:4], first, i, n)
			if err != nil {
				return damaged("graph %d, node %d: %v", g, i, err)
			}
			m.nodes = append(m.nodes, v)
		}
	}
	if 4*len(m.nodes) != len(raw) {
		return damaged("its graphs have %d nodes together, the header says %d", len(m.nodes), len(raw)/4)
	}
	return nil
}

// node is node i of a graph of n nodes that begins at first.
func (m *Model) node(w []uint32, first, i, n uint32) (node, error) {
	v := node{feature: w[0] & 0xffffff, missing: w[0]>>24&1 != 0, test: Test(w[0] >> 25)}
	switch v.test {
	case Leaf:
		if w[0] != 0 || w[2] != 0 || w[3] != 0 {
			return v, errors.New("a leaf with a test")
		}
		at := uint64(w[1]) * uint64(m.outputs)
		if at >= uint64(len(m.leaves)) || at > math.MaxUint32 {
			return v, fmt.Errorf("leaf %d of %d", w[1], len(m.leaves)/m.outputs)
		}
		v.left = uint32(at)
		return v, nil
	case Less:
		if uint64(w[1]) >= uint64(len(m.cuts)) {
			return v, fmt.Errorf("threshold %d of %d", w[1], len(m.cuts))
		}
		v.cut = m.cuts[w[1]]
	case In:
		if uint64(w[1]) >= uint64(len(m.setEnds)) {
			return v, fmt.Errorf("category set %d of %d", w[1], len(m.setEnds))
		}
		v.set = w[1]
	default:
		return v, errors.New("unknown test")
	}
	if v.feature >= uint32(m.features) {
		return v, fmt.Errorf("tests feature %d of %d", v.feature, m.features)
	}
	if w[2] <= i || w[2] >= n || w[3] <= i || w[3] >= n {
		return v, fmt.Errorf("children %d and %d of %d nodes: they stand behind their parents", w[2], w[3], n)
	}
	v.left, v.right = first+w[2], first+w[3]
	return v, nil
}

// Features returns the number of features of a row.
func (m *Model) Features() int { return m.features }

// Outputs returns the number of answers per row.
func (m *Model) Outputs() int { return m.outputs }

// Predict writes the means of n rows' leaves to out, Outputs per row. Feature
// f of row r is x[f*n+r]; NaN is missing. It does not allocate.
func (m *Model) Predict(x []float64, n int, out []float64) {
	k := m.outputs
	graphs := float64(len(m.roots))
	for r := range n {
		sum := out[r*k:][:k]
		clear(sum)
		for _, at := range m.roots {
			leaf := m.leaf(x[r:], n, at)
			for i, v := range m.leaves[leaf:][:k] {
				sum[i] += v
			}
		}
		for i := range sum {
			sum[i] /= graphs
		}
	}
}

// leaf walks from node at to a leaf and returns where its numbers stand.
// Feature f of the row is x[f*stride].
func (m *Model) leaf(x []float64, stride int, at uint32) uint32 {
	for {
		n := &m.nodes[at]
		if n.test == Leaf {
			return n.left
		}
		if at = n.left; m.right(n, x[int(n.feature)*stride]) {
			at = n.right
		}
	}
}

// right reports whether a row with value v of n's feature goes right.
func (m *Model) right(n *node, v float64) bool {
	if m.single {
		v = float64(float32(v))
	}
	switch {
	case v != v:
		return n.missing
	case n.test == Less:
		return v >= n.cut
	}
	return m.in(n.set, v)
}

// in reports whether v, truncated, is in a category set.
func (m *Model) in(set uint32, v float64) bool {
	if !(v >= 0 && v < MaxCategory+1) {
		return false
	}
	lo := uint32(0)
	if set > 0 {
		lo = m.setEnds[set-1]
	}
	_, ok := slices.BinarySearch(m.setItems[lo:m.setEnds[set]], uint32(v))
	return ok
}

// Stats describe a model, for logs and tests.
type Stats struct {
	Graphs, Nodes int
	Deepest       int // tests on the longest path
	// Widest is the most nodes that stand at the same depth of a graph; a
	// node's depth is that of the longest way to it.
	Widest int
	// Shared are nodes that are the child of several nodes.
	Shared int
}

// Stats returns what the model came to.
func (m *Model) Stats() Stats {
	s := Stats{Graphs: len(m.roots), Nodes: len(m.nodes)}
	for g, first := range m.roots {
		end := len(m.nodes)
		if g+1 < len(m.roots) {
			end = int(m.roots[g+1])
		}
		nodes := m.nodes[first:end]
		depth, parents := make([]int, len(nodes)), make([]int, len(nodes))
		var width []int
		for i, n := range nodes { // parents stand before children
			if depth[i] == len(width) {
				width = append(width, 0)
			}
			width[depth[i]]++
			if parents[i] > 1 {
				s.Shared++
			}
			if n.test == Leaf {
				continue
			}
			children := []uint32{n.left - first, n.right - first}
			for _, c := range slices.Compact(children) {
				depth[c] = max(depth[c], depth[i]+1)
				parents[c]++
			}
		}
		s.Deepest = max(s.Deepest, len(width)-1)
		s.Widest = max(s.Widest, slices.Max(width))
	}
	return s
}
