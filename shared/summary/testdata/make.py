"""Makes golden.json: a table, and what pandas says of its columns.

Made with numpy 2.4.6, pandas 3.1.1.
"""
import json
import os

import numpy as np
import pandas as pd

rng = np.random.default_rng(11)
n = 500
numbers = pd.Series(np.round(rng.lognormal(3, 1, n), 3))
numbers[rng.random(n) < 0.1] = np.nan
ints = pd.Series(rng.integers(-40, 1000, n))
big = pd.Series((1 << 58) + rng.integers(0, 50, n))
one = pd.Series(np.full(n, 7.5))
text = pd.Series(rng.choice(list("abcdefghijklmno"), n, p=np.arange(1, 16) / 120))
text[rng.random(n) < 0.05] = None
flag = pd.Series(rng.choice(["True", "False"], n))
dates = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), unit="D"))

df = pd.DataFrame({"numbers": numbers, "ints": ints, "big": big, "one": one, "text": text, "flag": flag, "dates": dates.dt.strftime("%Y-%m-%dT%H:%M:%S")})
out = {}
for name, s in {"numbers": numbers, "ints": ints, "one": one, "dates": dates, "big": big}.items():
    present = s.dropna()
    d = {"count": len(present), "missing": int(s.isna().sum()), "unique": int(present.nunique())}
    if name == "dates":
        iso = lambda t: t.isoformat()
        d |= {"min": iso(present.min()), "max": iso(present.max())}
        d |= {"quartiles": [iso(present.quantile(q).round("us")) for q in (0.25, 0.5, 0.75)]}
    elif name == "big":
        d |= {"min": str(present.min()), "max": str(present.max())}
    else:
        d |= {"min": float(present.min()), "max": float(present.max()), "mean": present.mean(), "std": present.std()}
        d |= {"quartiles": [float(present.quantile(q)) for q in (0.25, 0.5, 0.75)]}
        if name != "one":
            d |= {"bins": np.histogram(present, 10)[0].tolist()}
    out[name] = d
for name, s in {"text": text, "flag": flag}.items():
    counts = s.value_counts()
    top = sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))
    out[name] = {"count": int(s.notna().sum()), "missing": int(s.isna().sum()), "unique": len(counts),
                 "levels": [[k, int(v)] for k, v in top[:10]], "other": int(sum(v for _, v in top[10:]))}
with open(os.path.join(os.path.dirname(__file__), "golden.json"), "w") as f:
    json.dump({"csv": df.to_csv(index=False), "columns": out}, f, indent=1)
