package stablemath

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// ulps is the distance of a and b in units in the last place.
func ulps(a, b float64) float64 {
	if a == b || a != a && b != b {
		return 0
	}
	return math.Abs(a-b) / (math.Nextafter(math.Abs(b), math.Inf(1)) - math.Abs(b))
}

func TestAgainstMath(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, f := range []struct {
		name      string
		own, std  func(float64) float64
		lo, hi    float64
		tolerance float64
	}{
		{"Exp", Exp, math.Exp, -745, 709, 2},
		{"Exp small", Exp, math.Exp, -1, 1, 2},
		{"Log", Log, math.Log, 0, 1e6, 2},
		{"Log near 1", Log, math.Log, 0.5, 2, 2},
		{"Tanh", Tanh, math.Tanh, -25, 25, 3},
		{"Tanh small", Tanh, math.Tanh, -0.7, 0.7, 3},
		{"Erfc", Erfc, math.Erfc, -7, 26, 6},
		{"Erfc small", Erfc, math.Erfc, -1, 1, 6},
	} {
		for range 100_000 {
			x := f.lo + rng.Float64()*(f.hi-f.lo)
			if got, want := f.own(x), f.std(x); ulps(got, want) > f.tolerance {
				t.Fatalf("%s(%v) = %v, math has %v: %v ulp apart", f.name, x, got, want, ulps(got, want))
			}
		}
	}
}

// TestBits pins results, so that a change of algorithm, compiler or
// architecture that moves a bit is seen.
func TestBits(t *testing.T) {
	for _, c := range []struct {
		name string
		got  float64
		want uint64
	}{
		{"Exp(1)", Exp(1), 0x4005bf0a8b145769},
		{"Exp(-0.3)", Exp(-0.3), 0x3fe7b4c869c37c05},
		{"Exp(88.7)", Exp(88.7), 0x47ef4705bbffae5c},
		{"Log(10)", Log(10), 0x40026bb1bbb55516},
		{"Log(0.17)", Log(0.17), 0xbffc59ef6ae05562},
		{"Tanh(0.3)", Tanh(0.3), 0x3fd2a4dda7d914fa},
		{"Tanh(1.5)", Tanh(1.5), 0x3fecf6f9786df577},
		{"Sigmoid(0.7)", Sigmoid(0.7), 0x3fe561cb52a19476},
		{"Erfc(0.3)", Erfc(0.3), 0x3fe57be3bbf10af8},
		{"Erfc(2.1)", Erfc(2.1), 0x3f686864fb26b017},
		{"Normal(-3.7)", Normal(-3.7), 0x3f1c425151b7d9e2},
	} {
		if got := math.Float64bits(c.got); got != c.want {
			t.Errorf("%s = %v, bits %#x, want %#x", c.name, c.got, got, c.want)
		}
	}
}

func TestExpIsAccurate(t *testing.T) {
	// e**x by its series in 200 bits, for arguments a sigmoid meets.
	for x := -20.0; x <= 20; x += 0.37 {
		sum, term := big.NewFloat(1).SetPrec(200), big.NewFloat(1).SetPrec(200)
		for i := 1; i < 200; i++ {
			term.Mul(term, big.NewFloat(x)).Quo(term, big.NewFloat(float64(i)))
			sum.Add(sum, term)
		}
		if want, _ := sum.Float64(); ulps(Exp(x), want) > 1 {
			t.Errorf("Exp(%v) = %v, true value %v", x, Exp(x), want)
		}
	}
}

func TestSpecialValues(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"Exp(0)", Exp(0), 1},
		{"Exp(-0)", Exp(math.Copysign(0, -1)), 1},
		{"Exp(+Inf)", Exp(inf), inf},
		{"Exp(-Inf)", Exp(-inf), 0},
		{"Exp(NaN)", Exp(nan), nan},
		{"Exp(710)", Exp(710), inf},
		{"Exp(-746)", Exp(-746), 0},
		{"Log(0)", Log(0), -inf},
		{"Log(-1)", Log(-1), nan},
		{"Log(+Inf)", Log(inf), inf},
		{"Log(1)", Log(1), 0},
		{"Tanh(+Inf)", Tanh(inf), 1},
		{"Tanh(-Inf)", Tanh(-inf), -1},
		{"Tanh(NaN)", Tanh(nan), nan},
		{"Tanh(0)", Tanh(0), 0},
		{"Sigmoid(0)", Sigmoid(0), 0.5},
		{"Sigmoid(-800)", Sigmoid(-800), 0},
		{"Sigmoid(800)", Sigmoid(800), 1},
		{"Erfc(+Inf)", Erfc(inf), 0},
		{"Erfc(-Inf)", Erfc(-inf), 2},
		{"Erfc(NaN)", Erfc(nan), nan},
		{"Erfc(0)", Erfc(0), 1},
		{"Normal(0)", Normal(0), 0.5},
		{"Normal(40)", Normal(40), 1},
		{"Sigmoid(NaN)", Sigmoid(nan), nan},
	} {
		if c.got != c.want && !(c.got != c.got && c.want != c.want) {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
}

func BenchmarkExp(b *testing.B) {
	x := -8.0
	for b.Loop() {
		x += Exp(x) * 1e-9
	}
}
