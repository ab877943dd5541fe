package kernel

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
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

// TestSums compares with the definition, alone and together.
func TestSums(t *testing.T) {
	const rows = 70
	w, x := random(rand.New(rand.NewPCG(1, 1)), rows)
	s := open(t, w).NewSession()
	out, alone, one := make([]float64, rows), make([]float64, 1), make([]float64, 5)
	s.Predict(x, rows, out)
	if n := testing.AllocsPerRun(10, func() { s.Predict(x, rows, out) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	for r := range rows {
		for f := range one {
			one[f] = x[f*rows+r]
		}
		s.Predict(one, 1, alone)
		want := w.Base
		for v, c := range w.Coefficients {
			d := 0.0
			for f, x := range one {
				d += math.Pow((x-w.Offset[f])*w.Scale[f]-w.Vectors[v*5+f], 2)
			}
			want += c * math.Exp(-w.Gamma*d)
		}
		if got := out[r]; !(math.Abs(got-want) <= 1e-13) && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("row %d: %v, want %v", r, got, want)
		}
		if math.Float64bits(out[r]) != math.Float64bits(alone[0]) && !math.IsNaN(out[r]) {
			t.Fatalf("row %d: %v together, %v alone", r, out[r], alone[0])
		}
	}
	s.Predict([]float64{1e308, -1e308, 0, 0, 0}, 1, alone)
	if alone[0] != w.Base {
		t.Errorf("far from all vectors: %v, want %v", alone[0], w.Base)
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
	b, err := w.Encode()
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, v uint32) []byte {
		c := slices.Clone(b)
		binary.LittleEndian.PutUint32(c[at:], v)
		return c
	}
	for name, b := range map[string][]byte{
		"empty": nil, "cut": b[:len(b)-1], "longer": append(slices.Clone(b), 0), "version": change(0, 9),
		"features": change(4, 1<<31), "no features": change(4, 0), "vectors": change(8, 1<<30), "NaN": change(len(b)-4, 0x7ff80000),
	} {
		if _, err := Open(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for i := range 3 {
		w, _ := random(rand.New(rand.NewPCG(3, uint64(i))), 0)
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
		m.NewSession().Predict(make([]float64, m.Features()), 1, make([]float64, m.Outputs()))
	})
}
