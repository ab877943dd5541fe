package onnx

import (
	"cmp"
	"math"
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
	lanes  [2]lane // of float and of double rows
}

type equality struct {
	feature int
	values  []float64 // ascending
}

// newTreeEngine checks a model and compiles it for floats.
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
	if _, err := e.lane(m.wide); err != nil {
		return nil, err
	}
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
	})
	return l.e, l.err
}

// forest describes the ensemble to the tree engine: a tree for each target
// that its leaves have a weight of.
func (e *treeEngine) forest(p trees.Precision) (*trees.Forest, error) {
	m := e.model
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
				tree.Nodes[i] = e.node(&t[i], target, p)
			}
			f.Trees = append(f.Trees, tree)
		}
	}
	return f, nil
}

// node writes a node as the tree engine tests it. The engine's threshold
// tests are < and <=: for > and >= the branches change sides.
func (e *treeEngine) node(n *treeNode, target int, p trees.Precision) trees.Node {
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
	switch n := len(t.engine.model.trees); t.engine.how {
	case "SUM":
		copy(t.sums, out)
	case "AVERAGE":
		for k, v := range out {
			t.sums[k] = single(v/float64(n), wide)
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

// numbers reads a list of floats, or since version 3 a tensor of doubles.
func (d *decl) numbers(name string) (list []float64, wide bool, err error) {
	if t := d.tensor(name + "_as_tensor"); t != nil {
		if t.typ != Float && t.typ != Double {
			return nil, false, wrongType(t)
		}
		list = make([]float64, t.len())
		for i := range list {
			list[i] = t.at(i)
		}
		return list, t.typ == Double, nil
	}
	floats := d.floats(name)
	if floats == nil {
		return nil, false, nil
	}
	list = make([]float64, len(floats))
	for i, v := range floats {
		list[i] = float64(v)
	}
	return list, false, nil
}

// classic reads the trees of TreeEnsembleClassifier and TreeEnsembleRegressor.
func (d *decl) classic(prefix string, targets int) (*ensemble, error) {
	yes, no := d.ints("nodes_truenodeids"), d.ints("nodes_falsenodeids")
	features, modes := d.ints("nodes_featureids"), d.strings("nodes_modes")
	treeIDs, nodeIDs := d.ints("nodes_treeids"), d.ints("nodes_nodeids")
	tracks := d.ints("nodes_missing_value_tracks_true")
	d.attr("nodes_hitrates")
	d.attr("nodes_hitrates_as_tensor")
	values, wide, err := d.numbers("nodes_values")
	if err != nil {
		return nil, err
	}
	n := len(treeIDs)
	for _, l := range []int{len(yes), len(no), len(features), len(modes), len(nodeIDs), len(values)} {
		if l != n {
			return nil, refuse("its lists of nodes differ in length: %d and %d", n, l)
		}
	}
	if len(tracks) != 0 && len(tracks) != n {
		return nil, refuse("nodes_missing_value_tracks_true has %d entries for %d nodes", len(tracks), n)
	}
	e := &ensemble{targets: targets, wide: wide}
	all := make([]treeNode, n)
	for i := range all {
		mode, ok := branches[modes[i]]
		if !ok || mode == member {
			return nil, refuse("node mode %q is not supported", modes[i])
		}
		if features[i] < 0 || features[i] >= trees.MaxFeatures {
			return nil, refuse("a node tests feature %d", features[i])
		}
		all[i] = treeNode{mode: mode, feature: int32(features[i]), value: values[i], tracks: tracks != nil && tracks[i] != 0}
	}
	places := places{first: map[int64]int{}, nodeIDs: nodeIDs}
	for lo := 0; lo < n; {
		hi := lo
		for hi < n && treeIDs[hi] == treeIDs[lo] {
			hi++
		}
		if err := places.add(treeIDs[lo], lo, hi); err != nil {
			return nil, err
		}
		e.trees = append(e.trees, all[lo:hi:hi])
		lo = hi
	}
	for i := range all {
		if all[i].mode == leaf {
			continue
		}
		first := places.first[treeIDs[i]]
		a, b := places.of(treeIDs[i], yes[i]), places.of(treeIDs[i], no[i])
		if a < 0 || b < 0 {
			return nil, refuse("node %d of tree %d has no child %d or %d", nodeIDs[i], treeIDs[i], yes[i], no[i])
		}
		all[i].yes, all[i].no = int32(a-first), int32(b-first)
	}
	return e, d.leaves(prefix, all, &places, e)
}

// leaves reads the weights of the leaves.
func (d *decl) leaves(prefix string, all []treeNode, places *places, e *ensemble) error {
	ofTree, ofNode, target := d.ints(prefix+"_treeids"), d.ints(prefix+"_nodeids"), d.ints(prefix+"_ids")
	values, wide, err := d.numbers(prefix + "_weights")
	if err != nil {
		return err
	}
	e.wide = e.wide || wide
	if len(ofTree) != len(values) || len(ofNode) != len(values) || len(target) != len(values) {
		return refuse("its lists of weights differ in length")
	}
	at := make([]int32, len(values)) // the node of each weight
	counts := make([]int32, len(all))
	for i := range values {
		k := places.of(ofTree[i], ofNode[i])
		if k < 0 || all[k].mode != leaf {
			return refuse("a weight of node %d of tree %d, which is no leaf", ofNode[i], ofTree[i])
		}
		if target[i] < 0 || target[i] >= int64(e.targets) {
			return refuse("a leaf of target or class %d of %d", target[i], e.targets)
		}
		at[i] = int32(k)
		counts[k]++
	}
	// One array holds the weights, those of a leaf together.
	weights := make([]leafWeight, len(values))
	for k, c := range counts {
		all[k].weights, weights = weights[:0:c], weights[c:]
	}
	for i, v := range values {
		node := &all[at[i]]
		node.weights = append(node.weights, leafWeight{int32(target[i]), v})
	}
	return nil
}

// places finds nodes by the numbers of their tree and of themselves.
type places struct {
	first   map[int64]int // of each tree
	nodeIDs []int64
	// ends is where each tree ends; ids the numbers of trees whose nodes are
	// not numbered in order.
	ends map[int64]int
	ids  map[[2]int64]int
}

// add enters a tree, the nodes lo to hi.
func (p *places) add(tree int64, lo, hi int) error {
	if _, twice := p.first[tree]; twice {
		return refuse("the nodes of tree %d are not together", tree)
	}
	if p.ends == nil {
		p.ends = map[int64]int{}
	}
	p.first[tree], p.ends[tree] = lo, hi
	for i, id := range p.nodeIDs[lo:hi] {
		if id == int64(i) {
			continue
		}
		if p.ids == nil {
			p.ids = map[[2]int64]int{}
		}
		key := [2]int64{tree, id}
		if _, twice := p.ids[key]; twice || id >= 0 && id < int64(i) && p.nodeIDs[lo+int(id)] == id {
			return refuse("node %d of tree %d is there twice", id, tree)
		}
		p.ids[key] = lo + i
	}
	return nil
}

// of returns the place of a node, -1 where there is none.
func (p *places) of(tree, id int64) int {
	lo, ok := p.first[tree]
	if !ok {
		return -1
	}
	if id >= 0 && id < int64(p.ends[tree]-lo) && p.nodeIDs[lo+int(id)] == id {
		return lo + int(id)
	}
	if k, ok := p.ids[[2]int64{tree, id}]; ok {
		return k
	}
	return -1
}

func (d *decl) aggregate() (aggregate, error) {
	w, err := d.oneOf("aggregate_function", "SUM", "AVERAGE", "MIN", "MAX")
	return aggregate(w), err
}

func buildTreeRegressor(d *decl) (op, error) {
	targets := int(d.int("n_targets", 1))
	how, err := d.aggregate()
	if err != nil {
		return nil, err
	}
	post, err := d.transform()
	if err != nil {
		return nil, err
	}
	base, _, err := d.numbers("base_values")
	if err != nil {
		return nil, err
	}
	m, err := d.classic("target", targets)
	if err != nil {
		return nil, err
	}
	return regression(m, how, post, base)
}

// regression is the op of targets.
func regression(m *ensemble, how aggregate, post transform, base []float64) (op, error) {
	if len(base) != 0 && len(base) != m.targets {
		return nil, refuse("%d base values for %d targets", len(base), m.targets)
	}
	if m.targets == 1 && post != "NONE" && post != "PROBIT" { // ONNX Runtime leaves one target as it is
		post = "NONE"
	}
	engine, err := newTreeEngine(m, how)
	if err != nil {
		return nil, err
	}
	return func() kernel {
		run := newTreeRun(engine)
		return func(c *call) error {
			x := c.in[0]
			rows, _, err := table(x)
			if err != nil {
				return err
			}
			out, err := c.make(0, answerType(m, x), rows, m.targets)
			if err != nil {
				return err
			}
			return run.score(x, func(r int, t []float64) {
				for k := range base {
					t[k] = single(t[k]+base[k], x.typ == Double)
				}
				post.apply(t)
				for k, v := range t {
					out.set(r*len(t)+k, v)
				}
			})
		}
	}, nil
}

// answerType is float, but for TreeEnsemble of doubles.
func answerType(m *ensemble, x *tensor) Type {
	if m.typed && x.typ == Double {
		return Double
	}
	return Float
}

func buildTreeClassifier(d *decl) (op, error) {
	classes, err := d.labels("classlabels_int64s", "classlabels_strings")
	if err != nil {
		return nil, err
	}
	post, err := d.transform()
	if err != nil {
		return nil, err
	}
	base, _, err := d.numbers("base_values")
	if err != nil {
		return nil, err
	}
	n := classes.count()
	m, err := d.classic("class", n)
	if err != nil {
		return nil, err
	}
	if len(base) != 0 && len(base) != n && n > 2 || n < 2 {
		return nil, refuse("%d base values for %d classes", len(base), n)
	}
	// How two classes are answered depends on which have weights at all, and
	// on their signs.
	var has [2]bool
	positive := true
	for _, t := range m.trees {
		for i := range t {
			for _, w := range t[i].weights {
				if n == 2 {
					has[w.target] = true
				}
				positive = positive && w.value >= 0
			}
		}
	}
	limit := 0.0
	if positive && has[0] != has[1] {
		limit = 0.5
	}
	if n == 2 && len(base) > 1 || has[1] && len(base) > 0 {
		return nil, refuse("%d base values for two classes, on which ONNX and ONNX Runtime disagree", len(base))
	}
	engine, err := newTreeEngine(m, "SUM")
	if err != nil {
		return nil, err
	}
	return func() kernel {
		run := newTreeRun(engine)
		return func(c *call) error {
			x := c.in[0]
			rows, _, err := table(x)
			if err != nil {
				return err
			}
			if err := classes.make(c, rows); err != nil {
				return err
			}
			var scores *tensor
			if len(c.out) > 1 {
				if scores, err = c.make(1, Float, rows, n); err != nil {
					return err
				}
			}
			wide := x.typ == Double
			return run.score(x, func(r int, s []float64) {
				switch {
				case n > 2:
					for k, b := range base {
						s[k] = single(s[k]+b, wide)
					}
					classes.set(c, r, best(s))
					post.apply(s)
				case has[1]: // the second class decides alone
					classes.set(c, r, int(b2f[int32](s[1] > limit)))
					post.apply(s)
				default: // weights of the first class are the second's score
					if len(base) > 0 {
						s[0] = single(s[0]+base[0], wide)
					}
					classes.set(c, r, int(b2f[int32](s[0] > limit)))
					second(s, post, positive)
				}
				if scores != nil {
					for k, v := range s {
						scores.f32[r*n+k] = float32(v)
					}
				}
			})
		}
	}, nil
}

// buildTreeEnsemble reads version 5: splits and leaves apart, children by
// place, modes by number.
func buildTreeEnsemble(d *decl) (op, error) {
	how := d.int("aggregate_function", 1)
	post := d.int("post_transform", 0)
	targets := int(d.int("n_targets", 0))
	if how < 0 || how > 3 || post < 0 || post > 4 {
		return nil, refuse("aggregate_function %d, post_transform %d", how, post)
	}
	if post == 1 || post == 2 {
		return nil, refuse("post_transform %d, of which ONNX and ONNX Runtime disagree whether it is softmax or logistic", post)
	}
	d.attr("nodes_hitrates")
	splits, modes, weights := d.tensor("nodes_splits"), d.tensor("nodes_modes"), d.tensor("leaf_weights")
	if splits == nil || modes == nil || weights == nil || splits.typ != weights.typ || splits.typ != Float && splits.typ != Double || modes.typ != uint8Type {
		return nil, refuse("its splits, modes and weights are no tensors of floats or doubles, and bytes")
	}
	features, tracks := d.ints("nodes_featureids"), d.ints("nodes_missing_value_tracks_true")
	yes, no, yesLeaf, noLeaf := d.ints("nodes_truenodeids"), d.ints("nodes_falsenodeids"), d.ints("nodes_trueleafs"), d.ints("nodes_falseleafs")
	roots, leafTargets := d.ints("tree_roots"), d.ints("leaf_targetids")
	n := len(features)
	for _, l := range []int{splits.len(), modes.len(), len(yes), len(no), len(yesLeaf), len(noLeaf)} {
		if l != n {
			return nil, refuse("its lists of nodes differ in length: %d and %d", n, l)
		}
	}
	if len(tracks) != 0 && len(tracks) != n || len(leafTargets) != weights.len() || len(leafTargets) == 0 || targets < 1 {
		return nil, refuse("%d targets, %d leaves and %d weights", targets, len(leafTargets), weights.len())
	}
	members, err := memberships(d.tensor("membership_values"), modes)
	if err != nil {
		return nil, err
	}
	e := &ensemble{targets: targets, wide: splits.typ == Double, typed: true}
	left := 2*n + len(leafTargets) + len(roots) // no node or leaf is in two places
	for _, root := range roots {
		var t []treeNode
		var from []int64 // the splits that t's nodes are
		// add appends node or leaf i and returns its place.
		add := func(i int64, isLeaf bool) (int32, error) {
			if left--; left < 0 {
				return 0, refuse("its nodes are no trees")
			}
			if isLeaf {
				if i < 0 || i >= int64(len(leafTargets)) || leafTargets[i] < 0 || leafTargets[i] >= int64(targets) {
					return 0, refuse("leaf %d of %d", i, len(leafTargets))
				}
				t = append(t, treeNode{weights: []leafWeight{{int32(leafTargets[i]), weights.at(int(i))}}})
				from = append(from, 0)
			} else {
				if i < 0 || i >= int64(n) {
					return 0, refuse("node %d of %d", i, n)
				}
				mode := [...]branch{leq, lt, gte, gt, eq, neq, member}
				if m := modes.i32[i]; m < 0 || int(m) >= len(mode) {
					return 0, refuse("node mode %d", m)
				}
				if features[i] < 0 || features[i] >= trees.MaxFeatures {
					return 0, refuse("a node tests feature %d", features[i])
				}
				t = append(t, treeNode{
					mode: mode[modes.i32[i]], feature: int32(features[i]), value: splits.at(int(i)),
					tracks: tracks != nil && tracks[i] != 0, members: members[int(i)],
				})
				from = append(from, i)
			}
			return int32(len(t) - 1), nil
		}
		// A tree of one leaf is a root whose both branches are that leaf.
		if root >= 0 && root < int64(n) && yesLeaf[root] != 0 && noLeaf[root] != 0 && yes[root] == no[root] {
			if _, err := add(yes[root], true); err != nil {
				return nil, err
			}
			e.trees = append(e.trees, t)
			continue
		}
		if _, err := add(root, false); err != nil {
			return nil, err
		}
		for k := 0; k < len(t); k++ {
			if t[k].mode == leaf {
				continue
			}
			i := from[k]
			a, err := add(yes[i], yesLeaf[i] != 0)
			if err != nil {
				return nil, err
			}
			b, err := add(no[i], noLeaf[i] != 0)
			if err != nil {
				return nil, err
			}
			t[k].yes, t[k].no = a, b
		}
		e.trees = append(e.trees, t)
	}
	return regression(e, aggregate([...]string{"AVERAGE", "SUM", "MIN", "MAX"}[how]), transform([...]string{"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"}[post]), nil)
}

// memberships cuts the values of set tests, which NaN separates, into one
// list for each node of that mode.
func memberships(values, modes *tensor) (map[int][]float64, error) {
	var lists [][]float64
	if values != nil {
		if values.typ != Float && values.typ != Double {
			return nil, wrongType(values)
		}
		var list []float64
		for i := range values.len() {
			if v := values.at(i); math.IsNaN(v) {
				lists, list = append(lists, list), nil
			} else {
				list = append(list, v)
			}
		}
		if len(list) > 0 {
			lists = append(lists, list)
		}
	}
	m := map[int][]float64{}
	for i, mode := range modes.i32 {
		if mode != 6 { // BRANCH_MEMBER
			continue
		}
		if len(lists) == 0 {
			return nil, refuse("its membership_values are too few")
		}
		m[i], lists = lists[0], lists[1:]
	}
	if len(lists) > 0 {
		return nil, refuse("its membership_values are too many")
	}
	return m, nil
}
