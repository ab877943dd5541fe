// Package trees scores ensembles of decision trees.
//
// A loader or a trainer describes an ensemble as a Forest: plain data, as
// close to the file it came from as its rules allow. Encode checks it and
// writes the canonical bytes that an artifact keeps; Open reads those bytes
// into an Ensemble, laid out for speed; a Session of it scores rows.
//
// The engine's idea: a numeric test `x < t` depends on x only through its
// rank among the feature's sorted thresholds, and a categorical test only
// through membership. So a row is first turned into one byte per slot (a slot
// is a feature under one treatment of missing values, and at most 254 of its
// thresholds; or one category set), and every node of every tree is then the
// same branch-free test, `row[slot] >= rank`. Precision, `<` or `<=`,
// default directions, zero-as-missing and category sets are all settled in
// the slots; the walk does not know of them.
//
// On processors with AVX-512 a block of rows is scored 64 rows to a vector, and
// trees are not walked but asked all their tests (wide.go, ask.go); elsewhere, and
// for few rows of the largest trees, eight trees are walked side by side (walk.go).
//
// Sums are formed from the base in tree order, in the precision the forest
// names, whatever the number of rows: scores do not depend on the batch, and
// equal the original library's where it sums in that order.
package trees

import (
	"fmt"
	"math"
)

// Precision is a floating-point width.
type Precision uint8

const (
	Float32 Precision = iota
	Float64
)

// Test is what a node asks of its feature. The row goes left where a Less or
// LessEqual test is true, and right where an In test is true.
type Test uint8

const (
	Leaf      Test = iota // no test: Value is the answer
	Less                  // x < Threshold
	LessEqual             // x <= Threshold
	In                    // x, truncated to an integer, is one of Set
)

// Missing says which values of a feature are missing at a node, and where
// they go. Every mode but AsZero sends NaN in the named direction; for In
// tests only Right and Left exist.
type Missing uint8

const (
	Right     Missing = iota // NaN goes right
	Left                     // NaN goes left
	AsZero                   // NaN is tested as 0
	ZeroRight                // NaN and values within 1e-35 of 0 go right
	ZeroLeft                 // NaN and values within 1e-35 of 0 go left
	missings
)

// zeroBound is LightGBM's kZeroThreshold, a float32 constant.
const zeroBound = float64(float32(1e-35))

// Forest describes an ensemble.
type Forest struct {
	Features int
	Outputs  int       // sums per row
	Input    Precision // features are rounded to it before any test
	Sum      Precision // leaves are rounded to it and sums formed in it
	Base     []float64 // where each output's sum begins; len Outputs
	Average  bool      // divide each output by its number of trees
	Covers   bool      // keep the leaves' covers, which contributions need
	Trees    []Tree
}

// Tree is one tree, adding to one output. Nodes[0] is its root.
type Tree struct {
	Output int
	Nodes  []Node
}

// Node is a leaf or a test.
type Node struct {
	Test        Test
	Missing     Missing
	Feature     int32
	Left, Right int32   // indices in Nodes
	Threshold   float64 // of Less and LessEqual
	Value       float64 // of a Leaf
	Set         []int32 // of In: categories, 0 to MaxCategory, in any order
	// Cover is the weight of the training rows that came by: as the library
	// counts it, or 0 where its file does not say.
	Cover float64
}

// Limits of the engine. They are far above what libraries train, and keep
// every index in its field.
const (
	MaxFeatures = 1 << 20
	MaxOutputs  = 1 << 12
	MaxCategory = 1<<24 - 1 // above it float32 cannot tell integers apart
	maxSlots    = 1 << 24
	chunk       = 254 // thresholds in one slot: ranks 0 to 254, and 255 for NaN going right
)

// A Refusal says what in a forest cannot be scored.
type Refusal struct {
	Tree, Node int // -1 where it is about the whole
	Reason     string
}

func (r *Refusal) Error() string {
	switch {
	case r.Tree < 0:
		return r.Reason
	case r.Node < 0:
		return fmt.Sprintf("tree %d: %s", r.Tree, r.Reason)
	}
	return fmt.Sprintf("tree %d, node %d: %s", r.Tree, r.Node, r.Reason)
}

func refuse(tree, node int, format string, args ...any) error {
	return &Refusal{tree, node, fmt.Sprintf(format, args...)}
}

// validate reports what in the whole of f cannot be scored. Nodes are checked
// as Encode reaches them: libraries leave deleted ones behind.
func (f *Forest) validate() error {
	switch {
	case f.Features < 0 || f.Features > MaxFeatures:
		return refuse(-1, -1, "%d features: the limit is %d", f.Features, MaxFeatures)
	case f.Outputs < 1 || f.Outputs > MaxOutputs:
		return refuse(-1, -1, "%d outputs: 1 to %d are possible", f.Outputs, MaxOutputs)
	case len(f.Base) != f.Outputs:
		return refuse(-1, -1, "%d base scores for %d outputs", len(f.Base), f.Outputs)
	case f.Input > Float64 || f.Sum > Float64:
		return refuse(-1, -1, "unknown precision")
	}
	for k, b := range f.Base {
		if math.IsNaN(b) || math.IsInf(b, 0) {
			return refuse(-1, -1, "base score %d is %v", k, b)
		}
	}
	for t := range f.Trees {
		tree := &f.Trees[t]
		if tree.Output < 0 || tree.Output >= f.Outputs {
			return refuse(t, -1, "output %d of %d", tree.Output, f.Outputs)
		}
		if len(tree.Nodes) == 0 {
			return refuse(t, -1, "has no nodes")
		}
	}
	return nil
}

// checkNode reports what in node i of tree t cannot be scored.
func (f *Forest) checkNode(t, i int, n *Node) error {
	if n.Test == Leaf {
		v := n.Value
		if f.Sum == Float32 {
			v = float64(float32(v))
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return refuse(t, i, "leaf value is %v", n.Value)
		}
		if f.Covers && !usableCover(n.Cover) {
			return refuse(t, i, "cover is %v", n.Cover)
		}
		return nil
	}
	if n.Feature < 0 || int(n.Feature) >= f.Features {
		return refuse(t, i, "tests feature %d of %d", n.Feature, f.Features)
	}
	switch n.Test {
	case Less, LessEqual:
		if math.IsNaN(n.Threshold) {
			return refuse(t, i, "threshold is not a number")
		}
		if n.Missing >= missings {
			return refuse(t, i, "unknown treatment of missing values")
		}
	case In:
		if n.Missing > Left {
			return refuse(t, i, "a category test can send missing values only right or left")
		}
		for _, c := range n.Set {
			if c < 0 || c > MaxCategory {
				return refuse(t, i, "category %d is out of range", c)
			}
		}
	default:
		return refuse(t, i, "unknown test")
	}
	return nil
}
