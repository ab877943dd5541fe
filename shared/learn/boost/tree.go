package boost

import (
	"errors"
	"fmt"

	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/model/trees"
)

// none is the feature of a leaf.
const none = -1

// node is a leaf or a split. Its fields are of fixed size: it is saved as it
// is.
type node struct {
	Feature int32  // none for a leaf
	Kids    int32  // the left child; the right one is next to it
	Goes    binSet // the bins that go right
	Value   float64
	Cover   float64
}

// tree is nodes, the root first.
type tree []node

// value returns the value of the leaf that a row comes to.
func (t tree) value(m *binned.Matrix, row int) float64 {
	n := &t[0]
	for n.Feature != none {
		n = &t[int(n.Kids)+n.Goes.right(m.Column(int(n.Feature))[row])]
	}
	return n.Value
}

// check reports a tree of a saved state that is none.
func (t tree) check(features int) error {
	for i, n := range t {
		if n.Feature == none {
			continue
		}
		if n.Feature < 0 || int(n.Feature) >= features || int(n.Kids) <= i || int(n.Kids) > len(t)-2 {
			return fmt.Errorf("node %d of %d splits feature %d, its children are from %d on", i, len(t), n.Feature, n.Kids)
		}
	}
	if len(t) == 0 {
		return errors.New("a tree has no nodes")
	}
	return nil
}

// forest describes the trees as the engine scores them.
func (t *training) forest() *trees.Forest {
	unit := t.loss.unit()
	f := &trees.Forest{
		Features: len(t.m.Features), Outputs: len(t.base), Input: t.m.Input, Sum: t.sum,
		Covers: true, Trees: make([]trees.Tree, len(t.trees)),
	}
	for _, b := range t.base {
		f.Base = append(f.Base, b*unit)
	}
	for i, from := range t.trees {
		to := trees.Tree{Output: i % len(t.base), Nodes: make([]trees.Node, len(from))}
		for k := range from {
			to.Nodes[k] = t.node(&from[k], unit)
		}
		f.Trees[i] = to
	}
	return f
}

func (t *training) node(n *node, unit float64) trees.Node {
	if n.Feature == none {
		return trees.Node{Value: n.Value * unit, Cover: n.Cover}
	}
	f := int(n.Feature)
	var out trees.Node
	if t.m.Features[f].Number() {
		out = t.m.Less(f, n.Goes.first()-1)
	} else {
		out = t.m.In(f, func(bin int) bool { return n.Goes.right(uint8(bin)) == 1 })
	}
	out.Left, out.Right, out.Missing = n.Kids, n.Kids+1, trees.Left
	if n.Goes.right(binned.Missing) == 1 {
		out.Missing = trees.Right
	}
	return out
}
