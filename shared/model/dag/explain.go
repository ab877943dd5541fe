package dag

import (
	"errors"
	"slices"

	"github.com/portico-ml/portico/shared/model/shap"
)

// Errors of OpenExplainer besides ErrDamaged.
var (
	ErrNoShares = errors.New("the decision graphs have no shares")
	ErrTooLarge = errors.New("the decision graphs are too large for contributions")
)

// Explainer splits the answers of decision graphs into contributions of their
// features. A row's contributions and the base, which is the answer expected of
// the training rows, add up to its answer.
//
// Where all graphs are trees, contributions are Shapley values, by package shap.
// In other graphs there may be more ways to a leaf than could be walked:
// contributions are what the tests on the row's own way did, each of them the
// answer expected below the child that the row went to less that expected below
// the node (Palczewska, Palczewski, Robinson and Neagu, Interpreting Random
// Forest Classification Models Using a Feature Contribution Method, 2014).
//
// Immutable.
type Explainer struct {
	m      *Model
	shares []float64 // of each node
	base   []float64
	path   int       // elements that a walk needs; 0 where some graph is no tree
	below  []float64 // what is expected below each node, where some graph is no tree
}

// maxBelow bounds the memory of what is expected below nodes: 128 MiB.
const maxBelow = 1 << 24

// OpenExplainer reads canonical bytes. Errors are ErrNoShares, ErrTooLarge or
// wrap ErrDamaged.
func OpenExplainer(b []byte) (*Explainer, error) {
	m, err := read(b)
	if err != nil {
		return nil, err
	}
	if len(m.shares) == 0 {
		return nil, ErrNoShares
	}
	x := &Explainer{m: m, shares: make([]float64, len(m.nodes)), base: make([]float64, m.outputs)}
	for i := range x.shares {
		x.shares[i] = m.share(i)
	}
	m.shares = nil
	if depth, ok := m.trees(); ok {
		if x.path = shap.Room(depth, m.features); x.path == 0 {
			return nil, ErrTooLarge
		}
	} else {
		if uint64(len(m.nodes))*uint64(m.outputs) > maxBelow {
			return nil, ErrTooLarge
		}
		x.below = x.expect()
	}
	x.setBase()
	return x, nil
}

// trees reports whether every node has one parent at most, and how many tests
// the longest way has.
func (m *Model) trees() (depth int, ok bool) {
	depths := make([]int, len(m.nodes))
	for i := range m.nodes { // parents stand before children
		n := &m.nodes[i]
		depth = max(depth, depths[i])
		if n.test == Leaf {
			continue
		}
		for _, c := range [2]uint32{n.left, n.right} {
			if depths[c] > 0 {
				return 0, false
			}
			depths[c] = depths[i] + 1
		}
	}
	return depth, true
}

// expect is what is expected below each node.
func (x *Explainer) expect() []float64 {
	m, k := x.m, x.m.outputs
	below := make([]float64, len(m.nodes)*k)
	for i := range slices.Backward(m.nodes) {
		n, to := &m.nodes[i], below[i*k:][:k]
		if n.test == Leaf {
			copy(to, m.leaves[n.left:])
			continue
		}
		left, right := below[int(n.left)*k:][:k], below[int(n.right)*k:][:k]
		for o := range to {
			to[o] = float64(x.shares[i]*left[o]) + float64((1-x.shares[i])*right[o])
		}
	}
	return below
}

// setBase adds up the leaves by the share of the rows that come to them.
func (x *Explainer) setBase() {
	m := x.m
	reach := make([]float64, len(m.nodes))
	for _, root := range m.roots {
		reach[root] = 1
	}
	for i := range m.nodes {
		n := &m.nodes[i]
		if n.test != Leaf {
			reach[n.left] += float64(reach[i] * x.shares[i])
			reach[n.right] += float64(reach[i] * (1 - x.shares[i]))
			continue
		}
		for o, v := range m.leaves[n.left:][:m.outputs] {
			x.base[o] += float64(reach[i] * v)
		}
	}
	for o := range x.base {
		x.base[o] /= float64(len(m.roots))
	}
}

// Outputs returns the number of answers per row.
func (x *Explainer) Outputs() int { return x.m.outputs }

// Shapley reports whether contributions are Shapley values.
func (x *Explainer) Shapley() bool { return x.path > 0 }

// Size is the memory that x holds, in bytes.
func (x *Explainer) Size() int64 {
	return int64(40*len(x.m.nodes) + 8*(len(x.m.leaves)+len(x.below)+len(x.base)))
}

// ExplainSession is the working memory of one caller. Not for concurrent use.
type ExplainSession struct {
	x    *Explainer
	path shap.Path
	row  []float64 // feature f at [f*stride]
	n    int       // the stride
	phi  []float64 // of the row
}

// NewSession makes a session.
func (x *Explainer) NewSession() *ExplainSession {
	return &ExplainSession{x: x, path: make(shap.Path, x.path)}
}

// Contributions writes those of n rows to out: for each row and output one of
// each feature, and the base. Feature f of row r is x[f*n+r]; NaN is missing.
// It does not allocate.
func (s *ExplainSession) Contributions(x []float64, n int, out []float64) {
	m := s.x.m
	width := m.features + 1
	graphs := float64(len(m.roots))
	for r := range n {
		s.row, s.n, s.phi = x[r:], n, out[r*m.outputs*width:][:m.outputs*width]
		clear(s.phi)
		for _, root := range m.roots {
			if s.x.Shapley() {
				s.walk(root, s.path, 0, 1, 1, -1)
			} else {
				s.follow(root)
			}
		}
		for o := range m.outputs {
			phi := s.phi[o*width:][:width]
			for i := range phi {
				phi[i] /= graphs
			}
			phi[width-1] = s.x.base[o]
		}
	}
}

// follow goes the row's way through a graph.
func (s *ExplainSession) follow(at uint32) {
	m := s.x.m
	k, width := uint32(m.outputs), m.features+1
	for m.nodes[at].test != Leaf {
		n := &m.nodes[at]
		hot, _, _ := s.sides(at)
		before, after := s.x.below[at*k:][:k], s.x.below[hot*k:][:k]
		for o := range before {
			s.phi[o*width+int(n.feature)] += after[o] - before[o]
		}
		at = hot
	}
}

// sides is the child that the row goes to from a test, the other one, and the
// share of the first.
func (s *ExplainSession) sides(at uint32) (hot, cold uint32, share float64) {
	n, share := &s.x.m.nodes[at], s.x.shares[at]
	if s.x.m.right(n, s.row[int(n.feature)*s.n]) {
		return n.right, n.left, 1 - share
	}
	return n.left, n.right, share
}

// walk goes below a node of a tree. The path to it, of depth elements, lies in
// front of path; the test before it sent the share zero of unknown values here,
// and the row itself where one is 1.
func (s *ExplainSession) walk(at uint32, path shap.Path, depth int, zero, one float64, feature int32) {
	path.Extend(depth, zero, one, feature)
	m := s.x.m
	n := &m.nodes[at]
	if n.test == Leaf {
		width := m.features + 1
		leaf := m.leaves[n.left:][:m.outputs]
		for i := 1; i <= depth; i++ {
			weight := path.Weight(depth, i)
			for o, v := range leaf {
				s.phi[o*width+int(path[i].Feature)] += float64(weight * v)
			}
		}
		return
	}
	hot, cold, share := s.sides(at)
	// A feature tested before is taken out of the path, and its parts carried on.
	depth, zero, one = path.Take(depth, int32(n.feature))
	next := path[depth+1:]
	if share*zero > 0 || one > 0 {
		copy(next, path[:depth+1])
		s.walk(hot, next, depth+1, share*zero, one, int32(n.feature))
	}
	if (1-share)*zero > 0 {
		copy(next, path[:depth+1])
		s.walk(cold, next, depth+1, (1-share)*zero, 0, int32(n.feature))
	}
}
