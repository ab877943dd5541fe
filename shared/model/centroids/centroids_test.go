package centroids

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// random makes weights, and rows with one missing cell in thirty.
func random(rng *rand.Rand, metric Metric, scaled bool, rows int) (w *Weights, x []float64) {
	w = &Weights{Features: 5, Metric: metric}
	for range 3 * w.Features {
		w.Centers = append(w.Centers, 10*rng.NormFloat64())
	}
	for range w.Features {
		if scaled {
			w.Offset, w.Scale = append(w.Offset, rng.NormFloat64()), append(w.Scale, rng.Float64())
		}
	}
	for range rows * w.Features {
		v := 10 * rng.NormFloat64()
		if rng.IntN(30) == 0 {
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

// TestDistances compares with the definition, alone and together.
func TestDistances(t *testing.T) {
	const rows = 70
	for i := range 4 {
		w, x := random(rand.New(rand.NewPCG(1, uint64(i))), Metric(i&1), i&2 != 0, rows)
		s := open(t, w).NewSession()
		out, alone, one := make([]float64, rows*3), make([]float64, 3), make([]float64, 5)
		s.Predict(x, rows, out)
		if n := testing.AllocsPerRun(10, func() { s.Predict(x, rows, out) }); n > 0 {
			t.Errorf("%v allocations", n)
		}
		for r := range rows {
			for f := range one {
				one[f] = x[f*rows+r]
			}
			s.Predict(one, 1, alone)
			for k := range 3 {
				var dot, a, b, square float64
				for f, v := range one {
					if w.Scale != nil {
						v = (v - w.Offset[f]) * w.Scale[f]
					}
					c := w.Centers[k*5+f]
					dot, a, b, square = dot+v*c, a+v*v, b+c*c, square+(v-c)*(v-c)
				}
				want := math.Sqrt(square)
				if w.Metric == Cosine {
					want = 1 - dot/math.Sqrt(a*b)
				}
				got := out[r*3+k]
				if !(math.Abs(got-want) <= 1e-12*max(1, want)) && !(math.IsNaN(got) && math.IsNaN(want)) {
					t.Fatalf("case %d, row %d, center %d: %v, want %v", i, r, k, got, want)
				}
				if math.Float64bits(got) != math.Float64bits(alone[k]) && !math.IsNaN(got) {
					t.Fatalf("case %d, row %d, center %d: %v together, %v alone", i, r, k, got, alone[k])
				}
			}
		}
	}
}

// TestExtremes are numbers whose squares overflow or vanish.
func TestExtremes(t *testing.T) {
	for _, c := range []struct {
		metric             Metric
		center, row0, row1 float64
		want               float64
	}{
		{Euclidean, 1e300, -1e300, 1e300, 2e300},
		{Euclidean, 3e-200, 0, 3e-200, 3e-200},
		{Euclidean, -math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, math.MaxFloat64},
		{Euclidean, 5, 5, 5, 0},
		{Cosine, 1e300, 1e300, -1e300, 1},
		{Cosine, 1e-200, 1e-200, 1e-200, 0},
		{Cosine, 1, 0, 0, 1},
		{Cosine, 0, 1, 1, 1},
	} {
		w := &Weights{Features: 2, Metric: c.metric, Centers: []float64{c.center, c.center}}
		out := make([]float64, 1)
		open(t, w).NewSession().Predict([]float64{c.row0, c.row1}, 1, out)
		if math.Abs(out[0]-c.want) > 1e-15*c.want+1e-15 && c.want < 1 || math.Abs(out[0]/c.want-1) > 1e-15 && c.want >= 1 {
			t.Errorf("(%v, %v) from %v twice: %v, want %v", c.row0, c.row1, c.center, out[0], c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	good := func() *Weights { return &Weights{Features: 2, Centers: []float64{1, 2, 3, 4}} }
	for name, edit := range map[string]func(*Weights){
		"NaN": func(w *Weights) { w.Centers[1] = math.NaN() }, "a metric": func(w *Weights) { w.Metric = 2 },
		"half a center": func(w *Weights) { w.Centers = w.Centers[:3] }, "no centers": func(w *Weights) { w.Centers = nil },
		"no features": func(w *Weights) { w.Features = 0 }, "one offset": func(w *Weights) { w.Offset, w.Scale = []float64{1}, []float64{1} },
		"no scales": func(w *Weights) { w.Offset = []float64{1, 1} },
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
		"empty": nil, "cut": b[:len(b)-1], "longer": append(append([]byte(nil), b...), 0), "version": change(0, 9), "metric": change(4, 2),
		"scaled": change(8, 1), "features": change(12, 1<<31), "no features": change(12, 0), "centers": change(16, 1<<30), "NaN": change(len(b)-4, 0x7ff80000),
	} {
		if _, err := Open(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for i := range 4 {
		w, _ := random(rand.New(rand.NewPCG(3, uint64(i))), Metric(i&1), i&2 != 0, 0)
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
		out := make([]float64, m.Outputs())
		m.NewSession().Predict(make([]float64, m.Features()), 1, out)
		for _, d := range out {
			if !(d >= 0) || math.IsInf(d, 0) {
				t.Fatalf("a distance of %v", d)
			}
		}
	})
}

func BenchmarkPredict(b *testing.B) {
	w, x := random(rand.New(rand.NewPCG(4, 4)), Euclidean, false, 64)
	s := open(b, w).NewSession()
	out := make([]float64, 64*3)
	for b.Loop() {
		s.Predict(x, 64, out)
	}
}
