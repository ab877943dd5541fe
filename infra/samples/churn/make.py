"""Makes the churn sample: its tables and its two models.

    python make.py churn.csv

churn.csv is mlc_churn of the R package modeldata 1.1.0 (MIT), 5,000 rows. It
was run once, with Python 3.11, xgboost 3.2.0, pandas 2.2.3, numpy 1.26.4 and
scikit-learn 1.5.2; the sample needs none of them.
"""

import json
import os
import sys

import numpy as np
import pandas as pd
import xgboost as xgb
from sklearn.metrics import roc_auc_score

HERE = os.path.dirname(os.path.abspath(__file__))
TRAIN = 3333
TEXTS = ["state", "area_code", "international_plan", "voice_mail_plan"]


def path(name):
    return os.path.join(HERE, name)


data = pd.read_csv(sys.argv[1])
data.insert(0, "customer_id", ["C%05d" % (i + 1) for i in range(len(data))])
data[:TRAIN].to_csv(path("customers_train.csv"), index=False)
data[TRAIN:].drop(columns="churn").to_csv(path("customers_may.csv"), index=False)
data[TRAIN:][["customer_id", "churn"]].to_csv(path("churned_in_may.csv"), index=False)

x = data.drop(columns=["customer_id", "churn"])
y = (data["churn"] == "yes").astype(int)
params = {"objective": "binary:logistic", "max_depth": 5, "eta": 0.2, "nthread": 1, "seed": 7}

# The rows that a check scores: all customers, then 500 of them with holes.
holes = x[:500].astype({c: float for c in x.columns if c not in TEXTS})
holes[np.random.default_rng(5).random(holes.shape) < 0.1] = np.nan
checked = pd.concat([x, holes], ignore_index=True)


def native(frame):
    """Text columns as pandas categories; XGBoost splits on sets of them."""
    frame = frame.copy()
    for c in TEXTS:
        frame[c] = pd.Categorical(frame[c], categories=sorted(x[c].unique()))
    return frame


def onehot(frame):
    """Text columns as one indicator for each level; a missing cell has none."""
    return pd.get_dummies(native(frame), columns=TEXTS)


def number(v):
    return "" if np.isnan(v) else repr(int(v)) if v == int(v) else repr(float(v))


def make(name, encode, form, features):
    d = xgb.DMatrix(encode(x[:TRAIN]), label=y[:TRAIN], enable_categorical=True)
    model = xgb.train(params, d, num_boost_round=60)
    model.save_model(path("churn_%s.%s" % (name, form)))
    p = model.predict(xgb.DMatrix(encode(checked), enable_categorical=True))
    with open(path("churn_%s.expected.csv" % name), "w") as f:
        f.write(",".join(x.columns) + ",Scored Labels,Scored Probabilities\n")
        for row, score in zip(checked.itertuples(index=False), p):
            cells = ["" if pd.isna(v) else v if isinstance(v, str) else number(v) for v in row]
            f.write(",".join(cells) + ",%s,%.9g\n" % ("yes" if score >= 0.5 else "no", score))
    with open(path("churn_%s.binding.json" % name), "w") as f:
        f.write('{"label": {"column": "churn", "classes": ["no", "yes"], "positive": "yes"},\n "features": [\n')
        f.write(",\n".join("  " + json.dumps(b) for b in features))
        f.write("\n ]}\n")
    may = p[TRAIN:len(x)]
    top = np.argsort(-may, kind="stable")[:200]
    left = y[TRAIN:].to_numpy()
    print("%s: held-out AUC %.4f; of the 200 highest May scores %d of the %d who left" % (name, roc_auc_score(left, may), left[top].sum(), left.sum()))


KIND = {"int64": "Int32", "float64": "Double"}
numbers = [{"feature": c, "column": c, "type": KIND[str(x[c].dtype)], "encoding": "number"} for c in x.columns if c not in TEXTS]
make("native", native, "json", numbers)
make("onehot", onehot, "ubj", numbers + [
    {"feature": "%s_%s" % (c, v), "column": c, "type": "String", "encoding": "indicator", "level": v}
    for c in TEXTS for v in sorted(x[c].unique())])
