package trees

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestContributionsByDefinition compares TreeSHAP with what it computes: each
// feature's Shapley value in the game where a coalition's worth is the score
// expected when only its features are known.
func TestContributionsByDefinition(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 4))
		f := randomForest(rng, 4, 1+int(seed%2), 6, 4, 0.2, Less, LessEqual, In)
		f.Average, f.Input, f.Sum = seed%3 == 0, Precision(seed%2), Float64
		for i := range f.Trees {
			for k := range f.Trees[i].Nodes {
				f.Trees[i].Nodes[k].Cover = 0
			}
			coverTree(rng, f.Trees[i].Nodes, 0, 1+rng.IntN(500))
		}
		if !f.KeepCovers() {
			t.Fatal("covers that add up cannot be used")
		}
		b, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		x, err := OpenExplainer(b)
		if err != nil {
			t.Fatal(err)
		}
		s, e := x.NewSession(1), open(t, f).NewSession(1)
		out, sums := make([]float64, f.Outputs*(f.Features+1)), make([]float64, f.Outputs)
		for range 20 {
			row := make([]float64, f.Features)
			for i := range row {
				row[i] = math.Round(rng.NormFloat64()*400) / 200
				if rng.IntN(8) == 0 {
					row[i] = math.NaN()
				}
			}
			s.Contributions(row, 1, out)
			e.Predict(row, 1, sums)
			for o := range f.Outputs {
				got := out[o*(f.Features+1):][:f.Features+1]
				want := shapley(f, o, row)
				total := 0.0
				for i := range got {
					total += got[i]
					if math.Abs(got[i]-want[i]) > 1e-9 {
						t.Fatalf("seed %d, output %d: contributions %v, by definition %v", seed, o, got, want)
					}
				}
				if math.Abs(total-sums[o]) > 1e-5 {
					t.Fatalf("seed %d, output %d: contributions add up to %v, the score is %v", seed, o, total, sums[o])
				}
			}
		}
	}
}

// coverTree shares rows out below a node; some branches get none.
func coverTree(rng *rand.Rand, nodes []Node, at int32, rows int) {
	n := &nodes[at]
	n.Cover = float64(rows)
	if n.Test == Leaf {
		return
	}
	left := rng.IntN(rows + 1)
	coverTree(rng, nodes, n.Left, left)
	coverTree(rng, nodes, n.Right, rows-left)
}

// shapley computes the contributions of output o by their definition, and the
// base behind them.
func shapley(f *Forest, o int, row []float64) []float64 {
	worth := make([]float64, 1<<f.Features)
	n := 0
	for _, t := range f.Trees {
		if t.Output == o {
			n++
			for known := range worth {
				worth[known] += expected(f, t.Nodes, 0, uint(known), row)
			}
		}
	}
	for i := range worth {
		worth[i] += f.Base[o]
		if f.Average {
			worth[i] /= float64(n)
		}
	}
	factorial := []float64{1, 1, 2, 6, 24, 120}
	phi := make([]float64, f.Features+1)
	for i := range f.Features {
		for known := range worth {
			if known>>i&1 == 0 {
				size := 0
				for k := known; k != 0; k &= k - 1 {
					size++
				}
				weight := factorial[size] * factorial[f.Features-size-1] / factorial[f.Features]
				phi[i] += weight * (worth[known|1<<i] - worth[known])
			}
		}
	}
	phi[f.Features] = worth[0]
	return phi
}

// expected is the value of a tree when only the features in known are known.
func expected(f *Forest, nodes []Node, at int32, known uint, row []float64) float64 {
	n := &nodes[at]
	if n.Test == Leaf {
		return n.Value
	}
	if known>>n.Feature&1 != 0 {
		if right(f, n, row[n.Feature]) {
			return expected(f, nodes, n.Right, known, row)
		}
		return expected(f, nodes, n.Left, known, row)
	}
	share := 0.5
	if n.Cover > 0 {
		share = nodes[n.Left].Cover / n.Cover
	}
	return share*expected(f, nodes, n.Left, known, row) + (1-share)*expected(f, nodes, n.Right, known, row)
}

func TestCoversAreOptional(t *testing.T) {
	f := randomForest(rand.New(rand.NewPCG(1, 1)), 4, 1, 5, 4, 0.2, Less, LessEqual, In)
	plain, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenExplainer(plain); !errors.Is(err, ErrNoCovers) {
		t.Errorf("without covers: %v", err)
	}
	if f.KeepCovers() {
		t.Error("a forest without covers keeps them")
	}
	for i := range f.Trees {
		coverTree(rand.New(rand.NewPCG(2, 2)), f.Trees[i].Nodes, 0, 100)
	}
	if !f.KeepCovers() {
		t.Fatal("covers that add up cannot be used")
	}
	with, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := WithoutCovers(with); err != nil || !slices.Equal(got, plain) {
		t.Errorf("without its covers a forest is not what it is without covers: %v", err)
	}
	if got, err := WithoutCovers(plain); err != nil || !slices.Equal(got, plain) {
		t.Errorf("a forest without covers changed: %v", err)
	}
	f.Trees[0].Nodes[0].Cover *= 2
	if f.Trees[0].Nodes[0].Test != Leaf && f.KeepCovers() {
		t.Error("covers that do not add up are kept")
	}
}

// TestTooDeep is a tree whose paths would take too much memory: it scores, and
// has no contributions.
func TestTooDeep(t *testing.T) {
	const depth = 3000
	f := &Forest{Features: depth, Outputs: 1, Input: Float32, Sum: Float64, Base: []float64{0}, Trees: make([]Tree, 1)}
	for i := range int32(depth) {
		f.Trees[0].Nodes = append(f.Trees[0].Nodes, Node{Test: Less, Feature: i, Left: 2*i + 1, Right: 2*i + 2, Cover: float64(depth + 1 - i)}, Node{Value: 1, Cover: 1})
	}
	f.Trees[0].Nodes = append(f.Trees[0].Nodes, Node{Value: 2, Cover: 1})
	if !f.KeepCovers() {
		t.Fatal("the covers add up")
	}
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenExplainer(b); !errors.Is(err, ErrTooDeep) {
		t.Errorf("%v", err)
	}
	if _, err := Open(b); err != nil {
		t.Errorf("it does not score: %v", err)
	}
}
