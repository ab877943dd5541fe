package forest

import (
	"math/rand/v2"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/learn/grow"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/dag"
	"github.com/portico-ml/portico/shared/model/trees"
)

// classLeaf makes leaves of the weights of the classes that they have.
func classLeaf(classes int) func([]grow.Draw, *rand.Rand, []item) []item {
	weights := make([]float64, classes)
	return func(draws []grow.Draw, _ *rand.Rand, to []item) []item {
		clear(weights)
		grow.AddClasses(draws, weights)
		for k, w := range weights {
			if w > 0 {
				to = append(to, item{int32(k), w})
			}
		}
		return to
	}
}

// The items of a leaf of values.
const (
	meanItem   = 0
	squareItem = 1 // the mean square
)

// momentLeaf makes leaves of the mean and the mean square of the values.
func momentLeaf(draws []grow.Draw, _ *rand.Rand, to []item) []item {
	weight, sum, squares := 0.0, 0.0, 0.0
	for i := range draws {
		d := &draws[i]
		weight += d.Weight
		sum += float64(d.Weight * d.Value)
		squares += float64(d.Weight * float64(d.Value*d.Value))
	}
	return append(to, item{meanItem, sum / weight}, item{squareItem, squares / weight})
}

// probabilities writes those of the classes in a leaf to dst.
func probabilities(s grow.Shares, leaf []item, dst []float64) {
	clear(dst)
	for _, w := range leaf {
		dst[w.Key] = w.Value
	}
	s.Of(dst, dst)
}

// encodeTwoClass makes an ensemble of trees that answers the share of class 1,
// with contributions.
func encodeTwoClass(grown []*tree, m *binned.Matrix, s grow.Shares) (*learn.Trained, error) {
	f := trees.Forest{
		Features: len(m.Features), Outputs: 1, Input: m.Input, Sum: trees.Float64, Base: make([]float64, 1), Average: true,
	}
	var share [2]float64
	for _, t := range grown {
		for i := range t.Nodes {
			if n := &t.Nodes[i]; n.Test == trees.Leaf {
				probabilities(s, t.leaf(n.Value), share[:])
				n.Value = share[1]
			}
		}
		f.Trees = append(f.Trees, trees.Tree{Nodes: t.Nodes})
	}
	f.KeepCovers()
	body, err := f.Encode()
	return &learn.Trained{Engine: model.EngineTrees, Body: body, Transform: model.Transform{Name: model.Identity}}, err
}

// encodeGraphs makes graphs of the trees, for leaves of several numbers, with
// contributions: value writes those of a leaf.
func encodeGraphs(grown []*tree, m *binned.Matrix, outputs int, value func(leaf []item, dst []float64)) ([]byte, error) {
	j := dag.Jungle{Features: len(m.Features), Outputs: outputs, Single: m.Input == trees.Float32, Shares: true}
	for _, t := range grown {
		nodes := make([]dag.Node, len(t.Nodes))
		for i := range t.Nodes {
			if n := &t.Nodes[i]; n.Test == trees.Leaf {
				nodes[i].Value = make([]float64, outputs)
				value(t.leaf(n.Value), nodes[i].Value)
			} else {
				nodes[i] = dag.FromTree(n)
				nodes[i].Share = dag.ShareOf(t.Nodes[n.Left].Cover, t.Nodes[n.Right].Cover)
			}
		}
		j.Graphs = append(j.Graphs, dag.Graph{Nodes: nodes})
	}
	return j.Encode()
}

func encodeMulticlass(grown []*tree, m *binned.Matrix, classes int, s grow.Shares) (*learn.Trained, error) {
	body, err := encodeGraphs(grown, m, classes, func(leaf []item, dst []float64) { probabilities(s, leaf, dst) })
	return &learn.Trained{Engine: model.EngineDAG, Body: body, Transform: model.Transform{Name: model.Probabilities}}, err
}

func encodeRegression(grown []*tree, m *binned.Matrix, s valueScale) (*learn.Trained, error) {
	body, err := encodeGraphs(grown, m, 2, func(leaf []item, dst []float64) {
		dst[0], dst[1] = leaf[meanItem].Value*s.unit, leaf[squareItem].Value*s.unit*s.unit
	})
	t := model.Transform{Name: model.Moments, Center: s.center}
	return &learn.Trained{Engine: model.EngineDAG, Body: body, Transform: t}, err
}
