package linear

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
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

func open(t testing.TB, w *Weights) *Model {
	t.Helper()
	b, err := w.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSums compares with the definition, in each precision and treatment of
// missing cells, alone and together.
func TestSums(t *testing.T) {
	const rows = 70
	for i := range 4 {
		w, x := random(rand.New(rand.NewPCG(1, uint64(i))), 9, 3, rows)
		w.Single, w.SkipMissing = i&1 != 0, i&2 != 0
		m := open(t, w)
		out := make([]float64, rows*3)
		m.Predict(x, rows, out)
		contributions := make([]float64, rows*3*10)
		m.Contributions(x, rows, contributions)
		alone, one := make([]float64, 3), make([]float64, 9)
		for r := range rows {
			for f := range one {
				one[f] = x[f*rows+r]
			}
			m.Predict(one, 1, alone)
			for k := range 3 {
				want := new32(w.Single, w.Base[k])
				for f, v := range one {
					if v != v && w.SkipMissing {
						continue
					}
					want = new32(w.Single, want+new32(w.Single, new32(w.Single, v)*new32(w.Single, w.Coefficients[k*9+f])))
				}
				got := out[r*3+k]
				if math.Float64bits(got) != math.Float64bits(want) && got == got || (got != got) != (want != want) {
					t.Fatalf("case %d, row %d, output %d: %v, want %v", i, r, k, got, want)
				}
				if math.Float64bits(got) != math.Float64bits(alone[k]) && got == got {
					t.Fatalf("case %d, row %d, output %d: %v together, %v alone", i, r, k, got, alone[k])
				}
				sum := 0.0
				for _, v := range contributions[(r*3+k)*10:][:10] {
					sum += v
				}
				if math.Abs(sum-want) > 1e-4 || (sum != sum) != (want != want) {
					t.Errorf("case %d, row %d, output %d: contributions add up to %v, not %v", i, r, k, sum, want)
				}
			}
		}
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
	open(t, w).Predict(z, 1, want)
	if err := w.Fold(mean, scale); err != nil {
		t.Fatal(err)
	}
	open(t, w).Predict(x, 1, got)
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
	b, err := good().Encode()
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, v uint32) []byte {
		c := append([]byte(nil), b...)
		binary.LittleEndian.PutUint32(c[at:], v)
		return c
	}
	for name, b := range map[string][]byte{
		"empty": nil, "cut": b[:len(b)-1], "longer": append(append([]byte(nil), b...), 0), "version": change(0, 9), "flags": change(4, 8),
		"features": change(8, 1<<31), "outputs": change(12, 0), "outputs too many": change(12, 1<<30), "NaN": change(len(b)-4, 0x7ff80000),
	} {
		if _, err := Open(b); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for i := range 4 {
		w, _ := random(rand.New(rand.NewPCG(3, uint64(i))), i, i+1, 0)
		w.Single, w.SkipMissing = i&1 != 0, i&2 != 0
		b, err := w.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Open(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("error %v is not ErrDamaged", err)
			}
			return
		}
		m.Predict(make([]float64, m.Features()), 1, make([]float64, m.Outputs()))
		m.Contributions(make([]float64, m.Features()), 1, make([]float64, m.Outputs()*(m.Features()+1)))
	})
}

func BenchmarkPredict(b *testing.B) {
	w, x := random(rand.New(rand.NewPCG(4, 4)), 30, 1, 64)
	m := open(b, w)
	out := make([]float64, 64)
	for b.Loop() {
		m.Predict(x, 64, out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(64*b.N), "ns/row")
}
