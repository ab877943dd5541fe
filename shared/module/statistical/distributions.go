package statistical

import (
	"math"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// distribution is a family of probability distributions. Its functions take the
// parameters in the order of params.
type distribution struct {
	name   string
	params []string
	// valid says what the parameters must hold; "" while they do.
	valid func(p []float64) string
	// pdf is the density, or the probability of a whole number.
	pdf func(x float64, p []float64) float64
	cdf func(x float64, p []float64) float64
	inv func(q float64, p []float64) float64 // NaN outside 0 ≤ q ≤ 1
}

func exp(x float64) float64 { return stablemath.Exp(x) }

// log is -∞ at 0.
func log(x float64) float64 { return stablemath.Log(x) }

func lgamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}

func choose(n, k float64) float64 { return lgamma(n+1) - lgamma(k+1) - lgamma(n-k+1) }

// positive requires the parameters at these places to be above 0.
func positive(names []string, at ...int) func([]float64) string {
	return func(p []float64) string {
		for _, i := range at {
			if p[i] <= 0 {
				return names[i] + " must be above 0"
			}
		}
		return ""
	}
}

// family makes a distribution with a location and a scale, its first two
// parameters, of the standard one; lo and hi bound its support. A nil inv is
// found by bisection.
func family(name string, extra []string, lo, hi float64, pdf, cdf, inv func(z float64, rest []float64) float64) distribution {
	params := append([]string{locationParam, scaleParam}, extra...)
	must := []int{1}
	for i := range extra {
		must = append(must, i+2)
	}
	d := distribution{
		name: name, params: params, valid: positive(params, must...),
		pdf: func(x float64, p []float64) float64 {
			z := (x - p[0]) / p[1]
			if z < lo || z > hi {
				return 0
			}
			return pdf(z, p[2:]) / p[1]
		},
		cdf: func(x float64, p []float64) float64 {
			switch z := (x - p[0]) / p[1]; {
			case z <= lo:
				return 0
			case z >= hi:
				return 1
			default:
				return cdf(z, p[2:])
			}
		},
	}
	if inv == nil {
		inv = func(q float64, rest []float64) float64 {
			return invert(q, lo, hi, func(z float64) float64 { return cdf(z, rest) })
		}
	}
	d.inv = func(q float64, p []float64) float64 {
		if q < 0 || q > 1 {
			return math.NaN()
		}
		return p[0] + float64(p[1]*inv(q, p[2:]))
	}
	return d
}

// counts makes a distribution of the whole numbers from least on.
func counts(name string, params []string, least func(p []float64) float64, valid func([]float64) string, mass, cdf func(k float64, p []float64) float64) distribution {
	d := distribution{name: name, params: params, valid: valid}
	d.pdf = func(x float64, p []float64) float64 {
		if x != math.Trunc(x) || x < least(p) {
			return 0
		}
		return mass(x, p)
	}
	d.cdf = func(x float64, p []float64) float64 {
		if x < least(p) {
			return 0
		}
		return cdf(math.Floor(x), p)
	}
	d.inv = func(q float64, p []float64) float64 {
		return invertCount(q, least(p), func(k float64) float64 { return d.cdf(k, p) })
	}
	return d
}

func zero([]float64) float64 { return 0 }

func probability(names []string, at int) func([]float64) string {
	return func(p []float64) string {
		for i, v := range p {
			switch {
			case i == at && (v <= 0 || v > 1):
				return names[i] + " must be above 0 and at most 1"
			case i != at && (v < 1 || v != math.Trunc(v)):
				return names[i] + " must be a whole number from 1"
			}
		}
		return ""
	}
}

var inf = math.Inf(1)

// distributions are those of the module, by name.
var distributions = []distribution{
	betaDistribution(),
	binomial(),
	family("Cauchy", nil, -inf, inf,
		func(z float64, _ []float64) float64 { return 1 / (math.Pi * (1 + float64(z*z))) },
		func(z float64, _ []float64) float64 { return 0.5 + math.Atan(z)/math.Pi },
		func(q float64, _ []float64) float64 {
			if q == 0 || q == 1 {
				return math.Copysign(inf, q-0.5)
			}
			return math.Tan(math.Pi * (q - 0.5))
		}),
	chiSquare(),
	exponential(),
	fisher(),
	gammaDistribution(),
	extremeValue(),
	counts("Geometric", []string{successParam}, func([]float64) float64 { return 1 }, probability([]string{successParam}, 0),
		func(k float64, p []float64) float64 { return p[0] * math.Pow(1-p[0], k-1) },
		func(k float64, p []float64) float64 { return -math.Expm1(k * math.Log1p(-p[0])) }),
	family("GumbelMax", nil, -inf, inf,
		func(z float64, _ []float64) float64 { return exp(-z - exp(-z)) },
		func(z float64, _ []float64) float64 { return exp(-exp(-z)) },
		func(q float64, _ []float64) float64 { return -log(-log(q)) }),
	family("GumbelMin", nil, -inf, inf,
		func(z float64, _ []float64) float64 { return exp(z - exp(z)) },
		func(z float64, _ []float64) float64 { return -math.Expm1(-exp(z)) },
		func(q float64, _ []float64) float64 { return log(-math.Log1p(-q)) }),
	family("HalfNormal", nil, 0, inf,
		func(z float64, _ []float64) float64 { return math.Sqrt(2/math.Pi) * exp(-z*z/2) },
		func(z float64, _ []float64) float64 { return math.Erf(z / math.Sqrt2) },
		func(q float64, _ []float64) float64 { return math.Sqrt2 * math.Erfinv(q) }),
	family("Laplace", nil, -inf, inf,
		func(z float64, _ []float64) float64 { return exp(-math.Abs(z)) / 2 },
		func(z float64, _ []float64) float64 {
			if z < 0 {
				return exp(z) / 2
			}
			return 1 - exp(-z)/2
		},
		func(q float64, _ []float64) float64 {
			if q < 0.5 {
				return log(2 * q)
			}
			return -log(2 * (1 - q))
		}),
	family("Logistic", nil, -inf, inf,
		func(z float64, _ []float64) float64 {
			e := exp(-math.Abs(z))
			return e / ((1 + e) * (1 + e))
		},
		func(z float64, _ []float64) float64 { return 1 / (1 + exp(-z)) },
		func(q float64, _ []float64) float64 { return log(q) - math.Log1p(-q) }),
	family("LogLogistic", []string{shapeParam}, 0, inf,
		func(z float64, p []float64) float64 {
			if z == 0 {
				z = math.SmallestNonzeroFloat64
			}
			t := math.Pow(z, p[0])
			return p[0] * t / z / ((1 + t) * (1 + t))
		},
		func(z float64, p []float64) float64 { return 1 / (1 + math.Pow(z, -p[0])) },
		func(q float64, p []float64) float64 { return math.Pow(q/(1-q), 1/p[0]) }),
	logNormal(),
	counts("NegativeBinomial", []string{successParam, successesParam}, zero, probability([]string{successParam, successesParam}, 0),
		func(k float64, p []float64) float64 {
			return exp(choose(k+p[1]-1, k) + float64(p[1]*log(p[0])) + times(k, math.Log1p(-p[0])))
		},
		func(k float64, p []float64) float64 { return betaI(p[0], p[1], k+1) }),
	normal(),
	pareto(),
	poisson(),
	family("Rayleigh", nil, 0, inf,
		func(z float64, _ []float64) float64 { return z * exp(-z*z/2) },
		func(z float64, _ []float64) float64 { return -math.Expm1(-z * z / 2) },
		func(q float64, _ []float64) float64 { return math.Sqrt(-2 * math.Log1p(-q)) }),
	student(),
	triangular(),
	uniform(),
	family("Weibull", []string{shapeParam}, 0, inf,
		func(z float64, p []float64) float64 { return p[0] * math.Pow(z, p[0]-1) * exp(-math.Pow(z, p[0])) },
		func(z float64, p []float64) float64 { return -math.Expm1(-math.Pow(z, p[0])) },
		func(q float64, p []float64) float64 { return math.Pow(-math.Log1p(-q), 1/p[0]) }),
}

// times is k·v with 0·∞ = 0.
func times(k, v float64) float64 {
	if k == 0 {
		return 0
	}
	return k * v
}
