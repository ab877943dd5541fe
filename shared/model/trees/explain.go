package trees

import (
	"errors"
	"slices"

	"github.com/portico-ml/portico/shared/model/shap"
)

// ErrNoCovers is the error of OpenExplainer for an ensemble that was encoded
// without covers.
var ErrNoCovers = errors.New("the tree ensemble has no covers")

// ErrTooDeep is the error of OpenExplainer for trees whose paths would take too
// much memory.
var ErrTooDeep = errors.New("the trees are too deep for contributions")

// Explainer splits the sums of an ensemble into contributions of its features,
// by package shap: what a feature's value changed in
// the score, against the score expected from the training rows' covers. A
// row's contributions and the base add up to its sum. Immutable.
type Explainer struct {
	e        *Ensemble // its slots alone
	roots    []uint32
	nodes    []branch
	outputOf []uint32
	base     []float64 // the expected sum of each output
	divide   []float64 // per output: number of its trees, where averaging
	path     int       // elements of the longest paths together
}

// branch is a node of a tree, as TreeSHAP walks it.
type branch struct {
	test        uint32 // as in the walk: right where row[slot] >= rank
	feature     int32  // -1 for a leaf
	left, right uint32
	share       float64 // of the left child in the node's cover
	value       float64 // of a leaf; of another node, what is expected below it
}

// OpenExplainer reads canonical bytes. Errors are ErrNoCovers, ErrTooDeep or wrap
// ErrDamaged.
func OpenExplainer(b []byte) (*Explainer, error) {
	f, err := parse(b)
	if err != nil {
		return nil, err
	}
	if f.Flags&flagCovers == 0 {
		return nil, ErrNoCovers
	}
	e, m, err := begin(f)
	if err != nil {
		return nil, err
	}
	if hasWide {
		e.tabulate()
	}
	depths, err := f.shapes()
	if err != nil {
		return nil, err
	}
	x := &Explainer{e: e, base: slices.Clone(f.base), outputOf: slices.Clone(f.outputOf)}
	if f.Flags&flagAverage != 0 {
		x.divide = make([]float64, f.Outputs)
		for _, o := range f.outputOf {
			x.divide[o]++
		}
	}
	x.nodes = make([]branch, 0, uint64(f.Nodes)*2+uint64(f.Trees))
	nodes, leaf := f.nodes, 0
	for t, n := range f.nodesOf {
		x.roots = append(x.roots, uint32(len(x.nodes)))
		x.base[f.outputOf[t]] += x.tree(f, m, nodes[:n], leaf)
		room := shap.Room(int(depths[t]), int(f.Features))
		if room == 0 {
			return nil, ErrTooDeep
		}
		x.path = max(x.path, room)
		nodes, leaf = nodes[n:], leaf+int(n)+1
	}
	for o, d := range x.divide {
		x.base[o] = f.base[o]/max(1, d) + (x.base[o]-f.base[o])/max(1, d)
	}
	return x, nil
}

// tree appends a tree and returns the value expected of it.
func (x *Explainer) tree(f *file, m *slotMap, nodes []uint64, leaf int) float64 {
	root := len(x.nodes)
	covers := make([]float64, 0, 2*len(nodes)+1)
	appendLeaf := func() {
		b := branch{feature: -1}
		if f.sum == Float32 {
			b.value = float64(f.leaves32[leaf])
		} else {
			b.value = f.leaves64[leaf]
		}
		x.nodes = append(x.nodes, b)
		covers = append(covers, float64(f.covers[leaf]))
		leaf++
	}
	if len(nodes) == 0 {
		appendLeaf()
		return x.nodes[root].value
	}
	// Breadth first: children are appended when their parent is reached.
	inner := make([]uint32, 1, len(nodes))
	inner[0] = uint32(root)
	x.nodes, covers = append(x.nodes, branch{}), append(covers, 0)
	for i, v := range nodes {
		n := packed(v)
		at := inner[i]
		x.nodes[at] = branch{test: m.test(n), feature: int32(n.feature()), left: uint32(len(x.nodes)), right: uint32(len(x.nodes)) + 1}
		for _, isLeaf := range [2]bool{n.leftLeaf(), n.rightLeaf()} {
			if isLeaf {
				appendLeaf()
				continue
			}
			inner = append(inner, uint32(len(x.nodes)))
			x.nodes, covers = append(x.nodes, branch{}), append(covers, 0)
		}
	}
	for _, at := range slices.Backward(inner) {
		b := &x.nodes[at]
		left, right := covers[int(b.left)-root], covers[int(b.right)-root]
		covers[int(at)-root] = left + right
		b.share = 0.5 // where no row came by
		if left+right > 0 {
			b.share = left / (left + right)
		}
		b.value = float64(b.share*x.nodes[b.left].value) + float64((1-b.share)*x.nodes[b.right].value)
	}
	return x.nodes[root].value
}

// Features returns the number of features of a row.
func (x *Explainer) Features() int { return x.e.features }

// Outputs returns the number of sums per row.
func (x *Explainer) Outputs() int { return x.e.outputs }

// Size is the memory that x holds, in bytes.
func (x *Explainer) Size() int64 { return int64(len(x.nodes)) * 40 }

// ExplainSession is the working memory of one caller. Not for concurrent use.
type ExplainSession struct {
	x    *Explainer
	s    Session
	path shap.Path
	row  []byte
	phi  []float64 // of the row and the tree's output
}

// NewSession makes a session for blocks of up to rows rows.
func (x *Explainer) NewSession(rows int) *ExplainSession {
	return &ExplainSession{
		x:    x,
		s:    Session{e: x.e, rows: make([]byte, rows*x.e.slots), row: make([]float64, x.e.features)},
		path: make(shap.Path, x.path),
	}
}

// Contributions writes those of n rows to out: for each row and output one of
// each feature, and the base. Feature f of row r is x[f*n+r]; NaN is missing.
// It does not allocate.
func (s *ExplainSession) Contributions(x []float64, n int, out []float64) {
	e := s.x
	rows := s.s.fill(x, n)
	width := e.Features() + 1
	clear(out[:n*e.Outputs()*width])
	for r := range n {
		s.row = rows[r*e.e.slots:][:e.e.slots]
		row := out[r*e.Outputs()*width:][:e.Outputs()*width]
		for t, root := range e.roots {
			s.phi = row[int(e.outputOf[t])*width:][:width]
			s.walk(root, s.path, 0, 1, 1, -1)
		}
		for o := range e.Outputs() {
			phi := row[o*width:][:width]
			if e.divide != nil {
				for i := range phi {
					phi[i] /= max(1, e.divide[o])
				}
			}
			phi[width-1] = e.base[o]
		}
	}
}

// walk goes below a node. The path to it, of depth elements, lies in front of
// path; the test before it sent the share zero of unknown values here, and the
// row itself where one is 1.
func (s *ExplainSession) walk(at uint32, path shap.Path, depth int, zero, one float64, feature int32) {
	path.Extend(depth, zero, one, feature)
	n := &s.x.nodes[at]
	if n.feature < 0 {
		for i := 1; i <= depth; i++ {
			s.phi[path[i].Feature] += float64(path.Weight(depth, i) * n.value)
		}
		return
	}
	hot, cold, share := n.left, n.right, n.share
	if s.row[n.test>>8] >= byte(n.test) {
		hot, cold, share = n.right, n.left, 1-n.share
	}
	// A feature tested before is taken out of the path, and its parts carried on.
	depth, zero, one = path.Take(depth, n.feature)
	next := path[depth+1:]
	if share*zero > 0 || one > 0 {
		copy(next, path[:depth+1])
		s.walk(hot, next, depth+1, share*zero, one, n.feature)
	}
	if (1-share)*zero > 0 {
		copy(next, path[:depth+1])
		s.walk(cold, next, depth+1, (1-share)*zero, 0, n.feature)
	}
}
