package subspace

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/portico-ml/portico/shared/model/modeltest"
)

// plane is the one of the second and third of four features, turned.
func plane() *Weights {
	c, s := math.Cos(0.3), math.Sin(0.3)
	return &Weights{Center: []float64{1, 0, -2, 5}, Axes: []float64{0, c, s, 0, 0, -s, c, 0}}
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
	modeltest.Rows(t, modeltest.Reopen(t, w, Open).NewSession(), x, 4, 1, func(r int, row, got []float64) {
		d := make([]float64, 4)
		for f := range d {
			d[f] = row[f] - w.Center[f]
		}
		want := math.Sqrt((d[0]*d[0] + d[3]*d[3]) / (d[0]*d[0] + d[1]*d[1] + d[2]*d[2] + d[3]*d[3]))
		if !(math.Abs(got[0]-want) <= 1e-14) && !(math.IsNaN(got[0]) && math.IsNaN(want)) {
			t.Fatalf("row %d: %v, want %v", r, got[0], want)
		}
	})
}

// TestContributionsAddUp holds contributions to the square of the share.
func TestContributionsAddUp(t *testing.T) {
	const rows = 40
	rng := rand.New(rand.NewPCG(2, 1))
	x := make([]float64, 4*rows)
	for i := range x {
		if x[i] = rng.NormFloat64(); rng.IntN(30) == 0 {
			x[i] = math.NaN()
		}
	}
	m := modeltest.Reopen(t, plane(), Open)
	for f, extreme := range []float64{1e300, 0, -1e300, 0} {
		x[f*rows], x[f*rows+1] = extreme, plane().Center[f]
	}
	modeltest.AddUp(t, m.NewSession(), x, 4, 1, 1e-12, func(row []float64) []float64 {
		out := make([]float64, 1)
		m.NewSession().Predict(row, 1, out)
		return []float64{out[0] * out[0]}
	})
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
		modeltest.Reopen(t, plane(), Open).NewSession().Predict(c.row, 1, out)
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
	modeltest.Damaged(t, modeltest.Encode(t, plane()), Open, ErrDamaged, modeltest.Damage{
		"version":  {0, 9},
		"features": {4, 1 << 31}, "no features": {4, 0}, "axes": {8, 1 << 30}, "NaN": {-4, 0x7ff80000},
	})
}

func FuzzOpen(f *testing.F) {
	modeltest.FuzzOpen(f, Open, ErrDamaged, func(t *testing.T, m *Model) {
		out := make([]float64, 1)
		m.NewSession().Predict(make([]float64, m.Features()), 1, out)
		if !(out[0] >= 0 && out[0] <= 1) {
			t.Fatalf("a share of %v", out[0])
		}
	}, plane())
}
