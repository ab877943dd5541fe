# Goldens of the palette group Data Transformation / Scale and Reduce.
#
#   scikit-learn 1.9.1 (StandardScaler, MinMaxScaler, PCA, TruncatedSVD),
#   SciPy (expit, lognorm), NumPy and pandas 3.1.1 (quantiles, cuts, clips).
#   Binning by entropy is written out here from Fayyad and Irani 1993.
import io
import math
import os
import sys

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import lognorm
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.preprocessing import MinMaxScaler, StandardScaler

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "moduletest"))
from golden import PCG, Cases, csv

case = Cases(__file__)
tolerance = 1e-12

rng = PCG(1)
rows = 23
frame = pd.DataFrame({
    "id": range(100, 100 + rows),
    "größe": [round(100 * rng.float64() ** 3 + 0.25, 3) for _ in range(rows)],
    "n": [rng.intn(50) for _ in range(rows)],
    "neg": [round(6 * rng.float64() - 3, 2) for _ in range(rows)],
    "const": [7] * rows,
    "s": [f"t{rng.intn(3)}" for _ in range(rows)],
    "day": [f"2024-03-{1 + rng.intn(28):02d}T00:00:00" for _ in range(rows)],
})
frame["label"] = ["b" if g > 20 else "a" for g in frame["größe"]]
frame["n"] = frame["n"].astype("Int64")
for r, c in [(2, "größe"), (5, "n"), (5, "neg"), (9, "s"), (11, "day"), (13, "größe")]:
    frame.loc[r, c] = pd.NA if c == "n" else (None if c in ("s", "day") else np.nan)
schema = [{"name": "id", "role": "id"}, {"name": "s", "categorical": True}, {"name": "label", "role": "label"}]
table = {"Dataset": {"csv": csv(frame), "schema": schema}}
numbers = ["größe", "n", "neg", "const"]
X = {c: frame[c].astype("Float64").to_numpy(dtype=float, na_value=np.nan) for c in numbers}
other = "id,größe,n,neg,const,s,day,label\n1,-5,1000,,8,t9,2030-01-01T00:00:00,c\n"
types = ["Int32/id", "Double", "Int32", "Double", "Int32", "String[t0 t1 t2]", "DateTime", "String/label"]

# --- Normalize Data

N = "Normalize Data"
Z = "Use 0 for constant columns when checked"


def column(values):
    return pd.Series(values).where(~np.isnan(values), np.nan)


def normalized(f, zero=True):
    out = frame.copy()
    for c in numbers:
        x = X[c]
        if c == "const" and zero:
            out[c] = 0.0
        else:
            with np.errstate(all="ignore"):
                out[c] = f(x)
    return {"Transformed dataset": csv(out)}


def zscore(x):
    if np.nanmin(x) == np.nanmax(x):
        return np.full_like(x, np.nan)
    return StandardScaler().fit_transform(x[:, None])[:, 0]


def minmax(x):
    if np.nanmin(x) == np.nanmax(x):
        return np.full_like(x, np.nan)
    return MinMaxScaler().fit_transform(x[:, None])[:, 0]


def lognormal(x):
    logs = np.log(x[x > 0])
    sd = logs.std()
    if np.ptp(logs) == 0:
        return np.full_like(x, np.nan)
    return np.where(np.isnan(x), np.nan, lognorm.cdf(x, sd, scale=math.exp(logs.mean())))


methods = {"ZScore": zscore, "MinMax": minmax, "Logistic": expit, "LogNormal": lognormal, "TanH": np.tanh}
for name, f in methods.items():
    case(N, name.lower(), {"Transformation method": name}, table, normalized(f), tolerance=tolerance,
         types={"Transformed dataset": ["Int32/id", "Double", "Double", "Double", "Double"] + types[5:]})
    case(N, name.lower() + "-constant", {"Transformation method": name, Z: False}, table, normalized(f, zero=False), tolerance=tolerance)
case(N, "zscore-zero", {Z: True}, table, normalized(zscore), tolerance=tolerance)
one = frame.copy()
one["neg"] = zscore(X["neg"])
case(N, "one-column", {"Columns to transform": "neg"}, table, {"Transformed dataset": csv(one)}, tolerance=tolerance)
mean, sd = {c: np.nanmean(X[c]) for c in numbers}, {c: np.nanstd(X[c]) for c in numbers}
moved = pd.DataFrame({"id": [1], "größe": [(-5 - mean["größe"]) / sd["größe"]], "n": [(1000 - mean["n"]) / sd["n"]], "neg": [np.nan], "const": [0.0], "s": ["t9"],
                      "day": ["2030-01-01T00:00:00"], "label": ["c"]})
case(N, "other-table", {}, table, {"Transformation function": {"apply": {"csv": other, "schema": [{"name": "neg", "type": "Double"}]}, "gives": csv(moved)}}, tolerance=tolerance)
case(N, "one-row", {}, {"Dataset": "a\n3\n"}, {"Transformed dataset": "a\n0\n"}, types={"Transformed dataset": ["Double"]})
case(N, "no-values", {Z: False}, {"Dataset": {"csv": "a,b\n,1\n,2\n", "schema": [{"name": "a", "type": "Double"}]}}, {"Transformed dataset": "a,b\n,-1\n,1\n"})
case(N, "text", {"Columns to transform": "s"}, table, error='Error 0017: column "s" is String')
case(N, "date", {"Columns to transform": "day"}, table, error='Error 0017: column "day" is DateTime')
case(N, "empty", {}, {"Dataset": {"csv": "a\n", "schema": [{"name": "a", "type": "Double"}]}}, error="Error 0021")
case(N, "nothing", {}, {"Dataset": "a\nx\n"}, error="Error 0020")
case(N, "id-only", {"Columns to transform": "id"}, table, error="Error 0020")
case(N, "no-column", {"Columns to transform": "negg"}, table, error='Error 0001: column "negg"')

# --- Clip Values

C = "Clip Values"
SET, OVER, FLAGS, COLS = "Set of thresholds", "Overwrite flag", "Add indicator columns", "List of columns"


def threshold(values, mode, constant, percentile):
    if mode == "Constant":
        return constant, False
    s = np.sort(values)
    return s[percentile * len(s) // 100], True


def substitute(values, how, at):
    return {"Threshold": at, "Mean": values.mean(), "Median": np.median(values), "Missing": np.nan}[how]


def clipped(columns=("größe", "n", "neg", "const"), upper=None, lower=None, overwrite=True, flags=False):
    out = frame.copy()
    added, flag = {}, {}
    for c in columns:
        x = X[c]
        v = x[~np.isnan(x)]
        y, is_ = x.copy(), np.zeros(len(x), bool)
        for side, spec in ((1, upper), (-1, lower)):
            if spec is None:
                continue
            at, included = threshold(v, *spec[:3])
            beyond = (x * side > at * side) | (included & (x == at))
            beyond &= ~is_
            y[beyond] = substitute(v, spec[3], at)
            is_ |= beyond
        if overwrite:
            out[c] = y
        else:
            added[c + "_clipped"] = y
        flag[c + "_IsClipped"] = is_
    for name, y in added.items():
        out[name] = y
    if flags:
        for name, f in flag.items():
            out[name] = f
    for c in list(out.columns):
        if out[c].dtype == float:
            v = out[c].dropna()
            if len(v) and (v == v.round()).all():
                out[c] = out[c].astype("Int64")  # prints without a point
    return {"Results dataset": csv(out)}


def clip(name, params, inputs=table, **more):
    case(C, name, params, inputs, clipped(**more.pop("how")), tolerance=tolerance, **more)


upper = ("Constant", 1, 99, "Threshold")
lower = ("Constant", -1, 1, "Threshold")


def spec(base, **change):
    names = ["mode", "constant", "percentile", "substitute"]
    return tuple(change.get(k, v) for k, v in zip(names, base))


clip("peaks", {SET: "ClipPeaks"}, how=dict(upper=upper), types={"Results dataset": types})
clip("peaks-at", {"Constant value for upper threshold": 20.5}, how=dict(upper=spec(upper, constant=20.5)),
     types={"Results dataset": ["Int32/id", "Double", "Double", "Double", "Double"] + types[5:]}, why="20.5 does not fit whole numbers: the columns become Double")
clip("peaks-constant", {"Upper threshold": "Constant"}, how=dict(upper=upper))
clip("peaks-percentile", {"Upper threshold": "Percentile", "Percentile number for upper threshold": 60}, how=dict(upper=spec(upper, mode="Percentile", percentile=60)))
clip("peaks-percentile-default", {"Upper threshold": "Percentile"}, how=dict(upper=spec(upper, mode="Percentile")))
for how in ["Threshold", "Mean", "Median", "Missing"]:
    clip("peaks-by-" + how.lower(), {"Upper substitute value": how, "Constant value for upper threshold": 2}, how=dict(upper=spec(upper, constant=2, substitute=how)))
    clip("subpeaks-by-" + how.lower(), {SET: "ClipSubPeaks", "Lower substitute value": how, "Constant value for lower threshold": 3}, how=dict(lower=spec(lower, constant=3, substitute=how)))
    clip("both-peaks-by-" + how.lower(), {SET: "ClipPeaksAndSubPeaks", "Substitute value for peaks": how, "Constant value of upper threshold": 2},
         how=dict(upper=spec(upper, constant=2, substitute=how), lower=lower))
    clip("both-subpeaks-by-" + how.lower(), {SET: "ClipPeaksAndSubPeaks", "Substitute value for subpeaks": how, "Constant value of lower threshold": 0.5},
         how=dict(upper=upper, lower=spec(lower, constant=0.5, substitute=how)))
clip("subpeaks", {SET: "ClipSubPeaks"}, how=dict(lower=lower))
clip("subpeaks-constant", {SET: "ClipSubPeaks", "Lower threshold": "Constant"}, how=dict(lower=lower))
clip("subpeaks-percentile", {SET: "ClipSubPeaks", "Lower threshold": "Percentile", "Percentile number for lower threshold": 30}, how=dict(lower=spec(lower, mode="Percentile", percentile=30)))
clip("both", {SET: "ClipPeaksAndSubPeaks"}, how=dict(upper=upper, lower=lower))
clip("both-constant", {SET: "ClipPeaksAndSubPeaks", "Threshold": "Constant"}, how=dict(upper=upper, lower=lower))
clip("both-percentile", {SET: "ClipPeaksAndSubPeaks", "Threshold": "Percentile", "Percentile number of upper threshold": 70, "Percentile number of lower threshold": 20},
     how=dict(upper=spec(upper, mode="Percentile", percentile=70), lower=spec(lower, mode="Percentile", percentile=20)))
clip("indicators", {FLAGS: True, "Constant value for upper threshold": 20}, how=dict(upper=spec(upper, constant=20), flags=True))
clip("no-indicators", {FLAGS: False, "Constant value for upper threshold": 20}, how=dict(upper=spec(upper, constant=20)))
clip("append", {OVER: False}, how=dict(upper=upper, overwrite=False), why="what is behind the columns is named after them")
clip("append-indicators", {OVER: False, FLAGS: True}, how=dict(upper=upper, overwrite=False, flags=True))
clip("overwrite", {OVER: True}, how=dict(upper=upper))
clip("columns", {COLS: "neg,s,label"}, how=dict(columns=["neg"], upper=upper), why="texts are skipped")
ten = "a\n" + "".join(f"{i}\n" for i in range(1, 11))
P = {SET: "ClipPeaksAndSubPeaks", "Threshold": "Percentile"}
case(C, "studio-example-missing", {**P, "Percentile number of upper threshold": 90, "Percentile number of lower threshold": 10, "Substitute value for peaks": "Missing", "Substitute value for subpeaks": "Missing",
                                   OVER: False, FLAGS: True}, {"Dataset": ten},
     {"Results dataset": "a,a_clipped,a_IsClipped\n" + "".join(f"{i},{'' if i in (1, 2, 10) else i},{i in (1, 2, 10)}\n" for i in range(1, 11))}, why="the example of the Studio's documentation")
case(C, "studio-example-threshold", {**P, "Percentile number of upper threshold": 60, "Percentile number of lower threshold": 30, OVER: False, FLAGS: True}, {"Dataset": ten},
     {"Results dataset": "a,a_clipped,a_IsClipped\n" + "".join(f"{i},{min(max(i, 4), 7)},{i <= 4 or i >= 7}\n" for i in range(1, 11))}, why="the example of the Studio's documentation")
case(C, "dates", {COLS: "d", "Upper threshold": "Percentile", "Percentile number for upper threshold": 50, "Upper substitute value": "Mean"},
     {"Dataset": "d\n2024-01-01T00:00:00\n2024-01-02T00:00:00\n2024-01-06T00:00:00\n"}, {"Results dataset": "d\n2024-01-01T00:00:00\n2024-01-03T00:00:00\n2024-01-03T00:00:00\n"})
case(C, "dates-by-ticks", {COLS: "d", "Constant value for upper threshold": 638397504000000000}, {"Dataset": "d\n2024-01-01T00:00:00\n2024-01-03T00:00:00\n"},
     {"Results dataset": "d\n2024-01-01T00:00:00\n2024-01-02T00:00:00\n"}, why="638397504000000000 ticks are 2024-01-02")
case(C, "name-taken", {COLS: "a", OVER: False}, {"Dataset": "a,a_clipped\n5,x\n"}, {"Results dataset": "a,a_clipped,a_clipped (2)\n5,x,1\n"})
case(C, "empty", {}, {"Dataset": {"csv": "a\n", "schema": [{"name": "a", "type": "Int32"}]}}, {"Results dataset": "a\n"})
case(C, "other-table", {"Upper threshold": "Percentile", COLS: "n"}, table, {"Clipping transformation": {"apply": "n\n1000\n1\n", "gives": f"n\n{int(np.nanmax(X['n']))}\n1\n"}})
case(C, "huge", {"Upper substitute value": "Mean"}, {"Dataset": "a\n1e308\n1e308\n2\n"}, error='Error 0033: column "a": the mean')
case(C, "texts-only", {COLS: "s"}, table, error="Error 0011")
case(C, "crossed", {SET: "ClipPeaksAndSubPeaks", "Constant value of lower threshold": 2}, table, error="Error 0008")
case(C, "percentile-outside", {"Percentile number for upper threshold": 100}, table, error="Error 0008")

# --- Group Data into Bins

B = "Group Data into Bins"
MODE, OUT, TAG, BINS, QUANT = "Binning mode", "Output mode", "Tag columns as categorical", "Number of bins", "Quantile normalization"


def index(x, edges):
    return np.searchsorted(np.asarray(edges, float), x, side="left") + 1


def interior(edges, x):
    e = np.unique(edges)
    return e[e < np.nanmax(x)]


def quantiles(x, n):
    return interior(np.nanquantile(x, np.arange(1, n) / n), x)


def widths(x, n):
    lo, hi = np.nanmin(x), np.nanmax(x)
    return interior(lo + (hi - lo) * np.arange(1, n) / n, x)


def label(v):
    return repr(int(v)) if v == int(v) else repr(float(v))


def binned(edges_of, columns=("größe", "n", "neg", "const"), output="Append", quant="QuantileIndex"):
    out = frame.copy()
    bins = {}
    levels = {}
    for c in columns:
        edges = edges_of(c)
        i = index(X[c], edges)
        count = len(edges) + 1
        value = {"Percent": lambda k: 100 * k / (count + 1), "PQuantile": lambda k: k / (count + 1), "QuantileIndex": lambda k: k}[quant]
        bins[c] = ["" if np.isnan(x) else label(value(int(k))) for x, k in zip(X[c], i)]
        levels[c] = "String[" + " ".join(label(value(k)) for k in range(1, count + 1)) + "]"
    if output == "Append":
        for c in columns:
            out[c + "quantized"] = bins[c]
        t = types + [levels[c] for c in columns]
    elif output == "Inplace":
        for c in columns:
            out[c] = bins[c]
        t = [levels.get(c, old) for c, old in zip(frame.columns, types)]
    else:
        out = pd.DataFrame(bins)
        t = [levels[c] for c in columns]
    return {"Quantized dataset": csv(out)}, {"Quantized dataset": t}


def bins(name, params, edges_of, typed=True, **how):
    more = {k: how.pop(k) for k in ["why", "inputs"] if k in how}
    outputs, t = binned(edges_of, **how)
    if typed:
        more["types"] = t
    case(B, name, params, more.pop("inputs", table), outputs, **more)


deciles = lambda c: quantiles(X[c], 10)
bins("quantiles", {MODE: "Quantiles"}, deciles, quant="Percent")
bins("quantiles-percent", {QUANT: "Percent", BINS: 3}, lambda c: quantiles(X[c], 3), quant="Percent")
bins("quantiles-p", {QUANT: "PQuantile"}, deciles, quant="PQuantile")
bins("quantiles-index", {QUANT: "QuantileIndex"}, deciles)
bins("quantiles-number", {QUANT: "QuantileIndex", BINS: 4}, lambda c: quantiles(X[c], 4))
bins("quantiles-one", {QUANT: "QuantileIndex", BINS: 1}, lambda c: [])
halves = pd.qcut(pd.Series(X["neg"]), 4, labels=False) + 1
assert halves.equals(pd.Series(np.where(np.isnan(X["neg"]), np.nan, index(X["neg"], quantiles(X["neg"], 4)))))
I = {QUANT: "QuantileIndex"}
for mode in ["Append", "Inplace", "ResultOnly"]:
    bins("output-" + mode.lower(), {**I, OUT: mode}, deciles, output=mode)
bins("categorical", {**I, TAG: True}, deciles)
outputs, _ = binned(deciles)
case(B, "numbers", {**I, TAG: False}, table, outputs, types={"Quantized dataset": types + ["Int32"] * 4})
outputs, _ = binned(deciles, quant="PQuantile")
case(B, "numbers-p", {QUANT: "PQuantile", TAG: False}, table, outputs, types={"Quantized dataset": types + ["Double"] * 4})
bins("columns", {**I, "Columns to bin": "neg"}, deciles, columns=["neg"])
bins("equal-width", {MODE: "Equal Width"}, lambda c: widths(X[c], 10))
bins("equal-width-number", {MODE: "Equal Width", BINS: 3}, lambda c: widths(X[c], 3))
cut = pd.cut(pd.Series(X["neg"]), 3, labels=False) + 1
assert cut.equals(pd.Series(np.where(np.isnan(X["neg"]), np.nan, index(X["neg"], widths(X["neg"], 3)))))
case(B, "equal-width-huge", {MODE: "Equal Width", BINS: 4, TAG: False}, {"Dataset": "a\n-1e308\n0\n1\n1e308\n"}, {"Quantized dataset": "a,aquantized\n-1e308,1\n0,2\n1,3\n1e308,4\n"},
     why="the distance of the ends is infinite, the edges between them are not: -5e307, 0 and 5e307")
E = {MODE: "Custom Edges"}
LIST = "Comma-separated list of bin edges"
bins("custom-edges", {**E, LIST: "-1, 0.5,20"}, lambda c: [-1, 0.5, 20])
case(B, "custom-edges-studio-example", {**E, LIST: "1,2,3", TAG: False}, {"Dataset": "a\n1.5\n0.5\n3.5\n1\n2\n"}, {"Quantized dataset": "a,aquantized\n1.5,2\n0.5,1\n3.5,4\n1,1\n2,2\n"},
     why="1.5 is in bin 2, 0.5 in 1 and 3.5 in 4, says the Studio's documentation; and with the edge 0, bin 1 has the values up to it")
case(B, "custom-edges-absent", E, table, error="Error 0003")
case(B, "custom-edges-unsorted", {**E, LIST: "1,3,2"}, table, error="Error 0019")
case(B, "custom-edges-bad", {**E, LIST: "1,x"}, table, error='"x" is not a number')
W = {MODE: "Equal Width with Custom Start and Stop"}
bins("custom-width", W, lambda c: [0, 0.5, 1])
bins("custom-width-first", {**W, "First edge position": -2}, lambda c: np.arange(-2, 1.1, 0.5))
bins("custom-width-width", {**W, "Bin width": 0.1}, lambda c: [i * 0.1 for i in range(11)], why="0.1 added up is not 1 in binary; the last edge is there all the same", typed=False)
bins("custom-width-last", {**W, "Last edge position": 7.2}, lambda c: np.arange(0, 7.2, 0.5))
case(B, "custom-width-none", {**W, "Bin width": 0}, table, error="Error 0004")
case(B, "custom-width-backwards", {**W, "Last edge position": -1}, table, error="Error 0005")
case(B, "custom-width-too-many", {**W, "Bin width": 1e-9}, table, error="Error 0007")


def entropy(classes):
    _, counts = np.unique(classes, return_counts=True)
    p = counts / counts.sum()
    return -(p * np.log2(p)).sum(), len(counts)


def mdl(x, y, most):
    """The edges of Fayyad and Irani, the most gainful first."""
    keep = ~np.isnan(x) & np.array([v == v and v is not None for v in y])
    x, y = x[keep], np.asarray(y)[keep]
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]

    def best(lo, hi):
        whole, k = entropy(y[lo:hi])
        n, found = hi - lo, None
        for i in range(lo + 1, hi):
            if x[i] == x[i - 1]:
                continue
            a, ka = entropy(y[lo:i])
            b, kb = entropy(y[i:hi])
            gain = n * whole - (i - lo) * a - (hi - i) * b
            if found is None or gain > found[0]:
                found = gain, i, math.log2(n - 1) + math.log2(3**k - 2) - (k * whole - ka * a - kb * b)
        return None if found is None or found[0] <= found[2] else (found[0], found[1], lo, hi)

    edges, open_ = [], [best(0, len(x))]
    while len(edges) < most - 1 and any(open_):
        at = max((i for i in range(len(open_)) if open_[i]), key=lambda i: open_[i][0])
        _, i, lo, hi = open_[at]
        edges.append(x[i - 1] / 2 + x[i] / 2)
        open_[at : at + 1] = [best(lo, i), best(i, hi)]
    return sorted(edges)


M = {MODE: "Entropy MDL"}
y = frame["label"].to_numpy(dtype=object)
bins("entropy", M, lambda c: mdl(X[c], y, 10))
assert len(mdl(X["größe"], y, 10)) == 1 and not mdl(X["neg"], y, 10)
xs = [i % 30 + round(rng.float64(), 2) for i in range(120)]
ys = ["lmnop"[int(v // 6)] if rng.float64() < 0.95 else "m" for v in xs]
many = pd.DataFrame({"x": xs, "y": ys})
labelled = {"Dataset": {"csv": csv(many), "schema": [{"name": "y", "role": "label"}]}}
for k in (10, 3):
    edges = mdl(np.array(xs), ys, k)
    case(B, f"entropy-{k}", {**M, BINS: k, TAG: False}, labelled, {"Quantized dataset": csv(many.assign(xquantized=index(xs, edges)))})
    assert len(edges) == {10: 4, 3: 2}[k], edges
case(B, "entropy-without-label", M, {"Dataset": "a\n1\n"}, error="Error 0024")
case(B, "entropy-two-labels", M, {"Dataset": {"csv": "a,b,c\n1,2,3\n", "schema": [{"name": "b", "role": "label"}, {"name": "c", "role": "label"}]}}, error="Error 0037")
case(B, "entropy-numeric-label", {**M, TAG: False}, {"Dataset": {"csv": "a,b\n" + "".join(f"{i},{int(i > 8)}\n" for i in range(16)), "schema": [{"name": "b", "role": "label"}]}},
     {"Quantized dataset": "a,b,aquantized\n" + "".join(f"{i},{int(i > 8)},{1 + int(i > 8)}\n" for i in range(16))}, why="the label itself is not binned")
case(B, "other-table", {**E, LIST: "10", "Columns to bin": "n", OUT: "Inplace"}, table, {"Binning transformation": {"apply": "n\n3\n11\n\"\"\n", "gives": 'n\n1\n2\n""\n'}})
case(B, "name-taken", {**E, LIST: "1"}, {"Dataset": "a,aquantized\n1,x\n"}, {"Quantized dataset": "a,aquantized,aquantized (2)\n1,x,1\n"})
case(B, "one-row", {QUANT: "QuantileIndex"}, {"Dataset": "a\n3\n"}, {"Quantized dataset": "a,aquantized\n3,1\n"})
case(B, "empty", {}, {"Dataset": {"csv": "a\n", "schema": [{"name": "a", "type": "Double"}]}}, error="Error 0021")
case(B, "text", {"Columns to bin": "s"}, table, error="Error 0017")

# --- Principal Component Analysis

A = "Principal Component Analysis"
SEL, DIM, ZERO = "Selected columns", "Number of dimensions to reduce to", "Normalize dense dataset to zero mean"
chosen = ["größe", "n", "neg"]
full = np.column_stack([X[c] for c in chosen])
whole = ~np.isnan(full).any(axis=1)


def components(k, centred=True):
    if centred:
        model = PCA(k, svd_solver="full").fit(full[whole])
        weights, mean = model.components_, model.mean_
    else:
        model = TruncatedSVD(k, algorithm="arpack", tol=0, random_state=0).fit(full[whole])
        weights, mean = model.components_, 0
    weights = weights * np.sign(weights[range(k), np.abs(weights).argmax(axis=1)])[:, None]
    return (full - mean) @ weights.T


def reduced(scores):
    out = frame.drop(columns=chosen)
    for j in range(scores.shape[1]):
        out[f"Col{j + 1}"] = scores[:, j]
    return {"Results dataset": csv(out)}


for k in (1, 2, 3):
    case(A, f"components-{k}", {SEL: "größe,n,neg", DIM: k}, table, reduced(components(k)), tolerance=1e-9,
         types={"Results dataset": ["Int32/id", "Int32"] + types[5:] + ["Double"] * k})
case(A, "zero-mean", {SEL: "größe,n,neg", DIM: 2, ZERO: True}, table, reduced(components(2)), tolerance=1e-9)
case(A, "as-they-are", {SEL: "größe,n,neg", DIM: 2, ZERO: False}, table, reduced(components(2, centred=False)), tolerance=1e-9)
case(A, "name-taken", {SEL: "a,b", DIM: 1}, {"Dataset": "Col1,a,b\nx,1,0\ny,-1,0\n"}, {"Results dataset": "Col1,Col1 (2)\nx,1\ny,-1\n"})
case(A, "one-row", {SEL: "a,b", DIM: 1}, {"Dataset": "a,b\n1,5\n"}, {"Results dataset": "Col1\n0\n"})
case(A, "other-table", {SEL: "a,b", DIM: 1}, {"Dataset": "a,b\n3,0\n1,0\n"}, {"PCA Transformation": {"apply": "b,c,a\n7,x,12\n,y,1\n", "gives": "c,Col1\nx,10\ny,\n"}}, why="the component is a - 2")
case(A, "empty", {SEL: "a", DIM: 1}, {"Dataset": {"csv": "a\n", "schema": [{"name": "a", "type": "Double"}]}}, error="Error 0021")
case(A, "no-whole-row", {SEL: "a,b", DIM: 1}, {"Dataset": "a,b\n1,\n,1\n"}, error="Error 0021")
case(A, "too-many", {SEL: "n,neg", DIM: 3}, table, error="Error 0007")
case(A, "none", {SEL: "n,neg", DIM: 0}, table, error="Error 0008")
case(A, "text", {SEL: "n,s", DIM: 1}, table, error="Error 0017")
case(A, "absent", {DIM: 1}, table, error="Error 0003")
