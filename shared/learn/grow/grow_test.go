package grow

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/model/trees"
)

// table makes rows of a number with few values, a number with many, and a
// category, some cells missing; classes is 0 for labels that are values.
func table(rng *rand.Rand, rows, classes int, missing float64) *learn.Data {
	d := &learn.Data{Rows: rows, Classes: classes, X: make([][]float64, 3), Levels: []int{0, 0, 5}}
	for range rows {
		x := []float64{float64(rng.IntN(4)), math.Round(rng.NormFloat64()*20) / 4, float64(rng.IntN(5))}
		y := rng.NormFloat64() + x[0] - math.Abs(x[2]-2)
		for f := range x {
			if rng.Float64() < missing {
				x[f] = math.NaN()
			}
			d.X[f] = append(d.X[f], x[f])
		}
		if classes > 0 {
			y = float64(min(max(int(y+1), 0), classes-1))
		}
		d.Label = append(d.Label, y)
		d.Weight = append(d.Weight, float64(1+rng.IntN(3)))
	}
	return d
}

// cost is the impurity of some rows, by its definition.
func cost(d *learn.Data, rows []int) float64 {
	weight, sum, squares := 0.0, 0.0, 0.0
	by := make([]float64, d.Classes)
	for _, r := range rows {
		w := d.Weight[r]
		weight += w
		if d.Classes > 0 {
			by[int(d.Label[r])] += w
		}
		sum += w * d.Label[r]
		squares += w * d.Label[r] * d.Label[r]
	}
	if weight == 0 {
		return 0
	}
	if d.Classes == 0 {
		return squares - sum*sum/weight
	}
	entropy := 0.0
	for _, w := range by {
		if w > 0 {
			entropy -= w * math.Log(w/weight)
		}
	}
	return entropy
}

// bestGain tries every way to part rows by feature f: thresholds or subsets of
// levels, with missing cells on either side.
func bestGain(d *learn.Data, rows []int, f int) float64 {
	var values []float64
	for _, r := range rows {
		values = append(values, d.X[f][r])
	}
	slices.Sort(values) // NaN first
	values = slices.Compact(values)
	best := math.Inf(-1)
	try := func(right func(v float64) bool) {
		var parts [2][]int
		for _, r := range rows {
			side := 0
			if right(d.X[f][r]) {
				side = 1
			}
			parts[side] = append(parts[side], r)
		}
		if len(parts[0]) > 0 && len(parts[1]) > 0 {
			best = max(best, cost(d, rows)-cost(d, parts[0])-cost(d, parts[1]))
		}
	}
	for _, missingRight := range []bool{false, true} {
		if d.Levels[f] > 0 {
			for set := range 1 << d.Levels[f] {
				try(func(v float64) bool {
					if math.IsNaN(v) {
						return missingRight
					}
					return set>>int(v)&1 != 0
				})
			}
			continue
		}
		for _, t := range append(values, math.Inf(1)) {
			try(func(v float64) bool {
				if math.IsNaN(v) {
					return missingRight
				}
				return v >= t
			})
		}
	}
	return best
}

// TestSearch compares the best split of every feature with all there are. Of
// classes sets of levels are random, and can only be worse.
func TestSearch(t *testing.T) {
	for _, classes := range []int{0, 2, 3} {
		for _, rows := range []int{2, 9, 30, 200, 900} { // sorted and dense
			for _, missing := range []float64{0, 0.2, 1} {
				name := fmt.Sprintf("%d classes, %d rows, %v missing", classes, rows, missing)
				t.Run(name, func(t *testing.T) {
					rng := rand.New(rand.NewPCG(uint64(rows), uint64(classes)))
					d := table(rng, rows, classes, missing)
					m := binned.New(d, binned.Options{}, learn.NewSession())
					s := ByValue(m, 1)
					if classes > 0 {
						s = ByClass(m, classes, 1, NewLogs(rows))
					}
					var node []int // a node has some of the rows
					var draws []Draw
					for r, w := range Rows(d) {
						if rows < 10 || rng.IntN(4) > 0 {
							node, draws = append(node, r), append(draws, w)
						}
					}
					for f := range d.X {
						s.Begin(draws)
						all := s.Try(f, math.MaxInt, rng)
						best, ok := s.Best()
						want := bestGain(d, node, f)
						if ok != !math.IsInf(want, -1) || ok != (all > 0) {
							t.Fatalf("feature %d: a split is found: %v, of %d; the best is %v", f, ok, all, want)
						}
						if !ok {
							continue
						}
						if off := math.Abs(best.Gain - want); off > 1e-9*max(1, want) && (classes == 0 || f < 2 || best.Gain > want) {
							t.Errorf("feature %d: gain %v, the best is %v", f, best.Gain, want)
						}
						checkSplit(t, m, d, node, draws, &best)
					}
				})
			}
		}
	}
}

// checkSplit holds a split's gain, its test and its partition to one another.
func checkSplit(t *testing.T, m *binned.Matrix, d *learn.Data, node []int, draws []Draw, s *Split) {
	t.Helper()
	n := s.Node(m)
	n.Left, n.Right = 1, 2
	forest := trees.Forest{
		Features: len(d.X), Outputs: 1, Base: []float64{0}, Input: m.Input, Sum: trees.Float64,
		Trees: []trees.Tree{{Nodes: []trees.Node{n, {Value: 0}, {Value: 1}}}},
	}
	b, err := forest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	e, err := trees.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	session, out, row := e.NewSession(1), make([]float64, 1), make([]float64, len(d.X))
	var parts [2][]int
	for _, r := range node {
		for f := range row {
			row[f] = d.X[f][r]
		}
		session.Predict(row, 1, out)
		parts[int(out[0])] = append(parts[int(out[0])], r)
	}
	got := cost(d, node) - cost(d, parts[0]) - cost(d, parts[1])
	if off := math.Abs(got - s.Gain); off > 1e-9*max(1, got) {
		t.Errorf("feature %d: the test gains %v, the split says %v", s.Feature, got, s.Gain)
	}
	own := slices.Clone(draws)
	left := s.Partition(m, own, make([]Draw, len(own)))
	for side, part := range [2][]Draw{own[:left], own[left:]} {
		var rows []int
		for _, w := range part {
			rows = append(rows, int(w.Row))
		}
		if diff := cmp.Diff(parts[side], rows); diff != "" {
			t.Errorf("feature %d, side %d: test and partition differ:\n%s", s.Feature, side, diff)
		}
	}
}

// TestSearchLeafRows asks for splits that leave enough rows on either side.
func TestSearchLeafRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	d := table(rng, 60, 2, 0.1)
	m := binned.New(d, binned.Options{}, learn.NewSession())
	s := ByClass(m, 2, 20, nil)
	draws := Bootstrap(Rows(d), 60, rng)
	found := 0
	for f := range d.X {
		s.Begin(draws)
		s.Try(f, math.MaxInt, rng)
		best, ok := s.Best()
		if !ok {
			continue
		}
		found++
		own := slices.Clone(draws)
		left := best.Partition(m, own, make([]Draw, len(own)))
		for _, part := range [2][]Draw{own[:left], own[left:]} {
			n := int32(0)
			for _, w := range part {
				n += w.Count
			}
			if n < 20 {
				t.Errorf("feature %d leaves %d rows", f, n)
			}
		}
	}
	if found == 0 {
		t.Error("no split leaves 20 of 60 rows")
	}
}

// TestSearchLimit tries one random split: over many times, each of all there
// are, about as often.
func TestSearchLimit(t *testing.T) {
	d := &learn.Data{Rows: 6, Classes: 2, X: [][]float64{{0, 1, 2, 3, 4, math.NaN()}}, Levels: []int{0}, Label: []float64{0, 1, 0, 1, 0, 1}}
	m := binned.New(d, binned.Options{}, learn.NewSession())
	s := ByClass(m, 2, 1, nil)
	rng := rand.New(rand.NewPCG(2, 3))
	times := map[string]int{}
	const n = 9000
	for range n {
		s.Begin(Rows(d))
		if all := s.Try(0, 1, rng); all != 9 {
			t.Fatalf("%d splits, want 4 between values with missing cells on either side, and one between values and missing cells", all)
		}
		best, ok := s.Best()
		if !ok {
			t.Fatal("no split")
		}
		key := ""
		for _, b := range []uint8{0, 1, 2, 3, 4, binned.Missing} {
			key += fmt.Sprint(b2i(best.Right(b)))
		}
		times[key]++
	}
	if len(times) != 9 {
		t.Errorf("%d splits are drawn: %v", len(times), times)
	}
	for key, k := range times {
		if k < n/9-200 || k > n/9+200 {
			t.Errorf("split %s is drawn %d times of %d", key, k, n)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestBeside weighs a node's rows with what its children hold already: splits
// by the first feature keep classes together that the children keep, those by
// the second are better for the node alone.
func TestBeside(t *testing.T) {
	d := &learn.Data{
		Rows: 8, Classes: 2, Levels: []int{0, 0}, Label: []float64{0, 0, 0, 0, 1, 1, 1, 1},
		X: [][]float64{{1, 1, 1, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 1, 1, 1, 1}},
	}
	m := binned.New(d, binned.Options{}, learn.NewSession())
	s := ByClass(m, 2, 1, NewLogs(200))
	rng := rand.New(rand.NewPCG(3, 3))
	best := func(beside bool) int {
		s.Begin(Rows(d))
		if beside { // class 1 is left, class 0 right
			s.Beside([]float64{0, 100}, []float64{100, 0})
		}
		s.Try(0, math.MaxInt, rng)
		s.Try(1, math.MaxInt, rng)
		b, _ := s.Best()
		return b.Feature
	}
	if f := best(false); f != 1 {
		t.Errorf("alone the split is by feature %d", f)
	}
	if f := best(true); f != 0 {
		t.Errorf("beside what the children hold it is by feature %d", f)
	}
}

// TestRest keeps the levels that share a bin together, and to the left.
func TestRest(t *testing.T) {
	const rows, levels = 1200, 300
	d := &learn.Data{Rows: rows, X: [][]float64{make([]float64, rows)}, Levels: []int{levels}, Label: make([]float64, rows)}
	for r := range rows {
		level := r % levels
		if r >= 600 {
			level = r % 200 // the last hundred levels are rare
		}
		d.X[0][r] = float64(level)
		d.Label[r] = float64(level % 7)
	}
	m := binned.New(d, binned.Options{}, learn.NewSession())
	if !m.Features[0].Rest {
		t.Fatal("no bin holds the rest")
	}
	s := ByValue(m, 1)
	s.Begin(Rows(d))
	s.Try(0, math.MaxInt, rand.New(rand.NewPCG(4, 3)))
	best, ok := s.Best()
	if !ok || best.Right(uint8(m.Features[0].Bins-1)) {
		t.Fatalf("a split: %v; the rest goes right: %v", ok, best.Right(uint8(m.Features[0].Bins-1)))
	}
	var node []int
	for r := range rows {
		node = append(node, r)
	}
	d.Weight = slices.Repeat([]float64{1}, rows)
	checkSplit(t, m, d, node, Rows(d), &best)
}

func TestRows(t *testing.T) {
	tests := []struct {
		name    string
		weights []float64
		want    []float64
	}{
		{"none", nil, []float64{1, 1, 1}},
		{"whole", []float64{1, 2, 3}, []float64{1, 2, 3}},
		{"shares", []float64{0.25, 0.25, 0.5}, []float64{1, 1, 2}},
		{"tiny", []float64{1e-310, 1e-310, 2e-310}, nil},
		{"huge", []float64{1e300, 1e300, 2e300}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &learn.Data{Rows: 3, Classes: 2, Label: []float64{0, 1, 0}, Weight: tt.weights}
			var got []float64
			for _, w := range Rows(d) {
				got = append(got, w.Weight)
			}
			if tt.want == nil { // of ordinary size, in proportion
				if got[0] < 0.5 || got[2] > 4 || math.Abs(got[2]-2*got[0]) > 1e-9 {
					t.Errorf("weights %v", got)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBootstrap(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 3))
	d := &learn.Data{Rows: 1000, Label: make([]float64, 1000), Weight: make([]float64, 1000)}
	for r := range d.Weight {
		d.Weight[r] = float64(1 + r%2)
	}
	got := Bootstrap(Rows(d), 700, rng)
	n := 0
	for i, w := range got {
		if n += int(w.Count); i > 0 && w.Row <= got[i-1].Row {
			t.Fatal("rows are out of order")
		}
		if w.Weight != float64(w.Count)*d.Weight[w.Row] {
			t.Fatalf("row %d of weight %v, drawn %d times, weighs %v", w.Row, d.Weight[w.Row], w.Count, w.Weight)
		}
	}
	// Of 1000 rows 1-e^-0.7, about half, are drawn.
	if n != 700 || len(got) < 460 || len(got) > 540 {
		t.Errorf("%d draws of %d rows", n, len(got))
	}
}

func TestShares(t *testing.T) {
	draws := []Draw{{Class: 0, Weight: 1}, {Class: 1, Weight: 3}}
	s := NewShares(2, draws)
	p := []float64{0, 1}
	s.Of(p, p)
	// Half a sample, of which three quarters are of class 1.
	if diff := cmp.Diff([]float64{0.125 / 1.5, 1.375 / 1.5}, p); diff != "" {
		t.Error(diff)
	}
}

func TestLogs(t *testing.T) {
	logs := NewLogs(10)
	for _, x := range []float64{-1e-17, 0, 1, 2, 7, 10, 11, 0.5, 2.5, 1e9} {
		want := 0.0
		if x > 0 {
			want = x * math.Log(x)
		}
		if got := logs.Of(x); math.Abs(got-want) > 1e-15*math.Abs(want) {
			t.Errorf("%v: %v, want %v", x, got, want)
		}
	}
}

// TestEnsembleSaved refuses what is no state of this training.
func TestEnsembleSaved(t *testing.T) {
	grow := func() func(*rand.Rand) *int {
		return func(r *rand.Rand) *int { n := r.Int(); return &n }
	}
	three, err := Ensemble(t.Context(), learn.NewSession(), 3, 1, grow)
	if err != nil {
		t.Fatal(err)
	}
	state, err := save(three)
	if err != nil {
		t.Fatal(err)
	}
	for _, saved := range [][]byte{{}, {1, 2, 3}, state[:len(state)-1], state} {
		s := learn.NewSession()
		s.Saved = saved
		if _, err := Ensemble(t.Context(), s, 2, 1, grow); err == nil || fault.KindOf(err) != fault.LibraryExecution {
			t.Errorf("%d bytes: error %v", len(saved), err)
		}
	}
	s := learn.NewSession()
	s.Saved, s.Workers = state, 1
	five, err := Ensemble(t.Context(), s, 5, 1, grow)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Ensemble(t.Context(), learn.NewSession(), 5, 1, grow)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole, five); diff != "" {
		t.Errorf("going on from three gives others (-whole +resumed):\n%s", diff)
	}
}

// TestEnsembleCancelled ends with the context.
func TestEnsembleCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Ensemble(ctx, learn.NewSession(), 100, 1, func() func(*rand.Rand) *int {
		return func(*rand.Rand) *int { cancel(); return nil }
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
