package forest

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/learn/grow"
	"github.com/portico-ml/portico/shared/model/trees"
)

// tree is a grown tree. A leaf's Value is its number, and Items[Ends[i-1]:
// Ends[i]] is what leaf i holds. Its fields are what a training saves.
type tree struct {
	Nodes []trees.Node
	Ends  []int32
	Items []item
}

// item is a class with its weight in a leaf; or the number of a moment and the
// moment; or the weight of a label and the label.
type item struct {
	Key   int32
	Value float64
}

func (t *tree) leaf(number float64) []item {
	first, i := int32(0), int(number)
	if i > 0 {
		first = t.Ends[i-1]
	}
	return t.Items[first:t.Ends[i]]
}

// grower grows trees, one after the other.
type grower struct {
	ctx    context.Context
	m      *binned.Matrix
	search *grow.Search
	depth  int
	pick   candidates
	// leaf adds what a leaf with these rows holds.
	leaf   func(draws []grow.Draw, random *rand.Rand, to []item) []item
	spare  []grow.Draw
	random *rand.Rand
	t      *tree
	nodes  int // of all trees, to look at ctx once in a while
}

// pending is a node that is still to be split, or not.
type pending struct {
	node, depth int
	draws       []grow.Draw
}

// begin begins a tree on draws, which it will reorder.
func (g *grower) begin(draws []grow.Draw, random *rand.Rand) pending {
	if len(g.spare) < len(draws) {
		g.spare = make([]grow.Draw, len(draws))
	}
	g.t, g.random = &tree{Nodes: make([]trees.Node, 1)}, random
	g.pick.start(random)
	return pending{draws: draws}
}

// find returns the split of at; false where it is a leaf.
func (g *grower) find(at pending) (grow.Split, bool) {
	if at.depth == g.depth || grow.Pure(at.draws) {
		return grow.Split{}, false
	}
	g.search.Begin(at.draws)
	g.pick.try(g.search, g.random)
	return g.search.Best()
}

// stopped looks at the context once in a while.
func (g *grower) stopped() bool {
	g.nodes++
	return g.nodes%64 == 0 && g.ctx.Err() != nil
}

// grow makes a tree whose nodes are split as far as they can be; nil where the
// context ended.
func (g *grower) grow(draws []grow.Draw, random *rand.Rand) *tree {
	stack := []pending{g.begin(draws, random)}
	for len(stack) > 0 {
		if g.stopped() {
			return nil
		}
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		best, ok := g.find(at)
		if !ok {
			g.close(at)
			continue
		}
		left, right := g.open(at, &best)
		stack = append(stack, right, left)
	}
	return g.t
}

// ready is a node whose split is known but not made.
type ready struct {
	pending
	split grow.Split
}

// growLeaves makes a tree of at most leaves leaves: what gains most is split
// first.
func (g *grower) growLeaves(draws []grow.Draw, leaves int, random *rand.Rand) *tree {
	var open []ready
	add := func(at pending) {
		if best, ok := g.find(at); ok {
			open = append(open, ready{at, best})
		} else {
			g.close(at)
		}
	}
	add(g.begin(draws, random))
	for n := 1; n < leaves && len(open) > 0; n++ {
		if g.stopped() {
			return nil
		}
		best := 0
		for i := range open {
			if open[i].split.Gain > open[best].split.Gain {
				best = i
			}
		}
		at := open[best]
		open = slices.Delete(open, best, best+1)
		left, right := g.open(at.pending, &at.split)
		add(left)
		add(right)
	}
	for _, at := range open {
		g.close(at.pending)
	}
	return g.t
}

// open makes at a test, and returns its children.
func (g *grower) open(at pending, s *grow.Split) (left, right pending) {
	k := s.Partition(g.m, at.draws, g.spare)
	n := s.Node(g.m)
	n.Left, n.Right = int32(len(g.t.Nodes)), int32(len(g.t.Nodes)+1)
	n.Cover = grow.Weight(at.draws)
	g.t.Nodes[at.node] = n
	g.t.Nodes = append(g.t.Nodes, trees.Node{}, trees.Node{})
	return pending{int(n.Left), at.depth + 1, at.draws[:k]}, pending{int(n.Right), at.depth + 1, at.draws[k:]}
}

// close makes at a leaf.
func (g *grower) close(at pending) {
	g.t.Nodes[at.node] = trees.Node{Test: trees.Leaf, Value: float64(len(g.t.Ends)), Cover: grow.Weight(at.draws)}
	g.t.Items = g.leaf(at.draws, g.random, g.t.Items)
	g.t.Ends = append(g.t.Ends, int32(len(g.t.Items)))
}
