package onnx

import (
	"cmp"
	"slices"
	"sync"

	"github.com/portico-ml/portico/shared/model/trees"
)

// branch is what a node of a tree asks. The true branch is taken where
// x mode value holds.
type branch uint8

const (
	leaf branch = iota
	leq
	lt
	gte
	gt
	eq
	neq
	member
)

var branches = map[string]branch{
	"LEAF": leaf, "BRANCH_LEQ": leq, "BRANCH_LT": lt, "BRANCH_GTE": gte, "BRANCH_GT": gt, "BRANCH_EQ": eq, "BRANCH_NEQ": neq,
	"BRANCH_MEMBER": member,
}

// treeNode is a node as a file has it.
type treeNode struct {
	mode    branch
	tracks  bool // NaN takes the true branch
	feature int32
	yes, no int32 // nodes of the same tree
	value   float64
	members []float64 // of member
	weights []leafWeight
}

type leafWeight struct {
	target int32
	value  float64
}

// ensemble is the trees of a TreeEnsemble operator of any version.
type ensemble struct {
	trees   [][]treeNode
	targets int
	wide    bool // its numbers are doubles
	typed   bool // its answers are of the type of its numbers: TreeEnsemble
}

// aggregate is how the leaves of a target come together.
type aggregate string

// lane is an ensemble for rows of one precision.
type lane struct {
	once sync.Once
	e    *trees.Ensemble
	err  error
}

// treeEngine is an ensemble on the tree engine. Its outputs are the targets'
// sums, or each tree's own answer where the aggregate is no sum.
type treeEngine struct {
	model    *ensemble
	how      aggregate
	features int
	// equals has, for each feature tested by equality, the values it is
	// tested for: column features+k of the engine is the place of the k'th
	// such feature's value among them.
	equals []equality
	count  int     // trees
	lanes  [2]lane // of float and of double rows: a graph's are of one type
}

type equality struct {
	feature int
	values  []float64 // ascending
}

// newTreeEngine checks a model. The first rows compile it, which are those
// that Open tries a graph on.
func newTreeEngine(m *ensemble, how aggregate) (*treeEngine, error) {
	e := &treeEngine{model: m, how: how}
	if m.targets < 1 || m.targets > trees.MaxOutputs {
		return nil, refuse("%d targets or classes", m.targets)
	}
	if how != "SUM" && how != "AVERAGE" {
		if len(m.trees)*m.targets > trees.MaxOutputs {
			return nil, refuse("the aggregate %s of more than %d trees is not supported", how, trees.MaxOutputs)
		}
	}
	tested := map[int][]float64{}
	for _, t := range m.trees {
		for i := range t {
			n := &t[i]
			if n.mode == leaf {
				if err := e.checkLeaf(n); err != nil {
					return nil, err
				}
				continue
			}
			f := int(n.feature)
			e.features = max(e.features, f+1)
			switch n.mode {
			case eq, neq:
				tested[f] = append(tested[f], n.value)
			case member:
				tested[f] = append(tested[f], n.members...)
			}
		}
	}
	for _, f := range sorted(tested) {
		values := slices.DeleteFunc(tested[f], func(v float64) bool { return v != v })
		slices.Sort(values)
		e.equals = append(e.equals, equality{f, slices.Compact(values)})
	}
	e.count = len(m.trees)
	return e, nil
}

func (e *treeEngine) checkLeaf(n *treeNode) error {
	seen := 0
	for i, w := range n.weights {
		for _, v := range n.weights[:i] {
			if v.target == w.target {
				return refuse("a leaf has two weights for target or class %d", w.target)
			}
		}
		seen++
	}
	if e.how != "SUM" && e.how != "AVERAGE" && seen != e.model.targets {
		return refuse("aggregate %s with a leaf that has no weight for each target", e.how)
	}
	return nil
}

// lane returns the ensemble for rows of floats or of doubles.
func (e *treeEngine) lane(wide bool) (*trees.Ensemble, error) {
	l := &e.lanes[0]
	precision := trees.Float32
	if wide {
		l, precision = &e.lanes[1], trees.Float64
	}
	l.once.Do(func() {
		f, err := e.forest(precision)
		if err == nil {
			var b []byte
			if b, err = f.Encode(); err == nil {
				l.e, err = trees.Open(b)
			}
		}
		if err != nil {
			l.err = refuse("%v", err)
		}
		e.model.trees = nil // the engine has them now
	})
	return l.e, l.err
}

// forest describes the ensemble to the tree engine: a tree for each target
// that its leaves have a weight of.
func (e *treeEngine) forest(p trees.Precision) (*trees.Forest, error) {
	m := e.model
	if m.trees == nil && e.count > 0 {
		return nil, refuse("it has scored rows of another type")
	}
	separate := e.how != "SUM" && e.how != "AVERAGE"
	f := &trees.Forest{Features: e.features + len(e.equals), Outputs: m.targets, Input: p, Sum: p}
	if separate {
		f.Outputs = m.targets * len(m.trees)
	}
	f.Base = make([]float64, f.Outputs)
	used := make([]bool, m.targets)
	for k, t := range m.trees {
		clear(used)
		for i := range t {
			for _, w := range t[i].weights {
				used[w.target] = used[w.target] || w.value != 0
			}
		}
		for target := range m.targets {
			if !used[target] && !separate { // adds nothing
				continue
			}
			output := target
			if separate {
				output = k*m.targets + target
			}
			tree := trees.Tree{Output: output, Nodes: make([]trees.Node, len(t))}
			for i := range t {
				tree.Nodes[i] = e.node(&t[i], target)
			}
			f.Trees = append(f.Trees, tree)
		}
	}
	return f, nil
}

// node writes a node as the tree engine tests it. The engine's threshold
// tests are < and <=: for > and >= the branches change sides.
func (e *treeEngine) node(n *treeNode, target int) trees.Node {
	if n.mode == leaf {
		for _, w := range n.weights {
			if int(w.target) == target {
				return trees.Node{Value: w.value}
			}
		}
		return trees.Node{}
	}
	t := trees.Node{Feature: n.feature, Threshold: n.value}
	missingYes := n.tracks
	yesLeft := true
	switch n.mode {
	case leq:
		t.Test = trees.LessEqual
	case lt:
		t.Test = trees.Less
	case gte:
		t.Test, yesLeft = trees.Less, false
	case gt:
		t.Test, yesLeft = trees.LessEqual, false
	default:
		t.Test, yesLeft, t.Threshold = trees.In, n.mode == neq, 0
		k, _ := slices.BinarySearchFunc(e.equals, int(n.feature), func(q equality, f int) int { return cmp.Compare(q.feature, f) })
		t.Feature = int32(e.features + k)
		members := n.members
		if n.mode != member {
			members = []float64{n.value}
		}
		for _, v := range members {
			if i, ok := slices.BinarySearch(e.equals[k].values, v); ok && v == v {
				t.Set = append(t.Set, int32(i))
			}
		}
		missingYes = missingYes || n.mode == neq // NaN differs from everything
	}
	t.Left, t.Right = n.yes, n.no
	if !yesLeft {
		t.Left, t.Right = n.no, n.yes
	}
	t.Missing = trees.Right
	if missingYes == yesLeft {
		t.Missing = trees.Left
	}
	return t
}

// treeRun scores rows: the memory of one session.
type treeRun struct {
	engine *treeEngine
	s      [2]*trees.Session
	rows   [2]int // that the sessions are for
	x, out []float64
	sums   []float64 // of a row, by target
}

func newTreeRun(e *treeEngine) *treeRun {
	return &treeRun{engine: e, sums: make([]float64, e.model.targets)}
}

// score calls finish with the aggregated targets of each row.
func (t *treeRun) score(x *tensor, finish func(r int, targets []float64)) error {
	e := t.engine
	rows, cols, err := table(x)
	if err != nil {
		return err
	}
	if cols < e.features {
		return refuse("%d columns, the trees test column %d", cols, e.features-1)
	}
	lane := 0
	if x.typ == Double {
		lane = 1
	}
	engine, err := e.lane(lane == 1)
	if err != nil {
		return err
	}
	if t.s[lane] == nil || rows > t.rows[lane] && t.rows[lane] < trees.BlockRows {
		t.rows[lane] = 1
		if rows > 1 {
			t.rows[lane] = trees.BlockRows
		}
		t.s[lane] = engine.NewSession(t.rows[lane])
	}
	outputs := engine.Outputs()
	for lo := 0; lo < rows; lo += trees.BlockRows {
		n := min(trees.BlockRows, rows-lo)
		t.x = room(t.x, n*engine.Features())
		for f := range e.features {
			col := t.x[f*n : f*n+n]
			if x.typ == Float {
				for r := range col {
					col[r] = float64(x.f32[(lo+r)*cols+f])
				}
				continue
			}
			for r := range col {
				col[r] = x.at((lo+r)*cols + f)
			}
		}
		for k, q := range e.equals {
			from, col := t.x[q.feature*n:q.feature*n+n], t.x[(e.features+k)*n:][:n]
			for r, v := range from {
				if lane == 0 {
					v = float64(float32(v))
				}
				i, ok := slices.BinarySearch(q.values, v)
				switch {
				case v != v:
					col[r] = v
				case ok:
					col[r] = float64(i)
				default:
					col[r] = trees.MaxCategory
				}
			}
		}
		t.out = room(t.out, n*outputs)
		t.s[lane].Predict(t.x, n, t.out)
		for r := range n {
			finish(lo+r, t.aggregate(t.out[r*outputs:][:outputs], lane == 1))
		}
	}
	return nil
}

// aggregate makes targets of the engine's sums.
func (t *treeRun) aggregate(out []float64, wide bool) []float64 {
	switch t.engine.how {
	case "SUM":
		copy(t.sums, out)
	case "AVERAGE":
		for k, v := range out {
			t.sums[k] = single(v/float64(t.engine.count), wide)
		}
	default:
		targets := len(t.sums)
		copy(t.sums, out[:targets])
		for i, v := range out[targets:] {
			k := i % targets
			if t.engine.how == "MIN" {
				t.sums[k] = min(t.sums[k], v)
			} else {
				t.sums[k] = max(t.sums[k], v)
			}
		}
	}
	return t.sums
}

// single rounds to float32 where sums are floats.
func single(v float64, wide bool) float64 {
	if wide {
		return v
	}
	return float64(float32(v))
}
