# Goldens of the palette group Statistical Functions.
#
#   scipy 1.17.1, numpy 2.4.6 and pandas 3.1.1 compute what is expected.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "moduletest"))
from golden import Cases

write = Cases(__file__)


def case(module, name, inputs=None, outputs=None, params=None, **more):
    write(module, name, params, inputs, outputs, **more)


import io
import math

import numpy as np
import pandas as pd
from scipy import special, stats

np.seterr(all="ignore")


def num(v):
    """A cell: missing for NaN, else the shortest text that reads back."""
    return "" if v is None or (isinstance(v, float) and math.isnan(v)) else repr(float(v)) if not isinstance(v, (bool, np.bool_)) else str(bool(v))


def quote(t):
    return '"' + t.replace('"', '""') + '"' if any(c in t for c in ',"\n') else t


def table(columns):
    rows = zip(*[[c if isinstance(c, str) else num(c) for c in v] for v in columns.values()])
    return "".join(",".join(r) + "\n" if len(columns) > 1 or r[0] != "" else '""\n' for r in [[quote(k) for k in columns]] + [list(map(quote, r)) for r in rows])


def results(columns):
    return {"Results dataset": table(columns)}


nan = float("nan")

# ---- Apply Math Operation
M = "Apply Math Operation"
deg = math.pi / 180


def awayfromzero(x):
    return math.floor(x) if x < 0 else math.ceil(x)


def decimal(x, y, mode):
    import decimal as d
    return float(d.Decimal(repr(float(x))).quantize(d.Decimal(1).scaleb(-int(y)), mode))


import decimal as d

ones = {
    "Basic": {
        "Abs": abs, "Conj": lambda x: x, "Cuberoot": np.cbrt, "DoubleFactorial": lambda x: special.factorial2(int(x)), "Eps": np.spacing, "Exp": np.exp,
        "ExpMinus1": np.expm1, "Factorial": lambda x: special.factorial(x), "ImaginaryPart": lambda x: 0.0, "Ln": np.log, "LnPlus1": np.log1p,
        "Log10": np.log10, "Log2": np.log2, "RealPart": lambda x: x, "Sqrt": np.sqrt, "SqrtPi": lambda x: np.sqrt(x * np.pi), "Square": lambda x: x * x,
    },
    "Rounding": {
        "CeilingPower2": lambda x: math.ceil(x) ** 2, "ToEven": lambda x: 2 * round(x / 2), "ToOdd": lambda x: 2 * math.floor(x / 2) + 1,
    },
    "Special": {
        "EllipticIntegralE": special.ellipe, "EllipticIntegralK": special.ellipk, "Erf": special.erf, "Erfc": special.erfc, "ErfcScaled": special.erfcx,
        "ErfInverse": special.erfinv, "ExponentialIntegralEin": lambda x: np.euler_gamma + np.log(x) + special.exp1(x), "Gamma": special.gamma, "GammaLn": special.gammaln,
    },
    "Trigonometric": {
        "Acos": np.arccos, "AcosDegrees": lambda x: np.arccos(x) / deg, "Acosh": np.arccosh, "Acot": lambda x: np.arctan(1 / x), "AcotDegrees": lambda x: np.arctan(1 / x) / deg,
        "Acoth": lambda x: np.arctanh(1 / x), "Acsc": lambda x: np.arcsin(1 / x), "AcscDegrees": lambda x: np.arcsin(1 / x) / deg, "Acsch": lambda x: np.arcsinh(1 / x),
        "Arg": lambda x: math.pi if x < 0 else 0.0, "Asec": lambda x: np.arccos(1 / x), "AsecDegrees": lambda x: np.arccos(1 / x) / deg, "Asech": lambda x: np.arccosh(1 / x),
        "Asin": np.arcsin, "AsinDegrees": lambda x: np.arcsin(x) / deg, "Asinh": np.arcsinh, "Atan": np.arctan, "AtanDegrees": lambda x: np.arctan(x) / deg, "Atanh": np.arctanh,
        "Cis": np.cos, "Cos": np.cos, "CosDegrees": lambda x: np.cos(x * deg), "Cosh": np.cosh, "Cot": lambda x: 1 / np.tan(x), "CotDegrees": lambda x: 1 / np.tan(x * deg),
        "Coth": lambda x: 1 / np.tanh(x), "Csc": lambda x: 1 / np.sin(x), "CscDegrees": lambda x: 1 / np.sin(x * deg), "Csch": lambda x: 1 / np.sinh(x),
        "DegreesToRadians": lambda x: x * deg, "RadiansToDegrees": lambda x: x / deg, "Sec": lambda x: 1 / np.cos(x), "SecDegrees": lambda x: 1 / np.cos(x * deg),
        "Sech": lambda x: 1 / np.cosh(x), "Sign": np.sign, "Sin": np.sin, "Sinc": np.sinc, "SinDegrees": lambda x: np.sin(x * deg), "Sinh": np.sinh, "Tan": np.tan,
        "TanDegrees": lambda x: np.tan(x * deg), "Tanh": np.tanh,
    },
}
twos = {
    "Basic": {
        "Atan2": np.arctan2, "Exp2": lambda x, y: y * 2.0**x, "Hypotenuse": np.hypot, "Log": lambda x, y: np.log(x) / np.log(y), "NthRoot": lambda x, y: x ** (1 / y), "Pow": np.power,
    },
    "Compare": {
        "EqualTo": lambda x, y: x == y, "GreaterThan": lambda x, y: x > y, "GreaterThanOrEqualTo": lambda x, y: x >= y, "LessThan": lambda x, y: x < y,
        "LessThanOrEqualTo": lambda x, y: x <= y, "NotEqualTo": lambda x, y: x != y, "PairMax": max, "PairMin": min,
    },
    "Operations": {"Add": lambda x, y: x + y, "Divide": lambda x, y: x / y, "Multiply": lambda x, y: x * y, "Subtract": lambda x, y: x - y},
    "Rounding": {
        "Ceiling": lambda x, y: math.ceil(x / y) * y, "Floor": lambda x, y: math.floor(x / y) * y, "Mod": lambda x, y: x % y, "Quotient": lambda x, y: float(math.trunc(x / y)),
        "Remainder": math.fmod, "RoundDigits": lambda x, y: decimal(x, y, d.ROUND_HALF_UP), "RoundDown": lambda x, y: decimal(x, y, d.ROUND_DOWN),
        "RoundUp": lambda x, y: decimal(x, y, d.ROUND_UP), "ToMultiple": lambda x, y: float(d.Decimal(x / y).quantize(d.Decimal(1), d.ROUND_HALF_UP)) * y,
        "Truncate": lambda x, y: decimal(x, y, d.ROUND_DOWN),
    },
    "Special": {
        "Beta": special.beta, "BetaLn": special.betaln, "GammaRegularizedP": special.gammainc, "GammaRegularizedPInverse": special.gammaincinv,
        "GammaRegularizedQ": special.gammaincc, "GammaRegularizedQInverse": special.gammainccinv, "Polygamma": lambda x, n: special.polygamma(int(n), x),
    },
}
choice = {"Basic": "Basic math function", "Compare": "Comparison function", "Operations": "Arithmetic operation", "Rounding": "Rounding operation", "Special": "Special function",
          "Trigonometric": "Trigonometric function"}
second = {"Basic": ("Second argument type", "Constant second argument", "Second argument"), "Compare": ("Value to compare type", "Constant value to compare", "Value to compare"),
          "Operations": ("Operation argument type", "Constant operation argument", "Operation argument"), "Rounding": ("Precision type", "Constant precision", "Precision"),
          "Special": ("Special second argument type", "Constant special second argument", "Special second argument")}
domain = {"Acosh": [1.5, 3.0], "Acoth": [1.5, -3.0], "Acsc": [1.5, -3.0], "AcscDegrees": [1.5, -3.0], "Asec": [1.5, -3.0], "AsecDegrees": [1.5, -3.0], "Asech": [0.25, 0.75],
          "DoubleFactorial": [5.0, 8.0], "Factorial": [0.0, 5.0], "Conj": [-1.5, 2.5], "Abs": [-1.5, 2.5], "Arg": [-1.5, 2.5], "Sign": [-1.5, 2.5], "RealPart": [-1.5, 2.5],
          "ToEven": [2.7, -1.2], "ToOdd": [2.7, -1.2], "CeilingPower2": [2.7, -1.2], "GammaRegularizedPInverse": [2.5, 0.5], "GammaRegularizedQInverse": [2.5, 0.5]}
constants = {"Basic": 3, "Compare": 0.5, "Operations": 4, "Rounding": 1, "Special": 0.25}
for category, functions in ones.items():
    for name, f in functions.items():
        xs = domain.get(name, [0.25, 0.75])
        got = {"x": xs + [nan], name + "(x)": [float(f(x)) for x in xs] + [nan]}
        case(M, category.lower() + "-" + name, {"Dataset": table({"x": xs + [nan]})}, results(got), {"Category": category, choice[category]: name}, tolerance=1e-12)
for category, functions in twos.items():
    for name, f in functions.items():
        c = 2 if name == "Polygamma" else constants[category]
        xs = domain.get(name, [0.25, 2.53, 0.5])
        got = {"x": xs + [nan], "%s(x_$%s)" % (name, c): [f(x, c) if category == "Compare" and name[0] != "P" else float(f(x, c)) for x in xs] + [nan]}
        case(M, category.lower() + "-" + name, {"Dataset": table({"x": xs + [nan]})}, results(got),
             {"Category": category, choice[category]: name, second[category][0]: "Constant", second[category][1]: c}, tolerance=1e-12)
    name, f = {"Basic": ("Pow", pow), "Compare": ("GreaterThan", lambda x, y: x > y), "Operations": ("Subtract", lambda x, y: x - y), "Rounding": ("Remainder", math.fmod),
               "Special": ("Beta", special.beta)}[category]
    xs, ys, zs = [0.25, 2.5, nan], [2.0, nan, 1.0], [0.5, 3.0, 7.0]
    two = lambda a, b: [nan if math.isnan(x) or math.isnan(y) else f(x, y) if category == "Compare" else float(f(x, y)) for x, y in zip(a, b)]
    case(M, category.lower() + "-columns", {"Dataset": table({"x": xs, "y": ys, "z": zs})}, results({"%s(x_y)" % name: two(xs, ys), "%s(x_z)" % name: two(xs, zs)}),
         {"Category": category, choice[category]: name, second[category][0]: "ColumnSet", second[category][2]: "y,z", "Column set": "x", "Output mode": "ResultOnly"}, tolerance=1e-12)
case(M, "inplace", {"Dataset": "a,s\n-1.5,x\n2,\n"}, {"Results dataset": "a,s\n1.5,x\n2,\n"}, {"Output mode": "Inplace"})
case(M, "text", {"Dataset": "s\nx\n"}, params={"Column set": "s"}, error='Error 0017: column "s" is String')
case(M, "infinite", {"Dataset": "a\n1\n"}, params={"Category": "Operations", "Arithmetic operation": "Divide"}, error="Error 0033")

# ---- Compute Elementary Statistics
C = "Compute Elementary Statistics"
a = np.array([2.0, 3.5, 3.5, 8.0, 1.25, 6.0, 2.0, 0.5])
b = np.array([10, 20, 40, 10, 60, 10, 90, 7])
data = {"a": list(a[:4]) + [nan] + list(a[4:]), "s": list("vwxyz") + ["", "p", "q", "r"], "b": [str(v) for v in b[:4]] + [""] + [str(v) for v in b[4:]]}
methods = {
    "Deviation Squared": lambda v: ((v - v.mean()) ** 2).sum(), "Geometric Mean": stats.gmean, "Harmonic Mean": stats.hmean, "Interquartile Distance": stats.iqr,
    "Kth Central Moment": lambda v: stats.moment(v, 3), "Maximum": np.max, "Mean": np.mean, "Mean Deviation": lambda v: np.abs(v - v.mean()).mean(), "Median": np.median,
    "Median Deviation": stats.median_abs_deviation, "Minimum": np.min, "Mode": lambda v: stats.mode(v).mode, "Population Standard Deviation": np.std, "Population Variance": np.var,
    "Product": np.prod, "Range": np.ptp, "Sample Kurtosis": lambda v: stats.kurtosis(v, bias=False), "Sample Skewness": lambda v: stats.skew(v, bias=False),
    "Sample Standard Deviation": lambda v: v.std(ddof=1), "Sample Variance": lambda v: v.var(ddof=1), "Sum": np.sum,
}
for m, f in methods.items():
    case(C, m.lower().replace(" ", "-"), {"Dataset": table(data)}, results({"%s(a)" % m: [float(f(a))], "%s(b)" % m: [float(f(b.astype(float)))]}), {"Method": m}, tolerance=1e-12)
case(C, "order", {"Dataset": table(data)}, results({"Kth Central Moment(a)": [stats.moment(a, 5)], "Kth Central Moment(b)": [stats.moment(b.astype(float), 5)]}),
     {"Method": "Kth Central Moment", "Order": 5}, tolerance=1e-12)
case(C, "columns", {"Dataset": table(data)}, results({"Mean(b)": [b.mean()]}), {"Column set": "b"}, tolerance=1e-12)
case(C, "truth", {"Dataset": "t\nTrue\nFalse\nTrue\nTrue\n"}, {"Results dataset": "Mean(t)\n0.75\n"}, {"Column set": "t"})
for m in ["Mean", "Sum", "Mode", "Maximum", "Product", "Median Deviation", "Geometric Mean"]:
    case(C, "empty-" + m.lower().replace(" ", "-"), {"Dataset": {"csv": "a,b\n", "schema": [{"name": "a", "type": "Double"}]}}, {"Results dataset": '%s(a)\n""\n' % m}, {"Method": m})
case(C, "one-row", {"Dataset": "a\n5\n"}, {"Results dataset": 'Sample Variance(a)\n""\n'}, {"Method": "Sample Variance"})
case(C, "text", {"Dataset": "a\nx\n"}, params={"Column set": "a"}, error='Error 0017: column "a" is String')
case(C, "none", {"Dataset": "a\nx\n"}, error="Error 0020")

# ---- Compute Linear Correlation
L = "Compute Linear Correlation"
f = pd.DataFrame({"x": [1.0, 2, 3, 5, 8, nan], "y": [2.5, nan, 1, 0.5, -3, 4], "z": [1.0, 1, 2, 2, 9, 9], "const": [7.0] * 6})
corr = f.corr()
corr["const"] = nan
case(L, "pairs", {"Dataset": table({**{c: list(f[c]) for c in f}, "s": list("abcdef")})}, results({c: list(corr[c]) for c in f}), tolerance=1e-12,
     why="rows where both have a value; a constant column has no correlation")
case(L, "empty", {"Dataset": {"csv": "a\n", "schema": [{"name": "a", "type": "Int32"}]}}, {"Results dataset": 'a\n""\n'})
case(L, "text", {"Dataset": "a\nx\n"}, error="Error 0020: the table has no numeric column")

# ---- Evaluate Probability Function
P = "Evaluate Probability Function"
df, sc, lo = "Degrees of freedom", "Scale", "Location"
families = {  # name: (parameters, scipy's, values of x, defaults of scipy's)
    "Beta": ({"Alpha": 2, "Beta": 3.5}, stats.beta(2, 3.5), [0.1, 0.5, 0.99, -1, 2], stats.beta(1, 1)),
    "Binomial": ({"Probability of success": 0.3, "Number of trials": 10}, stats.binom(10, 0.3), [0, 3, 10, 11, -1], stats.binom(1, 0.5)),
    "Cauchy": ({lo: 1, sc: 2}, stats.cauchy(1, 2), [-3.0, 1, 40], stats.cauchy()),
    "ChiSquare": ({df: 4.5}, stats.chi2(4.5), [0.5, 3, 20, -1], stats.chi2(1)),
    "Exponential": ({"Rate": 0.25}, stats.expon(scale=4), [0.5, 3, -1], stats.expon()),
    "Fisher": ({"Numerator degrees of freedom": 5, "Denominator degrees of freedom": 8.5}, stats.f(5, 8.5), [0.5, 1, 6, -1], stats.f(1, 1)),
    "Gamma": ({"Shape": 2.5, sc: 3}, stats.gamma(2.5, scale=3), [0.5, 3, 30, -1], stats.gamma(1)),
    "GeneralizedExtremeValues": ({lo: 1, sc: 2, "Extreme value shape": 0.3}, stats.genextreme(-0.3, 1, 2), [0.5, 3, 30, -8], stats.genextreme(0)),
    "Geometric": ({"Probability of success": 0.2}, stats.geom(0.2), [1, 4, 0, 2.5], stats.geom(0.5)),
    "GumbelMax": ({lo: 1, sc: 2}, stats.gumbel_r(1, 2), [-3.0, 1, 9], stats.gumbel_r()),
    "GumbelMin": ({lo: 1, sc: 2}, stats.gumbel_l(1, 2), [-3.0, 1, 4], stats.gumbel_l()),
    "HalfNormal": ({lo: 1, sc: 2}, stats.halfnorm(1, 2), [0.5, 1, 4], stats.halfnorm()),
    "Laplace": ({lo: 1, sc: 2}, stats.laplace(1, 2), [-3.0, 1, 9], stats.laplace()),
    "Logistic": ({lo: 1, sc: 2}, stats.logistic(1, 2), [-3.0, 1, 9], stats.logistic()),
    "LogLogistic": ({lo: 1, sc: 2, "Shape": 3}, stats.fisk(3, 1, 2), [0.5, 2, 9], stats.fisk(1)),
    "LogNormal": ({"Mean": 1, "Standard deviation": 0.5}, stats.lognorm(0.5, scale=math.e), [0.5, 2, 9, -1], stats.lognorm(1)),
    "NegativeBinomial": ({"Probability of success": 0.3, "Number of successes": 4}, stats.nbinom(4, 0.3), [0, 5, 30, -1], stats.nbinom(1, 0.5)),
    "Normal": ({"Mean": 1, "Standard deviation": 2}, stats.norm(1, 2), [-9.0, 1, 3], stats.norm()),
    "Pareto": ({"Shape": 3, sc: 2}, stats.pareto(3, scale=2), [1.0, 2.5, 9], stats.pareto(1)),
    "Poisson": ({"Rate": 3.5}, stats.poisson(3.5), [0, 3, 12, -1], stats.poisson(1)),
    "Rayleigh": ({lo: 1, sc: 2}, stats.rayleigh(1, 2), [0.5, 2, 9], stats.rayleigh()),
    "StudentT": ({df: 4.5}, stats.t(4.5), [-9.0, 0, 2], stats.t(1)),
    "Triangular": ({"Minimum": 1, "Maximum": 5, "Mode": 2}, stats.triang(0.25, 1, 4), [0.5, 1.5, 2, 4, 6], stats.triang(0.5)),
    "Uniform": ({"Minimum": 1, "Maximum": 5}, stats.uniform(1, 4), [0.5, 1.5, 6], stats.uniform()),
    "Weibull": ({lo: 1, sc: 2, "Shape": 3}, stats.weibull_min(3, 1, 2), [0.5, 2, 4], stats.weibull_min(1)),
}
for name, (params, dist, xs, default) in families.items():
    density = dist.pmf if hasattr(dist.dist, "pmf") else dist.pdf
    qs = [0.001, 0.25, 0.5, 0.95, -0.1, 1.5]
    for method, f, at in [("Cdf", dist.cdf, xs), ("Pdf", density, xs), ("InverseCdf", dist.ppf, qs)]:
        got = {"x": [float(x) for x in at] + [nan], "%s%s(x)" % (name, method): [float(f(x)) for x in at] + [nan]}
        case(P, "%s-%s" % (name.lower(), method.lower()), {"Dataset": table({"x": got["x"]})}, results(got), {"Distribution": name, "Method": method, **params}, tolerance=1e-9)
    case(P, name.lower() + "-default", {"Dataset": table({"x": [0.3, 2.0]})}, results({name + "Cdf(x)": [float(default.cdf(0.3)), float(default.cdf(2.0))]}),
         {"Distribution": name, "Result mode": "ResultOnly"}, tolerance=1e-9)
case(P, "inplace", {"Dataset": "a,s,b\n0,x,1\n,y,0\n"}, {"Results dataset": "a,s,b\n0,x,0.841344746068543\n,y,0.5\n"}, {"Result mode": "Inplace", "Column set": "b"}, tolerance=1e-12)
case(P, "bad-parameter", {"Dataset": "a\n0\n"}, params={"Standard deviation": "0"}, error="Error 0008: the Normal distribution: Standard deviation must be above 0")
case(P, "infinite", {"Dataset": "a\n1\n"}, params={"Method": "InverseCdf"}, error="Error 0033")
case(P, "gev-reversed", {"Dataset": table({"x": [0.5, 3.0, 30.0]})}, results({"GeneralizedExtremeValuesCdf(x)": [float(stats.genextreme(0.3, 1, 2).cdf(v)) for v in [0.5, 3, 30]]}),
     {"Distribution": "GeneralizedExtremeValues", lo: 1, sc: 2, "Extreme value shape": -0.3, "Result mode": "ResultOnly"}, tolerance=1e-9)

# ---- Replace Discrete Values
R = "Replace Discrete Values"
f = pd.DataFrame({"d": ["a", "a", "b", "a", None, "b"], "r": ["1", "2", "1", "1", "1", None], "q": ["x", "x", "x", "y", "y", "y"]})
ok = f.dropna(subset=["d", "r"])
p = ok.groupby(["d", "r"]).size() / ok.groupby("d").size()
prob = [nan if x is None or y is None or x != x or y != y else float(p[(x, y)]) for x, y in zip(f["d"], f["r"])]
q = f.dropna(subset=["d", "q"])
pq_ = q.groupby(["d", "q"]).size() / q.groupby("d").size()
probq = [nan if x is None or x != x else float(pq_[(x, y)]) for x, y in zip(f["d"], f["q"])]
text = {c: [v if isinstance(v, str) else "" for v in f[c]] for c in f}
one = {"Discrete columns": "d", "Replacement columns": "r"}
case(R, "append", {"Dataset": table(text)}, results({**text, "Prob(r|d)": prob}), one, tolerance=1e-12)
case(R, "inplace", {"Dataset": table(text)}, results({"d": prob, "r": text["r"], "q": text["q"]}), {**one, "Result mode": "Inplace"}, tolerance=1e-12)
case(R, "only", {"Dataset": table(text)}, results({"Prob(r|d)": prob}), {**one, "Result mode": "ResultOnly"}, tolerance=1e-12)
case(R, "other", {"Dataset": table(text)}, results({"Prob(q|d)": probq}), {"Discrete columns": "d", "Replacement columns": "q", "Result mode": "ResultOnly"}, tolerance=1e-12)
case(R, "uneven", {"Dataset": table(text)}, params={"Discrete columns": "d", "Replacement columns": "r,q"}, error="Error 0022")
case(R, "empty", {"Dataset": "d,r\n"}, {"Results dataset": "d,r,Prob(r|d)\n"}, one)

# ---- Summarize Data
S = "Summarize Data"
columns = ["Feature", "Count", "Unique Value Count", "Missing Value Count", "Min", "Max", "Mean", "Mean Deviation", "1st Quartile", "Median", "3rd Quartile", "Mode", "Range",
           "Sample Variance", "Sample Standard Deviation", "Sample Skewness", "Sample Kurtosis", "P0.5", "P1", "P5", "P95", "P99.5"]


def describe(name, v):
    s = pd.Series(v, dtype=float)
    q = s.quantile
    n = [s.min(), s.max(), s.mean(), (s - s.mean()).abs().mean(), q(0.25), q(0.5), q(0.75), s.mode()[0] if s.count() else nan, s.max() - s.min(), s.var(), s.std(), s.skew(), s.kurt(),
         q(0.005), q(0.01), q(0.05), q(0.95), q(0.995)]
    return [name, str(len(s)), str(s.nunique()), str(int(s.isna().sum()))] + [float(x) for x in n]


def summary(*rows):
    return {"Results dataset": table({c: [r[i] for r in rows] for i, c in enumerate(columns)})}


case(S, "mixed", {"Dataset": table(data)}, summary(describe("a", data["a"]), ["s", "9", "8", "1"] + [nan] * 18, describe("b", [float(v) if v else nan for v in data["b"]])), tolerance=1e-12)
case(S, "one-row", {"Dataset": "a,t\n5,True\n"}, summary(describe("a", [5.0]), ["t", "1", "1", "0"] + [nan] * 18), tolerance=1e-12)
case(S, "empty", {"Dataset": {"csv": "a,b\n", "schema": [{"name": "a", "type": "Double"}]}}, summary(["a", "0", "0", "0"] + [nan] * 18, ["b", "0", "0", "0"] + [nan] * 18))

# ---- Test Hypothesis Using t-Test
T = "Test Hypothesis Using t-Test"
x = np.array([5.1, 4.9, 6.2, 5.8, 5.5, 4.7, 6.1])
y = np.array([5.6, 5.0, 6.9, 5.9, 6.4, 4.6, 6.8])
pairs = table({"x": list(x) + [nan, 5.0], "y": list(y) + [6.0, nan]})
x1, y1 = np.append(x, 5.0), np.append(y, 6.0)
sides = {"Two-tailed": "two-sided", "One-tailed greater than": "greater", "One-tailed less than": "less"}


def score(r, confidence, shift=0.0):
    ci = r.confidence_interval(confidence)
    mean = float(r._estimate) + shift
    bound = [v + shift if math.isfinite(v) else nan for v in (ci.low, ci.high)]
    return {"P-score": table({"P-score": [r.pvalue], "t": [r.statistic], "Degrees of freedom": [r.df], "Mean difference": [mean], "Lower bound": [bound[0]], "Upper bound": [bound[1]]}),
            "Reject H0 hypothesis": "Reject H0\n%s\n" % (r.pvalue < 1 - confidence)}


two = {"Second target column": "y"}
for side, alternative in sides.items():
    for confidence in [0.95, 0.6]:
        slug = alternative + ("" if confidence == 0.95 else "-loose")
        more = {"Type of hypothesis": side, "Confidence": confidence, "Target column": "x"}
        case(T, "single-" + slug, {"Dataset": pairs}, score(stats.ttest_1samp(x1, 5.2, alternative=alternative), confidence), {**more, "Hypothesized mean": 5.2}, tolerance=1e-9)
        case(T, "paired-" + slug, {"Dataset": pairs}, score(stats.ttest_rel(x, y, alternative=alternative), confidence), {**more, **two, "Type of test": "Paired samples"}, tolerance=1e-9)
        case(T, "unpaired-" + slug, {"Dataset": pairs}, score(stats.ttest_ind(x1, y1, equal_var=False, alternative=alternative), confidence),
             {**more, **two, "Type of test": "Unpaired samples"}, tolerance=1e-9)
        case(T, "pooled-" + slug, {"Dataset": pairs}, score(stats.ttest_ind(x1, y1, alternative=alternative), confidence),
             {**more, **two, "Type of test": "Unpaired samples", "Assume equal variances": "true"}, tolerance=1e-9)
case(T, "unpaired-shift", {"Dataset": pairs}, score(stats.ttest_ind(x1 - 0.5, y1, equal_var=False), 0.95, 0.5),
     {**two, "Target column": "x", "Type of test": "Unpaired samples", "Hypothesized mean": 0.5}, tolerance=1e-9)
case(T, "too-few", {"Dataset": "x\n5\n"}, params={"Target column": "x"}, error="Error 0021: the sample has 1 values")
case(T, "constant", {"Dataset": "x\n5\n5\n"}, params={"Target column": "x"}, error="Error 0021: the values do not vary")
case(T, "second-missing", {"Dataset": "x\n5\n5\n"}, params={"Target column": "x", "Type of test": "Paired samples"}, error="Error 0003")
case(T, "text", {"Dataset": "x\na\nb\n"}, params={"Target column": "x"}, error="Error 0017")
case(M, "append", {"Dataset": "a,s\n-1.5,x\n"}, {"Results dataset": "a,s,Abs(a)\n-1.5,x,1.5\n"}, {"Output mode": "Append"})
case(P, "append", {"Dataset": "a,s\n0,x\n"}, {"Results dataset": "a,s,NormalCdf(a)\n0,x,0.5\n"}, {"Result mode": "Append"})
case(R, "append-named", {"Dataset": table(text)}, results({**text, "Prob(r|d)": prob}), {**one, "Result mode": "Append"}, tolerance=1e-12)
case(T, "single-named", {"Dataset": pairs}, score(stats.ttest_1samp(x1, 5.2), 0.95), {"Type of test": "Single sample", "Target column": "x", "Second target column": "y", "Hypothesized mean": 5.2},
     tolerance=1e-9)
case(T, "welch-named", {"Dataset": pairs}, score(stats.ttest_ind(x1, y1, equal_var=False), 0.95),
     {**two, "Target column": "x", "Type of test": "Unpaired samples", "Assume equal variances": "false"}, tolerance=1e-9)
