"""Makes forest.json beside this script: a forest of three classes by scikit-learn, and what shap and treeinterpreter
say its features contributed to its probabilities.

    pip install scikit-learn==1.9.1 shap==0.51.0 treeinterpreter==0.2.3 numpy==2.4.6
    python make.py

Rows are of float32 values, as scikit-learn tests them. shapley[row][class] and ways[row][class] have one number for
each feature and the base behind them: the Shapley values along the trees' paths (shap.TreeExplainer, tree_path_dependent),
and the changes of the expectation on the row's own ways (treeinterpreter).
"""
import json
import pathlib

import numpy as np
import shap
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from treeinterpreter import treeinterpreter

x, y = load_iris(return_X_y=True)
x = x.astype(np.float32)
rng = np.random.default_rng(5)
y = np.where(rng.random(len(y)) < 0.1, rng.integers(0, 3, len(y)), y)  # so that trees grow deep and test features again
forest = RandomForestClassifier(5, max_depth=7, random_state=3).fit(x, y)

graphs = []
for e in forest.estimators_:
    t = e.tree_
    graphs.append([
        {"value": (v / v.sum()).tolist()} if left < 0 else
        {"feature": int(f), "threshold": float(cut), "left": int(left), "right": int(right),
         "share": t.weighted_n_node_samples[left] / n}
        for f, cut, left, right, v, n in zip(t.feature, t.threshold, t.children_left, t.children_right, t.value[:, 0], t.weighted_n_node_samples)
    ])

rows = x[::8]
explainer = shap.TreeExplainer(forest, feature_perturbation="tree_path_dependent")
values = explainer.shap_values(rows, check_additivity=True)  # row, feature, class
base = np.asarray(explainer.expected_value)
_, bias, ways = treeinterpreter.predict(forest, rows)


def blocks(values, base):
    return [[values[r, :, k].tolist() + [float(base[r][k])] for k in range(3)] for r in range(len(rows))]


out = {
    "graphs": graphs, "rows": rows.astype(float).tolist(), "probabilities": forest.predict_proba(rows).tolist(),
    "shapley": blocks(values, np.tile(base, (len(rows), 1))), "ways": blocks(ways, bias),
}
pathlib.Path(__file__).with_name("forest.json").write_text(json.dumps(out) + "\n")
