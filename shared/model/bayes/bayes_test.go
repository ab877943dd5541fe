package bayes

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
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

// TestPredict compares with the definition, alone and together.
func TestPredict(t *testing.T) {
	const rows = 30
	rng := rand.New(rand.NewPCG(1, 1))
	for _, features := range []int{0, 1, 6} {
		w := random(rng, features)
		m := open(t, w)
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
	b, err := random(rng, 2).Encode()
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, v uint32) []byte {
		c := append([]byte(nil), b...)
		binary.LittleEndian.PutUint32(c[at:], v)
		return c
	}
	for name, b := range map[string][]byte{
		"empty": nil, "cut": b[:len(b)-1], "longer": append(append([]byte(nil), b...), 0), "version": change(0, 9),
		"features": change(4, 3), "features too many": change(4, 1<<31), "NaN": change(len(b)-4, 0x7ff80000),
	} {
		if _, err := Open(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for i := range 4 {
		b, err := random(rand.New(rand.NewPCG(3, uint64(i))), i).Encode()
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
		m.NewSession().Predict(make([]float64, m.Features()), 1, make([]float64, 2))
	})
}
