"""Makes the models and rows that the engine's benchmark scores: models.py FOLDER

For each model FOLDER gets {name}.{ext} as its library saves it, {name}.binding.json for the import, {name}.rows with 10,000
rows of float64, row by row (a category as its code), and models.json that says what is what. Some get {name}.onnx too,
the same trees for ONNX Runtime, and {name}.joblib for scikit-learn.
"""
import json, sys
import numpy as np, pandas as pd
import joblib, lightgbm as lgb, onnx, xgboost as xgb
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

OUT = sys.argv[1] + "/"
rng = np.random.default_rng(11)
TRAIN, ROWS = 20_000, 10_000
models = []


def save(name, file, title, x, features, classes=0, **rivals):
    np.ascontiguousarray(x[:ROWS], dtype=np.float64).tofile(OUT + name + ".rows")
    binding = {"features": [{"feature": f, "type": "Double", "encoding": "number"} for f in features]}
    if "onnx" in file:
        binding = {"inputs": {"x": features}, "label": {"positive": "1"}}
    elif classes:
        binding["label"] = {"classes": [str(k) for k in range(classes)]}
    json.dump(binding, open(OUT + name + ".binding.json", "w"))
    models.append({"name": name, "file": file, "title": title, "rows": ROWS, "columns": x.shape[1], "rivals": rivals})


def wave(x):
    return np.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2] - 0.5 * np.abs(x[:, 3]) + 0.3 * x[:, 4:].sum(axis=1) / np.sqrt(x.shape[1]) + rng.normal(size=len(x)) * 0.3


def trees_to_onnx(booster, path, features):
    """The same trees for ONNX Runtime: x < t as BRANCH_LT, a one-category split as BRANCH_EQ."""
    booster.save_model(OUT + "tmp.json")
    learner = json.load(open(OUT + "tmp.json"))["learner"]
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    logistic = learner["objective"]["name"] == "binary:logistic"
    a = {k: [] for k in "nodes_treeids nodes_nodeids nodes_featureids nodes_values nodes_modes nodes_truenodeids nodes_falsenodeids nodes_missing_value_tracks_true target_treeids target_nodeids target_ids target_weights".split()}
    for i, t in enumerate(learner["gradient_booster"]["model"]["trees"]):
        category = {n: t["categories"][s] for n, s in zip(t["categories_nodes"], t["categories_segments"])}
        assert all(s == 1 for s in t["categories_sizes"])
        for n, (left, right) in enumerate(zip(t["left_children"], t["right_children"])):
            leaf, byset, missing = left == -1, bool(t["split_type"][n]), t["default_left"][n]
            a["nodes_treeids"].append(i)
            a["nodes_nodeids"].append(n)
            a["nodes_featureids"].append(0 if leaf else t["split_indices"][n])
            a["nodes_values"].append(0.0 if leaf else float(category[n]) if byset else t["split_conditions"][n])
            a["nodes_modes"].append("LEAF" if leaf else "BRANCH_EQ" if byset else "BRANCH_LT")
            yes, no = (right, left) if byset else (left, right)
            a["nodes_truenodeids"].append(0 if leaf else yes)
            a["nodes_falsenodeids"].append(0 if leaf else no)
            a["nodes_missing_value_tracks_true"].append(0 if leaf else int(missing != byset))
            if leaf:
                a["target_treeids"].append(i)
                a["target_nodeids"].append(n)
                a["target_ids"].append(0)
                a["target_weights"].append(t["split_conditions"][n])
    if logistic:
        base = float(np.log(base / (1 - base)))
    nodes = [helper.make_node("TreeEnsembleRegressor", ["x"], ["s"], domain="ai.onnx.ml", n_targets=1, base_values=[base], **a)]
    nodes.append(helper.make_node("Sigmoid" if logistic else "Identity", ["s"], ["y"]))
    graph = helper.make_graph(nodes, "trees", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, features])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)], ir_version=8), path)


common = dict(nthread=1, seed=1, tree_method="hist")

# 100 x depth 6, four categories, 10 % missing.
levels = [5, 8, 12, 20]
x = np.column_stack([rng.normal(size=(TRAIN, 10))] + [rng.integers(0, n, TRAIN) for n in levels])
y = wave(x[:, :10]) + np.sin(x[:, 10:] * 2).sum(axis=1)
x[rng.random(x.shape) < 0.1] = np.nan
frame = pd.DataFrame({f"f{i}": x[:, i] for i in range(10)})
for k, n in enumerate(levels):
    code = np.nan_to_num(x[:, 10 + k], nan=-1).astype(int)
    frame[f"c{k}"] = pd.Categorical.from_codes(code, [f"level {i:02d}" for i in range(n)])
b = xgb.train({**common, "objective": "binary:logistic", "max_depth": 6, "max_cat_to_onehot": 64}, xgb.DMatrix(frame, label=(y > 0), enable_categorical=True), 100)
b.save_model(OUT + "categories.ubj")
trees_to_onnx(b, OUT + "categories.onnx", 14)
save("categories", "categories.ubj", "XGBoost, 100 trees of depth 6, categories, 10 % missing", x, [f"f{i}" for i in range(10)], 2, xgboost="categories.ubj", onnxruntime="categories.onnx")

# 500 x depth 6 x 100 features.
x = rng.normal(size=(TRAIN, 100))
b = xgb.train({**common, "objective": "binary:logistic", "max_depth": 6, "eta": 0.1}, xgb.DMatrix(x.astype(np.float32), label=(wave(x) > 0), feature_names=[f"f{i}" for i in range(100)]), 500)
b.save_model(OUT + "wide.ubj")
trees_to_onnx(b, OUT + "wide.onnx", 100)
save("wide", "wide.ubj", "XGBoost, 500 trees of depth 6, 100 features", x, [f"f{i}" for i in range(100)], 2, xgboost="wide.ubj", onnxruntime="wide.onnx")

# A LightGBM of 1,000 leaves a tree.
x = rng.normal(size=(2 * TRAIN, 20))
b = lgb.train(dict(objective="regression", num_leaves=1000, max_bin=127, min_data_in_leaf=5, learning_rate=0.1, verbose=-1, num_threads=1, seed=1), lgb.Dataset(x, label=wave(x), feature_name=[f"f{i}" for i in range(20)]), 100)
b.save_model(OUT + "leaves.txt")
save("leaves", "leaves.txt", "LightGBM, 100 trees of 1,000 leaves, 20 features", x, [f"f{i}" for i in range(20)], lightgbm="leaves.txt")

# A multi-class forest.
x = rng.normal(size=(TRAIN, 20))
y = np.digitize(wave(x), [-1, -0.3, 0.3, 1])
b = xgb.train({**common, "objective": "multi:softprob", "num_class": 5, "num_parallel_tree": 50, "eta": 1, "subsample": 0.6, "colsample_bynode": 0.6, "max_depth": 8}, xgb.DMatrix(x.astype(np.float32), label=y, feature_names=[f"f{i}" for i in range(20)]), 1)
b.save_model(OUT + "forest.ubj")
save("forest", "forest.ubj", "XGBoost, random forest of five classes, 50 trees of depth 8 for each", x, [f"f{i}" for i in range(20)], 5, xgboost="forest.ubj")

# A scikit-learn pipeline: imputer, scaler, one-hot, logistic.
x = np.column_stack([rng.normal(size=(TRAIN, 20))] + [rng.integers(0, n, TRAIN) for n in levels])
y = wave(x[:, :20]) + np.sin(x[:, 20:] * 2).sum(axis=1)
x[:, :20][rng.random((TRAIN, 20)) < 0.1] = np.nan
pipe = make_pipeline(
    ColumnTransformer([("n", make_pipeline(SimpleImputer(), StandardScaler()), list(range(20))), ("c", OneHotEncoder(handle_unknown="ignore"), list(range(20, 24)))]),
    LogisticRegression(max_iter=500)).fit(x.astype(np.float32), y > 0)
joblib.dump(pipe, OUT + "pipeline.joblib")
proto = to_onnx(pipe, initial_types=[("x", FloatTensorType([None, 24]))], options={id(pipe): {"zipmap": False}}, target_opset=17)
onnx.save(proto, OUT + "pipeline.onnx")
save("pipeline", "pipeline.onnx", "scikit-learn pipeline as ONNX: imputer, scaler, one-hot, logistic", x, [f"x{i}" for i in range(24)], 2, onnxruntime="pipeline.onnx", sklearn="pipeline.joblib")

# A LightGBM of the default 31 leaves a tree.
x = rng.normal(size=(TRAIN, 20))
b = lgb.train(dict(objective="binary", verbose=-1, num_threads=1, seed=1), lgb.Dataset(x, label=wave(x) > 0, feature_name=[f"f{i}" for i in range(20)]), 100)
b.save_model(OUT + "default.txt")
save("default", "default.txt", "LightGBM, 100 trees of 31 leaves, 20 features", x, [f"f{i}" for i in range(20)], 2, lightgbm="default.txt")

json.dump(models, open(OUT + "models.json", "w"), indent=1)
