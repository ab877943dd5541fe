"""Makes the XGBoost models beside this file, with what XGBoost answers for them.

Run it once per version, from any directory, in an environment that has
xgboost, numpy 1.26.4, scipy 1.13.1 and pandas 2.2.3:

    python make.py

It writes inputs/<case>.csv, <version>/<case>.json or .ubj, and
<version>/<case>.csv with each row's margins and predictions, and adds the
version's hashes to MANIFEST.json.
"""

import hashlib
import json
import os
import platform

import numpy as np
import pandas as pd
import scipy
import xgboost as xgb

HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = xgb.__version__
MAJOR = int(VERSION.split(".")[0])
ROWS = 1000


def numeric(seed, columns=6, rows=ROWS):
    """Features of mixed scales, many ties, a few extreme values."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)).astype(np.float32)
    x[:, 1] = np.round(x[:, 1] * 4) / 4
    x[:, 2] = rng.integers(0, 9, rows)
    x[:, 3] = np.exp(x[:, 3] * 3)
    x[:8, 0] = [0.0, -0.0, 1e-38, -1e-38, 1e30, -1e30, 1e-45, 3.4e38]
    return x


def tame(x):
    """Without the values at which a linear model overflows."""
    return np.clip(x, -20, 20)


def holes(x, seed, share=0.2):
    rng = np.random.default_rng(seed)
    x = x.copy()
    x[rng.random(x.shape) < share] = np.nan
    x[10:13, :] = np.nan
    return x


def categories(seed, levels):
    """Column 0 is numeric, the others are codes; some missing, some unseen."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=ROWS)] + [rng.integers(0, n, ROWS) for n in levels]).astype(np.float32)
    x[rng.random(x.shape) < 0.05] = np.nan
    return x


def signal(x, seed):
    rng = np.random.default_rng(seed)
    z = np.nan_to_num(np.clip(x, -50, 50))
    s = z[:, 0] + 0.5 * z[:, 1] * (z[:, 2] > 3) - 0.3 * np.abs(z[:, -1])
    return s + rng.normal(size=len(x)) * 0.7


def binary(x, seed):
    s = signal(x, seed)
    return (s > np.median(s)).astype(np.float32)


def waves(x, seed):
    """A label that needs many thresholds of the first feature."""
    return np.sin(60 * np.clip(x[:, 0], -3, 3)).astype(np.float32)


def counts(x, seed):
    return np.random.default_rng(seed).poisson(np.exp(np.clip(signal(x, seed), -3, 3) * 0.4)).astype(np.float32)


def classes(n):
    def label(x, seed):
        s = signal(x, seed)
        return np.digitize(s, np.quantile(s, np.arange(1, n) / n)).astype(np.float32)
    return label


def effects(x, seed):
    """A label that depends on category codes in no monotone way."""
    rng = np.random.default_rng(seed)
    s = rng.normal(size=len(x)) * 0.5 + np.nan_to_num(x[:, 0]) * 0.3
    for c in range(1, x.shape[1]):
        e = rng.normal(size=64)
        s += e[np.nan_to_num(x[:, c]).astype(int)]
    return (s > np.median(s)).astype(np.float32)


# The input of the cases that differ in the objective alone.
OBJECTIVES = numeric(17)

# name: (features, label, parameters, rounds)
CASES = {
    "logistic": (numeric(1), binary, {"objective": "binary:logistic", "max_depth": 4}, 12),
    "depth6": (numeric(2), binary, {"objective": "binary:logistic", "max_depth": 6}, 20),
    "missing": (holes(numeric(3), 3), binary, {"objective": "binary:logistic", "max_depth": 4}, 12),
    "squarederror": (numeric(4), signal, {"objective": "reg:squarederror", "max_depth": 4}, 12),
    "softprob": (holes(numeric(5), 5, 0.1), classes(4), {"objective": "multi:softprob", "num_class": 4, "max_depth": 3}, 6),
    "softmax": (numeric(6), classes(3), {"objective": "multi:softmax", "num_class": 3, "max_depth": 3}, 5),
    "onehot": (categories(7, [3, 6, 4]), effects, {"objective": "binary:logistic", "max_depth": 4, "max_cat_to_onehot": 64, "tree_method": "hist"}, 12),
    "partition": (categories(8, [30, 12, 50]), effects, {"objective": "binary:logistic", "max_depth": 4, "max_cat_to_onehot": 1, "tree_method": "hist"}, 12),
    "base": (numeric(9), binary, {"objective": "binary:logistic", "base_score": 0.3, "max_depth": 3}, 6),
    "manycuts": (numeric(10, 4), waves, {"objective": "reg:squarederror", "tree_method": "exact", "max_depth": 8}, 12),
    "oneleaf": (numeric(11), binary, {"objective": "binary:logistic", "gamma": 1e9, "base_score": 0.4}, 3),
    "parallel": (numeric(12), binary, {"objective": "binary:logistic", "num_parallel_tree": 5, "subsample": 0.7, "colsample_bynode": 0.8, "max_depth": 3}, 3),
    "forest": (holes(numeric(13), 13, 0.1), classes(3), {"objective": "multi:softprob", "num_class": 3, "num_parallel_tree": 4, "eta": 1, "subsample": 0.6, "max_depth": 4}, 1),
    "deep": (numeric(14), signal, {"objective": "reg:squarederror", "max_depth": 16, "min_child_weight": 0, "tree_method": "exact"}, 3),
    "lopsided": (holes(numeric(15), 15, 0.1), binary, {"objective": "binary:logistic", "grow_policy": "lossguide", "max_depth": 0, "max_leaves": 40, "tree_method": "hist"}, 8),
    "dart": (numeric(16), binary, {"booster": "dart", "objective": "binary:logistic", "rate_drop": 0.4, "one_drop": 1, "max_depth": 3, "seed": 3}, 12),
    "poisson": (OBJECTIVES, counts, {"objective": "count:poisson", "max_depth": 3}, 6),
    "gamma": (OBJECTIVES, lambda x, s: counts(x, s) + 0.5, {"objective": "reg:gamma", "max_depth": 3}, 6),
    "tweedie": (OBJECTIVES, counts, {"objective": "reg:tweedie", "max_depth": 3}, 6),
    "reglogistic": (OBJECTIVES, binary, {"objective": "reg:logistic", "max_depth": 3}, 6),
    "hinge": (OBJECTIVES, binary, {"objective": "binary:hinge", "max_depth": 3}, 6),
    "logitraw": (OBJECTIVES, binary, {"objective": "binary:logitraw", "max_depth": 3}, 6),
    "pseudohuber": (OBJECTIVES, signal, {"objective": "reg:pseudohubererror", "max_depth": 3}, 6),
    "absolute": (OBJECTIVES, signal, {"objective": "reg:absoluteerror", "max_depth": 3}, 6),
    "squaredlog": (OBJECTIVES, counts, {"objective": "reg:squaredlogerror", "max_depth": 3}, 6),
    "quantile": (OBJECTIVES, signal, {"objective": "reg:quantileerror", "quantile_alpha": 0.8, "max_depth": 3}, 6),
    "pairwise": (OBJECTIVES, counts, {"objective": "rank:pairwise", "max_depth": 3}, 6),
    "ndcg": (OBJECTIVES, lambda x, s: np.minimum(counts(x, s), 4), {"objective": "rank:ndcg", "max_depth": 3}, 6),
    "map": (OBJECTIVES, lambda x, s: np.minimum(counts(x, s), 1), {"objective": "rank:map", "max_depth": 3}, 6),
    "cox": (OBJECTIVES, lambda x, s: counts(x, s) + 1, {"objective": "survival:cox", "max_depth": 3}, 6),
    "aft": (OBJECTIVES, lambda x, s: counts(x, s) + 1, {"objective": "survival:aft", "max_depth": 3}, 6),
    "gblinear": (tame(numeric(20)), signal, {"booster": "gblinear", "objective": "reg:squarederror"}, 6),
    "linearlogistic": (holes(tame(numeric(18)), 18, 0.1), binary, {"booster": "gblinear", "objective": "binary:logistic"}, 6),
    "linearsoftprob": (tame(numeric(19)), classes(3), {"booster": "gblinear", "objective": "multi:softprob", "num_class": 3}, 6),
}

# Models that are refused: no rows are scored.
REFUSED = {
    "targets": (OBJECTIVES, lambda x, s: np.column_stack([signal(x, s), counts(x, s)]), {"objective": "reg:squarederror", "max_depth": 2}, 1),
    "quantiles": (OBJECTIVES, signal, {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.9], "max_depth": 2}, 1),
    "vectorleaf": (OBJECTIVES, lambda x, s: np.column_stack([signal(x, s), counts(x, s)]), {"objective": "reg:squarederror", "multi_strategy": "multi_output_tree", "tree_method": "hist", "max_depth": 2}, 1),
}

# Cases whose contributions per feature are kept too, of the first rows.
EXPLAINED = ("logistic", "missing", "softprob", "onehot", "partition", "base", "oneleaf", "parallel", "forest", "deep", "lopsided", "dart", "poisson")
EXPLAINED_ROWS = 60

SINCE = {"quantile": 2, "quantiles": 2, "vectorleaf": 2}  # the first major version that has the objective

# Of 3.0, the last with a scalar base_score, a few cases suffice.
OF_3_0 = ("logistic", "missing", "partition", "base")


def wanted(name):
    return SINCE.get(name, 0) <= MAJOR and (not VERSION.startswith("3.0.") or name in OF_3_0)


def text(v):
    """The shortest text of a float32; empty where missing."""
    return "" if np.isnan(v) else np.format_float_scientific(v, trim="-") if abs(v) > 1e6 or 0 < abs(v) < 1e-4 else np.format_float_positional(v, trim="-")


def write_inputs(name, x):
    path = os.path.join(HERE, "inputs", name + ".csv")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(",".join("f%d" % i for i in range(x.shape[1])) + "\n")
        for row in x:
            f.write(",".join(text(v) for v in row) + "\n")


def make(name):
    x, label, params, rounds = CASES[name]
    params = {"nthread": 1, "seed": 7, "eta": 0.3, **params}
    y = label(x, sum(name.encode()))
    names = ["f%d" % i for i in range(x.shape[1])]
    types = ["float"] * x.shape[1]
    if name in ("onehot", "partition"):
        types = ["float"] + ["c"] * (x.shape[1] - 1)
    options = {"feature_names": names, "feature_types": types}
    if "c" in types:
        options["enable_categorical"] = True
    d = xgb.DMatrix(x, label=y, **options)
    if name in ("pairwise", "ndcg"):
        d.set_group([20] * (ROWS // 20))
    if name == "aft":
        d.set_float_info("label_lower_bound", y)
        d.set_float_info("label_upper_bound", y)
    booster = xgb.train(params, d, num_boost_round=rounds)
    if name == "partition":  # codes that training did not see
        x = x.copy()
        x[5, 1], x[6, 2], x[7, 3] = 63, 40, 900
        d = xgb.DMatrix(x, **options)
    write_inputs("objectives" if x is OBJECTIVES else name, x)
    folder = os.path.join(HERE, VERSION)
    os.makedirs(folder, exist_ok=True)
    for form in ("json", "ubj"):
        booster.save_model(os.path.join(folder, name + "." + form))
    margin = booster.predict(d, output_margin=True).reshape(ROWS, -1)
    answer = booster.predict(d).reshape(ROWS, -1)
    head = ["margin%d" % k for k in range(margin.shape[1])] + ["answer%d" % k for k in range(answer.shape[1])]
    with open(os.path.join(folder, name + ".csv"), "w") as f:
        f.write(",".join(head) + "\n")
        for a, b in zip(margin, answer):
            f.write(",".join("%.9g" % v for v in np.concatenate([a, b])) + "\n")
    if name in EXPLAINED:
        explain(name, booster, d.slice(range(EXPLAINED_ROWS)))


def explain(name, booster, d):
    """Writes contributions: for each output those of the features, then the base."""
    c = booster.predict(d, pred_contribs=True).reshape(EXPLAINED_ROWS, -1)
    with open(os.path.join(HERE, VERSION, name + ".contributions.csv"), "w") as f:
        f.write(",".join("c%d" % i for i in range(c.shape[1])) + "\n")
        for row in c:
            f.write(",".join("%.9g" % v for v in row) + "\n")


def make_refused(name):
    x, label, params, rounds = REFUSED[name]
    booster = xgb.train({"nthread": 1, "seed": 7, **params}, xgb.DMatrix(x, label=label(x, 1)), num_boost_round=rounds)
    os.makedirs(os.path.join(HERE, "refused"), exist_ok=True)
    for form in ("json", "ubj"):
        booster.save_model(os.path.join(HERE, "refused", VERSION + "-" + name + "." + form))


def manifest():
    path = os.path.join(HERE, "MANIFEST.json")
    known = json.load(open(path)) if os.path.exists(path) else {}
    known[VERSION] = {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__, "pandas": pd.__version__, "files": {}}
    for folder in ("inputs", VERSION, "refused"):
        for file in sorted(os.listdir(os.path.join(HERE, folder))):
            if folder == "refused" and not file.startswith(VERSION + "-"):
                continue
            data = open(os.path.join(HERE, folder, file), "rb").read()
            known[VERSION]["files"][folder + "/" + file] = hashlib.sha256(data).hexdigest()
    with open(path, "w") as f:
        json.dump(known, f, indent=1, sort_keys=True)
        f.write("\n")


if __name__ == "__main__":
    for name in CASES:
        if wanted(name):
            make(name)
    for name in REFUSED:
        if wanted(name):
            make_refused(name)
    manifest()
