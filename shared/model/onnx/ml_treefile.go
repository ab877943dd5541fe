package onnx

import (
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/model/trees"
)

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
	for _, t := range e.trees {
		joinSets(t)
	}
	return e, d.leaves(prefix, all, &places, e)
}

// joinSets makes one test of each chain of equalities that converters write
// for a test of membership: each leads on to the next where it is false, and
// all lead to one node where they are true, which no tree could otherwise hold.
func joinSets(t []treeNode) {
	if !slices.ContainsFunc(t, func(n treeNode) bool { return n.mode == eq }) {
		return
	}
	next := make([]int32, len(t)) // in its chain, 0 at its end
	behind := make([]bool, len(t))
	for i := range t {
		n := &t[i]
		if n.mode != eq || behind[n.no] {
			continue
		}
		if f := &t[n.no]; f.mode == eq && f.feature == n.feature && f.yes == n.yes {
			next[i], behind[n.no] = n.no, true
		}
	}
	for i := range t {
		n := &t[i]
		if behind[i] || next[i] == 0 {
			continue
		}
		n.mode, n.members = member, []float64{n.value}
		for k := next[i]; k != 0; k = next[k] {
			n.members = append(n.members, t[k].value)
			n.tracks = n.tracks || t[k].tracks
			n.no = t[k].no
		}
	}
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
