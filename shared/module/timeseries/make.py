# Goldens of the palette group Time Series.
#
#   numpy 2.4.6: percentiles, fitted lines and the sums of bets, each over its
#   whole window anew.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "moduletest"))
from golden import Cases

write = Cases(__file__)


def case(module, name, inputs=None, outputs=None, params=None, **more):
    write(module, name, params, inputs, outputs, **more)


import math

import numpy as np

A = "Time Series Anomaly Detection"
rng = np.random.default_rng(5)
n = 120
level = np.round(rng.normal(size=n) + np.where(np.arange(n) >= 80, 4.0, 0.0), 3)
rise = np.round(rng.normal(size=n) * 0.3 + np.maximum(0, np.arange(n) - 60) * 0.1, 3)
fall = -rise


def scores(x, kind="PowerAvg", eps=0.1, strange="RangePercentile", bets=50, history=50):
    s, b, out = np.zeros(len(x)), np.zeros(len(x)), np.zeros(len(x))
    for i in range(10, len(x)):
        h = x[max(0, i - history):i]
        if strange == "RangePercentile":
            width = np.percentile(h, 90) - np.percentile(h, 10)
            s[i] = abs(x[i] - np.median(h)) / (width if width else 1)
        else:
            y = np.append(h, x[i])
            slope = np.polyfit(np.arange(len(y)), y, 1)[0]
            s[i] = max(0.0, slope if strange == "SlowPosTrend" else -slope)
            if s[i] < 1e-12:
                s[i] = 0.0
        first = max(10, i - history)
        if i - first < 10:
            continue
        before = s[first:i]
        p = ((before > s[i]).sum() + ((before == s[i]).sum() + 1) / 2) / (i - first + 1)
        if kind == "Power":
            b[i] = math.log(eps * p ** (eps - 1))
        else:
            b[i] = math.log(0.5) if 1 - p < 1e-9 else math.log((1 - p + p * math.log(p)) / (p * math.log(p) ** 2))
        out[i] = max(0.0, max(np.cumsum(b[max(0, i - bets + 1):i + 1][::-1])))
    return out


def check(name, x, params=None, threshold=3.25, tolerance=1e-9, **options):
    got = scores(x, **options)
    head = "t,x\n" + "".join("%d,%r\n" % (i, float(v)) for i, v in enumerate(x))
    want = "t,x,Anomaly Score,Alert\n" + "".join("%d,%r,%r,%d\n" % (i, float(v), float(s), s > threshold) for i, (v, s) in enumerate(zip(x, got)))
    case(A, name, {"Dataset": head}, {"Results dataset": want}, {"Data Column": "x", "Time Column": "t", **(params or {})}, tolerance=tolerance)


check("default", level)
check("named", level, {"Martingale Type": "PowerAvg", "Strangeness Function Type": "RangePercentile"})
check("power", level, {"Martingale Type": "Power"}, kind="Power")
check("power-epsilon", level, {"Martingale Type": "Power", "Epsilon": 0.5}, kind="Power", eps=0.5)
check("rise", rise, {"Strangeness Function Type": "SlowPosTrend"}, strange="SlowPosTrend")
check("fall", fall, {"Strangeness Function Type": "SlowNegTrend"}, strange="SlowNegTrend")
check("short-bets", level, {"Length of martingale values": 12}, bets=12)
check("short-history", level, {"Length of strangeness values": 20}, history=20)
check("threshold", level, {"Alert Threshold": 1}, threshold=1)
check("constant", np.full(40, 7.0))
check("short", level[:12])
required = {"Data Column": "x", "Time Column": "t"}
case(A, "missing", {"Dataset": "t,x\n2024-01-01T00:00:00,1\n2024-01-01T00:00:00,\n2024-01-02T00:00:00,3\n"},
     {"Results dataset": "t,x,Anomaly Score,Alert\n2024-01-01T00:00:00,1,0,0\n2024-01-01T00:00:00,,,0\n2024-01-02T00:00:00,3,0,0\n"}, required,
     types={"Results dataset": ["DateTime", "Int32", "Double/score", "Int32/score"]})
case(A, "empty", {"Dataset": {"csv": "t,x\n", "schema": [{"name": "t", "type": "DateTime"}, {"name": "x", "type": "Double"}]}}, {"Results dataset": "t,x,Anomaly Score,Alert\n"}, required)
case(A, "taken", {"Dataset": "t,x,Alert\n1,2,a\n"}, {"Results dataset": "t,x,Alert,Anomaly Score,Alert (2)\n1,2,a,0,0\n"}, required)
case(A, "backwards", {"Dataset": "t,x\n2,1\n1,1\n"}, params=required, error='row 2: Error 0018: time column "t" goes back')
case(A, "no-time", {"Dataset": "t,x\n,1\n1,1\n"}, params=required, error='row 1: Error 0018: time column "t" has a missing cell')
case(A, "text", {"Dataset": "t,x\n1,a\n"}, params=required, error='Error 0017: data column "x" is String')
case(A, "text-times", {"Dataset": "t,x\na,1\n"}, params=required, error='Error 0017: time column "t" is String')
case(A, "two", {"Dataset": "t,x\n1,1\n"}, params={"Data Column": "t,x", "Time Column": "t"}, error="Error 0022")
