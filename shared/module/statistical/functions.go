package statistical

import (
	"math"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// function is one mathematical function of one or two arguments. NaN is a
// missing cell: what has no answer gives NaN.
type function struct {
	name string
	f1   func(x float64) float64
	f2   func(x, y float64) float64 // y is the second argument
	test func(x, y float64) bool    // a comparison
}

func (f *function) unary() bool { return f.f1 != nil }

const degree = math.Pi / 180

var basic = []function{
	{name: "Abs", f1: math.Abs},
	{name: "Atan2", f2: math.Atan2}, // x is the y-coordinate, the second argument the x-coordinate
	{name: "Conj", f1: same},
	{name: "Cuberoot", f1: math.Cbrt},
	{name: "DoubleFactorial", f1: doubleFactorial},
	{name: "Eps", f1: eps},
	{name: "Exp", f1: stablemath.Exp},
	{name: "Exp2", f2: func(x, y float64) float64 { return y * math.Exp2(x) }}, // y·2^x
	{name: "ExpMinus1", f1: math.Expm1},
	{name: "Factorial", f1: factorial},
	{name: "Hypotenuse", f2: math.Hypot},
	{name: "ImaginaryPart", f1: func(x float64) float64 { return x - x }},
	{name: "Ln", f1: ln},
	{name: "LnPlus1", f1: math.Log1p},
	{name: "Log", f2: logBase},
	{name: "Log10", f1: func(x float64) float64 { return logBase(x, 10) }},
	{name: "Log2", f1: func(x float64) float64 { return logBase(x, 2) }},
	{name: "NthRoot", f2: nthRoot},
	{name: "Pow", f2: math.Pow},
	{name: "RealPart", f1: same},
	{name: "Sqrt", f1: math.Sqrt},
	{name: "SqrtPi", f1: func(x float64) float64 { return math.Sqrt(x * math.Pi) }},
	{name: "Square", f1: func(x float64) float64 { return x * x }},
}

var compare = []function{
	{name: "EqualTo", test: func(x, y float64) bool { return x == y }},
	{name: "GreaterThan", test: func(x, y float64) bool { return x > y }},
	{name: "GreaterThanOrEqualTo", test: func(x, y float64) bool { return x >= y }},
	{name: "LessThan", test: func(x, y float64) bool { return x < y }},
	{name: "LessThanOrEqualTo", test: func(x, y float64) bool { return x <= y }},
	{name: "NotEqualTo", test: func(x, y float64) bool { return x != y }},
	{name: "PairMax", f2: math.Max},
	{name: "PairMin", f2: math.Min},
}

var operations = []function{
	{name: "Add", f2: func(x, y float64) float64 { return x + y }},
	{name: "Divide", f2: func(x, y float64) float64 { return x / y }},
	{name: "Multiply", f2: func(x, y float64) float64 { return x * y }},
	{name: "Subtract", f2: func(x, y float64) float64 { return x - y }},
}

// The second argument of Ceiling, Floor and ToMultiple is the multiple to
// round to, of Mod, Quotient and Remainder the divisor, of the others the
// number of decimal digits.
var rounding = []function{
	{name: "Ceiling", f2: func(x, y float64) float64 { return toMultiple(x, y, math.Ceil) }},
	{name: "CeilingPower2", f1: func(x float64) float64 { c := math.Ceil(x); return c * c }},
	{name: "Floor", f2: func(x, y float64) float64 { return toMultiple(x, y, math.Floor) }},
	{name: "Mod", f2: floorMod},
	{name: "Quotient", f2: func(x, y float64) float64 { return math.Trunc(x / y) }},
	{name: "Remainder", f2: math.Mod},
	{name: "RoundDigits", f2: func(x, y float64) float64 { return digits(x, y, math.Round) }},
	{name: "RoundDown", f2: func(x, y float64) float64 { return digits(x, y, math.Trunc) }},
	{name: "RoundUp", f2: func(x, y float64) float64 { return digits(x, y, awayFromZero) }},
	{name: "ToEven", f1: func(x float64) float64 { return 2 * math.RoundToEven(x/2) }},
	{name: "ToMultiple", f2: func(x, y float64) float64 { return toMultiple(x, y, math.Round) }},
	{name: "ToOdd", f1: func(x float64) float64 { return 2*math.Floor(x/2) + 1 }},
	{name: "Truncate", f2: func(x, y float64) float64 { return digits(x, y, math.Trunc) }},
}

var special = []function{
	{name: "Beta", f2: beta},
	{name: "BetaLn", f2: betaLn},
	{name: "EllipticIntegralE", f1: ellipticE},
	{name: "EllipticIntegralK", f1: ellipticK},
	{name: "Erf", f1: math.Erf},
	{name: "Erfc", f1: math.Erfc},
	{name: "ErfcScaled", f1: erfcScaled},
	{name: "ErfInverse", f1: math.Erfinv},
	{name: "ExponentialIntegralEin", f1: ein},
	{name: "Gamma", f1: gamma},
	{name: "GammaLn", f1: gammaLn},
	{name: "GammaRegularizedP", f2: gammaP},
	{name: "GammaRegularizedPInverse", f2: gammaPInverse},
	{name: "GammaRegularizedQ", f2: gammaQ},
	{name: "GammaRegularizedQInverse", f2: func(a, q float64) float64 { return gammaPInverse(a, 1-q) }},
	{name: "Polygamma", f2: polygamma},
}

var trigonometric = []function{
	{name: "Acos", f1: math.Acos},
	{name: "AcosDegrees", f1: func(x float64) float64 { return math.Acos(x) / degree }},
	{name: "Acosh", f1: math.Acosh},
	{name: "Acot", f1: acot},
	{name: "AcotDegrees", f1: func(x float64) float64 { return acot(x) / degree }},
	{name: "Acoth", f1: func(x float64) float64 { return math.Atanh(1 / x) }},
	{name: "Acsc", f1: func(x float64) float64 { return math.Asin(1 / x) }},
	{name: "AcscDegrees", f1: func(x float64) float64 { return math.Asin(1/x) / degree }},
	{name: "Acsch", f1: func(x float64) float64 { return math.Asinh(1 / x) }},
	{name: "Arg", f1: arg},
	{name: "Asec", f1: func(x float64) float64 { return math.Acos(1 / x) }},
	{name: "AsecDegrees", f1: func(x float64) float64 { return math.Acos(1/x) / degree }},
	{name: "Asech", f1: func(x float64) float64 { return math.Acosh(1 / x) }},
	{name: "Asin", f1: math.Asin},
	{name: "AsinDegrees", f1: func(x float64) float64 { return math.Asin(x) / degree }},
	{name: "Asinh", f1: math.Asinh},
	{name: "Atan", f1: math.Atan},
	{name: "AtanDegrees", f1: func(x float64) float64 { return math.Atan(x) / degree }},
	{name: "Atanh", f1: math.Atanh},
	{name: "Cis", f1: math.Cos}, // the real part of cos θ + i sin θ: a column holds real numbers
	{name: "Cos", f1: math.Cos},
	{name: "CosDegrees", f1: func(x float64) float64 { return math.Cos(x * degree) }},
	{name: "Cosh", f1: cosh},
	{name: "Cot", f1: func(x float64) float64 { return 1 / math.Tan(x) }},
	{name: "CotDegrees", f1: func(x float64) float64 { return 1 / math.Tan(x*degree) }},
	{name: "Coth", f1: func(x float64) float64 { return 1 / stablemath.Tanh(x) }},
	{name: "Csc", f1: func(x float64) float64 { return 1 / math.Sin(x) }},
	{name: "CscDegrees", f1: func(x float64) float64 { return 1 / math.Sin(x*degree) }},
	{name: "Csch", f1: func(x float64) float64 { return 1 / sinh(x) }},
	{name: "DegreesToRadians", f1: func(x float64) float64 { return x * degree }},
	{name: "RadiansToDegrees", f1: func(x float64) float64 { return x / degree }},
	{name: "Sec", f1: func(x float64) float64 { return 1 / math.Cos(x) }},
	{name: "SecDegrees", f1: func(x float64) float64 { return 1 / math.Cos(x*degree) }},
	{name: "Sech", f1: func(x float64) float64 { return 1 / cosh(x) }},
	{name: "Sign", f1: sign},
	{name: "Sin", f1: math.Sin},
	{name: "Sinc", f1: sinc},
	{name: "SinDegrees", f1: func(x float64) float64 { return math.Sin(x * degree) }},
	{name: "Sinh", f1: sinh},
	{name: "Tan", f1: math.Tan},
	{name: "TanDegrees", f1: func(x float64) float64 { return math.Tan(x * degree) }},
	{name: "Tanh", f1: stablemath.Tanh},
}

func same(x float64) float64 { return x }

func ln(x float64) float64 {
	if x < 0 {
		return math.NaN()
	}
	return stablemath.Log(x)
}

func logBase(x, base float64) float64 {
	if x < 0 || base <= 0 || base == 1 {
		return math.NaN()
	}
	v := stablemath.Log(x) / stablemath.Log(base)
	if whole := math.Round(v); math.Pow(base, whole) == x {
		return whole // the quotient of two rounded logarithms misses log₁₀ 1000 = 3
	}
	return v
}

func nthRoot(x, n float64) float64 {
	if n == 0 {
		return math.NaN()
	}
	if odd := math.Mod(n, 2); x < 0 && (odd == 1 || odd == -1) {
		return -math.Pow(-x, 1/n)
	}
	return math.Pow(x, 1/n)
}

// eps is the gap between x and the next larger magnitude.
func eps(x float64) float64 {
	x = math.Abs(x)
	return math.Nextafter(x, math.Inf(1)) - x
}

func factorial(x float64) float64 {
	if x < 0 || x != math.Trunc(x) {
		return math.NaN()
	}
	p := 1.0
	for k := 2.0; k <= x && !math.IsInf(p, 1); k++ {
		p *= k
	}
	return p
}

func doubleFactorial(x float64) float64 {
	if x < 0 || x != math.Trunc(x) {
		return math.NaN()
	}
	p := 1.0
	for k := x; k > 1 && !math.IsInf(p, 1); k -= 2 {
		p *= k
	}
	return p
}

// toMultiple rounds x to a multiple of y by round; a multiple of 0 is 0.
func toMultiple(x, y float64, round func(float64) float64) float64 {
	switch {
	case y == 0:
		return 0 * x
	case x > 0 && y < 0:
		return math.NaN()
	}
	return round(x/y) * y
}

// digits rounds x to a number of decimal digits, negative ones included, by
// round. It scales by division where that is exact enough to give back what
// prints with so many digits: 0.285 to two digits is 0.29.
func digits(x, places float64, round func(float64) float64) float64 {
	places = math.Trunc(places)
	if math.Abs(places) > 300 {
		return x
	}
	if places < 0 {
		scale := math.Pow10(int(-places))
		return round(nudge(x/scale)) * scale
	}
	scale := math.Pow10(int(places))
	if scaled := x * scale; math.IsInf(scaled, 0) {
		return x
	} else {
		return round(nudge(scaled)) / scale
	}
}

// nudge snaps x to a half within two units in the last place: scaling by ten
// has put 28.499999999999996 where the decimal 28.5 stood.
func nudge(x float64) float64 {
	half := math.Round(2*x) / 2
	if d := math.Abs(x - half); d > 0 && d <= 2*eps(x) {
		return half
	}
	return x
}

func awayFromZero(x float64) float64 {
	if x < 0 {
		return math.Floor(x)
	}
	return math.Ceil(x)
}

// floorMod is x − y·⌊x/y⌋: the remainder with the divisor's sign.
func floorMod(x, y float64) float64 {
	m := math.Mod(x, y)
	if m != 0 && (m < 0) != (y < 0) {
		m += y
	}
	return m
}

func cosh(x float64) float64 { return (stablemath.Exp(x) + stablemath.Exp(-x)) / 2 }

func sinh(x float64) float64 {
	if math.Abs(x) <= 0.5 {
		return math.Sinh(x) // a polynomial here: the difference below would cancel
	}
	return (stablemath.Exp(x) - stablemath.Exp(-x)) / 2
}

func acot(x float64) float64 { return math.Atan(1 / x) }

// arg is the argument of a real number: 0, or π where it is negative.
func arg(x float64) float64 {
	switch {
	case x < 0:
		return math.Pi
	case x != x:
		return x
	}
	return 0
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}
