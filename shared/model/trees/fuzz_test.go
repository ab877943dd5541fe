package trees

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// FuzzOpen opens anything. What opens must score, alike alone and in a block,
// without reading outside its memory.
func FuzzOpen(f *testing.F) {
	for name, s := range shapes {
		if s.depth > 9 || s.trees > 60 {
			continue
		}
		s.trees, s.depth = min(s.trees, 3), min(s.depth, 4)
		b, err := s.forest(rand.New(rand.NewPCG(5, uint64(len(name))))).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for seed, leaves := range [][]int{{1, 20}, {40, 3}, {70}, {300}} {
		b, err := lopSidedForest(rand.New(rand.NewPCG(7, uint64(seed))), 3, 1, leaves...).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	explained := randomForest(rand.New(rand.NewPCG(6, 1)), 3, 2, 4, 3, 0.2, Less, In)
	for i := range explained.Trees {
		coverTree(rand.New(rand.NewPCG(6, 2)), explained.Trees[i].Nodes, 0, 40)
	}
	explained.KeepCovers()
	b, err := explained.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Open(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("error %v is not ErrDamaged", err)
			}
			return
		}
		if e.features > 1<<10 || e.outputs > 1<<6 || e.slots > 1<<16 {
			return // opens, but is slow to score
		}
		const n = BlockRows
		rng := rand.New(rand.NewPCG(1, 1))
		rows := make([][]float64, n)
		for i := range rows {
			rows[i] = make([]float64, e.features)
			for k := range rows[i] {
				rows[i][k] = []float64{math.NaN(), 0, -1, 1, 3, 1e9, math.Inf(1), math.Inf(-1), rng.NormFloat64()}[rng.IntN(9)]
			}
		}
		alone, together := score(e, rows, 1), score(e, rows, n)
		for i := range alone {
			if math.Float64bits(alone[i]) != math.Float64bits(together[i]) {
				t.Fatalf("score %d is %v alone and %v in a block", i, alone[i], together[i])
			}
		}
		x, err := OpenExplainer(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoCovers) && !errors.Is(err, ErrTooDeep) {
				t.Fatalf("error %v is none of OpenExplainer's", err)
			}
			return
		}
		if e.stats.Deepest > 12 || e.stats.Nodes > 1<<10 {
			return // opens, but is slow to explain
		}
		s := x.NewSession(1)
		out := make([]float64, e.outputs*(e.features+1))
		for _, row := range rows {
			s.Contributions(row, 1, out)
		}
	})
}
