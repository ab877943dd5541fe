package statistical

import (
	"math"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// betaI is the regularised incomplete beta function Iₓ(a, b) by its continued
// fraction (26.5.8), Lentz's method, from the side where it converges.
func betaI(x, a, b float64) float64 {
	switch {
	case x != x || a <= 0 || b <= 0:
		return math.NaN()
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	}
	front := stablemath.Exp(float64(a*stablemath.Log(x)) + float64(b*math.Log1p(-x)) - betaLn(a, b))
	if x < (a+1)/(a+b+2) {
		return front * betaFraction(x, a, b) / a
	}
	return 1 - front*betaFraction(1-x, b, a)/b
}

func betaFraction(x, a, b float64) float64 {
	const tiny = 1e-300
	keep := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/keep(1-float64((a+b)*x)/(a+1))
	h := d
	for m := 1.0; m < 10_000; m++ {
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / keep(1+float64(even*d))
		c = keep(1 + even/c)
		h *= d * c
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / keep(1+float64(odd*d))
		c = keep(1 + odd/c)
		delta := d * c
		h *= delta
		if math.Abs(delta-1) <= 1e-16 {
			break
		}
	}
	return h
}

// studentCDF is the distribution of Student's t (26.7.1), exact in both tails.
func studentCDF(t, df float64) float64 {
	if t != t || df <= 0 {
		return math.NaN()
	}
	if math.IsInf(t, 0) {
		return (1 + math.Copysign(1, t)) / 2
	}
	square := float64(t * t)
	if square < df { // near the middle the tail would cancel
		return 0.5 + math.Copysign(betaI(square/(df+square), 0.5, df/2)/2, t)
	}
	tail := betaI(df/(df+square), df/2, 0.5) / 2
	if t > 0 {
		return 1 - tail
	}
	return tail
}

func studentInverse(p, df float64) float64 {
	return invert(p, math.Inf(-1), math.Inf(1), func(x float64) float64 { return studentCDF(x, df) })
}

// invert finds the smallest x with cdf(x) ≥ p between lo and hi, by bisection of
// a growing bracket: slow, sure and the same everywhere.
func invert(p, lo, hi float64, cdf func(float64) float64) float64 {
	switch {
	case p < 0 || p > 1 || p != p:
		return math.NaN()
	case p == 0:
		return lo
	case p == 1:
		return hi
	}
	a, b := lo, hi
	if math.IsInf(lo, -1) {
		for a = -1; cdf(a) >= p && a > -1e300; a *= 2 {
		}
	}
	if math.IsInf(hi, 1) {
		for b = math.Max(1, a+1); cdf(b) < p && b < 1e300; b *= 2 {
		}
	}
	for range 1100 {
		mid := a + (b-a)/2
		if mid <= a || mid >= b {
			break
		}
		if cdf(mid) < p {
			a = mid
		} else {
			b = mid
		}
	}
	return b
}

// invertCount is invert for whole numbers from least on.
func invertCount(p, least float64, cdf func(float64) float64) float64 {
	switch {
	case p < 0 || p > 1 || p != p:
		return math.NaN()
	case p == 1:
		return math.Inf(1)
	case cdf(least) >= p:
		return least
	}
	a, step := least, 1.0
	for cdf(a+step) < p && step < 1e15 {
		a += step
		step *= 2
	}
	for b := a + step; b-a > 1; {
		mid := math.Floor((a + b) / 2)
		if cdf(mid) < p {
			a = mid
		} else {
			b = mid
		}
	}
	return a + 1
}
