package statistical

import (
	"math"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// The methods are those of Abramowitz and Stegun, Handbook of Mathematical
// Functions, by the formula numbers given. Products that feed a sum are
// rounded explicitly, so that no compiler fuses them.

func beta(x, y float64) float64 { return stablemath.Exp(betaLn(x, y)) }

func betaLn(x, y float64) float64 {
	if x < 0 || y < 0 {
		return math.NaN()
	}
	if x == 0 || y == 0 {
		return math.Inf(1)
	}
	a, _ := math.Lgamma(x)
	b, _ := math.Lgamma(y)
	c, _ := math.Lgamma(x + y)
	return a + b - c
}

func gamma(x float64) float64 {
	if x < 0 && x == math.Trunc(x) {
		return math.NaN()
	}
	return math.Gamma(x)
}

func gammaLn(x float64) float64 {
	if x < 0 {
		return math.NaN()
	}
	v, _ := math.Lgamma(x)
	return v
}

// ellipticK is the complete elliptic integral of the first kind of parameter m
// by the arithmetic-geometric mean (17.6.3).
func ellipticK(m float64) float64 {
	if m < 0 || m > 1 {
		return math.NaN()
	}
	if m == 1 {
		return math.Inf(1)
	}
	a, b := 1.0, math.Sqrt(1-m)
	for range 40 {
		if math.Abs(a-b) <= 1e-16*a {
			break
		}
		a, b = (a+b)/2, math.Sqrt(a*b)
	}
	return math.Pi / (2 * a)
}

// ellipticE is the complete elliptic integral of the second kind (17.6.4).
func ellipticE(m float64) float64 {
	if m < 0 || m > 1 {
		return math.NaN()
	}
	if m == 1 {
		return 1
	}
	a, b, c, sum, power := 1.0, math.Sqrt(1-m), math.Sqrt(m), m/2, 0.5
	for range 40 {
		if math.Abs(c) <= 1e-17 {
			break
		}
		c = (a - b) / 2
		a, b = (a+b)/2, math.Sqrt(a*b)
		power *= 2
		sum += float64(power * float64(c*c))
	}
	return math.Pi / (2 * a) * (1 - sum)
}

// erfcScaled is exp(x²)·erfc(x) without the underflow: by its continued
// fraction (7.1.14) where x is large.
func erfcScaled(x float64) float64 {
	if x < 10 {
		return stablemath.Exp(x*x) * math.Erfc(x)
	}
	t := 0.0
	for k := 60; k > 0; k-- {
		t = float64(k) / 2 / (x + t)
	}
	return 1 / math.SqrtPi / (x + t)
}

const eulerGamma = 0.57721566490153286060651209008240243104215933593992

// ein is the entire exponential integral ∫₀ˣ (1−e⁻ᵗ)/t dt: by its series
// (5.1.11), and for large x as ln x + γ + E1(x).
func ein(x float64) float64 {
	switch {
	case x != x || math.IsInf(x, 1):
		return x
	case x > 20:
		t := 0.0
		for k := 60; k > 0; k-- { // E1 by its continued fraction (5.1.22)
			t = float64(k) / (1 + float64(k)/(x+t))
		}
		return stablemath.Log(x) + eulerGamma + stablemath.Exp(-x)/(x+t)
	}
	sum, term := 0.0, 1.0
	for k := 1.0; k < 2000; k++ {
		term *= -x / k
		d := -term / k
		sum += d
		if math.Abs(d) <= 1e-17*math.Abs(sum) {
			break
		}
	}
	return sum
}

// gammaP is the regularised lower incomplete gamma function P(a, x): by its
// series (6.5.29), or from Q where that is the smaller.
func gammaP(a, x float64) float64 {
	switch {
	case a <= 0 || x < 0 || a != a || x != x:
		return math.NaN()
	case x == 0:
		return 0
	case math.IsInf(x, 1):
		return 1
	case x >= a+1:
		return 1 - gammaQFraction(a, x)
	}
	return gammaPSeries(a, x)
}

// gammaQ is the regularised upper incomplete gamma function Q(a, x).
func gammaQ(a, x float64) float64 {
	switch {
	case a <= 0 || x < 0 || a != a || x != x:
		return math.NaN()
	case x == 0:
		return 1
	case math.IsInf(x, 1):
		return 0
	case x >= a+1:
		return gammaQFraction(a, x)
	}
	return 1 - gammaPSeries(a, x)
}

func gammaPSeries(a, x float64) float64 {
	sum, term := 1/a, 1/a
	for k := 1.0; k < 10_000; k++ {
		term *= x / (a + k)
		sum += term
		if term <= 1e-17*sum {
			break
		}
	}
	return sum * gammaFactor(a, x)
}

// gammaQFraction evaluates the continued fraction (6.5.31) by Lentz's method.
func gammaQFraction(a, x float64) float64 {
	const tiny = 1e-300
	b := x + 1 - a
	c, d := 1/tiny, 1/b
	h := d
	for k := 1.0; k < 10_000; k++ {
		an := -k * (k - a)
		b += 2
		if d = float64(an*d) + b; math.Abs(d) < tiny {
			d = tiny
		}
		if c = b + an/c; math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		delta := d * c
		h *= delta
		if math.Abs(delta-1) <= 1e-16 {
			break
		}
	}
	return h * gammaFactor(a, x)
}

// gammaFactor is xᵃ·e⁻ˣ/Γ(a).
func gammaFactor(a, x float64) float64 {
	lg, _ := math.Lgamma(a)
	return stablemath.Exp(float64(a*stablemath.Log(x)) - x - lg)
}

// gammaPInverse is the x with P(a, x) = p, by bisection of a growing bracket:
// slow, sure and the same everywhere.
func gammaPInverse(a, p float64) float64 {
	switch {
	case a <= 0 || p < 0 || p > 1 || a != a || p != p:
		return math.NaN()
	case p == 0:
		return 0
	case p == 1:
		return math.Inf(1)
	}
	lo, hi := 0.0, math.Max(a, 1)
	for gammaP(a, hi) < p {
		lo, hi = hi, 2*hi
	}
	for range 200 {
		mid := lo + (hi-lo)/2
		if mid == lo || mid == hi {
			break
		}
		if gammaP(a, mid) < p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// polygamma is the n-th derivative of the digamma function at x > 0: recurrence
// (6.4.6) up to where its asymptotic series (6.4.11) is exact.
func polygamma(x, n float64) float64 {
	if n < 0 || n != math.Trunc(n) || n > 150 || x < 0 || x != x {
		return math.NaN()
	}
	if x == 0 {
		return math.Inf(1)
	}
	if n == 0 {
		return digamma(x)
	}
	sign := 1.0
	if math.Mod(n, 2) == 0 {
		sign = -1
	}
	nf, sum := factorial(n), 0.0
	for ; x < 30+n; x++ {
		sum += float64(nf * math.Pow(x, -n-1))
	}
	sum += float64(factorial(n-1)*math.Pow(x, -n)) + float64(nf*math.Pow(x, -n-1)/2)
	// Γ-factors (2k+n−1)!/(2k)! grow from term to term.
	rise := nf * (n + 1) / 2 // (n+1)!/2!
	for k, b := range bernoulli {
		m := 2 * float64(k+1)
		sum += float64(b * float64(rise*math.Pow(x, -m-n)))
		rise *= (m + n) * (m + n + 1) / ((m + 1) * (m + 2))
	}
	return sign * sum
}

// digamma by recurrence (6.3.5) and asymptotic series (6.3.18).
func digamma(x float64) float64 {
	sum := 0.0
	for ; x < 12; x++ {
		sum -= 1 / x
	}
	sum += stablemath.Log(x) - 1/(2*x)
	for k, b := range bernoulli {
		m := 2 * float64(k+1)
		sum -= b / float64(m*math.Pow(x, m))
	}
	return sum
}

// bernoulli are B₂, B₄, …
var bernoulli = []float64{1.0 / 6, -1.0 / 30, 1.0 / 42, -1.0 / 30, 5.0 / 66, -691.0 / 2730, 7.0 / 6, -3617.0 / 510}
