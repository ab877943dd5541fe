package linear

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/portico-ml/portico/shared/model/modeltest"
)

// random makes weights, and rows with one missing cell in ten.
func random(rng *rand.Rand, features, outputs, rows int) (w *Weights, x []float64) {
	w = &Weights{Features: features, Outputs: outputs}
	for range outputs {
		w.Base = append(w.Base, rng.NormFloat64())
		for range features {
			w.Coefficients = append(w.Coefficients, rng.NormFloat64())
		}
	}
	for range features * rows {
		v := 10 * rng.NormFloat64()
		if rng.IntN(10) == 0 {
			v = math.NaN()
		}
		x = append(x, v)
	}
	return w, x
}

// TestSums compares with the definition, in each precision and treatment of
// missing cells, alone and together.
func TestSums(t *testing.T) {
	const rows = 70
	for i := range 4 {
		w, x := random(rand.New(rand.NewPCG(1, uint64(i))), 9, 3, rows)
		w.Single, w.SkipMissing = i&1 != 0, i&2 != 0
		m := modeltest.Reopen(t, w, Open)
		contributions := make([]float64, rows*3*10)
		m.Contributions(x, rows, contributions)
		modeltest.Rows(t, m, x, 9, 3, func(r int, row, scored []float64) {
			for k, got := range scored {
				want := new32(w.Single, w.Base[k])
				for f, v := range row {
					if v != v && w.SkipMissing {
						continue
					}
					want = new32(w.Single, want+new32(w.Single, new32(w.Single, v)*new32(w.Single, w.Coefficients[k*9+f])))
				}
				if math.Float64bits(got) != math.Float64bits(want) && got == got || (got != got) != (want != want) {
					t.Fatalf("case %d, row %d, output %d: %v, want %v", i, r, k, got, want)
				}
				sum := 0.0
				for _, v := range contributions[(r*3+k)*10:][:10] {
					sum += v
				}
				if math.Abs(sum-want) > 1e-4 || (sum != sum) != (want != want) {
					t.Errorf("case %d, row %d, output %d: contributions add up to %v, not %v", i, r, k, sum, want)
				}
			}
		})
	}
}

func new32(single bool, v float64) float64 {
	if single {
		return float64(float32(v))
	}
	return v
}

// TestFold compares folded weights with those of standardised features.
func TestFold(t *testing.T) {
	w, x := random(rand.New(rand.NewPCG(2, 2)), 5, 2, 1)
	for i := range x {
		x[i] = float64(i) + 0.5
	}
	mean, scale := []float64{1, -2, 3, 0, 5}, []float64{2, 0.5, 0, 1, 10}
	z := make([]float64, 5)
	for f := range z {
		s := scale[f]
		if s == 0 {
			s = 1
		}
		z[f] = (x[f] - mean[f]) / s
	}
	want, got := make([]float64, 2), make([]float64, 2)
	modeltest.Reopen(t, w, Open).Predict(z, 1, want)
	if err := w.Fold(mean, scale); err != nil {
		t.Fatal(err)
	}
	modeltest.Reopen(t, w, Open).Predict(x, 1, got)
	for k := range got {
		if math.Abs(got[k]-want[k]) > 1e-12 {
			t.Errorf("output %d: %v, want %v", k, got[k], want[k])
		}
	}
	if err := w.Fold(mean[:3], scale); err == nil {
		t.Error("three means for five features")
	}
}

func TestRefusals(t *testing.T) {
	good := func() *Weights {
		return &Weights{Features: 2, Outputs: 1, Base: []float64{1}, Coefficients: []float64{2, 3}}
	}
	for name, edit := range map[string]func(*Weights){
		"infinite":        func(w *Weights) { w.Coefficients[0] = math.Inf(1) },
		"NaN":             func(w *Weights) { w.Base[0] = math.NaN() },
		"beyond float32":  func(w *Weights) { w.Single, w.Base[0] = true, 1e39 },
		"no outputs":      func(w *Weights) { w.Outputs, w.Base, w.Coefficients = 0, nil, nil },
		"a base too many": func(w *Weights) { w.Base = append(w.Base, 1) },
		"a coefficient":   func(w *Weights) { w.Coefficients = w.Coefficients[:1] },
		"many features":   func(w *Weights) { w.Features = MaxFeatures + 1 },
	} {
		w := good()
		edit(w)
		if _, err := w.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
	modeltest.Damaged(t, modeltest.Encode(t, good()), Open, ErrDamaged, modeltest.Damage{
		"version": {0, 9}, "flags": {4, 8},
		"features": {8, 1 << 31}, "outputs": {12, 0}, "outputs too many": {12, 1 << 30}, "NaN": {-4, 0x7ff80000},
	})
}

func FuzzOpen(f *testing.F) {
	var seeds []modeltest.Encoder
	for i := range 4 {
		w, _ := random(rand.New(rand.NewPCG(3, uint64(i))), i, i+1, 0)
		w.Single, w.SkipMissing = i&1 != 0, i&2 != 0
		seeds = append(seeds, w)
	}
	modeltest.FuzzOpen(f, Open, ErrDamaged, func(t *testing.T, m *Model) {
		m.Predict(make([]float64, m.Features()), 1, make([]float64, m.Outputs()))
		m.Contributions(make([]float64, m.Features()), 1, make([]float64, m.Outputs()*(m.Features()+1)))
	}, seeds...)
}

func BenchmarkPredict(b *testing.B) {
	w, x := random(rand.New(rand.NewPCG(4, 4)), 30, 1, 64)
	m := modeltest.Reopen(b, w, Open)
	out := make([]float64, 64)
	for b.Loop() {
		m.Predict(x, 64, out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(64*b.N), "ns/row")
}
