package forest

import (
	"math"
	"math/rand/v2"

	"github.com/portico-ml/portico/shared/learn/grow"
)

// perFeature is how many splits are drawn of one feature, before the next
// feature has its turn: so many that one of them is near the best, so few that
// a node looks at several features and not at all.
const perFeature = 16

// candidates are what the nodes of trees try.
type candidates interface {
	// start begins a tree: what it tries must not depend on the trees before.
	start(random *rand.Rand)
	// try tries the candidates of a node.
	try(s *grow.Search, random *rand.Rand)
}

// identity fills order with the numbers from 0.
func identity(order []int) {
	for i := range order {
		order[i] = i
	}
}

// draw brings n of order, chosen at random, to its front.
func draw(order []int, n int, random *rand.Rand) {
	for i := range n {
		k := i + random.IntN(len(order)-i)
		order[i], order[k] = order[k], order[i]
	}
}

// randomSplits are the candidates of decision forests: features in random
// order, and of each some random splits, until there were enough, or half of
// the features had their turn. Trees that choose from all features are alike
// where features are few, and their mean is hardly better than one of them
// (Breiman, Random Forests, Machine Learning 45, 2001). Where none of these
// leaves rows enough on both sides, the other features have theirs.
type randomSplits struct {
	splits int
	order  []int
}

func (p *randomSplits) start(*rand.Rand) { identity(p.order) }

func (p *randomSplits) try(s *grow.Search, random *rand.Rand) {
	left, features := p.splits, (len(p.order)+1)/2
	for i := range p.order {
		if _, found := s.Best(); found && (left <= 0 || features <= 0) {
			return
		}
		draw(p.order[i:], 1, random)
		want := max(1, min(left, perFeature))
		if n := s.Try(p.order[i], want, random); n > 0 { // of a feature that tells these rows apart
			left -= min(want, n)
			features--
		}
	}
}

// randomFeatures are the candidates of quantile forests: all splits of some of
// the features that the tree was given.
type randomFeatures struct {
	order         []int
	tree, perNode int // how many features a tree and a node have
}

func newRandomFeatures(features int, treeShare, nodeShare float64) *randomFeatures {
	p := &randomFeatures{order: make([]int, features)}
	p.tree = portion(treeShare, features)
	p.perNode = portion(nodeShare, p.tree)
	return p
}

// portion is a share of n, at least 1.
func portion(share float64, n int) int { return max(1, int(math.Round(share*float64(n)))) }

func (p *randomFeatures) start(random *rand.Rand) {
	identity(p.order)
	draw(p.order, p.tree, random)
}

func (p *randomFeatures) try(s *grow.Search, random *rand.Rand) {
	of := p.order[:p.tree]
	draw(of, p.perNode, random)
	for _, f := range of[:p.perNode] {
		s.Try(f, math.MaxInt, random)
	}
}
