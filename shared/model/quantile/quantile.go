// Package quantile scores quantile regression forests (Meinshausen, Quantile
// Regression Forests, JMLR 7, 2006): decision trees whose leaves keep a sample
// of the labels that came there. A row's answer is the quantiles of the labels
// of its leaves, one leaf a tree, pooled with their weights.
//
// A trainer describes a forest as a Forest; Encode checks it and writes the
// canonical bytes that an artifact keeps; Open reads them into a Model; a
// Session of it scores rows. Package trees finds the leaves: each of its trees
// has an output of its own, and a leaf's value is the leaf's number.
//
// Weights are whole numbers that come to the same total in every leaf, so that
// pooling is exact, whatever the order: a row's answer depends on nothing else.
package quantile

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/model/trees"
)

// Unit is what the weights of a leaf come to.
const Unit = 1 << 24

// Forest describes a quantile regression forest.
type Forest struct {
	Features int
	Input    trees.Precision // features are rounded to it before any test
	// Quantiles are between 0 and 1, in rising order.
	Quantiles []float64
	Trees     []Tree
}

// Tree is a decision tree. A leaf's Value is the number of its sample.
type Tree struct {
	Nodes   []trees.Node
	Samples []Sample
}

// Sample are the labels of a leaf, in rising order, with a weight above zero
// each; the weights come to Unit.
type Sample []Weighted

// Weighted is a label with its weight.
type Weighted struct {
	Label  float64
	Weight uint32
}

// Limits of a model.
const (
	MaxTrees     = trees.MaxOutputs
	MaxQuantiles = 1 << 10
)

// Weigh makes a sample of labels with weights, neither of which need be in
// order or add up to anything: equal labels become one, and the weights'
// shares whole numbers, in which a label may vanish.
func Weigh(labels, weights []float64) Sample {
	order := make([]int, len(labels))
	total := 0.0
	for i := range order {
		order[i] = i
		total += weights[i]
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case labels[a] < labels[b]:
			return -1
		case labels[a] > labels[b]:
			return 1
		}
		return a - b
	})
	var s Sample
	sum, before := 0.0, uint32(0)
	for i, k := range order {
		sum += weights[k]
		if i+1 < len(order) && labels[order[i+1]] == labels[k] {
			continue
		}
		upTo := uint32(min(Unit, math.Round(sum/total*Unit)))
		if i+1 == len(order) {
			upTo = Unit
		}
		if upTo > before {
			s = append(s, Weighted{labels[k] + 0, upTo - before})
			before = upTo
		}
	}
	return s
}

// The canonical bytes, little-endian: a header of eight uint32, then the arrays
// below, each beginning at a multiple of eight bytes.
//
//	trees     bytes of package trees
//	quantiles [quantiles]float64
//	labels    [labels]float64   those that some sample has, ascending
//	leavesOf  [trees]uint32     samples of the tree
//	ends      [leaves]uint32    of each sample, in the order of trees
//	items     [items][2]uint32  position of the label, and weight
type header struct {
	Version, Bytes, Quantiles, Labels, Trees, Leaves, Items, _ uint32
}

const (
	version    = 1
	headerSize = 32
)

// Encode checks f and returns its canonical bytes.
func (f *Forest) Encode() ([]byte, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	var labels []float64
	leaves, items := 0, 0
	for t := range f.Trees {
		leaves += len(f.Trees[t].Samples)
		for _, s := range f.Trees[t].Samples {
			items += len(s)
			for _, w := range s {
				labels = append(labels, w.Label+0)
			}
		}
	}
	slices.Sort(labels)
	labels = slices.Compact(labels)
	finder := trees.Forest{
		Features: f.Features, Outputs: len(f.Trees), Input: f.Input, Sum: trees.Float64, Base: make([]float64, len(f.Trees)),
	}
	for t := range f.Trees {
		finder.Trees = append(finder.Trees, trees.Tree{Output: t, Nodes: f.Trees[t].Nodes})
	}
	body, err := finder.Encode()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, headerSize+len(body)+8*(len(f.Quantiles)+len(labels)+items)+4*(leaves+len(f.Trees))+16)
	u32 := func(v ...int) {
		for _, v := range v {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
	}
	align := func() {
		for len(b)%8 != 0 {
			b = append(b, 0)
		}
	}
	u32(version, len(body), len(f.Quantiles), len(labels), len(f.Trees), leaves, items, 0)
	b = append(b, body...)
	align()
	for _, list := range [][]float64{f.Quantiles, labels} {
		for _, v := range list {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v+0))
		}
	}
	for t := range f.Trees {
		u32(len(f.Trees[t].Samples))
	}
	align()
	end := 0
	for t := range f.Trees {
		for _, s := range f.Trees[t].Samples {
			end += len(s)
			u32(end)
		}
	}
	align()
	for t := range f.Trees {
		for _, s := range f.Trees[t].Samples {
			for _, w := range s {
				at, _ := slices.BinarySearch(labels, w.Label)
				u32(at, int(w.Weight))
			}
		}
	}
	return b, nil
}

func (f *Forest) validate() error {
	switch {
	case len(f.Trees) < 1 || len(f.Trees) > MaxTrees:
		return fmt.Errorf("%d trees: 1 to %d are possible", len(f.Trees), MaxTrees)
	case len(f.Quantiles) < 1 || len(f.Quantiles) > MaxQuantiles:
		return fmt.Errorf("%d quantiles: 1 to %d are possible", len(f.Quantiles), MaxQuantiles)
	}
	for i, q := range f.Quantiles {
		if !(q >= 0 && q <= 1) || i > 0 && q <= f.Quantiles[i-1] {
			return fmt.Errorf("the quantiles %v are not between 0 and 1 in rising order", f.Quantiles)
		}
	}
	for t := range f.Trees {
		tree := &f.Trees[t]
		for i := range tree.Nodes {
			if n := &tree.Nodes[i]; n.Test == trees.Leaf && !(n.Value >= 0 && n.Value < float64(len(tree.Samples)) && n.Value == math.Trunc(n.Value)) {
				return fmt.Errorf("tree %d, node %d: sample %v of %d", t, i, n.Value, len(tree.Samples))
			}
		}
		for i, s := range tree.Samples {
			if err := s.check(); err != nil {
				return fmt.Errorf("tree %d, sample %d: %w", t, i, err)
			}
		}
	}
	return nil
}

func (s Sample) check() error {
	total := uint64(0)
	for i, w := range s {
		if math.IsNaN(w.Label) || math.IsInf(w.Label, 0) || i > 0 && w.Label <= s[i-1].Label {
			return fmt.Errorf("label %v is out of order", w.Label)
		}
		if w.Weight == 0 {
			return fmt.Errorf("label %v has no weight", w.Label)
		}
		total += uint64(w.Weight)
	}
	if total != Unit {
		return fmt.Errorf("the weights come to %d, not %d", total, Unit)
	}
	return nil
}
