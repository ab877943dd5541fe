package ridge

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/scaled"
)

// TestIllConditioned solves equations whose condition is beyond what the normal
// equations alone can do: powers of years.
func TestIllConditioned(t *testing.T) {
	d := &learn.Data{Rows: 60}
	want := []float64{3, -2, 0.5}
	for p := range want {
		x := make([]float64, d.Rows)
		for r := range x {
			x[r] = math.Pow(1960+float64(r), float64(p+1))
		}
		d.X = append(d.X, x)
	}
	m := scaled.New(d, scaled.Deviation)
	d.Label = make([]float64, d.Rows)
	for r := range d.Label {
		d.Label[r] = 7
		for f, w := range want {
			d.Label[r] += w * m.At(f, r)
		}
	}
	s, err := Solve(t.Context(), learn.NewSession(), m, d, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if s.Residual > 1e-18 || math.Abs(s.Base-7) > 1e-9 {
		t.Errorf("weights %v, base %v, residual %v", s.Weights, s.Base, s.Residual)
	}
}

// TestDependent takes the shortest solution where columns are equal, or are
// indicators that sum to 1.
func TestDependent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const rows = 90
	d := &learn.Data{Rows: rows, X: make([][]float64, 5), Label: make([]float64, rows)}
	for f := range d.X {
		d.X[f] = make([]float64, rows)
	}
	for r := range rows {
		d.X[0][r] = rng.NormFloat64()
		d.X[1][r] = d.X[0][r]
		d.X[2+r%3][r] = 1
		d.Label[r] = 4*d.X[0][r] + float64(r%3) + 10
	}
	s, err := Solve(t.Context(), learn.NewSession(), scaled.New(d, scaled.Center), d, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	for f, want := range []float64{2, 2, -1, 0, 1} {
		if math.Abs(s.Weights[f]-want) > 1e-9 {
			t.Errorf("weights %v", s.Weights)
			break
		}
	}
	if s.Residual > 1e-18 {
		t.Errorf("a residual of %v", s.Residual)
	}
}
