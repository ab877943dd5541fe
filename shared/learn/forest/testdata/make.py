"""Makes diabetes.csv and quantiles.json: the pinball losses of quantile regression by scikit-learn.

    python make.py

scikit-learn 1.9.1, numpy, pandas 3.1.1. The table is scikit-learn's load_diabetes (Efron et al., Least
Angle Regression, 2004), with the fold of each row. The losses are means over ten folds, of

  forest    RandomForestRegressor with the parameters of the test, quantiles by the weights of the
            training rows in the leaves (Meinshausen, Quantile Regression Forests, JMLR 7, 2006)
  boosting  GradientBoostingRegressor with loss="quantile", one model a quantile

for each quantile and fold.
"""
import json

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import KFold

QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9]
table = load_diabetes(as_frame=True, scaled=False).frame
x, y = table.drop(columns="target").to_numpy(), table["target"].to_numpy()
fold = np.zeros(len(y), int)
for k, (_, test) in enumerate(KFold(10, shuffle=True, random_state=1).split(x)):
    fold[test] = k
table.insert(0, "fold", fold)
table.to_csv("diabetes.csv", index=False, lineterminator="\n")

losses = {"forest": [], "boosting": []}
for k in range(10):
    train, test = fold != k, fold == k
    forest = RandomForestRegressor(100, max_leaf_nodes=20, min_samples_leaf=10, max_samples=0.7, max_features=0.49, random_state=0)
    forest.fit(x[train], y[train])
    at, of = forest.apply(x[test]), forest.apply(x[train])
    same = at[:, None, :] == of[None, :, :]  # test row, training row, tree
    weights = (same / same.sum(axis=1, keepdims=True)).mean(axis=2)
    order = np.argsort(y[train])
    below = np.cumsum(weights[:, order], axis=1)
    losses["forest"].append([
        round(mean_pinball_loss(y[test], y[train][order][(below >= q - 1e-12).argmax(axis=1)], alpha=q), 6) for q in QUANTILES])
    losses["boosting"].append([
        round(mean_pinball_loss(y[test], GradientBoostingRegressor(loss="quantile", alpha=q, random_state=0).fit(x[train], y[train]).predict(x[test]), alpha=q), 6)
        for q in QUANTILES])
for name, v in losses.items():
    print(name, np.mean(v, axis=0))
with open("quantiles.json", "w") as f:
    f.write('{\n "quantiles": %s,\n "losses": {\n' % json.dumps(QUANTILES))
    f.write(",\n".join('  "%s": [\n   %s\n  ]' % (name, ",\n   ".join(json.dumps(v) for v in rows)) for name, rows in losses.items()))
    f.write("\n }\n}\n")
