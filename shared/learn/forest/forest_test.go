package forest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/learn/grow"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/quantile"
	"github.com/portico-ml/portico/shared/model/trees"
)

// must returns a learner whose options hold.
func TestSuite(t *testing.T) {
	known, unknown := Options{Trees: 10, Seed: 5}, Options{Trees: 10, Seed: 5, UnknownLevels: true}
	quantiles := QuantileOptions{Trees: 20, Leaves: 60, LeafRows: 3, Seed: 5, Quantiles: []float64{0.5}, Bagging: 1, Features: 1}
	wild := quantiles
	wild.UnknownLevels = true
	suites := map[string]learntest.Suite{
		"two classes":     {Learner: learntest.Must(TwoClass(unknown)), Strict: learntest.Must(TwoClass(known)), Steps: 4, Error: 0.09},
		"several classes": {Learner: learntest.Must(Multiclass(unknown)), Strict: learntest.Must(Multiclass(known)), Steps: 4, Error: 0.13},
		"values":          {Learner: learntest.Must(Regression(unknown)), Strict: learntest.Must(Regression(known)), Steps: 4, Error: 0.6},
		"quantiles":       {Learner: learntest.Must(NewQuantile(wild)), Strict: learntest.Must(NewQuantile(quantiles)), Steps: 9, Error: 0.6},
	}
	for name, s := range suites {
		t.Run(name, s.Run)
	}
}

// TestWeights replicates all rows, so that a row of weight 2 is the row twice.
func TestWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	var weighted, twice strings.Builder
	weighted.WriteString("weight,x,c,y\n")
	twice.WriteString("x,c,y\n")
	for range 200 {
		x, c, w := math.Round(rng.NormFloat64()*8)/8, rng.IntN(4), 1+rng.IntN(3)
		row := fmt.Sprintf("%v,l%d,%v\n", x, c, math.Round(x*4)+float64(c%2))
		fmt.Fprintf(&weighted, "%d,%s", w, row)
		twice.WriteString(strings.Repeat(row, w))
	}
	a, b := learntest.Table(t, weighted.String()), learntest.Table(t, twice.String())
	l := learntest.Must(Regression(Options{Replicate: true, Splits: 1 << 20, Depth: 4, Seed: 2}))
	got, want := learntest.Score(t, learntest.Train(t, l, a, "y"), a), learntest.Score(t, learntest.Train(t, l, b, "y"), a)
	for _, name := range []string{model.ScoredMean, model.ScoredDeviation} {
		x, y := learntest.Numbers(t, got, name), learntest.Numbers(t, want, name)
		for r := range x {
			if math.Abs(x[r]-y[r]) > 1e-9 {
				t.Fatalf("row %d has %s %v, %v where rows are there as often as they weigh", r, name, x[r], y[r])
			}
		}
	}
}

// xor is a table that no single test says anything about.
func xor(rows int, seed uint64) *learn.Data {
	rng := rand.New(rand.NewPCG(seed, 5))
	d := &learn.Data{Rows: rows, Classes: 2, X: make([][]float64, 2), Levels: []int{0, 0}}
	for range rows {
		a, b := rng.Float64()-0.5, rng.Float64()-0.5
		y := 0.0
		if a*b > 0 {
			y = 1
		}
		d.X[0], d.X[1], d.Label = append(d.X[0], a), append(d.X[1], b), append(d.Label, y)
	}
	return d
}

func TestXOR(t *testing.T) {
	trained, err := learntest.Must(TwoClass(Options{Seed: 1})).Train(t.Context(), xor(1000, 1), learn.NewSession())
	if err != nil {
		t.Fatal(err)
	}
	e, err := trees.Open(trained.Body)
	if err != nil {
		t.Fatal(err)
	}
	test := xor(500, 2)
	s, out, wrong := e.NewSession(1), make([]float64, 1), 0
	for r := range test.Rows {
		s.Predict([]float64{test.X[0][r], test.X[1][r]}, 1, out)
		if (out[0] >= 0.5) != (test.Label[r] == 1) {
			wrong++
		}
	}
	if wrong > 25 {
		t.Errorf("%d of 500 rows are wrong", wrong)
	}
}

// TestOneTree works out a forest of one tree on all rows by hand.
func TestOneTree(t *testing.T) {
	f := learntest.Table(t, "x,y\n1,no\n2,no\n3,no\n11,yes\n12,no\n13,yes\n")
	o := Options{Trees: 1, Depth: 1, Replicate: true}
	p := learntest.Numbers(t, learntest.Score(t, learntest.Train(t, learntest.Must(TwoClass(o)), f, "y"), f), model.ScoredProbabilities)
	// x < 7: 3 no. Else 2 yes and 1 no. Half a sample, a third of it yes.
	left, right := (0.5/3)/3.5, (2+0.5/3)/3.5
	for r, want := range []float64{left, left, left, right, right, right} {
		if math.Abs(p[r]-want) > 1e-15 {
			t.Errorf("row %d: probability %v, want %v", r, p[r], want)
		}
	}
	f = learntest.Table(t, "x,y\n1,10\n2,14\n11,100\n12,110\n13,120\n")
	scored := learntest.Score(t, learntest.Train(t, learntest.Must(Regression(o)), f, "y"), f)
	mean, deviation := learntest.Numbers(t, scored, model.ScoredMean), learntest.Numbers(t, scored, model.ScoredDeviation)
	for r, want := range [][2]float64{{12, 2}, {12, 2}, {110, math.Sqrt(200. / 3)}, {110, math.Sqrt(200. / 3)}, {110, math.Sqrt(200. / 3)}} {
		if math.Abs(mean[r]-want[0]) > 1e-9 || math.Abs(deviation[r]-want[1]) > 1e-9 {
			t.Errorf("row %d: mean %v, deviation %v, want %v", r, mean[r], deviation[r], want)
		}
	}
}

// TestMixture averages Gaussians: of two trees whose leaves say 0 ± 0 and 2 ± 0
// it is 1 ± 1.
func TestMixture(t *testing.T) {
	leaf := func(v float64) *tree {
		return &tree{Nodes: []trees.Node{{}}, Ends: []int32{2}, Items: []item{{meanItem, v}, {squareItem, v * v}}}
	}
	trained, err := encodeRegression([]*tree{leaf(0), leaf(2)}, &binned.Matrix{}, valueScale{center: 5, unit: 1})
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := model.Encode(model.Header{Engine: trained.Engine, Kind: model.Distribution, Transform: trained.Transform}, trained.Body)
	if err != nil {
		t.Fatal(err)
	}
	scored := learntest.Score(t, artifact, learntest.Table(t, "x\n1\n"))
	if m, d := scored.Cols[0].Float(0), scored.Cols[1].Float(0); m != 6 || d != 1 {
		t.Errorf("%v ± %v, want 6 ± 1", m, d)
	}
}

// shape is what a grown tree came to.
type shape struct{ leaves, deepest, fewest int }

// grown grows the first tree of a forest and measures it.
func grown(t *testing.T, d *learn.Data, g func(*binned.Matrix, []grow.Draw) *grower, leaves int) shape {
	t.Helper()
	m := binned.New(d, binned.Options{}, learn.NewSession())
	draws := grow.Rows(d)
	grower := g(m, draws)
	s := shape{fewest: math.MaxInt}
	grower.leaf = func(draws []grow.Draw, _ *rand.Rand, to []item) []item {
		n := 0
		for _, w := range draws {
			n += int(w.Count)
		}
		s.leaves++
		s.fewest = min(s.fewest, n)
		return to
	}
	random := rand.New(rand.NewPCG(1, 1))
	var made *tree
	if leaves > 0 {
		made = grower.growLeaves(draws, leaves, random)
	} else {
		made = grower.grow(draws, random)
	}
	var depth func(i int32) int
	depth = func(i int32) int {
		if n := &made.Nodes[i]; n.Test != trees.Leaf {
			return 1 + max(depth(n.Left), depth(n.Right))
		}
		return 0
	}
	s.deepest = depth(0)
	return s
}

// TestShape holds trees to their bounds, and grows them up to them.
func TestShape(t *testing.T) {
	d := xor(2000, 3)
	make := func(depth, rows int) func(*binned.Matrix, []grow.Draw) *grower {
		return func(m *binned.Matrix, _ []grow.Draw) *grower {
			return &grower{
				ctx: t.Context(), m: m, depth: depth, search: grow.ByClass(m, 2, rows, nil),
				pick: &randomSplits{splits: 128, order: []int{0, 0}},
			}
		}
	}
	free := grown(t, d, make(32, 1), 0)
	if free.deepest < 4 || free.leaves < 5 || free.fewest != 1 {
		t.Errorf("without bounds %+v", free)
	}
	if s := grown(t, d, make(3, 1), 0); s.deepest != 3 || s.leaves < 5 || s.leaves > 8 {
		t.Errorf("of depth 3 %+v", s)
	}
	if s := grown(t, d, make(32, 100), 0); s.fewest < 100 || s.fewest > 400 {
		t.Errorf("of at least 100 rows a leaf %+v", s)
	}
	if s := grown(t, d, make(32, 1), 6); s.leaves != 6 {
		t.Errorf("of 6 leaves %+v", s)
	}
}

// TestSplits asks for a worse fit of fewer random splits: one split of one
// feature a node is hardly a choice.
func TestSplits(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	d := &learn.Data{Rows: 3000, Classes: 2, X: make([][]float64, 20), Levels: make([]int, 20)}
	for r := range d.Rows {
		for f := range d.X {
			d.X[f] = append(d.X[f], rng.NormFloat64())
		}
		y := 0.0
		if d.X[0][r]+d.X[1][r]+0.5*rng.NormFloat64() > 0 {
			y = 1
		}
		d.Label = append(d.Label, y)
	}
	fit := func(splits int) float64 {
		trained, err := learntest.Must(TwoClass(Options{Splits: splits, Depth: 4, Replicate: true})).Train(t.Context(), d, learn.NewSession())
		if err != nil {
			t.Fatal(err)
		}
		e, err := trees.Open(trained.Body)
		if err != nil {
			t.Fatal(err)
		}
		s, p, row := e.NewSession(1), make([]float64, 1), make([]float64, 20)
		loss := 0.0
		for r := range d.Rows {
			for f := range row {
				row[f] = d.X[f][r]
			}
			s.Predict(row, 1, p)
			loss -= math.Log(math.Abs(1 - d.Label[r] - p[0]))
		}
		return loss / float64(d.Rows)
	}
	few, some, many := fit(1), fit(32), fit(1024)
	if !(many < some-0.02 && some < few-0.02) {
		t.Errorf("log loss %v of 1 split, %v of 32, %v of 1024", few, some, many)
	}
}

// TestHalfOfTheFeatures has one feature of six that says all: half of the roots
// do not look at it. The others part three rows at most, so that where leaves
// have ten every root comes to it.
func TestHalfOfTheFeatures(t *testing.T) {
	d := &learn.Data{Rows: 100, Classes: 2, X: make([][]float64, 6), Levels: make([]int, 6)}
	for r := range d.Rows {
		y := float64(r / 50)
		d.X[0], d.Label = append(d.X[0], y), append(d.Label, y)
		for f := 1; f < len(d.X); f++ {
			x := 0.0
			if r < f && f < 4 || r == f {
				x = 1
			}
			d.X[f] = append(d.X[f], x)
		}
	}
	m := binned.New(d, binned.Options{}, learn.NewSession())
	random := rand.New(rand.NewPCG(1, 1))
	roots := func(splits, leafRows int) (onFirst int) {
		g := &grower{
			ctx: t.Context(), m: m, depth: 1, search: grow.ByClass(m, 2, leafRows, nil), leaf: classLeaf(2),
			pick: &randomSplits{splits: splits, order: make([]int, len(d.X))},
		}
		for range 400 {
			if root := g.grow(grow.Rows(d), random).Nodes[0]; root.Test != trees.Leaf && root.Feature == 0 {
				onFirst++
			}
		}
		return onFirst
	}
	if n := roots(128, 1); n < 160 || n > 240 {
		t.Errorf("%d of 400 roots look at the feature", n)
	}
	for _, splits := range []int{128, 1} {
		if n := roots(splits, 10); n != 400 {
			t.Errorf("%d of 400 roots of %d splits are by the one feature that leaves ten rows on both sides", n, splits)
		}
	}
}

// TestSampleLeaf keeps all labels of a leaf of few rows, and evenly spread ones
// of a leaf of many.
func TestSampleLeaf(t *testing.T) {
	labels := make([]float64, 1000)
	var draws []grow.Draw
	for i := range labels {
		labels[i] = float64((i * 7) % 1000)
		draws = append(draws, grow.Draw{Row: int32(i), Count: 1, Weight: 1})
	}
	rng := rand.New(rand.NewPCG(5, 4))
	few := sampleLeaf(labels, 10)(draws[:10], rng, nil)
	if len(few) != 10 || few[0].Value != 0 || few[9].Value != 63 {
		t.Errorf("of 10 labels %v", few)
	}
	many := sampleLeaf(labels, 10)(draws, rng, nil)
	if len(many) != 10 {
		t.Fatalf("of 1000 labels %v", many)
	}
	for i, it := range many {
		if it.Value < float64(100*i) || it.Value >= float64(100*i+100) || math.Abs(float64(it.Key)-quantile.Unit/10) > 1 {
			t.Errorf("sample %d is %v", i, it)
		}
	}
	// A heavy row is likely to be one, and weighs more where all are kept.
	draws[3].Weight = 1e6
	if heavy := sampleLeaf(labels, 10)(draws, rng, nil); len(heavy) != 1 || heavy[0].Value != 21 {
		t.Errorf("beside a heavy row %v", heavy)
	}
	if heavy := sampleLeaf(labels, 10)(draws[:4], rng, nil); heavy[len(heavy)-1].Key < quantile.Unit-100 {
		t.Errorf("beside a heavy row of four %v", heavy)
	}
}

// TestRandomFeatures gives a tree some features, and each node some of these.
func TestRandomFeatures(t *testing.T) {
	p := newRandomFeatures(10, 0.5, 0.4)
	if p.tree != 5 || p.perNode != 2 {
		t.Fatalf("a tree has %d features, a node %d", p.tree, p.perNode)
	}
	rng := rand.New(rand.NewPCG(6, 4))
	var seen []int
	for range 50 {
		p.start(rng)
		for range 20 {
			of := p.order[:p.tree]
			draw(of, p.perNode, rng)
			seen = append(seen, of[:p.perNode]...)
		}
		own := slices.Clone(p.order[:p.tree])
		slices.Sort(own)
		if len(slices.Compact(own)) != 5 {
			t.Fatalf("a tree's features %v", own)
		}
	}
	slices.Sort(seen)
	if seen = slices.Compact(seen); len(seen) != 10 {
		t.Errorf("features %v are drawn", seen)
	}
	if one := newRandomFeatures(3, 0.01, 0.01); one.tree != 1 || one.perNode != 1 {
		t.Errorf("of a small share %d and %d", one.tree, one.perNode)
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"trees", second(TwoClass(Options{Trees: -1})), "-1 trees"},
		{"many trees", second(TwoClass(Options{Trees: maxTrees + 1})), "the most is"},
		{"depth", second(Multiclass(Options{Depth: -2})), "-2 tests"},
		{"splits", second(Regression(Options{Splits: -3})), "-3 splits"},
		{"leaf", second(Regression(Options{LeafRows: -4})), "-4 samples"},
		{"fraction", second(NewQuantile(QuantileOptions{Bagging: 1.5})), "fraction 1.5"},
		{"features", second(NewQuantile(QuantileOptions{Features: -0.5})), "fraction -0.5"},
		{"quantile", second(NewQuantile(QuantileOptions{Quantiles: []float64{0.1, 2}})), "quantile 2"},
		{"quantiles", second(NewQuantile(QuantileOptions{Quantiles: []float64{}})), "0 quantiles"},
		{"samples", second(NewQuantile(QuantileOptions{Samples: -1})), "-1 samples for the quantiles"},
		{"quantile trees", second(NewQuantile(QuantileOptions{Trees: quantile.MaxTrees + 1})), "the most is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) || !fault.HasCode(tt.err, fault.ModuleCode(8)) {
				t.Errorf("error %v, want Error 0008 with %q", tt.err, tt.want)
			}
		})
	}
	q := learntest.Must(NewQuantile(QuantileOptions{Quantiles: []float64{0.9, 0.1, 0.9}}))
	if diff := cmp.Diff([]float64{0.1, 0.9}, q.o.Quantiles); diff != "" {
		t.Errorf("quantiles out of order and twice:\n%s", diff)
	}
}

func second[T any](_ T, err error) error { return err }

// TestLabels trains on labels at the edges of numbers.
func TestLabels(t *testing.T) {
	rows := func(scale float64) string {
		var b strings.Builder
		b.WriteString("x,y\n")
		for i := range 40 {
			fmt.Fprintf(&b, "%d,%v\n", i, scale*float64(i*i))
		}
		return b.String()
	}
	l := learntest.Must(Regression(Options{}))
	for _, scale := range []float64{1e-300, 1e-150, 1, 1e146} {
		f := learntest.Table(t, rows(scale))
		mean := learntest.Numbers(t, learntest.Score(t, learntest.Train(t, l, f, "y"), f), model.ScoredMean)
		if !(math.Abs(mean[39]-1521*scale) < 200*scale && math.Abs(mean[0]) < 100*scale) {
			t.Errorf("labels of %v: the last is %v, the first %v", scale, mean[39], mean[0])
		}
	}
	if err := learntest.Fails(t, l, learntest.Table(t, rows(1e148)), "y"); !fault.HasCode(err, fault.ModuleCode(33)) {
		t.Errorf("labels whose squares are infinite: %v", err)
	}
}
