package bayes

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/portico-ml/portico/shared/model/modeltest"
)

func random(rng *rand.Rand, features int) *Weights {
	w := &Weights{Base: rng.NormFloat64(), Noise: 0.5 + rng.Float64()}
	for f := range features {
		w.Center = append(w.Center, rng.NormFloat64())
		w.Coefficients = append(w.Coefficients, rng.NormFloat64())
		for range f + 1 {
			w.Factor = append(w.Factor, rng.NormFloat64())
		}
	}
	return w
}

// TestPredict compares with the definition, alone and together.
func TestPredict(t *testing.T) {
	const rows = 30
	rng := rand.New(rand.NewPCG(1, 1))
	for _, features := range []int{0, 1, 6} {
		w := random(rng, features)
		m := modeltest.Reopen(t, w, Open)
		x := make([]float64, features*rows)
		for i := range x {
			x[i] = 3 * rng.NormFloat64()
		}
		if features > 0 {
			x[5] = math.NaN() // row 5
		}
		out, one, alone := make([]float64, 2*rows), make([]float64, features), make([]float64, 2)
		s := m.NewSession()
		s.Predict(x, rows, out)
		for r := range rows {
			mean, variance := w.Base, w.Noise
			for f := range features {
				one[f] = x[f*rows+r]
				mean += w.Coefficients[f] * (one[f] - w.Center[f])
				sum := 0.0
				for g := range f + 1 {
					sum += w.Factor[f*(f+1)/2+g] * (x[g*rows+r] - w.Center[g])
				}
				variance += sum * sum
			}
			s.Predict(one, 1, alone)
			for k, want := range []float64{mean, math.Sqrt(variance)} {
				got := out[2*r+k]
				if want != want {
					if got == got {
						t.Errorf("row %d without a cell has output %d %v", r, k, got)
					}
					continue
				}
				if math.Abs(got-want) > 1e-12*math.Abs(want) || got != alone[k] {
					t.Errorf("row %d, output %d: %v together, %v alone, want %v", r, k, got, alone[k], want)
				}
			}
		}
		if n := testing.AllocsPerRun(10, func() { s.Predict(x, rows, out) }); n != 0 {
			t.Errorf("it allocates %v times", n)
		}
	}
}

func TestRefusals(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for name, edit := range map[string]func(*Weights){
		"infinite":           func(w *Weights) { w.Coefficients[0] = math.Inf(1) },
		"no noise":           func(w *Weights) { w.Noise = 0 },
		"NaN":                func(w *Weights) { w.Factor[1] = math.NaN() },
		"a center too many":  func(w *Weights) { w.Center = append(w.Center, 1) },
		"a factor too short": func(w *Weights) { w.Factor = w.Factor[:2] },
	} {
		w := random(rng, 2)
		edit(w)
		if _, err := w.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
	modeltest.Damaged(t, modeltest.Encode(t, random(rng, 2)), Open, ErrDamaged, modeltest.Damage{
		"version":  {0, 9},
		"features": {4, 3}, "features too many": {4, 1 << 31}, "NaN": {-4, 0x7ff80000},
	})
}

func FuzzOpen(f *testing.F) {
	var seeds []modeltest.Encoder
	for i := range 4 {
		seeds = append(seeds, random(rand.New(rand.NewPCG(3, uint64(i))), i))
	}
	modeltest.FuzzOpen(f, Open, ErrDamaged, func(t *testing.T, m *Model) {
		m.NewSession().Predict(make([]float64, m.Features()), 1, make([]float64, 2))
	}, seeds...)
}

// TestContributionsGolden compares with shap's; see testdata/make.py.
func TestContributionsGolden(t *testing.T) {
	var golden struct {
		Center, Coefficients, Means []float64
		Base                        float64
		Rows, Contributions         [][]float64
	}
	file, err := os.ReadFile("testdata/diabetes.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &golden); err != nil {
		t.Fatal(err)
	}
	n := len(golden.Center)
	m := modeltest.Reopen(t, &Weights{Base: golden.Base, Noise: 1, Center: golden.Center, Coefficients: golden.Coefficients, Factor: make([]float64, n*(n+1)/2)}, Open)
	got := make([]float64, n+1)
	for r, row := range golden.Rows {
		m.Contributions(row, 1, got)
		sum := 0.0
		for i, want := range golden.Contributions[r] {
			if sum += got[i]; math.Abs(got[i]-want) > 1e-9*max(1, math.Abs(want)) {
				t.Errorf("row %d, number %d: %v, want %v", r, i, got[i], want)
			}
		}
		if want := golden.Means[r]; math.Abs(sum-want) > 1e-9*want {
			t.Errorf("row %d: they add up to %v, the mean is %v", r, sum, want)
		}
	}
}

func TestContributionsAddUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	m := modeltest.Reopen(t, random(rng, 6), Open)
	x := make([]float64, 6*30)
	for i := range x {
		x[i] = 3 * rng.NormFloat64()
	}
	x[5] = math.NaN()
	modeltest.AddUp(t, m, x, 6, 1, 1e-12, func(row []float64) []float64 {
		out := make([]float64, 2)
		m.NewSession().Predict(row, 1, out)
		return out
	})
}
