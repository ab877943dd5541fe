package jungle

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/learn/grow"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/model/dag"
)

func TestSuite(t *testing.T) {
	known := Options{Graphs: 10, Width: 12, Steps: 300, Seed: 3}
	unknown := known
	unknown.UnknownLevels = true
	suites := map[string]learntest.Suite{
		"two classes":     {Learner: learntest.Must(TwoClass(unknown)), Strict: learntest.Must(TwoClass(known)), Steps: 4, Error: 0.09},
		"several classes": {Learner: learntest.Must(Multiclass(unknown)), Strict: learntest.Must(Multiclass(known)), Steps: 4, Error: 0.14},
	}
	for name, s := range suites {
		t.Run(name, s.Run)
	}
}

// checkers is a table of two numbers, and as many classes in the fields of a
// board as bound; share of the labels are noise.
func checkers(rows, bound int, share float64, seed uint64) *learn.Data {
	rng := rand.New(rand.NewPCG(seed, 6))
	d := &learn.Data{Rows: rows, Classes: bound, X: make([][]float64, 2), Levels: []int{0, 0}}
	for range rows {
		a, b := 6*rng.Float64(), 6*rng.Float64()
		y := (int(a) + int(b)) % bound
		if rng.Float64() < share {
			y = rng.IntN(bound)
		}
		d.X[0], d.X[1], d.Label = append(d.X[0], a), append(d.X[1], b), append(d.Label, float64(y))
	}
	return d
}

func train(t *testing.T, j *Jungle, d *learn.Data) *dag.Model {
	t.Helper()
	trained, err := j.Train(t.Context(), d, learn.NewSession())
	if err != nil {
		t.Fatal(err)
	}
	m, err := dag.Open(trained.Body)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// accuracy is the share of rows whose likeliest class is their label's.
func accuracy(m *dag.Model, d *learn.Data) float64 {
	out, row, right := make([]float64, m.Outputs()), make([]float64, m.Features()), 0
	for r := range d.Rows {
		for f := range row {
			row[f] = d.X[f][r]
		}
		m.Predict(row, 1, out)
		best := 0
		for k, p := range out {
			if p > out[best] {
				best = k
			}
		}
		if best == int(d.Label[r]) {
			right++
		}
	}
	return float64(right) / float64(d.Rows)
}

// TestWidth holds graphs to their width and depth, reaches both, and finds
// nodes that share children; the board is learned all the same.
func TestWidth(t *testing.T) {
	d, test := checkers(3000, 3, 0.1, 1), checkers(1000, 3, 0, 2)
	for _, width := range []int{8, 16, 64} {
		m := train(t, learntest.Must(Multiclass(Options{Graphs: 4, Width: width, Depth: 20, Seed: 1})), d)
		s := m.Stats()
		if s.Widest > width || s.Widest < width*3/4 {
			t.Errorf("a level of %d nodes, the bound is %d", s.Widest, width)
		}
		if s.Deepest > 20 || width == 8 && s.Deepest != 20 {
			t.Errorf("width %d: %d tests on a way, the bound is 20", width, s.Deepest)
		}
		if s.Shared == 0 || width < 32 && s.Shared < width {
			t.Errorf("width %d: %d nodes of %d are shared", width, s.Shared, s.Nodes)
		}
		if a := accuracy(m, test); a < 0.8 {
			t.Errorf("width %d: an accuracy of %v", width, a)
		}
	}
	m := train(t, learntest.Must(Multiclass(Options{Graphs: 2, Depth: 5, Seed: 1})), d)
	if s := m.Stats(); s.Shared > 0 {
		t.Errorf("where there is room for all, %d nodes are shared", s.Shared)
	}
}

// TestNarrow is why there are jungles: of noisy data a narrow graph learns as
// much as a wide one, with fewer nodes.
func TestNarrow(t *testing.T) {
	d, test := checkers(8000, 3, 0.5, 3), checkers(2000, 3, 0, 4)
	narrow := train(t, learntest.Must(Multiclass(Options{Graphs: 4, Width: 24, Depth: 16, Seed: 2})), d)
	wide := train(t, learntest.Must(Multiclass(Options{Graphs: 4, Width: 1 << 12, Depth: 16, Seed: 2})), d)
	a, b := accuracy(narrow, test), accuracy(wide, test)
	small, large := narrow.Stats().Nodes, wide.Stats().Nodes
	if a < 0.8 || a < b-0.03 || small > large*2/3 {
		t.Errorf("narrow: an accuracy of %v by %d nodes; wide: %v by %d", a, small, b, large)
	}
}

// level makes a level of a few nodes of the board, ready to be shared.
func level(t *testing.T, width, steps int) (*grower, []parent) {
	t.Helper()
	d := checkers(9000, 4, 0.2, 5)
	m := binned.New(d, binned.Options{}, learn.NewSession())
	o, err := Options{Width: width, Steps: steps}.check()
	if err != nil {
		t.Fatal(err)
	}
	g := newGrower(t.Context(), m, 4, o, grow.NewLogs(d.Rows))
	g.random = rand.New(rand.NewPCG(7, 7))
	g.order = []int{0, 1}
	draws := grow.Rows(d)
	var parents []parent
	for len(draws) >= 300 {
		p, ok := g.split(member{0, draws[:300]})
		if !ok {
			t.Fatal("a node is not split")
		}
		parents, draws = append(parents, p), draws[300:]
	}
	return g, parents
}

func (g *grower) entropy() float64 {
	sum := 0.0
	for _, s := range g.slots {
		sum += g.logs.Impurity(s)
	}
	return sum
}

// TestSteps improves a level the more, the more steps there are, and keeps
// account of what the children hold.
func TestSteps(t *testing.T) {
	last := math.Inf(1)
	for _, steps := range []int{1, 100, 3000} {
		g, parents := level(t, 8, steps)
		g.share(parents, g.o.Width)
		if e := g.entropy(); e < last-1 {
			last = e
		} else {
			t.Errorf("%d steps: a total entropy of %v, before it was %v", steps, e, last)
		}
		held := make([][]float64, len(g.slots))
		for i := range held {
			held[i] = make([]float64, 4)
		}
		for i := range parents {
			p := &parents[i]
			if p.child[0] == p.child[1] {
				t.Fatalf("both sides of node %d go to child %d", i, p.child[0])
			}
			g.weigh(p)
			for side, c := range p.child {
				add(held[c], p.sides[side], 1)
			}
		}
		for i := range held {
			for k := range held[i] {
				if math.Abs(held[i][k]-g.slots[i][k]) > 1e-9 {
					t.Fatalf("child %d holds %v, its account says %v", i, held[i], g.slots[i])
				}
			}
		}
	}
}

// TestStepNeverWorse takes steps one by one: none raises the total entropy.
func TestStepNeverWorse(t *testing.T) {
	g, parents := level(t, 6, 1)
	g.share(parents, g.o.Width)
	better := 0
	for i := range 400 {
		before := g.entropy()
		p := &parents[i%len(parents)]
		if i%2 == 0 {
			g.improveBranches(p)
		} else {
			g.improveSplit(p)
		}
		switch after := g.entropy(); {
		case after > before+1e-6:
			t.Fatalf("step %d raises the entropy from %v to %v", i, before, after)
		case after < before-1e-6:
			better++
		}
	}
	if better < 10 {
		t.Errorf("%d of 400 steps are better", better)
	}
}

// TestFewRows does not split what chance explains.
func TestFewRows(t *testing.T) {
	noise := checkers(200, 2, 1, 8)
	if n := train(t, learntest.Must(TwoClass(Options{Graphs: 1, Replicate: true})), noise).Stats().Nodes; n > 60 {
		t.Errorf("%d nodes of noise", n)
	}
	clear := checkers(40, 2, 0, 9)
	for r := range clear.Rows {
		clear.Label[r] = 0
		if clear.X[0][r] > 3 {
			clear.Label[r] = 1
		}
	}
	if n := train(t, learntest.Must(TwoClass(Options{Graphs: 1, Replicate: true})), clear).Stats().Nodes; n != 3 {
		t.Errorf("%d nodes of one clear split", n)
	}
}

func TestOptions(t *testing.T) {
	tests := map[string]Options{
		"-1 graphs": {Graphs: -1}, "-1 levels": {Depth: -1}, "1 nodes in a level": {Width: 1}, "-5 steps": {Steps: -5},
	}
	for want, o := range tests {
		_, err := TwoClass(o)
		if err == nil || !strings.Contains(err.Error(), want) || !fault.HasCode(err, fault.ModuleCode(8)) {
			t.Errorf("error %v, want Error 0008 with %q", err, want)
		}
	}
}

// TestCancelled ends soon in the middle of a level.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g, parents := level(t, 8, 1<<30)
	g.ctx = ctx
	cancel()
	g.share(parents, g.o.Width)
}
