// Package dag scores ensembles of decision graphs: rooted, directed and
// without cycles, like decision trees in which several nodes may share a child
// (Shotton et al., Decision Jungles, NIPS 2013).
//
// A trainer describes an ensemble as a Jungle; Encode checks it and writes the
// canonical bytes that an artifact keeps; Open reads them into a Model, which
// any number of goroutines may use. A row's answer is the mean of the leaves it
// comes to, one leaf a graph, summed in the order of the graphs: it does not
// depend on the rows that come with it or on the CPU.
package dag

import (
	"fmt"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/model/trees"
)

// Test is what a node asks of its feature.
type Test uint8

const (
	Leaf Test = iota // no test: Value is the answer
	Less             // the row goes left where x < Threshold, else right
	In               // the row goes right where x, truncated, is one of Set
)

// Jungle describes an ensemble.
type Jungle struct {
	Features int
	Outputs  int  // numbers in a leaf
	Single   bool // features are rounded to float32 before any test
	Shares   bool // keep the nodes' shares, which contributions need
	Graphs   []Graph
}

// Graph is one decision graph. Nodes[0] is its root; every other node is the
// child of at least one node before it, which is what makes it a graph without
// cycles.
type Graph struct{ Nodes []Node }

// Node is a leaf or a test.
type Node struct {
	Test         Test
	MissingRight bool // where a missing value goes
	Feature      int32
	Left, Right  int32     // indices in Nodes, above this node's own; they may be the same
	Threshold    float64   // of Less
	Set          []int32   // of In: 0 to MaxCategory, in any order
	Value        []float64 // of a Leaf: one number for each output
	Share        float64   // of the rows that came to the node in training, those that went left
}

// FromTree makes a node of one of package trees: of a test of numbers or of
// categories whose missing values go left or right.
func FromTree(n *trees.Node) Node {
	out := Node{
		Test: Less, MissingRight: n.Missing == trees.Right, Feature: n.Feature, Left: n.Left, Right: n.Right, Threshold: n.Threshold,
	}
	switch n.Test {
	case trees.LessEqual:
		if !math.IsInf(n.Threshold, 1) { // every number goes left
			out.Threshold = math.Nextafter(n.Threshold, math.Inf(1))
		}
	case trees.In:
		out.Test, out.Set, out.Threshold = In, n.Set, 0
	case trees.Leaf:
		out = Node{Value: []float64{n.Value}}
	}
	return out
}

// Limits of a model.
const (
	MaxFeatures = 1 << 20
	MaxOutputs  = 1 << 12
	MaxGraphs   = 1 << 16
	MaxCategory = 1<<24 - 1
)

// ShareOf is the share of the rows that go left, by the weights on either side:
// a half of none.
func ShareOf(left, right float64) float64 {
	if left+right > 0 {
		return left / (left + right)
	}
	return 0.5
}

// validate reports what in j cannot be scored.
func (j *Jungle) validate() error {
	switch {
	case j.Features < 0 || j.Features > MaxFeatures:
		return fmt.Errorf("%d features: the limit is %d", j.Features, MaxFeatures)
	case j.Outputs < 1 || j.Outputs > MaxOutputs:
		return fmt.Errorf("%d outputs: 1 to %d are possible", j.Outputs, MaxOutputs)
	case len(j.Graphs) < 1 || len(j.Graphs) > MaxGraphs:
		return fmt.Errorf("%d graphs: 1 to %d are possible", len(j.Graphs), MaxGraphs)
	}
	for g := range j.Graphs {
		if err := j.validateGraph(j.Graphs[g].Nodes); err != nil {
			return fmt.Errorf("graph %d: %w", g, err)
		}
	}
	return nil
}

func (j *Jungle) validateGraph(nodes []Node) error {
	if len(nodes) == 0 {
		return fmt.Errorf("it has no nodes")
	}
	child := make([]bool, len(nodes))
	child[0] = true
	for i := range nodes {
		n := &nodes[i]
		switch {
		case !child[i]:
			return fmt.Errorf("node %d is no node's child", i)
		case n.Test == Leaf:
			if len(n.Value) != j.Outputs {
				return fmt.Errorf("leaf %d has %d numbers for %d outputs", i, len(n.Value), j.Outputs)
			}
			if slices.ContainsFunc(n.Value, func(v float64) bool { return !finite(v) }) {
				return fmt.Errorf("leaf %d is %v", i, n.Value)
			}
			continue
		case n.Test > In:
			return fmt.Errorf("node %d has an unknown test", i)
		case n.Feature < 0 || int(n.Feature) >= j.Features:
			return fmt.Errorf("node %d tests feature %d of %d", i, n.Feature, j.Features)
		case n.Test == Less && math.IsNaN(n.Threshold):
			return fmt.Errorf("node %d has a threshold that is not a number", i)
		case j.Shares && !(n.Share >= 0 && n.Share <= 1):
			return fmt.Errorf("node %d sends the share %v left", i, n.Share)
		}
		for _, c := range n.Set {
			if n.Test == In && (c < 0 || c > MaxCategory) {
				return fmt.Errorf("node %d: category %d is out of range", i, c)
			}
		}
		for _, c := range [2]int32{n.Left, n.Right} {
			if int(c) <= i || int(c) >= len(nodes) {
				return fmt.Errorf("node %d has child %d of %d nodes: children stand behind their parents", i, c, len(nodes))
			}
			child[c] = true
		}
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
