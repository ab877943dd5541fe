"""Makes the golden files beside this script: models by the real LightGBM, and what it predicts.

    pip install lightgbm==4.6.0 numpy pandas
    python make.py

rows.csv holds the rows every case scores: seven numbers, n0 with zeros, n1 with missing cells, and the string c0.
{case}.txt is the model, {case}.csv its raw scores and predictions on all rows, repr'd so that they read back exactly.
versions.txt says what made them.
"""
import json, platform
import lightgbm as lgb, numpy as np, pandas as pd

rng = np.random.default_rng(20260)
N, TRAIN = 1000, 4000
LEVELS = [f"l{i:02d}" for i in range(40)]


def frame(n):
    d = {f"n{i}": rng.normal(size=n).round(3) for i in range(7)}
    d["n0"][rng.random(n) < 0.3] = 0.0
    d["n1"][rng.random(n) < 0.2] = np.nan
    d["n2"][rng.random(n) < 0.05] = np.nan
    codes = rng.integers(0, len(LEVELS), n).astype(float)
    codes[rng.random(n) < 0.05] = np.nan
    d["c0"] = pd.Categorical.from_codes(np.where(np.isnan(codes), -1, codes).astype(int), LEVELS)
    return pd.DataFrame(d)


def signal(x):
    c = x["c0"].cat.codes.to_numpy()
    return (x["n3"] - 2 * x["n4"] * (x["n0"] > 0) + np.where(np.isnan(x["n1"]), 0.7, x["n1"]) + np.sin(c) * 1.5
            + 0.3 * rng.normal(size=len(x))).to_numpy()


train, rows = frame(TRAIN), frame(N)
rows.iloc[0, :7] = np.nan          # missing everywhere
rows.loc[0, "c0"] = np.nan
rows.iloc[1, :7] = 1e300
rows.iloc[2, :7] = -1e300
s = signal(train)
binary = (s > 0).astype(int)
three = np.digitize(s, [-1, 1])
positive = np.exp(s / 2)
counts = rng.poisson(np.exp(s / 3))
relevance = np.digitize(s, [-1, 0.5])
numeric = [f"n{i}" for i in range(7)]

base = dict(num_leaves=15, min_data_in_leaf=10, learning_rate=0.2, verbose=-1, seed=1, deterministic=True, num_threads=1)
every = numeric + ["c0"]
# name: (label, features, parameters, rounds)
CASES = {
    "binary": (binary, every, dict(objective="binary"), 20),
    "binary_sigmoid": (binary, numeric, dict(objective="binary", sigmoid=2.5), 8),
    "binary_zero_as_missing": (binary, numeric, dict(objective="binary", zero_as_missing=True), 15),
    "binary_no_missing": (binary, numeric, dict(objective="binary", use_missing=False), 15),
    "binary_onehot_category": (binary, every, dict(objective="binary", max_cat_to_onehot=64), 10),
    "binary_partition_category": (binary, ["c0", "n0"], dict(objective="binary", max_cat_to_onehot=1, cat_smooth=1, min_data_per_group=5), 10),
    "binary_dart": (binary, every, dict(objective="binary", boosting="dart", drop_rate=0.3), 20),
    "binary_rf": (binary, every, dict(objective="binary", boosting="rf", bagging_freq=1, bagging_fraction=0.6, feature_fraction=0.7), 12),
    "binary_one_leaf": (binary, numeric, dict(objective="binary", min_data_in_leaf=10000), 3),
    "binary_many_cuts": (binary, ["n3", "n4"], dict(objective="binary", max_bin=4000, num_leaves=500, min_data_in_leaf=1, min_data_in_bin=1), 3),
    "binary_deep": (binary, ["n3"], dict(objective="binary", num_leaves=200, max_bin=1000, min_data_in_leaf=1, min_data_in_bin=1), 2),
    "multiclass": (three, every, dict(objective="multiclass", num_class=3), 8),
    "multiclass_rf": (three, every, dict(objective="multiclass", num_class=3, boosting="rf", bagging_freq=1, bagging_fraction=0.6), 6),
    "multiclassova": (three, every, dict(objective="multiclassova", num_class=3), 8),
    "regression": (s, every, dict(objective="regression"), 15),
    "regression_sqrt": (s, numeric, dict(objective="regression", reg_sqrt=True), 10),
    "regression_l1": (s, numeric, dict(objective="regression_l1"), 6),
    "regression_rf": (s, numeric, dict(objective="regression", boosting="rf", bagging_freq=1, bagging_fraction=0.6), 8),
    "huber": (s, numeric, dict(objective="huber"), 6),
    "fair": (s, numeric, dict(objective="fair"), 6),
    "quantile": (s, numeric, dict(objective="quantile", alpha=0.8), 6),
    "mape": (positive, numeric, dict(objective="mape"), 6),
    "poisson": (counts, every, dict(objective="poisson"), 10),
    "gamma": (positive, every, dict(objective="gamma"), 10),
    "tweedie": (counts, every, dict(objective="tweedie"), 10),
    "cross_entropy": (1 / (1 + np.exp(-s)), numeric, dict(objective="cross_entropy"), 8),
    "cross_entropy_lambda": (1 / (1 + np.exp(-s)), numeric, dict(objective="cross_entropy_lambda"), 8),
    "lambdarank": (relevance, numeric, dict(objective="lambdarank"), 8),
    "rank_xendcg": (relevance, numeric, dict(objective="rank_xendcg"), 8),
    "binary_unknown_level": (binary, every, dict(objective="binary", max_cat_to_onehot=1, cat_smooth=1, min_data_per_group=5), 10),
    "linear_tree": (s, numeric, dict(objective="regression", linear_tree=True), 2),  # refused
}

# Cases whose contributions per feature are kept too, of the first rows.
EXPLAINED = ["binary", "binary_zero_as_missing", "binary_partition_category", "binary_dart", "binary_one_leaf", "binary_deep", "multiclass", "regression", "regression_rf", "poisson"]
EXPLAINED_ROWS = 60

for name, (y, features, params, rounds) in CASES.items():
    x = train[features]
    if name == "binary_unknown_level":  # training knows thirty levels, the rows have forty
        known = train["c0"].isin(LEVELS[:30])
        x, y = x[known].assign(c0=x["c0"][known].cat.set_categories(LEVELS[:30])), y[known]
    data = lgb.Dataset(x, label=y, free_raw_data=False)
    if name in ("lambdarank", "rank_xendcg"):
        data.set_group([20] * (TRAIN // 20))
    booster = lgb.train({**base, **params}, data, rounds)
    booster.save_model(f"{name}.txt")
    if name == "linear_tree":
        continue
    raw = booster.predict(rows[features], raw_score=True).reshape(N, -1)
    out = booster.predict(rows[features]).reshape(N, -1)
    with open(f"{name}.csv", "w") as f:
        k = raw.shape[1]
        f.write(",".join([f"raw{i}" for i in range(k)] + [f"out{i}" for i in range(k)]) + "\n")
        for r, o in zip(raw, out):
            f.write(",".join(repr(float(v)) for v in [*r, *o]) + "\n")
    if name in EXPLAINED:  # for each output those of the features, then the base
        c = booster.predict(rows[features][:EXPLAINED_ROWS], pred_contrib=True).reshape(EXPLAINED_ROWS, -1)
        with open(f"{name}.contributions.csv", "w") as f:
            f.write(",".join(f"c{i}" for i in range(c.shape[1])) + "\n")
            for row in c:
                f.write(",".join(repr(float(v)) for v in row) + "\n")

rows.to_csv("rows.csv", index=False)
with open("versions.txt", "w") as f:
    f.write(f"lightgbm {lgb.__version__}\nnumpy {np.__version__}\npandas {pd.__version__}\npython {platform.python_version()}\n")
