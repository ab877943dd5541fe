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
# name: (label, features, parameters)
CASES = {
    "logloss": (yes, numeric, dict(loss_function="Logloss")),
    "logloss_onehot": (yes, every, dict(loss_function="Logloss")),
    "logloss_nan_max": (yes, numeric, dict(loss_function="Logloss", nan_mode="Max")),
    "logloss_lossguide": (yes, every, dict(loss_function="Logloss", grow_policy="Lossguide", max_leaves=20)),
    "logloss_many_cuts": (yes, numeric, dict(loss_function="Logloss", border_count=2000, depth=8)),
    "logloss_deep": (yes, ["n0", "n1"], dict(loss_function="Logloss", depth=13, iterations=2)),
    "logloss_one_leaf": (yes, numeric, dict(loss_function="Logloss", depth=1, min_data_in_leaf=100000, grow_policy="Lossguide", max_leaves=2, iterations=2)),
    "multiclass": (three, every, dict(loss_function="MultiClass")),
    "multiclass_depthwise": (three, numeric, dict(loss_function="MultiClass", grow_policy="Depthwise")),
    "multiclass_ova": (three, numeric, dict(loss_function="MultiClassOneVsAll")),
    "rmse": (s, every, dict(loss_function="RMSE")),
    "mae": (s, numeric, dict(loss_function="MAE")),
    "quantile": (s, numeric, dict(loss_function="Quantile:alpha=0.9")),
    "poisson": (counts, numeric, dict(loss_function="Poisson")),
    "ctr": (yes, every, dict(loss_function="Logloss", one_hot_max_size=1)),  # refused
}

for name, (y, features, params) in CASES.items():
    kind = cb.CatBoostClassifier if "lo" in str(y[0]) or str(y[0]) in ("yes", "no", "mid", "hi") else cb.CatBoostRegressor
    cats = [c for c in features if c.startswith("c")]
    m = kind(**{**dict(iterations=12, depth=5, learning_rate=0.3, one_hot_max_size=50, random_seed=1, thread_count=1, verbose=0, allow_writing_files=False), **params}, cat_features=cats)
    m.fit(train[features], y)
    m.save_model(f"{name}.json", format="json", pool=cb.Pool(train[features], y, cat_features=cats))
    if name == "ctr":
        continue
    raw = np.asarray(m.predict(rows[features], prediction_type="RawFormulaVal")).reshape(N, -1)
    out = np.asarray(m.predict_proba(rows[features]) if kind is cb.CatBoostClassifier else m.predict(rows[features])).reshape(N, -1)
    with open(f"{name}.csv", "w") as f:
        f.write(",".join([f"raw{i}" for i in range(raw.shape[1])] + [f"out{i}" for i in range(out.shape[1])]) + "\n")
        for r, o in zip(raw, out):
            f.write(",".join(repr(float(v)) for v in [*r, *o]) + "\n")

rows.to_csv("rows.csv", index=False)
with open("versions.txt", "w") as f:
    f.write(f"catboost {cb.__version__}\nnumpy {np.__version__}\npandas {pd.__version__}\npython {platform.python_version()}\n")
