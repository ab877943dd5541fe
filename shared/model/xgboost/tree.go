package xgboost

import (
	"errors"
	"fmt"

	"github.com/portico-ml/portico/shared/model/trees"
)

// tree makes nodes of the columns. Shapes and ranges are checked by
// trees.Forest.Encode; here only that the columns belong together.
func (a *arrays) tree() (trees.Tree, error) {
	n := len(a.left)
	if n == 0 {
		return trees.Tree{}, errors.New("has no nodes")
	}
	for _, c := range []struct {
		name string
		size int
	}{
		{"right_children", len(a.right)},
		{"split_indices", len(a.feature)},
		{"split_conditions", len(a.condition)},
		{"default_left", len(a.missingLeft)},
	} {
		if c.size != n {
			return trees.Tree{}, fmt.Errorf("%s has %d entries for %d nodes", c.name, c.size, n)
		}
	}
	if len(a.kind) != n && len(a.kind) != 0 {
		return trees.Tree{}, fmt.Errorf("split_type has %d entries for %d nodes", len(a.kind), n)
	}
	sets, err := a.sets()
	if err != nil {
		return trees.Tree{}, err
	}
	nodes := make([]trees.Node, n)
	for i := range nodes {
		node := &nodes[i]
		if len(a.cover) == n {
			node.Cover = float64(a.cover[i])
		}
		if a.left[i] == -1 { // its condition is its value
			node.Value = float64(a.condition[i])
			continue
		}
		node.Feature, node.Left, node.Right = a.feature[i], a.left[i], a.right[i]
		if a.missingLeft[i] != 0 {
			node.Missing = trees.Left
		}
		kind := int32(0)
		if len(a.kind) > 0 {
			kind = a.kind[i]
		}
		switch kind {
		case 0:
			node.Test, node.Threshold = trees.Less, float64(a.condition[i])
		case 1: // a category of the set goes right, any other left
			set, ok := sets[int32(i)]
			if !ok {
				return trees.Tree{}, fmt.Errorf("node %d: its categories are missing", i)
			}
			node.Test, node.Set = trees.In, set
		default:
			return trees.Tree{}, fmt.Errorf("node %d: split type %d", i, kind)
		}
	}
	return trees.Tree{Nodes: nodes}, nil
}

// sets returns the categories of each node that tests them.
func (a *arrays) sets() (map[int32][]int32, error) {
	if len(a.catStarts) != len(a.catNodes) || len(a.catSize) != len(a.catNodes) {
		return nil, fmt.Errorf("%d category nodes have %d segments of %d sizes", len(a.catNodes), len(a.catStarts), len(a.catSize))
	}
	sets := make(map[int32][]int32, len(a.catNodes))
	total := int64(0)
	for i, node := range a.catNodes {
		lo, size := int64(a.catStarts[i]), int64(a.catSize[i])
		// Segments do not overlap: together they are no longer than the list.
		if total += size; lo < 0 || size < 0 || lo+size > int64(len(a.categories)) || total > int64(len(a.categories)) {
			return nil, fmt.Errorf("node %d: its categories lie outside the list", node)
		}
		if _, twice := sets[node]; twice {
			return nil, fmt.Errorf("node %d: has categories twice", node)
		}
		sets[node] = a.categories[lo : lo+size]
	}
	return sets, nil
}
