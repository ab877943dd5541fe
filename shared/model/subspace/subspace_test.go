package subspace

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// plane is the one of the second and third of four features, turned.
func plane() *Weights {
	c, s := math.Cos(0.3), math.Sin(0.3)
	return &Weights{Center: []float64{1, 0, -2, 5}, Axes: []float64{0, c, s, 0, 0, -s, c, 0}}
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

// TestShares compares with the definition, alone and together.
func TestShares(t *testing.T) {
	const rows = 70
	rng := rand.New(rand.NewPCG(1, 1))
	x := make([]float64, 4*rows)
	for i := range x {
		if x[i] = rng.NormFloat64(); rng.IntN(30) == 0 {
			x[i] = math.NaN()
		}
	}
	w := plane()
	s := open(t, w).NewSession()
	out, alone, one := make([]float64, rows), make([]float64, 1), make([]float64, 4)
	s.Predict(x, rows, out)
	if n := testing.AllocsPerRun(10, func() { s.Predict(x, rows, out) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	for r := range rows {
		for f := range one {
			one[f] = x[f*rows+r]
		}
		s.Predict(one, 1, alone)
		d := make([]float64, 4)
		for f := range d {
			d[f] = one[f] - w.Center[f]
		}
		want := math.Sqrt((d[0]*d[0] + d[3]*d[3]) / (d[0]*d[0] + d[1]*d[1] + d[2]*d[2] + d[3]*d[3]))
		if got := out[r]; !(math.Abs(got-want) <= 1e-14) && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("row %d: %v, want %v", r, got, want)
		}
		if math.Float64bits(out[r]) != math.Float64bits(alone[0]) && !math.IsNaN(out[r]) {
			t.Fatalf("row %d: %v together, %v alone", r, out[r], alone[0])
		}
	}
}

// TestExtremes are rows at the edges of what numbers are.
func TestExtremes(t *testing.T) {
	for _, c := range []struct {
		row  []float64
		want float64
	}{
		{[]float64{1, 0, -2, 5}, 0},
		{[]float64{1, 7, -2, 5}, 0},
		{[]float64{2, 0, -2, 5}, 1},
		{[]float64{1e300, 0, -1e300, 0}, math.Sqrt(0.5)},
		{[]float64{math.MaxFloat64, -math.MaxFloat64, 0, 0}, math.Sqrt(0.5)},
	} {
		out := make([]float64, 1)
		open(t, plane()).NewSession().Predict(c.row, 1, out)
		if math.Abs(out[0]-c.want) > 1e-15 {
			t.Errorf("%v: %v, want %v", c.row, out[0], c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, edit := range map[string]func(*Weights){
		"NaN": func(w *Weights) { w.Center[1] = math.NaN() }, "a long axis": func(w *Weights) { w.Axes[1] = 2 },
		"half an axis": func(w *Weights) { w.Axes = w.Axes[:6] }, "no features": func(w *Weights) { w.Center = nil },
	} {
		w := plane()
		edit(w)
		if _, err := w.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
	b, err := plane().Encode()
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
		"features": change(4, 1<<31), "no features": change(4, 0), "axes": change(8, 1<<30), "NaN": change(len(b)-4, 0x7ff80000),
	} {
		if _, err := Open(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	b, err := plane().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Open(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("error %v is not ErrDamaged", err)
			}
			return
		}
		out := make([]float64, 1)
		m.NewSession().Predict(make([]float64, m.Features()), 1, out)
		if !(out[0] >= 0 && out[0] <= 1) {
			t.Fatalf("a share of %v", out[0])
		}
	})
}
