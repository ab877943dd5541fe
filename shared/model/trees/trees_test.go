package trees

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// shape says what random forests are made of.
type shape struct {
	features, outputs, trees int
	depth                    int
	stop                     float64 // chance of a leaf above depth
	values                   int     // distinct thresholds are among this many per feature
	input, sum               Precision
	test                     Test
	missing                  []Missing
	sets                     bool // half of the features are categorical
	average                  bool
}

func (s shape) forest(rng *rand.Rand) *Forest {
	f := &Forest{Features: s.features, Outputs: s.outputs, Input: s.input, Sum: s.sum, Average: s.average, Base: make([]float64, s.outputs)}
	for k := range f.Base {
		f.Base[k] = float64(float32(rng.NormFloat64()))
	}
	for t := range s.trees {
		tree := Tree{Output: t % s.outputs}
		s.grow(rng, &tree, 0)
		f.Trees = append(f.Trees, tree)
	}
	return f
}

func (s shape) grow(rng *rand.Rand, t *Tree, depth int) int32 {
	i := int32(len(t.Nodes))
	t.Nodes = append(t.Nodes, Node{})
	if depth == s.depth || depth > 0 && rng.Float64() < s.stop {
		t.Nodes[i].Value = float64(float32(rng.NormFloat64()))
		return i
	}
	n := Node{Test: s.test, Feature: int32(rng.IntN(s.features)), Missing: s.missing[rng.IntN(len(s.missing))]}
	if s.sets && n.Feature%2 == 1 {
		n.Test, n.Missing = In, n.Missing&1
		for range rng.IntN(12) {
			n.Set = append(n.Set, int32(rng.IntN(40)))
		}
	} else {
		n.Threshold = s.value(rng)
	}
	n.Left = s.grow(rng, t, depth+1)
	n.Right = s.grow(rng, t, depth+1)
	t.Nodes[i] = n
	return i
}

// value is a threshold or feature value: one of a few, so that they tie.
func (s shape) value(rng *rand.Rand) float64 {
	v := float64(rng.IntN(s.values)-s.values/2) / 7
	if s.input == Float32 {
		return float64(float32(v))
	}
	return v
}

func (s shape) row(rng *rand.Rand) []float64 {
	x := make([]float64, s.features)
	for i := range x {
		switch k := rng.IntN(20); {
		case k < 3:
			x[i] = math.NaN()
		case k == 3:
			x[i] = []float64{0, math.Copysign(0, -1), 1e-36, -1e-36, math.Inf(1), math.Inf(-1), math.MaxFloat64, 5e-324, -3, 1e9, 16777217}[rng.IntN(11)]
		case s.sets && i%2 == 1:
			x[i] = float64(rng.IntN(44))
			if k == 4 {
				x[i] += 0.7
			}
		default:
			x[i] = s.value(rng)
		}
	}
	return x
}

// predict is the meaning of a Forest, one node at a time.
func predict[T number](f *Forest, x []float64) []float64 {
	sum, trees := make([]T, f.Outputs), make([]T, f.Outputs)
	for k, b := range f.Base {
		sum[k] = T(b)
	}
	for t := range f.Trees {
		i := int32(0)
		for f.Trees[t].Nodes[i].Test != Leaf {
			n := &f.Trees[t].Nodes[i]
			if right(f, n, x[n.Feature]) {
				i = n.Right
			} else {
				i = n.Left
			}
		}
		sum[f.Trees[t].Output] += T(f.Trees[t].Nodes[i].Value)
		trees[f.Trees[t].Output]++
	}
	out := make([]float64, f.Outputs)
	for k := range out {
		if f.Average {
			sum[k] /= max(1, trees[k])
		}
		out[k] = float64(sum[k])
	}
	return out
}

func right(f *Forest, n *Node, v float64) bool {
	if f.Input == Float32 {
		v = float64(float32(v))
	}
	missing := v != v
	switch n.Missing {
	case AsZero:
		if missing {
			v, missing = 0, false
		}
	case ZeroLeft, ZeroRight:
		missing = missing || math.Abs(v) <= zeroBound
	}
	if missing {
		return n.Missing == Right || n.Missing == ZeroRight
	}
	switch n.Test {
	case Less:
		return !(v < n.Threshold)
	case LessEqual:
		return !(v <= n.Threshold)
	}
	return v >= 0 && v <= MaxCategory && slices.Contains(n.Set, int32(v))
}

// score predicts rows in batches.
func score(e *Ensemble, rows [][]float64, batch int) []float64 {
	s := e.NewSession(batch)
	var all []float64
	for len(rows) > 0 {
		n := min(batch, len(rows))
		x, out := make([]float64, n*e.features), make([]float64, n*e.outputs)
		for r := range n {
			for f, v := range rows[r] {
				x[f*n+r] = v
			}
		}
		s.Predict(x, n, out)
		all, rows = append(all, out...), rows[n:]
	}
	return all
}

var shapes = map[string]shape{
	"float32 less":        {features: 9, outputs: 1, trees: 30, depth: 6, values: 300, missing: []Missing{Right, Left}, test: Less},
	"float64 less equal":  {features: 9, outputs: 1, trees: 30, depth: 6, values: 300, missing: []Missing{Right, Left, AsZero, ZeroLeft, ZeroRight}, test: LessEqual, input: Float64, sum: Float64},
	"float32 less equal":  {features: 5, outputs: 1, trees: 17, depth: 5, stop: .2, values: 50, missing: []Missing{Right, AsZero}, test: LessEqual},
	"sets":                {features: 8, outputs: 1, trees: 25, depth: 5, stop: .2, values: 40, missing: []Missing{Right, Left}, test: Less, sets: true},
	"sets, float64":       {features: 8, outputs: 3, trees: 25, depth: 9, stop: .3, values: 40, missing: []Missing{Right, Left, ZeroLeft}, test: LessEqual, sets: true, input: Float64, sum: Float64},
	"classes, average":    {features: 6, outputs: 4, trees: 50, depth: 4, stop: .1, values: 30, missing: []Missing{Left}, test: Less, average: true},
	"more than 254 cuts":  {features: 2, outputs: 1, trees: 60, depth: 7, values: 4000, missing: []Missing{Right, Left, ZeroLeft}, test: Less},
	"deep":                {features: 4, outputs: 1, trees: 11, depth: 14, stop: .1, values: 900, missing: []Missing{Right, Left}, test: Less},
	"deep, classes":       {features: 4, outputs: 3, trees: 21, depth: 12, stop: .25, values: 900, missing: []Missing{Left}, test: LessEqual, sum: Float64},
	"one leaf":            {features: 2, outputs: 1, trees: 9, depth: 0, values: 2, missing: []Missing{Right}, test: Less},
	"stumps":              {features: 3, outputs: 2, trees: 13, depth: 1, values: 5, missing: []Missing{Right}, test: Less, average: true},
	"no trees":            {features: 3, outputs: 2, trees: 0, values: 1, missing: []Missing{Right}, test: Less, average: true},
	"no features tested":  {features: 1, outputs: 1, trees: 3, depth: 0, values: 1, missing: []Missing{Right}, test: Less, sum: Float64},
	"perfect of depth 8":  {features: 12, outputs: 1, trees: 10, depth: 8, values: 200, missing: []Missing{Right, Left}, test: Less},
	"mixed depths, large": {features: 12, outputs: 2, trees: 200, depth: 9, stop: .15, values: 250, missing: []Missing{Right, Left}, test: Less},
}

// TestAgainstMeaning compares the engine with the plain walk, to the bit, in
// batches of several sizes.
func TestAgainstMeaning(t *testing.T) {
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(len(name))))
			f := s.forest(rng)
			e := open(t, f)
			rows := make([][]float64, 500)
			var want []float64
			for i := range rows {
				rows[i] = s.row(rng)
				if s.sum == Float32 {
					want = append(want, predict[float32](f, rows[i])...)
				} else {
					want = append(want, predict[float64](f, rows[i])...)
				}
			}
			for _, batch := range []int{1, 7, 63, BlockRows} {
				for i, got := range score(e, rows, batch) {
					if math.Float64bits(got) != math.Float64bits(want[i]) {
						t.Fatalf("batches of %d, row %d, output %d: %v, want %v\nrow %v", batch, i/e.outputs, i%e.outputs, got, want[i], rows[i/e.outputs])
					}
				}
			}
		})
	}
}

// TestLayouts holds that the shapes above reach both layouts.
func TestLayouts(t *testing.T) {
	for name, want := range map[string]struct{ perfect, linked bool }{
		"float32 less": {perfect: true}, "perfect of depth 8": {perfect: true}, "one leaf": {perfect: true},
		"deep": {linked: true}, "deep, classes": {linked: true},
	} {
		st := openFor(t, shapes[name].forest(rand.New(rand.NewPCG(1, 2))), false).stats
		if (st.Perfect > 0) != want.perfect || (st.Linked > 0) != want.linked {
			t.Errorf("%s: %+v", name, st)
		}
	}
	// Six levels of two in a group of eight one-leaf trees are not padded.
	s := shapes["one leaf"]
	f := s.forest(rand.New(rand.NewPCG(1, 2)))
	spine := Tree{}
	for i := range int32(8) {
		spine.Nodes = append(spine.Nodes, Node{Test: Less, Left: 2*i + 1, Right: 2*i + 2}, Node{Value: 1})
	}
	spine.Nodes = append(spine.Nodes, Node{})
	f.Trees[3] = spine
	if st := openFor(t, f, false).stats; st.Linked != 8 || st.Perfect != 1 {
		t.Errorf("a spine among leaves: %+v", st)
	}
}

// TestInfiniteThresholds pins tests that are always or never true.
func TestInfiniteThresholds(t *testing.T) {
	inf := math.Inf(1)
	for _, input := range []Precision{Float32, Float64} {
		for _, n := range []Node{
			{Test: Less, Threshold: inf},
			{Test: Less, Threshold: -inf},
			{Test: LessEqual, Threshold: inf},
			{Test: LessEqual, Threshold: -inf},
			{Test: Less, Threshold: math.Copysign(0, -1)},
			{Test: LessEqual, Threshold: math.MaxFloat32},
			{Test: LessEqual, Threshold: 0.1},
			{Test: Less, Threshold: 0.1},
		} {
			n.Left, n.Right = 1, 2
			f := &Forest{Features: 1, Outputs: 1, Base: []float64{0}, Input: input, Trees: []Tree{{Nodes: []Node{n, {Value: 1}, {Value: 2}}}}}
			e := open(t, f)
			for _, x := range []float64{-inf, -1, math.Copysign(0, -1), 0, 0.1, float64(float32(0.1)), 1, math.MaxFloat32, inf, math.NaN()} {
				if got, want := score(e, [][]float64{{x}}, 1)[0], predict[float32](f, []float64{x})[0]; got != want {
					t.Errorf("input %v: x=%v, test %v of %v: %v, want %v", input, x, n.Test, n.Threshold, got, want)
				}
			}
		}
	}
}

// TestEncodeIsCanonical holds that the order of a file's nodes, deleted nodes
// and the order within sets do not reach the bytes.
func TestEncodeIsCanonical(t *testing.T) {
	a := &Forest{Features: 2, Outputs: 1, Base: []float64{0}, Trees: []Tree{{Nodes: []Node{
		{Test: In, Feature: 1, Set: []int32{3, 1}, Left: 1, Right: 2}, {Value: 1}, {Test: Less, Threshold: 0, Left: 3, Right: 4}, {Value: 2}, {Value: 3},
	}}}}
	b := &Forest{Features: 2, Outputs: 1, Base: []float64{0}, Trees: []Tree{{Nodes: []Node{
		{Test: In, Feature: 1, Set: []int32{1, 3, 3}, Left: 5, Right: 4},
		{Value: 3},
		{Value: 2},
		{Test: Less, Feature: 77, Threshold: math.NaN()},
		{Test: Less, Threshold: math.Copysign(0, -1), Left: 2, Right: 1},
		{Value: 1},
	}}}}
	x, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(x) != string(y) {
		t.Errorf("one forest, two encodings:\n%x\n%x", x, y)
	}
}

func TestEncodeRefuses(t *testing.T) {
	leaf := Node{Value: 1}
	split := func(n Node) []Node { n.Left, n.Right = 1, 2; return []Node{n, leaf, leaf} }
	ok := Forest{Features: 2, Outputs: 1, Base: []float64{0}}
	for _, c := range []struct {
		name  string
		f     func(f *Forest)
		nodes []Node
		want  string
	}{
		{name: "no outputs", f: func(f *Forest) { f.Outputs = 0 }, want: "0 outputs"},
		{name: "too many features", f: func(f *Forest) { f.Features = MaxFeatures + 1 }, want: "features: the limit"},
		{name: "base", f: func(f *Forest) { f.Base = nil }, want: "0 base scores for 1 outputs"},
		{name: "NaN base", f: func(f *Forest) { f.Base = []float64{math.NaN()} }, want: "base score 0 is NaN"},
		{name: "output", f: func(f *Forest) { f.Trees = []Tree{{Output: 1, Nodes: []Node{leaf}}} }, want: "tree 0: output 1 of 1"},
		{name: "empty", nodes: []Node{}, want: "tree 0: has no nodes"},
		{name: "feature", nodes: split(Node{Test: Less, Feature: 2}), want: "tree 0, node 0: tests feature 2 of 2"},
		{name: "negative feature", nodes: split(Node{Test: Less, Feature: -1}), want: "tests feature -1"},
		{name: "NaN threshold", nodes: split(Node{Test: Less, Threshold: math.NaN()}), want: "threshold is not a number"},
		{name: "infinite leaf", nodes: []Node{{Value: math.Inf(1)}}, want: "leaf value is +Inf"},
		{name: "leaf beyond float32", nodes: []Node{{Value: 1e300}}, want: "leaf value is 1e+300"},
		{name: "cycle", nodes: []Node{{Test: Less, Left: 1, Right: 2}, {Test: Less, Left: 0, Right: 2}, leaf}, want: "node 1: child 0 is reached twice"},
		{name: "shared", nodes: []Node{{Test: Less, Left: 1, Right: 1}, leaf}, want: "child 1 is reached twice"},
		{name: "outside", nodes: []Node{{Test: Less, Left: 1, Right: 9}, leaf}, want: "child 9 of 2 nodes"},
		{name: "category", nodes: split(Node{Test: In, Set: []int32{-1}}), want: "category -1 is out of range"},
		{name: "category missing", nodes: split(Node{Test: In, Missing: AsZero}), want: "can send missing values only right or left"},
		{name: "test", nodes: split(Node{Test: 9}), want: "unknown test"},
		{name: "missing", nodes: split(Node{Test: Less, Missing: 9}), want: "unknown treatment"},
	} {
		f := ok
		if c.f != nil {
			c.f(&f)
		}
		if c.nodes != nil {
			f.Trees = []Tree{{Nodes: c.nodes}}
		}
		_, err := f.Encode()
		var r *Refusal
		if !errors.As(err, &r) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestPredictDoesNotAllocate covers both layouts, sets and many cuts.
func TestPredictDoesNotAllocate(t *testing.T) {
	for _, name := range []string{"sets", "more than 254 cuts", "deep, classes"} {
		s := shapes[name]
		rng := rand.New(rand.NewPCG(1, 2))
		e := open(t, s.forest(rng))
		session := e.NewSession(BlockRows)
		x, out := make([]float64, BlockRows*s.features), make([]float64, BlockRows*s.outputs)
		if n := testing.AllocsPerRun(20, func() { session.Predict(x, BlockRows, out); session.Predict(x, 1, out) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// benchmarkForest is 500 trees of depth 6 over 100 features with up to 250
// thresholds each.
func benchmarkForest() *Forest {
	s := shape{features: 100, outputs: 1, trees: 500, depth: 6, values: 250, missing: []Missing{Right, Left}, test: Less}
	return s.forest(rand.New(rand.NewPCG(3, 4)))
}

func BenchmarkOpen(b *testing.B) {
	f := benchmarkForest()
	bytes, err := f.Encode()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Open(bytes); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(bytes)), "bytes")
}
