package centroids

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/portico-ml/portico/shared/model/modeltest"
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

// TestDistances compares with the definition, alone and together.
func TestDistances(t *testing.T) {
	for i := range 4 {
		w, x := random(rand.New(rand.NewPCG(1, uint64(i))), Metric(i&1), i&2 != 0, 70)
		modeltest.Rows(t, modeltest.Reopen(t, w, Open).NewSession(), x, 5, 3, func(r int, row, scored []float64) {
			for k, got := range scored {
				var dot, a, b, square float64
				for f, v := range row {
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
				if !(math.Abs(got-want) <= 1e-12*max(1, want)) && !(math.IsNaN(got) && math.IsNaN(want)) {
					t.Fatalf("case %d, row %d, center %d: %v, want %v", i, r, k, got, want)
				}
			}
		})
	}
}

// TestContributionsAddUp holds contributions to the squared distance, or the
// distance by the angle.
func TestContributionsAddUp(t *testing.T) {
	for i := range 4 {
		w, x := random(rand.New(rand.NewPCG(2, uint64(i))), Metric(i&1), i&2 != 0, 70)
		for f := range w.Features {
			x[f*70] = 0 // of no length, where nothing is scaled
			if i == 1 {
				w.Centers[f] = 0
			}
		}
		m := modeltest.Reopen(t, w, Open)
		modeltest.AddUp(t, m.NewSession(), x, 5, 3, 1e-12, func(row []float64) []float64 {
			out := make([]float64, 3)
			m.NewSession().Predict(row, 1, out)
			for k, d := range out {
				if w.Metric == Euclidean {
					out[k] = d * d
				}
			}
			return out
		})
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
		modeltest.Reopen(t, w, Open).NewSession().Predict([]float64{c.row0, c.row1}, 1, out)
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
	modeltest.Damaged(t, modeltest.Encode(t, good()), Open, ErrDamaged, modeltest.Damage{
		"version": {0, 9}, "metric": {4, 2},
		"scaled": {8, 1}, "features": {12, 1 << 31}, "no features": {12, 0}, "centers": {16, 1 << 30}, "NaN": {-4, 0x7ff80000},
	})
}

func FuzzOpen(f *testing.F) {
	var seeds []modeltest.Encoder
	for i := range 4 {
		w, _ := random(rand.New(rand.NewPCG(3, uint64(i))), Metric(i&1), i&2 != 0, 0)
		seeds = append(seeds, w)
	}
	modeltest.FuzzOpen(f, Open, ErrDamaged, func(t *testing.T, m *Model) {
		out := make([]float64, m.Outputs())
		m.NewSession().Predict(make([]float64, m.Features()), 1, out)
		for _, d := range out {
			if !(d >= 0) || math.IsInf(d, 0) {
				t.Fatalf("a distance of %v", d)
			}
		}
	}, seeds...)
}

func BenchmarkPredict(b *testing.B) {
	w, x := random(rand.New(rand.NewPCG(4, 4)), Euclidean, false, 64)
	s := modeltest.Reopen(b, w, Open).NewSession()
	out := make([]float64, 64*3)
	for b.Loop() {
		s.Predict(x, 64, out)
	}
}
