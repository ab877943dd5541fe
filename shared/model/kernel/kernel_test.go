package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/portico-ml/portico/shared/model/modeltest"
)

// random makes weights of 5 features and 4 vectors, and rows with one missing
// cell in thirty.
func random(rng *rand.Rand, rows int) (w *Weights, x []float64) {
	numbers := func(n int) []float64 {
		list := make([]float64, n)
		for i := range list {
			list[i] = rng.NormFloat64()
		}
		return list
	}
	w = &Weights{Gamma: 0.1, Base: -1, Offset: numbers(5), Scale: numbers(5), Coefficients: numbers(4), Vectors: numbers(20)}
	x = numbers(5 * rows)
	for i := range x {
		if rng.IntN(30) == 0 {
			x[i] = math.NaN()
		}
	}
	return w, x
}

// TestSums compares with the definition, alone and together.
func TestSums(t *testing.T) {
	w, x := random(rand.New(rand.NewPCG(1, 1)), 70)
	s := modeltest.Reopen(t, w, Open).NewSession()
	modeltest.Rows(t, s, x, 5, 1, func(r int, row, got []float64) {
		want := w.Base
		for v, c := range w.Coefficients {
			d := 0.0
			for f, x := range row {
				d += math.Pow((x-w.Offset[f])*w.Scale[f]-w.Vectors[v*5+f], 2)
			}
			want += c * math.Exp(-w.Gamma*d)
		}
		if !(math.Abs(got[0]-want) <= 1e-13) && !(math.IsNaN(got[0]) && math.IsNaN(want)) {
			t.Fatalf("row %d: %v, want %v", r, got[0], want)
		}
	})
	far := make([]float64, 1)
	s.Predict([]float64{1e308, -1e308, 0, 0, 0}, 1, far)
	if far[0] != w.Base {
		t.Errorf("far from all vectors: %v, want %v", far[0], w.Base)
	}
}

func TestRefusals(t *testing.T) {
	for name, edit := range map[string]func(*Weights){
		"NaN": func(w *Weights) { w.Vectors[1] = math.NaN() }, "infinite": func(w *Weights) { w.Base = math.Inf(1) },
		"gamma": func(w *Weights) { w.Gamma = -1 }, "a number": func(w *Weights) { w.Vectors = w.Vectors[1:] },
		"an offset": func(w *Weights) { w.Offset = nil }, "no features": func(w *Weights) { w.Offset, w.Scale, w.Vectors = nil, nil, nil },
	} {
		w, _ := random(rand.New(rand.NewPCG(2, 2)), 0)
		edit(w)
		if _, err := w.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
	w, _ := random(rand.New(rand.NewPCG(2, 2)), 0)
	modeltest.Damaged(t, modeltest.Encode(t, w), Open, ErrDamaged, modeltest.Damage{
		"version":  {0, 9},
		"features": {4, 1 << 31}, "no features": {4, 0}, "vectors": {8, 1 << 30}, "NaN": {-4, 0x7ff80000},
	})
}

func FuzzOpen(f *testing.F) {
	var seeds []modeltest.Encoder
	for i := range 3 {
		w, _ := random(rand.New(rand.NewPCG(3, uint64(i))), 0)
		seeds = append(seeds, w)
	}
	modeltest.FuzzOpen(f, Open, ErrDamaged, func(t *testing.T, m *Model) {
		m.NewSession().Predict(make([]float64, m.Features()), 1, make([]float64, m.Outputs()))
	}, seeds...)
}
