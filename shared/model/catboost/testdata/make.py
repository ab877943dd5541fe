"""Makes the golden files beside this script: models by the real CatBoost, and what it predicts.

    pip install catboost==1.2.10 numpy pandas
    python make.py

rows.csv holds the rows every case scores. {case}.json is the model, {case}.csv its raw scores and predictions on all
rows, repr'd so that they read back exactly. versions.txt says what made them.
"""
import platform
import catboost as cb, numpy as np, pandas as pd

rng = np.random.default_rng(7)
N, TRAIN = 1000, 3000
LEVELS = ["red", "green", "blue", "deep sea", "été", "x,y"]


def frame(n):
    d = pd.DataFrame({f"n{i}": rng.normal(size=n).round(3) for i in range(5)})
    d.loc[rng.random(n) < 0.2, "n1"] = np.nan
    d["c0"] = rng.choice(LEVELS, n)
    d["c1"] = rng.choice(["a", "b"], n)
    return d


def signal(x):
    return (x.n0 * 2 - x.n2 + np.where(x.n1.isna(), 0.7, x.n1) + (x.c0 == "red") * 1.5 - (x.c0 == "été") + 0.3 * rng.normal(size=len(x))).to_numpy()


train, rows = frame(TRAIN), frame(N)
rows.loc[0, [f"n{i}" for i in range(5)]] = np.nan
rows.loc[1, "c0"] = "never seen"
rows.loc[2, "n0"] = 1e30
s = signal(train)
yes = np.where(s > 0, "yes", "no")
three = np.array(["lo", "mid", "hi"])[np.digitize(s, [-1.5, 1.5])]
counts = rng.poisson(np.exp(s / 3))
numeric = [f"n{i}" for i in range(5)]
every = numeric + ["c0", "c1"]
relevance = np.digitize(s, [-1, 0.5])
groups = np.arange(TRAIN) // 20
SMALL = dict(iterations=4, depth=3, border_count=32)
REFUSED = ("ctr", "multirmse", "multilogloss", "multiquantile", "uncertainty")
# Cases whose contributions per feature are kept too, of the first rows. None of Lossguide: there those of CatBoost 1.2.10 do not add up to its score.
EXPLAINED = ("logloss", "logloss_onehot", "multiclass", "multiclass_depthwise", "poisson")
EXPLAINED_ROWS = 60
# name: (label, features, parameters)
CASES = {
    "logloss": (yes, numeric, dict(loss_function="Logloss")),
    "logloss_onehot": (yes, every, dict(loss_function="Logloss")),
    "logloss_nan_max": (yes, numeric, dict(loss_function="Logloss", nan_mode="Max")),
    "logloss_lossguide": (yes, every, dict(loss_function="Logloss", grow_policy="Lossguide", max_leaves=20)),
    "logloss_many_cuts": (yes, ["n0", "n2"], dict(loss_function="Logloss", border_count=2000, grow_policy="Lossguide", depth=16, max_leaves=150, iterations=5)),
    "logloss_deep": (yes, ["n0", "n1"], dict(loss_function="Logloss", depth=13, iterations=2)),
    "logloss_one_leaf": (yes, numeric, dict(loss_function="Logloss", depth=1, min_data_in_leaf=100000, grow_policy="Lossguide", max_leaves=2, iterations=2)),
    "multiclass": (three, every, dict(loss_function="MultiClass")),
    "multiclass_depthwise": (three, numeric, dict(loss_function="MultiClass", grow_policy="Depthwise")),
    "multiclass_ova": (three, numeric, dict(loss_function="MultiClassOneVsAll")),
    "rmse": (s, every, dict(loss_function="RMSE")),
    "mae": (s, numeric, dict(loss_function="MAE")),
    "quantile": (s, numeric, dict(loss_function="Quantile:alpha=0.9")),
    "poisson": (counts, numeric, dict(loss_function="Poisson")),
    "cross_entropy": (1 / (1 + np.exp(-s)), numeric, dict(loss_function="CrossEntropy", **SMALL)),
    "tweedie": (counts, numeric, dict(loss_function="Tweedie:variance_power=1.5", **SMALL)),
    "huber": (s, numeric, dict(loss_function="Huber:delta=1", **SMALL)),
    "expectile": (s, numeric, dict(loss_function="Expectile:alpha=0.7", **SMALL)),
    "mape": (np.exp(s / 2), numeric, dict(loss_function="MAPE", **SMALL)),
    "lq": (s, numeric, dict(loss_function="Lq:q=3", **SMALL)),
    "loglinquantile": (np.exp(s / 2), numeric, dict(loss_function="LogLinQuantile:alpha=0.6", **SMALL)),
    "logcosh": (s, numeric, dict(loss_function="LogCosh", **SMALL)),
    "cox": (np.exp(s / 2), numeric, dict(loss_function="Cox", **SMALL)),
    "yetirank": (relevance, numeric, dict(loss_function="YetiRank", **SMALL)),
    "yetirankpairwise": (relevance, numeric, dict(loss_function="YetiRankPairwise", **SMALL)),
    "pairlogit": (relevance, numeric, dict(loss_function="PairLogit", **SMALL)),
    "pairlogitpairwise": (relevance, numeric, dict(loss_function="PairLogitPairwise", **SMALL)),
    "queryrmse": (relevance, numeric, dict(loss_function="QueryRMSE", **SMALL)),
    "querysoftmax": (relevance, numeric, dict(loss_function="QuerySoftMax", **SMALL)),
    "stochasticrank": (relevance, numeric, dict(loss_function="StochasticRank:metric=NDCG", **SMALL)),
    "lambdamart": (relevance, numeric, dict(loss_function="LambdaMart", **SMALL)),
    # refused
    "multirmse": (np.column_stack([s, counts]), numeric, dict(loss_function="MultiRMSE", **SMALL)),
    "multilogloss": (np.column_stack([s > 0, counts > 1]).astype(int), numeric, dict(loss_function="MultiLogloss", **SMALL)),
    "multiquantile": (s, numeric, dict(loss_function="MultiQuantile:alpha=0.1,0.9", **SMALL)),
    "uncertainty": (s, numeric, dict(loss_function="RMSEWithUncertainty", **SMALL)),
    "ctr": (yes, every, dict(loss_function="Logloss", one_hot_max_size=1)),  # refused
}

for name, (y, features, params) in CASES.items():
    labels = name.startswith(("logloss", "multiclass", "ctr"))
    kind = cb.CatBoostClassifier if labels else cb.CatBoost
    cats = [c for c in features if c.startswith("c")]
    pool = cb.Pool(train[features], y, cat_features=cats, group_id=groups if y is relevance else None)
    options = dict(iterations=12, depth=5, learning_rate=0.3, one_hot_max_size=50, random_seed=1, thread_count=1, verbose=0, allow_writing_files=False)
    m = kind({**options, **params}) if kind is cb.CatBoost else kind(**{**options, **params})
    m.fit(pool)
    m.save_model(f"{name}.json", format="json", pool=pool)
    if name in REFUSED:
        continue
    raw = np.asarray(m.predict(rows[features], prediction_type="RawFormulaVal")).reshape(N, -1)
    if labels:
        out = m.predict_proba(rows[features])
    else:
        out = m.predict(rows[features], prediction_type={"cross_entropy": "Probability", "poisson": "Exponent", "tweedie": "Exponent", "loglinquantile": "Exponent"}.get(name, "RawFormulaVal"))
        out = out[:, -1] if name == "cross_entropy" else out
    out = np.asarray(out).reshape(N, -1)
    with open(f"{name}.csv", "w") as f:
        f.write(",".join([f"raw{i}" for i in range(raw.shape[1])] + [f"out{i}" for i in range(out.shape[1])]) + "\n")
        for r, o in zip(raw, out):
            f.write(",".join(repr(float(v)) for v in [*r, *o]) + "\n")
    if name in EXPLAINED:  # for each output those of the features, then the base
        c = m.get_feature_importance(cb.Pool(rows[features][:EXPLAINED_ROWS], cat_features=cats), type="ShapValues").reshape(EXPLAINED_ROWS, -1)
        with open(f"{name}.contributions.csv", "w") as f:
            f.write(",".join(f"c{i}" for i in range(c.shape[1])) + "\n")
            for row in c:
                f.write(",".join(repr(float(v)) for v in row) + "\n")

rows.to_csv("rows.csv", index=False)
with open("versions.txt", "w") as f:
    f.write(f"catboost {cb.__version__}\nnumpy {np.__version__}\npandas {pd.__version__}\npython {platform.python_version()}\n")
