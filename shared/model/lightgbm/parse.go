package lightgbm

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/model/trees"
)

// section is the keys of one section of the text.
type section map[string]string

// parser walks the sections.
type parser struct {
	rest  []byte
	line  int // lines consumed
	start int // first line of the section read last
}

// hasTree skips blank lines and reports whether a tree section follows.
func (p *parser) hasTree() bool {
	for len(p.rest) > 0 && (p.rest[0] == '\n' || p.rest[0] == '\r') {
		if p.rest[0] == '\n' {
			p.line++
		}
		p.rest = p.rest[1:]
	}
	return bytes.HasPrefix(p.rest, []byte("Tree="))
}

// section reads lines to the next blank one. A line without = is a flag.
func (p *parser) section() (section, error) {
	p.start = p.line + 1
	s := section{}
	for len(p.rest) > 0 {
		line, rest, _ := bytes.Cut(p.rest, []byte("\n"))
		p.rest = rest
		p.line++
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			break
		}
		key, value, _ := strings.Cut(string(line), "=")
		if _, twice := s[key]; twice {
			return nil, refuse("line %d: %q stands twice in its section", p.line, key)
		}
		s[key] = value
	}
	return s, nil
}

// count reads a whole number from 0 to limit.
func (s section) count(key string, limit int) (int, error) {
	v, ok := s[key]
	if !ok {
		return 0, refuse("%s is missing", key)
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > limit {
		return 0, refuse("%s is %q: 0 to %d is possible", key, v, limit)
	}
	return n, nil
}

// vector reads a list of exactly n values.
func vector[T any](s section, key string, n int, parse func(string) (T, error)) ([]T, error) {
	words := strings.Fields(s[key])
	if len(words) != n {
		return nil, fmt.Errorf("%s has %d values, not %d", key, len(words), n)
	}
	list := make([]T, n)
	for i, w := range words {
		v, err := parse(w)
		if err != nil {
			return nil, fmt.Errorf("%s: value %d is %q", key, i, w)
		}
		list[i] = v
	}
	return list, nil
}

func float(w string) (float64, error) { return strconv.ParseFloat(w, 64) }

// Bits of decision_type.
const (
	categorical = 1 << 0
	defaultLeft = 1 << 1
	missingBits = 3 << 2
	missingZero = 1 << 2
	missingNaN  = 2 << 2
)

// tree builds the tree of a section. Nodes 0 to leaves-2 are its tests; leaf k
// follows as node leaves-1+k, which the file calls child ^k.
func (s section) tree() (trees.Tree, error) {
	if s["is_linear"] == "1" {
		return trees.Tree{}, fmt.Errorf("is a linear tree (linear_tree=true), which is not supported: train with linear_tree=false")
	}
	leaves, err := strconv.Atoi(s["num_leaves"])
	if err != nil || leaves < 1 || leaves > len(s["leaf_value"])+1 {
		return trees.Tree{}, fmt.Errorf("num_leaves is %q", s["num_leaves"])
	}
	values, err := vector(s, "leaf_value", leaves, float)
	if err != nil {
		return trees.Tree{}, err
	}
	tests := leaves - 1
	nodes := make([]trees.Node, tests, tests+leaves)
	for _, v := range values {
		nodes = append(nodes, trees.Node{Test: trees.Leaf, Value: v})
	}
	// Counts of rows, for contributions: a file without them scores as well.
	if counts, err := vector(s, "leaf_count", leaves, float); err == nil {
		for i, c := range counts {
			nodes[tests+i].Cover = c
		}
	} else if tests == 0 {
		nodes[0].Cover = 1
	}
	t := trees.Tree{Nodes: nodes}
	if tests == 0 {
		return t, nil
	}
	return t, s.tests(nodes, tests)
}

func (s section) tests(nodes []trees.Node, tests int) error {
	features, err := vector(s, "split_feature", tests, strconv.Atoi)
	if err != nil {
		return err
	}
	thresholds, err := vector(s, "threshold", tests, float)
	if err != nil {
		return err
	}
	types, err := vector(s, "decision_type", tests, strconv.Atoi)
	if err != nil {
		return err
	}
	left, err := vector(s, "left_child", tests, strconv.Atoi)
	if err != nil {
		return err
	}
	right, err := vector(s, "right_child", tests, strconv.Atoi)
	if err != nil {
		return err
	}
	sets, err := s.sets()
	if err != nil {
		return err
	}
	used := make([]bool, len(sets))
	counts, err := vector(s, "internal_count", tests, float)
	if err != nil {
		counts = make([]float64, tests)
	}
	child := func(i int) (int32, error) {
		n := i
		if i < 0 {
			n = tests + ^i
		}
		if n < 0 || n >= len(nodes) {
			return 0, fmt.Errorf("child %d is out of range", i)
		}
		return int32(n), nil
	}
	for i := range tests {
		if features[i] < 0 || features[i] > math.MaxInt32 {
			return fmt.Errorf("node %d tests feature %d", i, features[i])
		}
		l, err := child(left[i])
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		r, err := child(right[i])
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		n := trees.Node{Feature: int32(features[i]), Left: l, Right: r, Cover: counts[i]}
		if types[i]&categorical != 0 {
			// LightGBM sends members left, and everything else, missing
			// included, right; trees.In sends members right.
			k := int(thresholds[i])
			if float64(k) != thresholds[i] || k < 0 || k >= len(sets) {
				return fmt.Errorf("node %d: category set %v of %d", i, thresholds[i], len(sets))
			}
			// Every test has a set of its own: sets are together no larger than the file.
			if used[k] {
				return fmt.Errorf("node %d: category set %d is another node's too", i, k)
			}
			used[k] = true
			n.Test, n.Missing, n.Set = trees.In, trees.Left, sets[k]
			n.Left, n.Right = r, l
		} else {
			n.Test, n.Missing, n.Threshold = trees.LessEqual, missing(types[i]), thresholds[i]
		}
		nodes[i] = n
	}
	return nil
}

// missing is where a numeric test's missing values go.
func missing(decisionType int) trees.Missing {
	left := decisionType&defaultLeft != 0
	switch decisionType & missingBits {
	case missingZero:
		if left {
			return trees.ZeroLeft
		}
		return trees.ZeroRight
	case missingNaN:
		if left {
			return trees.Left
		}
		return trees.Right
	}
	return trees.AsZero
}

// sets reads the category sets: set k is the bits of words cat_boundaries[k]
// to cat_boundaries[k+1] of cat_threshold.
func (s section) sets() ([][]int32, error) {
	n, err := strconv.Atoi(s["num_cat"])
	if err != nil || n < 0 || n > len(s["cat_boundaries"]) {
		return nil, fmt.Errorf("num_cat is %q", s["num_cat"])
	}
	if n == 0 {
		return nil, nil
	}
	bounds, err := vector(s, "cat_boundaries", n+1, strconv.Atoi)
	if err != nil {
		return nil, err
	}
	if bounds[0] != 0 || bounds[n] < 0 || bounds[n] > len(s["cat_threshold"]) {
		return nil, fmt.Errorf("cat_boundaries run from %d to %d", bounds[0], bounds[n])
	}
	words, err := vector(s, "cat_threshold", bounds[n], func(w string) (uint32, error) {
		v, err := strconv.ParseUint(w, 10, 32)
		return uint32(v), err
	})
	if err != nil {
		return nil, err
	}
	sets := make([][]int32, n)
	for k := range n {
		lo, hi := bounds[k], bounds[k+1]
		if lo > hi || hi > len(words) {
			return nil, fmt.Errorf("cat_boundaries %d and %d are not in order", lo, hi)
		}
		for i, w := range words[lo:hi] {
			for b := range 32 {
				if w>>b&1 != 0 {
					sets[k] = append(sets[k], int32(i*32+b))
				}
			}
		}
	}
	return sets, nil
}
