package statistical

import "math"

func betaDistribution() distribution {
	names := []string{alphaParam, betaParam}
	cdf := func(x float64, p []float64) float64 { return betaI(x, p[0], p[1]) }
	return distribution{
		name: "Beta", params: names, valid: positive(names, 0, 1),
		pdf: func(x float64, p []float64) float64 {
			if x < 0 || x > 1 {
				return 0
			}
			return exp(times(p[0]-1, log(x)) + times(p[1]-1, math.Log1p(-x)) - betaLn(p[0], p[1]))
		},
		cdf: cdf,
		inv: func(q float64, p []float64) float64 {
			return invert(q, 0, 1, func(x float64) float64 { return cdf(x, p) })
		},
	}
}

func binomial() distribution {
	names := []string{successParam, trialsParam}
	d := counts("Binomial", names, zero, probability(names, 0),
		func(k float64, p []float64) float64 {
			if k > p[1] {
				return 0
			}
			return exp(choose(p[1], k) + float64(k*log(p[0])) + times(p[1]-k, math.Log1p(-p[0])))
		},
		func(k float64, p []float64) float64 {
			if k >= p[1] {
				return 1
			}
			return betaI(1-p[0], p[1]-k, k+1)
		})
	inv := d.inv
	d.inv = func(q float64, p []float64) float64 {
		if q == 1 {
			return p[1]
		}
		return inv(q, p)
	}
	return d
}

func chiSquare() distribution {
	names := []string{freedomParam}
	return distribution{
		name: "ChiSquare", params: names, valid: positive(names, 0),
		pdf: func(x float64, p []float64) float64 { return gammaDensity(x, p[0]/2, 2) },
		cdf: func(x float64, p []float64) float64 { return gammaBelow(x, p[0]/2, 2) },
		inv: func(q float64, p []float64) float64 { return 2 * gammaPInverse(p[0]/2, q) },
	}
}

func gammaDistribution() distribution {
	names := []string{shapeParam, scaleParam}
	return distribution{
		name: "Gamma", params: names, valid: positive(names, 0, 1),
		pdf: func(x float64, p []float64) float64 { return gammaDensity(x, p[0], p[1]) },
		cdf: func(x float64, p []float64) float64 { return gammaBelow(x, p[0], p[1]) },
		inv: func(q float64, p []float64) float64 { return p[1] * gammaPInverse(p[0], q) },
	}
}

func gammaDensity(x, shape, scale float64) float64 {
	if x < 0 {
		return 0
	}
	return exp(times(shape-1, log(x/scale))-x/scale-lgamma(shape)) / scale
}

func gammaBelow(x, shape, scale float64) float64 {
	if x <= 0 {
		return 0
	}
	return gammaP(shape, x/scale)
}

func exponential() distribution {
	names := []string{rateParam}
	return distribution{
		name: "Exponential", params: names, valid: positive(names, 0),
		pdf: func(x float64, p []float64) float64 {
			if x < 0 {
				return 0
			}
			return p[0] * exp(-p[0]*x)
		},
		cdf: func(x float64, p []float64) float64 { return -math.Expm1(-p[0] * max(x, 0)) },
		inv: func(q float64, p []float64) float64 {
			if q < 0 || q > 1 {
				return math.NaN()
			}
			return -math.Log1p(-q) / p[0]
		},
	}
}

// fisher is the F distribution (26.6.2).
func fisher() distribution {
	names := []string{numeratorParam, denominatorParam}
	cdf := func(x float64, p []float64) float64 {
		if x <= 0 {
			return 0
		}
		ax := float64(p[0] * x)
		return betaI(ax/(ax+p[1]), p[0]/2, p[1]/2)
	}
	return distribution{
		name: "Fisher", params: names, valid: positive(names, 0, 1),
		pdf: func(x float64, p []float64) float64 {
			if x < 0 {
				return 0
			}
			a, b := p[0]/2, p[1]/2
			return exp(float64(a*log(p[0]/p[1])) + times(a-1, log(x)) - float64((a+b)*math.Log1p(p[0]*x/p[1])) - betaLn(a, b))
		},
		cdf: cdf,
		inv: func(q float64, p []float64) float64 {
			return invert(q, 0, inf, func(x float64) float64 { return cdf(x, p) })
		},
	}
}

// extremeValue is the generalized extreme value distribution; its shape is ξ,
// which is 0 for Gumbel's and may have either sign.
func extremeValue() distribution {
	names := []string{locationParam, scaleParam, extremeParam}
	// height is t(x) of exp(-t): +∞ below the support, 0 above.
	height := func(x float64, p []float64) float64 {
		z, xi := (x-p[0])/p[1], p[2]
		if xi == 0 {
			return exp(-z)
		}
		w := 1 + float64(xi*z)
		if w <= 0 {
			if xi > 0 {
				return inf
			}
			return 0
		}
		return math.Pow(w, -1/xi)
	}
	return distribution{
		name: "GeneralizedExtremeValues", params: names, valid: positive(names, 1),
		pdf: func(x float64, p []float64) float64 {
			t := height(x, p)
			if t == 0 || math.IsInf(t, 1) {
				return 0
			}
			return math.Pow(t, p[2]+1) * exp(-t) / p[1]
		},
		cdf: func(x float64, p []float64) float64 { return exp(-height(x, p)) },
		inv: func(q float64, p []float64) float64 {
			if q < 0 || q > 1 {
				return math.NaN()
			}
			if p[2] == 0 {
				return p[0] - float64(p[1]*log(-log(q)))
			}
			return p[0] + float64(p[1]*(math.Pow(-log(q), -p[2])-1))/p[2]
		},
	}
}

func normal() distribution {
	names := []string{meanParam, deviationParam}
	return distribution{
		name: "Normal", params: names, valid: positive(names, 1),
		pdf: func(x float64, p []float64) float64 {
			z := (x - p[0]) / p[1]
			return exp(-z*z/2) / (p[1] * math.Sqrt(2*math.Pi))
		},
		cdf: func(x float64, p []float64) float64 { return math.Erfc((p[0]-x)/(p[1]*math.Sqrt2)) / 2 },
		inv: func(q float64, p []float64) float64 {
			if q < 0 || q > 1 {
				return math.NaN()
			}
			return p[0] - float64(p[1]*math.Sqrt2*math.Erfcinv(2*q))
		},
	}
}

// logNormal takes mean and standard deviation of the logarithm.
func logNormal() distribution {
	n := normal()
	return distribution{
		name: "LogNormal", params: n.params, valid: n.valid,
		pdf: func(x float64, p []float64) float64 {
			if x <= 0 {
				return 0
			}
			return n.pdf(log(x), p) / x
		},
		cdf: func(x float64, p []float64) float64 {
			if x <= 0 {
				return 0
			}
			return n.cdf(log(x), p)
		},
		inv: func(q float64, p []float64) float64 { return exp(n.inv(q, p)) },
	}
}

// pareto begins at its scale.
func pareto() distribution {
	names := []string{shapeParam, scaleParam}
	return distribution{
		name: "Pareto", params: names, valid: positive(names, 0, 1),
		pdf: func(x float64, p []float64) float64 {
			if x < p[1] {
				return 0
			}
			return p[0] / x * math.Pow(p[1]/x, p[0])
		},
		cdf: func(x float64, p []float64) float64 {
			if x < p[1] {
				return 0
			}
			return 1 - math.Pow(p[1]/x, p[0])
		},
		inv: func(q float64, p []float64) float64 {
			if q < 0 || q > 1 {
				return math.NaN()
			}
			return p[1] * math.Pow(1-q, -1/p[0])
		},
	}
}

func poisson() distribution {
	names := []string{rateParam}
	return counts("Poisson", names, zero, positive(names, 0),
		func(k float64, p []float64) float64 { return exp(float64(k*log(p[0])) - p[0] - lgamma(k+1)) },
		func(k float64, p []float64) float64 { return gammaQ(k+1, p[0]) })
}

func student() distribution {
	names := []string{freedomParam}
	return distribution{
		name: "StudentT", params: names, valid: positive(names, 0),
		pdf: func(x float64, p []float64) float64 {
			df := p[0]
			return exp(lgamma((df+1)/2)-lgamma(df/2)-float64((df+1)/2*math.Log1p(x*x/df))) / math.Sqrt(df*math.Pi)
		},
		cdf: func(x float64, p []float64) float64 { return studentCDF(x, p[0]) },
		inv: func(q float64, p []float64) float64 { return studentInverse(q, p[0]) },
	}
}

func triangular() distribution {
	return distribution{
		name: "Triangular", params: []string{minimumParam, maximumParam, modeParam},
		valid: func(p []float64) string {
			if !(p[0] < p[1] && p[0] <= p[2] && p[2] <= p[1]) {
				return "the mode must lie between the minimum and the larger maximum"
			}
			return ""
		},
		pdf: func(x float64, p []float64) float64 {
			a, b, c := p[0], p[1], p[2]
			switch {
			case x < a || x > b:
				return 0
			case x < c:
				return 2 * (x - a) / ((b - a) * (c - a))
			case x == c:
				return 2 / (b - a)
			}
			return 2 * (b - x) / ((b - a) * (b - c))
		},
		cdf: func(x float64, p []float64) float64 {
			a, b, c := p[0], p[1], p[2]
			switch {
			case x <= a:
				return 0
			case x >= b:
				return 1
			case x <= c:
				return (x - a) * (x - a) / ((b - a) * (c - a))
			}
			rest := (b - x) * (b - x) / ((b - a) * (b - c))
			return 1 - rest
		},
		inv: func(q float64, p []float64) float64 {
			a, b, c := p[0], p[1], p[2]
			switch {
			case q < 0 || q > 1:
				return math.NaN()
			case q <= (c-a)/(b-a):
				return a + math.Sqrt(q*(b-a)*(c-a))
			}
			return b - math.Sqrt((1-q)*(b-a)*(b-c))
		},
	}
}

func uniform() distribution {
	return distribution{
		name: "Uniform", params: []string{minimumParam, maximumParam},
		valid: func(p []float64) string {
			if p[0] >= p[1] {
				return "the minimum must be below the maximum"
			}
			return ""
		},
		pdf: func(x float64, p []float64) float64 {
			if x < p[0] || x > p[1] {
				return 0
			}
			return 1 / (p[1] - p[0])
		},
		cdf: func(x float64, p []float64) float64 { return min(1, max(0, (x-p[0])/(p[1]-p[0]))) },
		inv: func(q float64, p []float64) float64 {
			if q < 0 || q > 1 {
				return math.NaN()
			}
			return p[0] + float64(q*(p[1]-p[0]))
		},
	}
}
