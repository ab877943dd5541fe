package platt

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestFit finds the sigmoid that labels were drawn by, whatever the scale of
// the scores.
func TestFit(t *testing.T) {
	const rows = 20_000
	for _, unit := range []float64{1, 1e-9, 1e9} {
		rng := rand.New(rand.NewPCG(1, 1))
		s, y := make([]float64, rows), make([]float64, rows)
		for i := range s {
			v := 2 * rng.NormFloat64()
			if rng.Float64() < 1/(1+math.Exp(-1.5*v+0.7)) {
				y[i] = 1
			}
			s[i] = v * unit
		}
		slope, offset := Fit(s, y, nil)
		if math.Abs(slope*unit-1.5) > 0.1 || math.Abs(offset+0.7) > 0.1 {
			t.Errorf("in units of %v: slope %v, offset %v", unit, slope*unit, offset)
		}
	}
}

func TestWeights(t *testing.T) {
	s, y := []float64{1, 2, 3, 4, 5, 6}, []float64{0, 1, 0, 1, 0, 1}
	a, b := Fit(s, y, []float64{1, 2, 1, 2, 2, 1})
	c, d := Fit([]float64{1, 2, 2, 3, 4, 4, 5, 5, 6}, []float64{0, 1, 1, 0, 1, 1, 0, 0, 1}, nil)
	if math.Abs(a-c) > 1e-6 || math.Abs(b-d) > 1e-6 {
		t.Errorf("by weights %v and %v, by rows %v and %v", a, b, c, d)
	}
}

// TestEdges are scores that say nothing, or all. Where they say nothing, the
// probability is the mean of the targets: 4/5 for three rows, 1/3 for one.
func TestEdges(t *testing.T) {
	for name, c := range map[string]struct{ s, y []float64 }{
		"alike":     {[]float64{5, 5, 5, 5}, []float64{0, 1, 1, 1}},
		"apart":     {[]float64{-1, -2, 3, 4}, []float64{0, 0, 1, 1}},
		"backwards": {[]float64{1, 2, -3, -4}, []float64{0, 0, 1, 1}},
	} {
		slope, offset := Fit(c.s, c.y, nil)
		if math.IsNaN(slope+offset) || math.IsInf(slope+offset, 0) {
			t.Errorf("%s: slope %v, offset %v", name, slope, offset)
		}
		for i, v := range c.s {
			p := 1 / (1 + math.Exp(-slope*v-offset))
			if name != "alike" && (p > 0.5) != (c.y[i] > 0) || name == "alike" && math.Abs(p-41.0/60) > 1e-9 {
				t.Errorf("%s: score %v has probability %v", name, v, p)
			}
		}
	}
}
