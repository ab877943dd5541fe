package catboost

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/portico-ml/portico/shared/model/trees"
)

// reader turns the document's trees into the engine's.
type reader struct {
	d       *document
	floats  []float
	cats    []int32          // places of the categorical features
	hashes  map[uint32]int32 // hash of a category's text -> its code
	scale   float64
	outputs int
}

// float is a numeric feature: its place, and where its missing values go.
type float struct {
	flat         int32
	missingRight bool
}

// test is the node of a split: CatBoost's condition (x > border, or x is the
// category) is true to the right.
func (r *reader) test(s *split) (trees.Node, error) {
	switch s.Type {
	case "FloatFeature":
		if s.Float == nil || *s.Float < 0 || *s.Float >= len(r.floats) {
			return trees.Node{}, fmt.Errorf("%v reads no float feature of the model", s)
		}
		x := r.floats[*s.Float]
		n := trees.Node{Test: trees.LessEqual, Feature: x.flat, Threshold: s.Border, Missing: trees.Left}
		if x.missingRight {
			n.Missing = trees.Right
		}
		return n, nil
	case "OneHotFeature":
		if s.Cat == nil || *s.Cat < 0 || *s.Cat >= len(r.cats) {
			return trees.Node{}, fmt.Errorf("%v reads no categorical feature of the model", s)
		}
		code, ok := r.hashes[uint32(s.Value)] // the file prints the hash as a signed number
		if !ok {
			return trees.Node{}, fmt.Errorf("%v tests a category whose text is not in cat_features_hash", s)
		}
		return trees.Node{Test: trees.In, Feature: r.cats[*s.Cat], Set: []int32{code}, Missing: trees.Left}, nil
	case "OnlineCtr":
		return trees.Node{}, fmt.Errorf("a split on statistics of a category's target (CTR) is not supported: train with one_hot_max_size at least the number of categories")
	}
	return trees.Node{}, fmt.Errorf("%v is not supported", s)
}

// oblivious adds a symmetric tree: split i is bit i of the leaf's number, so
// the tree is unrolled with the last split at its root.
func (r *reader) oblivious(f *trees.Forest, t *obliviousTree) error {
	depth := len(t.Splits)
	if depth > maxDepth {
		return fmt.Errorf("is %d deep: the limit is %d", depth, maxDepth)
	}
	if len(t.Leaves) != r.outputs<<depth {
		return fmt.Errorf("%d leaf values for %d splits and %d outputs", len(t.Leaves), depth, r.outputs)
	}
	nodes := make([]trees.Node, 0, 2<<depth-1)
	for i := range depth { // level i, from the root: 1<<i nodes in heap order
		n, err := r.test(&t.Splits[depth-1-i])
		if err != nil {
			return err
		}
		for range 1 << i {
			n.Left, n.Right = int32(2*len(nodes)+1), int32(2*len(nodes)+2)
			nodes = append(nodes, n)
		}
	}
	first := len(nodes)
	for k := range r.outputs {
		own := nodes
		if k < r.outputs-1 {
			own = append(make([]trees.Node, 0, cap(nodes)), nodes[:first]...)
		}
		for leaf := range 1 << depth {
			n := trees.Node{Test: trees.Leaf, Value: r.scale * t.Leaves[leaf*r.outputs+k]}
			if len(t.Covers) == 1<<depth {
				n.Cover = t.Covers[leaf]
			}
			own = append(own, n)
		}
		f.Trees = append(f.Trees, trees.Tree{Output: k, Nodes: own})
	}
	return nil
}

// node is a node of a non-symmetric tree.
type node struct {
	Left, Right *node
	Split       *split
	Value       values
	Weight      float64
}

// values is one number or one for each output.
type values []float64

func (v *values) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]float64)(v))
	}
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	one, err := strconv.ParseFloat(string(b), 64)
	*v = values{one}
	return err
}

// maxNested bounds the depth of a non-symmetric tree, against files made to
// exhaust the stack; the JSON decoder has a higher bound of its own.
const maxNested = 2000

// nested adds a non-symmetric tree, once for each output.
func (r *reader) nested(f *trees.Forest, root *node) error {
	for k := range r.outputs {
		t := trees.Tree{Output: k}
		if _, err := r.grow(&t, root, k, 0); err != nil {
			return err
		}
		if len(f.Trees) == cap(f.Trees) { // append grows long lists by less, at more cost
			f.Trees = slices.Grow(f.Trees, len(f.Trees)+1)
		}
		f.Trees = append(f.Trees, t)
	}
	return nil
}

// grow appends n and what is below it, and returns n's index.
func (r *reader) grow(t *trees.Tree, n *node, output, depth int) (int32, error) {
	at := len(t.Nodes)
	switch {
	case depth > maxNested:
		return 0, fmt.Errorf("is more than %d deep", maxNested)
	case n.Split == nil:
		if n.Left != nil || n.Right != nil || len(n.Value) != r.outputs {
			return 0, fmt.Errorf("node %d has %d values for %d outputs", at, len(n.Value), r.outputs)
		}
		t.Nodes = append(t.Nodes, trees.Node{Test: trees.Leaf, Value: r.scale * n.Value[output], Cover: n.Weight})
		return int32(at), nil
	case n.Left == nil || n.Right == nil:
		return 0, fmt.Errorf("node %d has a split but not two children", at)
	}
	test, err := r.test(n.Split)
	if err != nil {
		return 0, err
	}
	t.Nodes = append(t.Nodes, trees.Node{})
	if test.Left, err = r.grow(t, n.Left, output, depth+1); err != nil {
		return 0, err
	}
	if test.Right, err = r.grow(t, n.Right, output, depth+1); err != nil {
		return 0, err
	}
	t.Nodes[at] = test
	return int32(at), nil
}
