package jungle

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/learn/grow"
	"github.com/portico-ml/portico/shared/model/dag"
)

// A node of few rows is a leaf where no test of it gains much: a graph has room
// for so many nodes only, and merging cannot undo what chance has split. A gain
// of 3 is classes that are 20 times (e³) as likely with the test as without;
// more rows may hide what only the tests below show.
const (
	evidence = 3.0
	fewRows  = 256.0
)

// grower grows graphs, one after the other.
type grower struct {
	ctx     context.Context
	m       *binned.Matrix
	search  *grow.Search
	logs    grow.Logs
	classes int
	o       Options
	order   []int // of features
	random  *rand.Rand
	nodes   []dag.Node
	// Of a level whose children are shared.
	held  [][]float64
	slots [][]float64 // of held, one a child: weights of the classes that it has
	spare []grow.Draw
	saved [2][]float64
}

func newGrower(ctx context.Context, m *binned.Matrix, classes int, o Options, logs grow.Logs) *grower {
	return &grower{
		ctx: ctx, m: m, search: grow.ByClass(m, classes, 1, logs), logs: logs, classes: classes, o: o, order: make([]int, len(m.Features)),
	}
}

// member is a node of the level at hand.
type member struct {
	node  int // in g.nodes
	draws []grow.Draw
}

// parent is a member that is split: sides 0 and 1 are left and right.
type parent struct {
	member
	split grow.Split
	sides [2][]float64   // weights of the classes on either side
	child [2]int         // the slots that they go to
	parts [2][]grow.Draw // of open: the rows on either side
}

// grow makes a graph of draws, which it reorders; nil where the context ended.
func (g *grower) grow(draws []grow.Draw, random *rand.Rand) *dag.Graph {
	g.random, g.nodes = random, make([]dag.Node, 1)
	for i := range g.order {
		g.order[i] = i
	}
	level, width := []member{{0, draws}}, 1
	for depth := 0; len(level) > 0; depth++ {
		var parents []parent
		for _, m := range level {
			if g.ctx.Err() != nil {
				return nil
			}
			p, ok := parent{}, false
			if depth < g.o.Depth {
				p, ok = g.split(m)
			}
			if ok {
				parents = append(parents, p)
			} else {
				g.close(m)
			}
		}
		if len(parents) == 0 {
			break
		}
		width = g.next(width)
		if slots := 2 * len(parents); slots <= width {
			for i := range parents {
				parents[i].child = [2]int{2 * i, 2*i + 1}
			}
			level = g.open(parents, slots)
		} else {
			g.share(parents, width)
			if g.ctx.Err() != nil {
				return nil
			}
			level = g.open(parents, width)
		}
	}
	return &dag.Graph{Nodes: g.nodes}
}

// freeWidth is up to where levels may double. From there they may grow by a
// fifth each, so that branches begin to merge before a graph is as wide as it
// may be.
const freeWidth = 32

// next is how wide the level below one may be that may be width wide.
func (g *grower) next(width int) int {
	if width < freeWidth {
		return min(2*width, g.o.Width)
	}
	return min(width+width/5, g.o.Width)
}

// split finds a test for a node, as a random forest does: the best of as many
// features, chosen at random, as the root of their number.
func (g *grower) split(m member) (parent, bool) {
	if grow.Pure(m.draws) {
		return parent{}, false
	}
	g.search.Begin(m.draws)
	want := int(math.Ceil(math.Sqrt(float64(len(g.order)))))
	for i := 0; i < len(g.order) && want > 0; i++ {
		k := i + g.random.IntN(len(g.order)-i)
		g.order[i], g.order[k] = g.order[k], g.order[i]
		if g.search.Try(g.order[i], math.MaxInt, g.random) > 0 {
			want--
		}
	}
	best, ok := g.search.Best()
	if !ok || best.Gain < evidence && g.search.Weight() < fewRows {
		return parent{}, false
	}
	p := parent{member: m, split: best, sides: [2][]float64{make([]float64, g.classes), make([]float64, g.classes)}}
	g.weigh(&p)
	return p, true
}

// weigh adds up the classes on either side of p's split.
func (g *grower) weigh(p *parent) {
	clear(p.sides[0])
	clear(p.sides[1])
	column := g.m.Column(p.split.Feature)
	for i := range p.draws {
		d := &p.draws[i]
		side := 0
		if p.split.Right(column[d.Row]) {
			side = 1
		}
		p.sides[side][d.Class] += d.Weight
	}
}

// close makes a member a leaf, with the weights of its classes.
func (g *grower) close(m member) {
	n := &g.nodes[m.node]
	n.Value = make([]float64, g.classes)
	grow.AddClasses(m.draws, n.Value)
}

// open makes parents tests and returns the next level, one member a slot.
func (g *grower) open(parents []parent, slots int) []member {
	counts := make([]int, slots)
	all := 0
	for i := range parents {
		p := &parents[i]
		left := p.split.Partition(g.m, p.draws, g.room(len(p.draws)))
		counts[p.child[0]] += left
		counts[p.child[1]] += len(p.draws) - left
		all += len(p.draws)
		p.sides = [2][]float64{}
		p.parts = [2][]grow.Draw{p.draws[:left], p.draws[left:]}
	}
	// Improving may have left a slot empty.
	level := make([]member, 0, slots)
	to := make([]grow.Draw, all)
	at := make([]int, slots)
	for s, n := range counts {
		at[s] = -1
		if n > 0 {
			at[s] = len(level)
			level = append(level, member{len(g.nodes), to[:0:n]})
			g.nodes = append(g.nodes, dag.Node{})
			to = to[n:]
		}
	}
	for i := range parents {
		p := &parents[i]
		test := p.split.Node(g.m)
		node := dag.FromTree(&test)
		node.Share = dag.ShareOf(grow.Weight(p.parts[0]), grow.Weight(p.parts[1]))
		for side, c := range p.child {
			m := &level[at[c]]
			m.draws = append(m.draws, p.parts[side]...)
			if side == 0 {
				node.Left = int32(m.node)
			} else {
				node.Right = int32(m.node)
			}
		}
		g.nodes[p.node] = node
	}
	return level
}

func (g *grower) room(n int) []grow.Draw {
	if len(g.spare) < n {
		g.spare = make([]grow.Draw, n)
	}
	return g.spare[:n]
}

// share gives the sides of the parents the slots of a level that is too narrow
// for each to have its own, and improves tests and slots step by step.
func (g *grower) share(parents []parent, width int) {
	for len(g.held) < width {
		g.held = append(g.held, make([]float64, g.classes))
	}
	g.slots = g.held[:width]
	for _, s := range g.slots {
		clear(s)
	}
	g.assign(parents)
	for step := range g.o.Steps {
		if step%64 == 0 && g.ctx.Err() != nil {
			return
		}
		p := &parents[g.random.IntN(len(parents))]
		if g.random.IntN(2) == 0 {
			g.improveBranches(p)
		} else {
			g.improveSplit(p)
		}
	}
}

// assign gives the heaviest sides a slot each, then every other the slot where
// it adds least entropy.
func (g *grower) assign(parents []parent) {
	type sideOf struct {
		parent, side int
		weight       float64
	}
	var sides []sideOf
	for i := range parents {
		parents[i].child = [2]int{-1, -1}
		for side, weights := range parents[i].sides {
			total := 0.0
			for _, w := range weights {
				total += w
			}
			sides = append(sides, sideOf{i, side, total})
		}
	}
	slices.SortStableFunc(sides, func(a, b sideOf) int { return cmp.Compare(b.weight, a.weight) })
	for k, s := range sides {
		p := &parents[s.parent]
		slot := k
		if k >= len(g.slots) {
			slot = g.cheapest(p.sides[s.side], p.child[1-s.side])
		}
		p.child[s.side] = slot
		add(g.slots[slot], p.sides[s.side], 1)
	}
}

// tie is a difference of entropies that rounding may make: of slots that cost
// the same the first is taken.
const tie = 1e-9

// cheapest returns the slot, other than but, whose impurity grows least by some
// weights. One node's sides never share a slot: it would be no test.
func (g *grower) cheapest(weights []float64, but int) int {
	best, least := -1, 0.0
	for s, slot := range g.slots {
		if s == but {
			continue
		}
		// Only what differs between slots: classes without weight do not.
		sum, logs, more := 0.0, 0.0, 0.0
		for k, w := range slot {
			sum += w
			if weights[k] > 0 {
				logs += g.logs.Of(w+weights[k]) - g.logs.Of(w)
				more += weights[k]
			}
		}
		if cost := g.logs.Of(sum+more) - g.logs.Of(sum) - logs; best < 0 || cost < least-tie {
			best, least = s, cost
		}
	}
	return best
}

func add(to, weights []float64, sign float64) {
	for k, w := range weights {
		to[k] += sign * w
	}
}

// improveBranches moves either side of p to its cheapest slot.
func (g *grower) improveBranches(p *parent) {
	for side, weights := range p.sides {
		add(g.slots[p.child[side]], weights, -1)
		p.child[side] = g.cheapest(weights, p.child[1-side])
		add(g.slots[p.child[side]], weights, 1)
	}
}

// improveSplit looks for a better test of p by one random feature, with the
// slots of its sides as they are.
func (g *grower) improveSplit(p *parent) {
	left, right := g.slots[p.child[0]], g.slots[p.child[1]]
	before := g.logs.Impurity(left) + g.logs.Impurity(right)
	add(left, p.sides[0], -1)
	add(right, p.sides[1], -1)
	g.search.Begin(p.draws)
	g.search.Beside(left, right)
	g.search.Try(g.random.IntN(len(g.order)), math.MaxInt, g.random)
	if best, ok := g.search.Best(); ok {
		old := p.split
		for side := range g.saved {
			g.saved[side] = append(g.saved[side][:0], p.sides[side]...)
		}
		p.split = best
		g.weigh(p)
		add(left, p.sides[0], 1)
		add(right, p.sides[1], 1)
		if g.logs.Impurity(left)+g.logs.Impurity(right) < before-tie {
			return
		}
		add(left, p.sides[0], -1)
		add(right, p.sides[1], -1)
		p.split = old
		for side := range g.saved {
			copy(p.sides[side], g.saved[side])
		}
	}
	add(left, p.sides[0], 1)
	add(right, p.sides[1], 1)
}
