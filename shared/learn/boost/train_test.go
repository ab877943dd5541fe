package boost

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model/trees"
)

var kinds = []struct {
	name    string
	classes int
	learner func(Options) (*Learner, error)
}{
	{"two classes", 2, TwoClass},
	{"many classes", 3, Multiclass},
	{"numbers", 0, Regression},
}

func newTraining(t *testing.T, learner func(Options) (*Learner, error), d *learn.Data, o Options, s *learn.Session) *training {
	t.Helper()
	l, err := learner(o)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := l.begin(d, s)
	return one
}

// sums scores rows by the engine.
func engineSums(t *testing.T, f *trees.Forest, x [][]float64, rows int) []float64 {
	t.Helper()
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	e, err := trees.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	s := e.NewSession(trees.BlockRows)
	out := make([]float64, rows*e.Outputs())
	block := make([]float64, trees.BlockRows*len(x))
	for from := 0; from < rows; from += trees.BlockRows {
		n := min(trees.BlockRows, rows-from)
		for f := range x {
			copy(block[f*n:], x[f][from:from+n])
		}
		s.Predict(block[:n*len(x)], n, out[from*e.Outputs():(from+n)*e.Outputs()])
	}
	return out
}

// TestSumsAreScores holds the sums that training went by to those of the
// engine that scores the artifact, to the bit.
func TestSumsAreScores(t *testing.T) {
	for _, kind := range kinds {
		for name, change := range map[string]func(d *learn.Data){
			"as it is": func(*learn.Data) {},
			"float64 tells apart": func(d *learn.Data) {
				for r := range d.X[0] {
					d.X[0][r] = 1e9 + math.Round(100*d.X[0][r])/64
				}
			},
			"huge": func(d *learn.Data) {
				for r := range d.X[0] {
					d.X[0][r] *= 1e250
				}
				if d.Classes == 0 {
					for r := range d.Label {
						d.Label[r] *= 1e300
					}
				}
			},
			"tiny": func(d *learn.Data) {
				for r := range d.X[0] {
					d.X[0][r] *= 1e-300
				}
				d.Weight = make([]float64, d.Rows)
				for r := range d.Weight {
					d.Weight[r] = 1e-200 * float64(1+r%3)
				}
				if d.Classes == 0 {
					for r := range d.Label {
						d.Label[r] *= 1e-250
					}
				}
			},
		} {
			d := mixed(3000, kind.classes, 5)
			change(d)
			one := newTraining(t, kind.learner, d, Options{Leaves: 12, MinLeaf: 5, Rate: 0.3, Rounds: 8, UnknownLevels: true}, learn.NewSession())
			for range 8 {
				if err := one.round(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			got := engineSums(t, one.forest(), d.X, d.Rows)
			spread := false
			for k := range one.base {
				for r := range d.Rows {
					want := one.sums[k][r] * one.loss.unit()
					if got[r*len(one.base)+k] != want {
						t.Fatalf("%s, %s: row %d scores %v, training had %v", kind.name, name, r, got[r*len(one.base)+k], want)
					}
					spread = spread || one.sums[k][r] != one.sums[k][0]
				}
			}
			if !spread {
				t.Errorf("%s, %s: nothing was learned", kind.name, name)
			}
		}
	}
}

// TestWorkersDoNotMatter has rows enough for wide histograms, in parts.
func TestWorkersDoNotMatter(t *testing.T) {
	for _, kind := range kinds {
		d := mixed(60_000, kind.classes, 6)
		d.Weight = make([]float64, d.Rows)
		for r := range d.Weight {
			d.Weight[r] = 0.5 + float64(r%5)
		}
		var first []byte
		for _, workers := range []int{1, 2, 7} {
			l, err := kind.learner(Options{Leaves: 30, MinLeaf: 4, Rate: 0.3, Rounds: 3})
			if err != nil {
				t.Fatal(err)
			}
			s := learn.NewSession()
			s.Workers = workers
			m, err := l.Train(t.Context(), d, s)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = m.Body
			}
			if !bytes.Equal(first, m.Body) {
				t.Errorf("%s: %d workers give another model", kind.name, workers)
			}
		}
	}
}

// TestMemoryDoesNotMatter makes histograms again that a small pool did not keep.
func TestMemoryDoesNotMatter(t *testing.T) {
	d := mixed(5000, 2, 7)
	grow := func(limit int) []byte {
		one := newTraining(t, TwoClass, d, Options{Leaves: 25, MinLeaf: 3, Rate: 0.3, Rounds: 3}, learn.NewSession())
		one.grower.pool.limit = limit
		for range 3 {
			if err := one.round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		b, err := one.forest().Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Equal(grow(poolBytes), grow(1)) {
		t.Error("another model for less memory")
	}
}

// TestBestSplit holds the first split of a tree to the best of all splits,
// tried one by one on the rows themselves.
func TestBestSplit(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 9))
		const rows = 200
		d := &learn.Data{Rows: rows, Levels: []int{0, 0, 4}, Label: make([]float64, rows), Weight: make([]float64, rows)}
		for _, n := range d.Levels {
			x := make([]float64, rows)
			for i := range x {
				x[i] = float64(r.IntN(12))
				if n > 0 {
					x[i] = float64(r.IntN(n - 1))
				}
				if r.IntN(6) == 0 {
					x[i] = math.NaN()
				}
			}
			d.X = append(d.X, x)
		}
		for i := range d.Label {
			d.Label[i], d.Weight[i] = r.NormFloat64(), float64(1+r.IntN(3))
			if x := d.X[seed%3][i]; x > 6 || x == 1 || x != x && seed%2 == 0 {
				d.Label[i] += 0.7
			}
		}
		one := newTraining(t, Regression, d, Options{Leaves: 2, MinLeaf: 15, Rate: 1, Rounds: 1}, learn.NewSession())
		if err := one.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		root := one.trees[0][0]
		mean := one.base[0] * one.loss.unit()
		gain := func(right func(row int) bool) float64 {
			var g, h [2]float64
			var n [2]int
			for i := range rows {
				k := 0
				if right(i) {
					k = 1
				}
				g[k] += d.Weight[i] * (mean - d.Label[i])
				h[k] += d.Weight[i]
				n[k]++
			}
			if n[0] < 15 || n[1] < 15 {
				return 0
			}
			return g[0]*g[0]/(h[0]+1) + g[1]*g[1]/(h[1]+1) - (g[0]+g[1])*(g[0]+g[1])/(h[0]+h[1]+1)
		}
		best := 0.0
		for f, n := range d.Levels {
			x := d.X[f]
			for missing := range 2 {
				side := func(i int, test bool) bool { return x[i] != x[i] && missing == 1 || x[i] == x[i] && test }
				for c := range 13 {
					if n == 0 {
						best = max(best, gain(func(i int) bool { return side(i, x[i] >= float64(c)) }))
						continue
					}
					best = max(best, gain(func(i int) bool { return side(i, x[i] == float64(c)) }))
				}
			}
		}
		got := 0.0
		if root.Feature != none {
			column := one.m.Column(int(root.Feature))
			got = gain(func(i int) bool { return root.Goes.right(column[i]) == 1 })
		}
		// The packing of weighted gradients has 19 bits.
		if math.Abs(got-best) > 1e-3*best {
			t.Errorf("seed %d: the split gains %v, the best %v", seed, got, best)
		}
	}
}

// TestSetsOfLevels holds a split of many levels to the truth: the levels that
// differ go together.
func TestSetsOfLevels(t *testing.T) {
	const rows, levels = 4000, 20
	d := &learn.Data{Rows: rows, X: [][]float64{make([]float64, rows)}, Levels: []int{levels + 1}, Label: make([]float64, rows)}
	high := func(level int) bool { return level%3 == 1 }
	for i := range rows {
		d.X[0][i] = float64(i % levels)
		if d.Label[i] = float64(i % 7); high(i % levels) {
			d.Label[i] += 10
		}
	}
	one := newTraining(t, Regression, d, Options{Leaves: 2, MinLeaf: 10, Rate: 1, Rounds: 1, UnknownLevels: true}, learn.NewSession())
	if err := one.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := one.forest()
	root := f.Trees[0].Nodes[0]
	var want []int32 // the fewer go right
	for level := range levels {
		if high(level) {
			want = append(want, int32(level))
		}
	}
	if root.Test != trees.In || !equal(root.Set, want) || root.Missing != trees.Left {
		t.Errorf("the split is %+v, want those in %v right", root, want)
	}
	// The unknown level goes left, with the more rows.
	out := engineSums(t, f, [][]float64{{0, levels, 1}}, 3)
	if out[0] != out[1] || out[1] == out[2] {
		t.Errorf("level 0, the unknown and level 1 score %v", out)
	}
}

func equal(a, b []int32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestSeed has two equal features: the seed chooses.
func TestSeed(t *testing.T) {
	d := mixed(500, 2, 8)
	d.X, d.Levels = [][]float64{d.X[0], d.X[0]}, []int{0, 0}
	chosen := map[int32]bool{}
	for seed := range uint64(20) {
		one := newTraining(t, TwoClass, d, Options{Leaves: 2, MinLeaf: 5, Rate: 1, Rounds: 1, Seed: seed}, learn.NewSession())
		if err := one.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		chosen[one.trees[0][0].Feature] = true
	}
	if len(chosen) != 2 {
		t.Errorf("20 seeds chose the features %v of two equal ones", chosen)
	}
}

// TestWeights has rows of weight 2 and 3, and the same rows twice and thrice,
// with so few values that each has its bin.
func TestWeights(t *testing.T) {
	for _, kind := range kinds {
		weighted := mixed(240, kind.classes, 13)
		for f, x := range weighted.X {
			for r := range x {
				if weighted.Levels[f] == 0 {
					x[r] = math.Round(5 * x[r]) // few values
				}
			}
		}
		weighted.Weight = make([]float64, weighted.Rows)
		often := &learn.Data{Levels: weighted.Levels, Classes: weighted.Classes, X: make([][]float64, len(weighted.X))}
		for r := range weighted.Rows {
			weighted.Weight[r] = float64(1 + r%3)
			for range 1 + r%3 {
				for f := range weighted.X {
					often.X[f] = append(often.X[f], weighted.X[f][r])
				}
				often.Label = append(often.Label, weighted.Label[r])
				often.Rows++
			}
		}
		var scores [2][]float64
		for i, d := range []*learn.Data{weighted, often} {
			one := newTraining(t, kind.learner, d, Options{Leaves: 6, MinLeaf: 1, Rate: 0.3, Rounds: 5}, learn.NewSession())
			for range 5 {
				if err := one.round(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			scores[i] = engineSums(t, one.forest(), weighted.X, weighted.Rows)
		}
		for i, got := range scores[0] {
			if math.Abs(got-scores[1][i]) > 1e-5 {
				t.Fatalf("%s: sum %d is %v by weight, %v by number", kind.name, i, got, scores[1][i])
			}
		}
	}
}

// TestConstantLabel grows nothing.
func TestConstantLabel(t *testing.T) {
	d := mixed(300, 0, 9)
	for r := range d.Label {
		d.Label[r] = 42.5
	}
	one := newTraining(t, Regression, d, Options{Leaves: 8, MinLeaf: 5, Rate: 1, Rounds: 1}, learn.NewSession())
	if err := one.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(one.trees[0]) != 1 {
		t.Errorf("a tree of %d nodes for a constant", len(one.trees[0]))
	}
	if out := engineSums(t, one.forest(), d.X, 1); out[0] != 42.5 {
		t.Errorf("the constant 42.5 scores %v", out[0])
	}
}

// TestMinLeaf counts the rows of every leaf.
func TestMinLeaf(t *testing.T) {
	for _, kind := range kinds {
		d := mixed(2000, kind.classes, 10)
		one := newTraining(t, kind.learner, d, Options{Leaves: 40, MinLeaf: 25, Rate: 0.5, Rounds: 10}, learn.NewSession())
		for range 10 {
			if err := one.round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		fewest, most := 1e9, 0.0
		for _, tree := range one.trees {
			leaves := 0
			for _, n := range tree {
				if n.Feature == none {
					leaves++
					fewest = min(fewest, n.Cover)
				}
			}
			most = max(most, float64(leaves))
		}
		if fewest != 25 || most < 20 || most > 40 {
			t.Errorf("%s: leaves of %v rows, trees of %v leaves", kind.name, fewest, most)
		}
	}
}
