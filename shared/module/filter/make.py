# Goldens of the palette group Data Transformation / Filter.
#
#   scipy 1.17.1 designs and applies the filters, pandas 3.1.1 the windows.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "moduletest"))
from golden import Cases

write = Cases(__file__)


def case(module, name, inputs=None, outputs=None, params=None, **more):
    write(module, name, params, inputs, outputs, **more)


import numpy as np
import pandas as pd
from scipy import signal

rng = np.random.default_rng(7)
t = np.arange(60)
x = np.sin(t / 4) + 0.5 * np.sign(np.sin(t / 1.3)) + rng.normal(size=60).round(3)
x = x.round(4)
A = "Apply Filter"


def col(v):
    return "x\n" + "".join("%r\n" % float(a) for a in v)


def check(module, name, y, params=None, **more):
    """The filter is judged by what Apply Filter makes of a signal by it."""
    case(module, name, None, {"Filter": {"apply": {"csv": col(x)}, "by": "Apply Filter", "gives": col(y)}}, params, tolerance=1e-9, **more)


def fir(order=5, window="hamming", kind="LowPass", lo=0.3, hi=0.7, scale=True):
    taps = order + 1
    if kind in ("HighPass", "BandStop"):
        taps |= 1
    cut, zero = {"LowPass": (lo, True), "HighPass": (hi, False), "BandPass": ([lo, hi], False), "BandStop": ([lo, hi], True)}[kind]
    return signal.lfilter(signal.firwin(taps, cut, window=window, pass_zero=zero, scale=scale), 1, x)


F = "FIR Filter"
check(F, "default", fir())
for kind in ["LowPass", "HighPass", "BandPass", "BandStop"]:
    check(F, kind.lower(), fir(kind=kind), {"Filter type": kind})
    check(F, kind.lower() + "-lower", fir(kind=kind, lo=0.2), {"Filter type": kind, "Low cutoff": 0.2}) if kind != "HighPass" else None
    check(F, kind.lower() + "-even", fir(8, kind=kind, lo=0.2, hi=0.8), {"Filter type": kind, "Order": 8, "Low cutoff": 0.2, "High cutoff": 0.8})
for name, window in {"None": "boxcar", "Triangular": "triang", "Hann": "hann", "Hamming": "hamming", "Blackman": "blackman", "BlackmanHarris": "blackmanharris", "Nuttall": "nuttall",
                     "FlatTop": "flattop"}.items():
    check(F, "window-" + name.lower(), fir(window=window), {"Window": name})
    check(F, "window-" + name.lower() + "-even", fir(6, window=window), {"Window": name, "Order": 6})
check(F, "unscaled", fir(scale=False), {"Scale": "false"})
check(F, "scaled", fir(), {"Scale": "true"})
I = "IIR Filter"
kinds = {"Butterworth": "butter", "ChebyshevTypeI": "cheby1", "ChebyshevTypeII": "cheby2"}


def iir(order=5, kind="Butterworth", band="LowPass", lo=0.3, hi=0.7, ripple=0.5):
    cut, btype = {"LowPass": (lo, "lowpass"), "HighPass": (hi, "highpass"), "BandPass": ([lo, hi], "bandpass"), "BandStop": ([lo, hi], "bandstop")}[band]
    return signal.sosfilt(signal.iirfilter(order, cut, ripple, ripple, btype, ftype=kinds[kind], output="sos"), x)


check(I, "default", iir())
for kind in kinds:
    for band in ["LowPass", "HighPass", "BandPass", "BandStop"]:
        check(I, kind.lower() + "-" + band.lower(), iir(kind=kind, band=band), {"Filter kind": kind, "Filter type": band})
        check(I, kind.lower() + "-" + band.lower() + "-4", iir(4, kind, band, 0.15, 0.8, 3), {"Filter kind": kind, "Filter type": band, "Order": 4, "Low cutoff": 0.15, "High cutoff": 0.8, "Ripple": 3})
s = pd.Series(x)
N = "Median Filter"
check(N, "default", s.rolling(5, center=True, min_periods=1).median())
for n in [1, 4, 9]:
    check(N, "length-%d" % n, s.rolling(n, center=True, min_periods=1).median(), {"Length": n})
V = "Moving Average Filter"


def averages(kind, n=5):
    if kind == "Simple":
        return s.rolling(n, min_periods=1).mean()
    if kind == "Triangular":
        h = (n + 2) // 2
        return s.rolling(h, min_periods=1).mean().rolling(n + 1 - h, min_periods=1).mean()
    if kind == "Weighted":
        return s.rolling(n, min_periods=1).apply(lambda w: np.average(w, weights=np.arange(1, len(w) + 1)))
    if kind == "Exponential":
        return s.ewm(span=n, adjust=False).mean()
    if kind == "Modified":
        return s.ewm(alpha=1 / n, adjust=False).mean()
    return s.expanding().mean()


for kind in ["Simple", "Triangular", "Weighted", "Exponential", "Modified", "Cumulative"]:
    check(V, kind.lower(), averages(kind), {"Moving average type": kind})
    if kind != "Cumulative":
        check(V, kind.lower() + "-8", averages(kind, 8), {"Moving average type": kind, "Length": 8})
check(V, "one", s, {"Length": 1})
T = "Threshold Filter"
check(T, "default", np.where(x < 0, x, 0))
check(T, "named", np.where(x < 0, x, 0), {"Filter type": "LessThan"})
check(T, "less", np.where(x < 0.5, x, 0), {"Level": 0.5})
check(T, "greater", np.where(x > 0, x, 0), {"Filter type": "GreaterThan"})
check(T, "greater-level", np.where(x > 0.5, x, 0.25 * x), {"Filter type": "GreaterThan", "Level": 0.5, "Alpha": 0.25})
check(T, "in", np.where((x >= 0) & (x <= 1), x, 0), {"Filter type": "InRange"})
check(T, "in-bounds", np.where((x >= -0.5) & (x <= 0.7), x, 0), {"Filter type": "InRange", "Lower bound": -0.5, "Upper bound": 0.7})
check(T, "out", np.where((x < -0.5) | (x > 0.7), x, 0), {"Filter type": "OutOfRange", "Lower bound": -0.5, "Upper bound": 0.7})
gate, y = False, []
for v in x:
    gate = True if v > 0.7 else False if v < -0.5 else gate
    y.append(v if gate else 0.0)
check(T, "hysteresis", y, {"Filter type": "Hysteresis", "Lower bound": -0.5, "Upper bound": 0.7})
U = "User Defined Filter"
check(U, "default", x)
check(U, "fir-backward", signal.lfilter([0.5, 0.25], 1, x), {"Filter type": "FIR", "Forward": "0.5 0.25", "Backward": "2 1"}, why="FIR has no backward coefficients")
check(U, "fir", signal.lfilter([0.5, 0.25, -0.125], 1, x), {"Forward": "0.5, 0.25 -0.125"})
check(U, "iir", signal.lfilter([0.5, 0.25], [2, -1, 0.3], x), {"Filter type": "IIR", "Forward": "0.5,0.25", "Backward": "2; -1; 0.3"})
check(U, "iir-default", signal.lfilter([0.5, 0.25], 1, x), {"Filter type": "IIR", "Forward": "0.5,0.25"})

median = {"module": "Median Filter", "parameters": {"Length": "3"}}
case(A, "columns", {"Filter": median, "Dataset": "a,s,b,é\n1,x,9,1\n,y,1,2\n5,z,,7\n2,,4,0\n"}, {"Results dataset": "a,s,b,é\n1,x,9,1.5\n,y,1,2\n5,z,,2\n2,,4,3.5\n"},
     {"Column set": "é"}, types={"Results dataset": ["Int32", "String", "Int32", "Double"]})
case(A, "missing", {"Filter": median, "Dataset": "a,s,b\n1,x,9\n,y,1\n5,z,\n2,,4\n"}, {"Results dataset": "a,s,b\n3,x,5\n,y,4\n2,z,\n3.5,,2.5\n"},
     why="missing cells are no part of the signal: a is 1 5 2, b is 9 1 4")
case(A, "empty", {"Filter": median, "Dataset": {"csv": "a,b\n", "schema": [{"name": "a", "type": "Int32"}]}}, {"Results dataset": "a,b\n"})
case(A, "one-row", {"Filter": {"module": "IIR Filter"}, "Dataset": {"csv": "a\n3\n", "schema": [{"name": "a", "role": "label"}]}},
     {"Results dataset": "a\n%r\n" % float(3 * signal.iirfilter(5, 0.3, btype="lowpass")[0][0])}, types={"Results dataset": ["Double/label"]}, tolerance=1e-9)
case(A, "text", {"Filter": median, "Dataset": "a\nx\n"}, params={"Column set": "a"}, error='Error 0017: column "a" is String')
case(A, "no-filter", {"Filter": {"json": {"portico-transformation": 1, "module": "Apply Filter", "codeVersion": 9, "state": {}}}, "Dataset": "a\n1\n"}, error="publish again")
case(A, "explodes", {"Filter": {"module": "User Defined Filter", "parameters": {"Forward": "1e300"}}, "Dataset": "a\n1\n1e300\n"}, error='Error 0033: column "a"')
for module, name, params, error in [
    (F, "order", {"Order": 0}, "Error 0008"), (F, "cutoffs", {"Filter type": "BandPass", "Low cutoff": 0.8}, "Error 0008: the low cutoff 0.8 is not below the high cutoff 0.7"),
    (I, "ripple", {"Ripple": 0}, "Error 0008"), (N, "length", {"Length": 0}, "Error 0008"), (T, "bounds", {"Filter type": "InRange", "Lower bound": 2}, "Error 0008: the lower bound 2"),
    (U, "empty", {"Forward": " "}, "Error 0002"), (U, "words", {"Forward": "1,x"}, 'Error 0002: parameter "Forward": "x"'), (U, "zero", {"Filter type": "IIR", "Backward": "0,1"}, "Error 0008"),
]:
    case(module, name, params=params, error=error)
