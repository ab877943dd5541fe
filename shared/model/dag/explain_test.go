package dag

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/portico-ml/portico/shared/model/modeltest"
)

func explainer(t testing.TB, j *Jungle) *Explainer {
	t.Helper()
	b, err := j.Encode()
	if err != nil {
		t.Fatal(err)
	}
	x, err := OpenExplainer(b)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// shared gives the tests of j shares, some of them 0 or 1.
func shared(rng *rand.Rand, j *Jungle) *Jungle {
	j.Shares = true
	for g := range j.Graphs {
		for i := range j.Graphs[g].Nodes {
			if n := &j.Graphs[g].Nodes[i]; n.Test != Leaf {
				n.Share = float64(float32(rng.IntN(9)) / 8)
			}
		}
	}
	return j
}

// randomTrees makes graphs without shared children.
func randomTrees(rng *rand.Rand, features, outputs, graphs, depth int) *Jungle {
	return shared(rng, randomJungle(rng, features, outputs, graphs, 1<<depth, depth))
}

func columns(rows [][]float64) []float64 {
	x := make([]float64, 0, len(rows)*len(rows[0]))
	for f := range rows[0] {
		for _, row := range rows {
			x = append(x, row[f])
		}
	}
	return x
}

// TestContributionsAddUp holds, of trees and of graphs, that contributions add up
// to the answer, that a row's do not depend on others, and that the base is what
// the shares expect.
func TestContributionsAddUp(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 8))
		outputs := 1 + int(seed%3)
		for _, j := range []*Jungle{randomTrees(rng, 4, outputs, 3, 5), shared(rng, randomJungle(rng, 4, outputs, 3, 5, 8))} {
			j.Single = seed%2 == 0
			x := explainer(t, j)
			modeltest.AddUp(t, x.NewSession(), columns(randomRows(rng, 4, 40)), 4, outputs, 1e-12, j.answer)
			for o, base := range x.base {
				want := 0.0
				for _, g := range j.Graphs {
					want += expected(j, g.Nodes, 0, 0, nil)[o] / float64(len(j.Graphs))
				}
				if math.Abs(base-want) > 1e-12 {
					t.Errorf("seed %d, output %d: base %v, expected %v", seed, o, base, want)
				}
			}
		}
	}
}

// expected is what a graph answers when only the features in known are known.
func expected(j *Jungle, nodes []Node, at int32, known uint, row []float64) []float64 {
	n := &nodes[at]
	if n.Test == Leaf {
		return n.Value
	}
	share := n.Share
	if known>>n.Feature&1 != 0 {
		if share = 1; goesRight(j, n, row[n.Feature]) {
			share = 0
		}
	}
	left, right := expected(j, nodes, n.Left, known, row), expected(j, nodes, n.Right, known, row)
	out := make([]float64, len(left))
	for o := range out {
		out[o] = share*left[o] + (1-share)*right[o]
	}
	return out
}

func goesRight(j *Jungle, n *Node, v float64) bool {
	one := Jungle{Features: 1, Outputs: 1, Single: j.Single, Graphs: []Graph{{Nodes: []Node{*n, {Value: []float64{0}}, {Value: []float64{1}}}}}}
	test := &one.Graphs[0].Nodes[0]
	test.Feature, test.Left, test.Right = 0, 1, 2
	return one.answer([]float64{v})[0] == 1
}

// TestShapley compares the contributions of trees with their definition.
func TestShapley(t *testing.T) {
	factorial := []float64{1, 1, 2, 6, 24}
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 9))
		j := randomTrees(rng, 4, 2, 2, 4)
		x := explainer(t, j)
		if !x.Shapley() {
			t.Fatal("trees are taken for graphs")
		}
		s, out := x.NewSession(), make([]float64, 2*5)
		for _, row := range randomRows(rng, 4, 10) {
			s.Contributions(row, 1, out)
			for o := range 2 {
				var worth [16]float64
				for known := range worth {
					for _, g := range j.Graphs {
						worth[known] += expected(j, g.Nodes, 0, uint(known), row)[o] / 2
					}
				}
				for f := range 4 {
					want := 0.0
					for known := range worth {
						if known>>f&1 == 0 {
							size := known&1 + known>>1&1 + known>>2&1 + known>>3&1
							want += factorial[size] * factorial[3-size] / factorial[4] * (worth[known|1<<f] - worth[known])
						}
					}
					if got := out[o*5+f]; math.Abs(got-want) > 1e-12 {
						t.Fatalf("seed %d, output %d, feature %d: %v, by definition %v", seed, o, f, got, want)
					}
				}
			}
		}
	}
}

// TestFollow is a graph by hand: x0 decides first, and both sides share a child
// that x1 decides.
func TestFollow(t *testing.T) {
	leaf := func(v float64) Node { return Node{Value: []float64{v}} }
	j := &Jungle{Features: 2, Outputs: 1, Shares: true, Graphs: []Graph{{Nodes: []Node{
		{Test: Less, Threshold: 1, Left: 1, Right: 2, Share: 0.5},
		{Test: Less, Feature: 1, Threshold: 1, Left: 3, Right: 4, Share: 0.25},
		{Test: Less, Feature: 1, Threshold: 3, Left: 4, Right: 5, Share: 0.5},
		leaf(0), leaf(4), leaf(8),
	}}}}
	x := explainer(t, j)
	if x.Shapley() {
		t.Fatal("a graph is taken for trees")
	}
	// Expected below the nodes: 0.25·0 + 0.75·4 = 3, 0.5·4 + 0.5·8 = 6, and 4.5 of both.
	for _, c := range [][5]float64{{0, 0, -1.5, -3, 4.5}, {0, 2, -1.5, 1, 4.5}, {2, 2, 1.5, -2, 4.5}, {2, 4, 1.5, 2, 4.5}} {
		out := make([]float64, 3)
		x.NewSession().Contributions(c[:2], 1, out)
		if [3]float64(out) != [3]float64(c[2:]) {
			t.Errorf("%v: %v, want %v", c[:2], out, c[2:])
		}
	}
}

// TestForestGolden compares with shap and treeinterpreter; see testdata/make.py.
func TestForestGolden(t *testing.T) {
	var golden struct {
		Graphs [][]struct {
			Feature, Left, Right int32
			Threshold, Share     float64
			Value                []float64
		}
		Rows, Probabilities [][]float64
		Shapley, Ways       [][][]float64
	}
	file, err := os.ReadFile("testdata/forest.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &golden); err != nil {
		t.Fatal(err)
	}
	j := &Jungle{Features: 4, Outputs: 3, Single: true, Shares: true}
	for _, nodes := range golden.Graphs {
		var g Graph
		for _, n := range nodes {
			if n.Value != nil {
				g.Nodes = append(g.Nodes, Node{Value: n.Value})
				continue
			}
			g.Nodes = append(g.Nodes, Node{
				Test: Less, Feature: n.Feature, Left: n.Left, Right: n.Right, Share: n.Share,
				Threshold: math.Nextafter(n.Threshold, math.Inf(1)), // scikit-learn's tests are x <= threshold
			})
		}
		j.Graphs = append(j.Graphs, g)
	}
	shapley, ways := explainer(t, j), explainer(t, j)
	ways.below, ways.path = ways.expect(), 0
	for name, c := range map[string]struct {
		x    *Explainer
		want [][][]float64
	}{"shap": {shapley, golden.Shapley}, "treeinterpreter": {ways, golden.Ways}} {
		s, out := c.x.NewSession(), make([]float64, 3*5)
		for r, row := range golden.Rows {
			s.Contributions(row, 1, out)
			for k := range 3 {
				sum := 0.0
				for i, want := range c.want[r][k] {
					got := out[k*5+i]
					if sum += got; math.Abs(got-want) > 1e-6 { // shares are kept as float32
						t.Errorf("%s, row %d, class %d, number %d: %v, want %v", name, r, k, i, got, want)
					}
				}
				if p := golden.Probabilities[r][k]; math.Abs(sum-p) > 1e-12 {
					t.Errorf("%s, row %d, class %d: they add up to %v, the probability is %v", name, r, k, sum, p)
				}
			}
		}
	}
}

// TestShares are kept where they are asked for, checked, and no part of what is
// scored.
func TestShares(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	j := randomTrees(rng, 3, 2, 2, 4)
	with, err := j.Encode()
	if err != nil {
		t.Fatal(err)
	}
	j.Shares = false
	plain, err := j.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenExplainer(plain); !errors.Is(err, ErrNoShares) {
		t.Errorf("without shares: %v", err)
	}
	a, err := Open(with)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	rows := randomRows(rng, 3, 50)
	want := predict(b, rows)
	for i, got := range predict(a, rows) {
		if got != want[i] {
			t.Fatalf("answer %d is %v with shares, %v without", i, got, want[i])
		}
	}
	for _, bad := range []float32{-0.5, 1.5, float32(math.NaN())} {
		binary.LittleEndian.PutUint32(with[len(plain):], math.Float32bits(bad))
		if _, err := Open(with); !errors.Is(err, ErrDamaged) {
			t.Errorf("a share of %v: %v", bad, err)
		}
	}
	j.Shares, j.Graphs[0].Nodes[0].Share = true, 2
	if _, err := j.Encode(); err == nil {
		t.Error("a share of 2 is encoded")
	}
}

// TestTooLarge are models whose contributions would take too much memory.
func TestTooLarge(t *testing.T) {
	deep := &Jungle{Features: 5000, Outputs: 1, Shares: true, Graphs: make([]Graph, 1)}
	for i := range int32(5000) {
		deep.Graphs[0].Nodes = append(deep.Graphs[0].Nodes, Node{Test: Less, Feature: i, Left: 2*i + 1, Right: 2*i + 2}, Node{Value: []float64{1}})
	}
	deep.Graphs[0].Nodes = append(deep.Graphs[0].Nodes, Node{Value: []float64{2}})
	wide := &Jungle{Features: 1, Outputs: MaxOutputs, Shares: true, Graphs: make([]Graph, 1)}
	for i := range int32(maxBelow/MaxOutputs + 1) {
		wide.Graphs[0].Nodes = append(wide.Graphs[0].Nodes, Node{Test: Less, Left: i + 1, Right: i + 1})
	}
	wide.Graphs[0].Nodes = append(wide.Graphs[0].Nodes, Node{Value: make([]float64, MaxOutputs)})
	for name, j := range map[string]*Jungle{"deep": deep, "wide": wide} {
		b, err := j.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenExplainer(b); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
