// Package shap is the arithmetic of TreeSHAP along the trees' own paths:
// Shapley values of the features of a row, in the game where a coalition's worth
// is the answer expected when only its features are known, and a test of another
// sends to either side the share of the training rows that went there
// (Lundberg, Erion and Lee, Consistent Individualized Feature Attribution for
// Tree Ensembles, 2018, algorithm 2).
//
// An engine walks its trees from the root with a Path: at every node it extends
// the path by the test before, at a leaf it adds the weights of the features on
// it, and before it goes on it takes out a feature that is tested again.
package shap

// Path is the features that have been tested on a way from the root, element 0
// standing for none. It is room for more: the elements up to a depth count.
type Path []Element

// Element is a feature on a path.
type Element struct {
	Feature int32
	Zero    float64 // share of the rows that goes this way when the feature is unknown
	One     float64 // 1 where the row's own value goes this way, else 0
	weight  float64 // of the subsets of features, by size
}

// maxRoom bounds the memory of a walk; it is reached by trees more than a
// thousand tests deep over as many features.
const maxRoom = 1 << 21

// Room is how many elements a walk needs whose every level copies the path, in a
// tree whose longest way has so many tests: 0 where they are too many.
func Room(tests, features int) int {
	// A path holds a feature once.
	levels := tests + 2
	if size := levels * (min(levels, features+1) + 1); size <= maxRoom {
		return size
	}
	return 0
}

// Extend adds a feature to a path of depth elements.
func (path Path) Extend(depth int, zero, one float64, feature int32) {
	path[depth] = Element{Feature: feature, Zero: zero, One: one}
	if depth == 0 {
		path[0].weight = 1
	}
	all := float64(depth + 1)
	for i := depth - 1; i >= 0; i-- {
		path[i+1].weight += one * path[i].weight * float64(i+1) / all
		path[i].weight = zero * path[i].weight * float64(depth-i) / all
	}
}

// Take takes out the element of a feature, where a path whose last element is at
// depth has it, and returns where the last element is then and the shares of
// what was taken: of a feature that was not there, 1.
func (path Path) Take(depth int, feature int32) (last int, zero, one float64) {
	for i := 1; i <= depth; i++ {
		if path[i].Feature == feature {
			zero, one = path[i].Zero, path[i].One
			path.unwind(depth, i)
			return depth - 1, zero, one
		}
	}
	return depth, 1, 1
}

// unwind takes element k out of a path whose last element is at depth.
func (path Path) unwind(depth, k int) {
	zero, one := path[k].Zero, path[k].One
	next := path[depth].weight
	all := float64(depth + 1)
	for i := depth - 1; i >= 0; i-- {
		switch {
		case one != 0:
			w := path[i].weight
			path[i].weight = next * all / (float64(i+1) * one)
			next = w - path[i].weight*zero*float64(depth-i)/all
		case zero != 0:
			path[i].weight = path[i].weight * all / (zero * float64(depth-i))
		}
	}
	for i := k; i < depth; i++ {
		path[i].Feature, path[i].Zero, path[i].One = path[i+1].Feature, path[i+1].Zero, path[i+1].One
	}
}

// Weight is what the leaf at the end of a path whose last element is at depth
// adds to the contribution of the feature of element k, from 1, for each 1 of its
// value.
func (path Path) Weight(depth, k int) float64 {
	return path.unwoundSum(depth, k) * (path[k].One - path[k].Zero)
}

// unwoundSum is the sum of the weights that unwind would leave.
func (path Path) unwoundSum(depth, k int) float64 {
	zero, one := path[k].Zero, path[k].One
	next := path[depth].weight
	all := float64(depth + 1)
	total := 0.0
	for i := depth - 1; i >= 0; i-- {
		switch {
		case one != 0:
			w := next * all / (float64(i+1) * one)
			total += w
			next = path[i].weight - w*zero*float64(depth-i)/all
		case zero != 0:
			total += path[i].weight / zero * all / float64(depth-i)
		}
	}
	return total
}
