package statistical

import (
	"math"
	"testing"
)

// goldens are values of the functions, from the tables of Abramowitz and
// Stegun and from closed forms; a binary function's second argument is y. Each
// function has one at least.
var goldens = map[string][]struct{ x, y, want float64 }{
	"Abs": {{-2.5, 0, 2.5}}, "Atan2": {{1, -1, 3 * math.Pi / 4}}, "Conj": {{-3, 0, -3}}, "Cuberoot": {{-27, 0, -3}},
	"DoubleFactorial": {{7, 0, 105}, {8, 0, 384}, {0, 0, 1}, {-1, 0, nan}}, "Eps": {{1, 0, 0x1p-52}, {-4, 0, 0x1p-50}},
	"Exp": {{1, 0, math.E}}, "Exp2": {{5, 5, 160}, {3, 1, 8}}, "ExpMinus1": {{1e-10, 0, 1.00000000005e-10}},
	"Factorial": {{5, 0, 120}, {0, 0, 1}, {2.5, 0, nan}, {-1, 0, nan}}, "Hypotenuse": {{3, 4, 5}}, "ImaginaryPart": {{3, 0, 0}},
	"Ln": {{math.E, 0, 1}, {-1, 0, nan}}, "LnPlus1": {{1e-10, 0, 9.9999999995e-11}},
	"Log": {{1000, 10, 3}, {8, 2, 3}, {2, 8, 1.0 / 3}, {-1, 10, nan}, {5, 1, nan}}, "Log10": {{1000, 0, 3}, {2, 0, math.Log10(2)}}, "Log2": {{8, 0, 3}},
	"NthRoot": {{-8, 3, -2}, {81, 4, 3}, {-16, 4, nan}, {2, 0, nan}}, "Pow": {{2, 10, 1024}, {-2, 0.5, nan}}, "RealPart": {{-3, 0, -3}},
	"Sqrt": {{9, 0, 3}, {-1, 0, nan}}, "SqrtPi": {{math.Pi, 0, math.Pi}}, "Square": {{-3, 0, 9}},

	"PairMax": {{1, 2, 2}}, "PairMin": {{1, 2, 1}},

	"Add": {{1, 2, 3}}, "Divide": {{1, 4, 0.25}}, "Multiply": {{3, 4, 12}}, "Subtract": {{3, 4, -1}},

	"Ceiling": {{2.1, 1, 3}, {2.1, 0.5, 2.5}, {-2.1, 1, -2}, {1, -1, nan}}, "CeilingPower2": {{2.5, 0, 9}}, "Floor": {{2.9, 1, 2}, {-2.1, 1, -3}, {7, 5, 5}},
	"Mod": {{7, 3, 1}, {-7, 3, 2}, {7, -3, -2}, {7, 0, nan}}, "Quotient": {{7, 2, 3}, {-7, 2, -3}}, "Remainder": {{-7, 3, -1}, {7, 3, 1}},
	"RoundDigits": {{0.285, 2, 0.29}, {-0.285, 2, -0.29}, {1.005, 2, 1.01}, {1234.5, -2, 1200}, {2.5, 0, 3}, {1e300, 10, 1e300}},
	"RoundDown":   {{2.999, 2, 2.99}, {-2.999, 2, -2.99}, {0.29, 2, 0.29}}, "RoundUp": {{2.001, 2, 2.01}, {-2.001, 2, -2.01}, {0.29, 2, 0.29}},
	"ToEven": {{3, 0, 4}, {2.9, 0, 2}, {5, 0, 4}}, "ToMultiple": {{7, 5, 5}, {8, 5, 10}, {3, 0, 0}}, "ToOdd": {{4, 0, 5}, {2.9, 0, 3}, {3, 0, 3}}, "Truncate": {{-2.789, 1, -2.7}},

	"Beta": {{2, 3, 1.0 / 12}, {0.5, 0.5, math.Pi}, {-1, 1, nan}}, "BetaLn": {{2, 3, -2.484906649788}},
	"EllipticIntegralE": {{0, 0, math.Pi / 2}, {1, 0, 1}, {0.5, 0, 1.350643881047675}, {2, 0, nan}},
	"EllipticIntegralK": {{0, 0, math.Pi / 2}, {0.5, 0, 1.854074677301372}, {-1, 0, nan}},
	"Erf":               {{1, 0, 0.8427007929497149}}, "Erfc": {{1, 0, 0.15729920705028513}},
	"ErfcScaled": {{1, 0, 0.427583576155807}, {20, 0, 0.02817434874105132}, {10, 0, 0.05614099274382259}}, "ErfInverse": {{0.5, 0, 0.4769362762044699}, {2, 0, nan}},
	"ExponentialIntegralEin": {{1, 0, 0.796599599297053}, {0, 0, 0}, {25, 0, 3.7960914897702684}},
	"Gamma":                  {{5, 0, 24}, {0.5, 0, math.Sqrt(math.Pi)}, {-1, 0, nan}}, "GammaLn": {{10, 0, 12.801827480081469}, {-1, 0, nan}},
	"GammaRegularizedP":        {{1, 1, 1 - 1/math.E}, {3, 2, 0.32332358381693654}, {0.5, 8, 0.9999366575163338}, {0, 1, nan}, {2, 0, 0}},
	"GammaRegularizedQ":        {{1, 1, 1 / math.E}, {3, 8, 0.013753967744}, {2, 0, 1}},
	"GammaRegularizedPInverse": {{1, 0.5, math.Ln2}, {3, 0.32332358381693654, 2}, {2, 2, nan}, {2, 0, 0}}, "GammaRegularizedQInverse": {{1, 0.5, math.Ln2}},
	"Polygamma": {{1, 0, -0.5772156649015329}, {1, 1, math.Pi * math.Pi / 6}, {1, 2, -2.4041138063191885}, {0.5, 1, math.Pi * math.Pi / 2}, {3, 0.5, nan}},

	"Acos": {{0, 0, math.Pi / 2}, {2, 0, nan}}, "AcosDegrees": {{0.5, 0, 60}}, "Acosh": {{1, 0, 0}}, "Acot": {{1, 0, math.Pi / 4}, {-1, 0, -math.Pi / 4}}, "AcotDegrees": {{1, 0, 45}},
	"Acoth": {{2, 0, 0.5493061443340549}}, "Acsc": {{2, 0, math.Pi / 6}}, "AcscDegrees": {{2, 0, 30}}, "Acsch": {{1, 0, 0.881373587019543}}, "Arg": {{-3, 0, math.Pi}, {3, 0, 0}},
	"Asec": {{2, 0, math.Pi / 3}}, "AsecDegrees": {{2, 0, 60}}, "Asech": {{0.5, 0, 1.3169578969248166}}, "Asin": {{1, 0, math.Pi / 2}}, "AsinDegrees": {{0.5, 0, 30}}, "Asinh": {{1, 0, 0.881373587019543}},
	"Atan": {{1, 0, math.Pi / 4}}, "AtanDegrees": {{1, 0, 45}}, "Atanh": {{0.5, 0, 0.5493061443340548}}, "Cis": {{math.Pi, 0, -1}},
	"Cos": {{math.Pi, 0, -1}}, "CosDegrees": {{60, 0, 0.5}}, "Cosh": {{1, 0, 1.5430806348152437}}, "Cot": {{math.Pi / 4, 0, 1}}, "CotDegrees": {{45, 0, 1}}, "Coth": {{1, 0, 1.3130352854993315}},
	"Csc": {{math.Pi / 6, 0, 2}}, "CscDegrees": {{30, 0, 2}}, "Csch": {{1, 0, 0.8509181282393216}}, "DegreesToRadians": {{180, 0, math.Pi}}, "RadiansToDegrees": {{math.Pi, 0, 180}},
	"Sec": {{math.Pi / 3, 0, 2}}, "SecDegrees": {{60, 0, 2}}, "Sech": {{1, 0, 0.6480542736638855}}, "Sign": {{-3, 0, -1}, {0, 0, 0}, {2, 0, 1}},
	"Sin": {{math.Pi / 2, 0, 1}}, "Sinc": {{0, 0, 1}, {0.5, 0, 2 / math.Pi}}, "SinDegrees": {{30, 0, 0.5}}, "Sinh": {{1, 0, 1.1752011936438014}, {0.1, 0, 0.10016675001984403}},
	"Tan": {{math.Pi / 4, 0, 1}}, "TanDegrees": {{45, 0, 1}}, "Tanh": {{0.5, 0, 0.46211715726000973}},
}

var nan = math.NaN()

func TestFunctions(t *testing.T) {
	seen := make(map[string]bool)
	for i := range categories {
		for k := range categories[i].functions {
			f := &categories[i].functions[k]
			seen[f.name] = true
			if f.test != nil {
				continue // TestComparisons
			}
			if len(goldens[f.name]) == 0 {
				t.Errorf("%s has no golden", f.name)
			}
			for _, g := range goldens[f.name] {
				var got float64
				if f.unary() {
					got = f.f1(g.x)
				} else {
					got = f.f2(g.x, g.y)
				}
				if math.IsNaN(g.want) != math.IsNaN(got) || math.Abs(got-g.want) > 1e-12*math.Max(1, math.Abs(g.want)) {
					t.Errorf("%s(%v, %v) = %v, want %v", f.name, g.x, g.y, got, g.want)
				}
			}
		}
	}
	for name := range goldens {
		if !seen[name] {
			t.Errorf("there is no function %s", name)
		}
	}
}

func TestComparisons(t *testing.T) {
	want := map[string][3]bool{ // 1 with 2, 2 with 2, 3 with 2
		"EqualTo": {false, true, false}, "NotEqualTo": {true, false, true}, "GreaterThan": {false, false, true},
		"GreaterThanOrEqualTo": {false, true, true}, "LessThan": {true, false, false}, "LessThanOrEqualTo": {true, true, false},
	}
	for _, f := range compare {
		if f.test == nil {
			continue
		}
		if got := [3]bool{f.test(1, 2), f.test(2, 2), f.test(3, 2)}; got != want[f.name] {
			t.Errorf("%s gives %v", f.name, got)
		}
	}
}
