package quantile

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/portico-ml/portico/shared/model/trees"
)

// stump is a tree with one test, x0 < 1, and two samples.
func stump(left, right Sample) Tree {
	return Tree{
		Nodes: []trees.Node{
			{Test: trees.Less, Threshold: 1, Left: 1, Right: 2},
			{Value: 0},
			{Value: 1},
		},
		Samples: []Sample{left, right},
	}
}

// evenly is a sample of labels of equal weight.
func evenly(labels ...float64) Sample {
	ones := make([]float64, len(labels))
	for i := range ones {
		ones[i] = 1
	}
	return Weigh(labels, ones)
}

func open(t testing.TB, f *Forest) *Model {
	t.Helper()
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestQuantiles takes quantiles of pooled leaves, worked out by hand: of q the
// least label up to which there is a share of q.
func TestQuantiles(t *testing.T) {
	f := &Forest{
		Features: 1, Quantiles: []float64{0, 0.2, 0.25, 0.5, 0.75, 0.9, 1},
		Trees: []Tree{
			stump(evenly(1, 2, 3, 4), evenly(10)),
			// A leaf weighs as much as any other, whatever it holds.
			stump(evenly(3), evenly(5, 10, 20, 30, 40)),
		},
	}
	s := open(t, f).NewSession(3)
	out := make([]float64, 3*7)
	s.Predict([]float64{0, 1, math.NaN()}, 3, out)
	want := []float64{
		1, 2, 2, 3, 3, 4, 4, // shares: 1 1/8, 2 1/4, 3 7/8, 4 1
		5, 10, 10, 10, 20, 30, 40, // 5 0.1, 10 0.7, 20 0.8, 30 0.9, 40 1
		5, 10, 10, 10, 20, 30, 40, // missing goes right
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWeigh(t *testing.T) {
	tests := []struct {
		name            string
		labels, weights []float64
		want            Sample
	}{
		{"one", []float64{7}, []float64{0.1}, Sample{{7, Unit}}},
		{"out of order and equal", []float64{3, -1, 3}, []float64{1, 2, 1}, Sample{{-1, Unit / 2}, {3, Unit / 2}}},
		{"thirds", []float64{1, 2, 3}, []float64{5, 5, 5}, Sample{{1, 5592405}, {2, 5592406}, {3, 5592405}}},
		{"too light to count", []float64{1, 2, 3}, []float64{1, 1e-12, 1}, Sample{{1, Unit / 2}, {3, Unit / 2}}},
		{"zeros of either sign", []float64{0, math.Copysign(0, -1)}, []float64{1, 1}, Sample{{0, Unit}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Weigh(tt.labels, tt.weights)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := got.check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// randomForest makes trees of random tests and samples.
func randomForest(rng *rand.Rand, features, n, depth int) *Forest {
	f := &Forest{Features: features, Quantiles: []float64{0.05, 0.5, 0.8}}
	for range n {
		var tree Tree
		var grow func(depth int) int32
		grow = func(depth int) int32 {
			i := int32(len(tree.Nodes))
			tree.Nodes = append(tree.Nodes, trees.Node{})
			if depth == 0 || rng.IntN(4) == 0 {
				tree.Nodes[i].Value = float64(len(tree.Samples))
				var labels, weights []float64
				for range 1 + rng.IntN(20) {
					labels, weights = append(labels, math.Round(rng.NormFloat64()*100)), append(weights, rng.Float64())
				}
				tree.Samples = append(tree.Samples, Weigh(labels, weights))
				return i
			}
			node := trees.Node{Test: trees.Less, Feature: int32(rng.IntN(features)), Threshold: rng.NormFloat64(), Missing: trees.Missing(rng.IntN(2))}
			node.Left, node.Right = grow(depth-1), grow(depth-1)
			tree.Nodes[i] = node
			return i
		}
		grow(depth)
		f.Trees = append(f.Trees, tree)
	}
	return f
}

// answer is what f says of a row, by sorting what its leaves hold.
func (f *Forest) answer(row []float64) []float64 {
	var pool Sample
	for _, t := range f.Trees {
		i := int32(0)
		for t.Nodes[i].Test != trees.Leaf {
			n := &t.Nodes[i]
			right := row[n.Feature] >= n.Threshold
			if math.IsNaN(row[n.Feature]) {
				right = n.Missing == trees.Right
			}
			if i = n.Left; right {
				i = n.Right
			}
		}
		pool = append(pool, t.Samples[int(t.Nodes[i].Value)]...)
	}
	slices.SortFunc(pool, func(a, b Weighted) int {
		if a.Label < b.Label {
			return -1
		}
		return 1
	})
	var out []float64
	for _, q := range f.Quantiles {
		sum := 0.0
		for _, w := range pool {
			if sum += float64(w.Weight); sum >= q*float64(len(f.Trees)*Unit)-float64(len(f.Trees)) {
				out = append(out, w.Label)
				break
			}
		}
	}
	return out
}

func TestPredict(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := randomForest(rng, 4, 30, 6)
	m := open(t, f)
	const n = 200
	x := make([]float64, 4*n)
	for i := range x {
		if x[i] = rng.NormFloat64(); rng.IntN(8) == 0 {
			x[i] = math.NaN()
		}
	}
	one, out := m.NewSession(1), make([]float64, 3)
	row := make([]float64, 4)
	var alone []float64
	for r := range n {
		for k := range row {
			row[k] = x[k*n+r]
		}
		one.Predict(row, 1, out)
		alone = append(alone, out...)
		if diff := cmp.Diff(f.answer(row), out); diff != "" {
			t.Fatalf("row %d (-want +got):\n%s", r, diff)
		}
	}
	for _, size := range []int{7, 64} {
		s := m.NewSession(size)
		var together []float64
		for lo := 0; lo < n; lo += size {
			k := min(size, n-lo)
			part, sums := make([]float64, 4*k), make([]float64, 3*k)
			for c := range 4 {
				copy(part[c*k:][:k], x[c*n+lo:])
			}
			s.Predict(part, k, sums)
			together = append(together, sums...)
		}
		if diff := cmp.Diff(alone, together); diff != "" {
			t.Fatalf("in batches of %d (-alone +together):\n%s", size, diff)
		}
	}
}

func TestPredictAllocatesNothing(t *testing.T) {
	m := open(t, randomForest(rand.New(rand.NewPCG(2, 2)), 4, 30, 5))
	s, x, out := m.NewSession(64), make([]float64, 4*64), make([]float64, 3*64)
	if n := testing.AllocsPerRun(50, func() { s.Predict(x, 64, out) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEncodeRefuses(t *testing.T) {
	good := func() *Forest {
		return &Forest{Features: 1, Quantiles: []float64{0.5}, Trees: []Tree{stump(evenly(1), evenly(2))}}
	}
	tests := []struct {
		name string
		spot func(*Forest)
		want string
	}{
		{"no trees", func(f *Forest) { f.Trees = nil }, "0 trees"},
		{"no quantiles", func(f *Forest) { f.Quantiles = nil }, "0 quantiles"},
		{"quantiles out of order", func(f *Forest) { f.Quantiles = []float64{0.5, 0.1} }, "rising order"},
		{"a quantile above 1", func(f *Forest) { f.Quantiles = []float64{1.5} }, "between 0 and 1"},
		{"a leaf without sample", func(f *Forest) { f.Trees[0].Nodes[2].Value = 2 }, "sample 2 of 2"},
		{"half a leaf", func(f *Forest) { f.Trees[0].Nodes[2].Value = 0.5 }, "sample 0.5 of 2"},
		{"weights", func(f *Forest) { f.Trees[0].Samples[0][0].Weight-- }, "come to"},
		{"no weight", func(f *Forest) { f.Trees[0].Samples[0] = Sample{{1, 0}, {2, Unit}} }, "no weight"},
		{"labels out of order", func(f *Forest) { f.Trees[0].Samples[0] = Sample{{2, Unit / 2}, {1, Unit / 2}} }, "out of order"},
		{"an infinite label", func(f *Forest) { f.Trees[0].Samples[0] = Sample{{math.Inf(1), Unit}} }, "out of order"},
		{"a tree", func(f *Forest) { f.Trees[0].Nodes[0].Right = 0 }, "reached twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := good()
			tt.spot(f)
			if _, err := f.Encode(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestOpenDamaged changes every byte of a model: it must be refused, or score.
func TestOpenDamaged(t *testing.T) {
	b, err := randomForest(rand.New(rand.NewPCG(3, 2)), 2, 3, 2).Encode()
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range b {
		for _, v := range []byte{1, 0x80, 0xff} {
			c := bytes.Clone(b)
			c[i] ^= v
			if !opens(t, c) {
				refused++
			}
		}
	}
	for _, n := range []int{0, headerSize - 1, headerSize, len(b) - 1} {
		if opens(t, b[:n]) {
			t.Errorf("%d of %d bytes open", n, len(b))
		}
	}
	if refused < len(b)/2 {
		t.Errorf("%d of %d damaged models are refused", refused, 3*len(b))
	}
}

// opens opens b and scores a few rows: quantiles of its labels in rising
// order, or no answer where a leaf names no sample.
func opens(t *testing.T, b []byte) bool {
	t.Helper()
	m, err := Open(b)
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			t.Fatalf("error %v is not ErrDamaged", err)
		}
		return false
	}
	if m.Features() > 1<<10 || m.finder.Stats().Slots > 1<<16 {
		return true // opens, but is slow to score
	}
	s, x, out := m.NewSession(1), make([]float64, m.Features()), make([]float64, m.Outputs())
	for _, v := range []float64{0, 2, -2, math.NaN(), math.Inf(1)} {
		for f := range x {
			x[f] = v
		}
		s.Predict(x, 1, out)
		for i, q := range out {
			if i > 0 && q < out[i-1] {
				t.Fatalf("quantiles %v: %v", m.Quantiles(), out)
			}
		}
	}
	return true
}

// FuzzOpen opens anything. What opens must score.
func FuzzOpen(f *testing.F) {
	rng := rand.New(rand.NewPCG(4, 2))
	for _, forest := range []*Forest{randomForest(rng, 2, 3, 2), randomForest(rng, 1, 1, 0)} {
		b, err := forest.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { opens(t, b) })
}

// BenchmarkPredict is the Studio's defaults: 100 trees, 20 leaves, 100 labels.
func BenchmarkPredict(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 2))
	f := randomForest(rng, 10, 100, 5)
	for t := range f.Trees {
		for i := range f.Trees[t].Samples {
			labels, ones := make([]float64, 100), make([]float64, 100)
			for k := range labels {
				labels[k], ones[k] = math.Round(rng.NormFloat64()*1e4), 1
			}
			f.Trees[t].Samples[i] = Weigh(labels, ones)
		}
	}
	m := open(b, f)
	const n = 64
	s, x, out := m.NewSession(n), make([]float64, 10*n), make([]float64, 3*n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	for b.Loop() {
		s.Predict(x, n, out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
}
