"""Makes ONNX models of every shape of trees: {case}.onnx as the library's converter writes it, {case}.csv with what ONNX
Runtime answers for rows.csv, and {case}.json, the binding that an author would give. Where a converter makes no model, or
one that is not the library's, the script checks that it is still so and what it says: refused.json.

    python -m pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnxmltools==1.16.0 lightgbm==4.6.0 xgboost==3.2.0 \
        catboost==1.2.10 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
    python make.py

An environment with xgboost 2.1.4 in its place then makes the cases whose base score is one number. versions.txt says what
made them.
"""
import csv, gzip, json, tempfile, warnings
import numpy as np, onnx, onnxruntime, sklearn, skl2onnx, onnxmltools, lightgbm, xgboost, catboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as MLFloat
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import (ExtraTreesClassifier, HistGradientBoostingClassifier, HistGradientBoostingRegressor,
                              RandomForestClassifier, RandomForestRegressor)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

warnings.filterwarnings("ignore")
XGBOOST_2 = xgboost.__version__.startswith("2.")
# skl2onnx 1.20 hands numpy's numbers of histogram boosting on, which onnx 1.23 refuses.
make_attribute = onnx.helper.make_attribute
onnx.helper.make_attribute = lambda key, value, *a, **k: make_attribute(
    key, [int(v) if isinstance(v, (bool, np.integer, np.bool_)) else v for v in value] if isinstance(value, list) else value, *a, **k)

# Six numbers, n0 with zeros, n1 and n2 with gaps; c0 and c1 are codes of categories.
rng = np.random.default_rng(42)
NAMES = ["n0", "n1", "n2", "n3", "n4", "n5", "c0", "c1"]
TRAIN, ROWS = 3000, 1000
effect = rng.normal(size=40)


def table(n):
    x = rng.normal(size=(n, 6)).round(3)
    x[rng.random(n) < 0.3, 0] = 0
    x[rng.random(n) < 0.2, 1] = np.nan
    x[rng.random(n) < 0.1, 2] = np.nan
    x = np.column_stack([x, rng.integers(0, 40, n), rng.integers(0, 4, n)])
    x[rng.random(n) < 0.05, 6] = np.nan
    return x.astype(np.float32)


X, R = table(TRAIN), table(ROWS)
R[0] = np.nan                       # missing everywhere
R[1, :6], R[2, :6] = 1e30, -1e30
R[3, 6:], R[4, 6:] = (77, 9), (-3, 1.5)  # codes that no training saw
s = (X[:, 3] - 2 * X[:, 4] * (X[:, 0] > 0) + np.where(np.isnan(X[:, 1]), 0.7, X[:, 1]) + effect[np.nan_to_num(X[:, 6]).astype(int)]
     + (X[:, 7] == 2) + 0.3 * rng.normal(size=TRAIN))
Y2 = (s > 0).astype(np.int64)
Y3 = np.digitize(s, [-1, 1]).astype(np.int64)
YR = s.astype(np.float32)
WAVE = np.sin(40 * np.clip(X[:, 3], -3, 3)).astype(np.float32)  # needs many thresholds
NUMBERS, WHOLE, EVERY, TWO = [0, 1, 2, 3, 4, 5], [0, 3, 4, 5], list(range(8)), [3, 4]


def save(name, data, columns, classes):
    """Scores rows.csv by ONNX Runtime and writes the three files."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # with more, sums have an order of their own
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    key = session.get_inputs()[0].name
    out = session.run(None, {key: R[:, columns]})
    binding = {"inputs": {key: [NAMES[c] for c in columns]}}
    if classes == 0:
        head, cols = ["score"], [np.asarray(out[0]).reshape(-1)]
    else:
        p = out[1]
        if isinstance(p, list):
            p = np.array([[row[c] for c in row] for row in p], dtype=np.float32)
        if classes == 2:
            head, cols = ["Scored Probabilities"], [p[:, -1]]
            binding["label"] = {"positive": "1"}
        else:
            head, cols = [f'Scored Probabilities for Class "{c}"' for c in range(classes)], list(p.T)
            binding["label"] = {}
    large = len(data) > 200_000
    with gzip.GzipFile(name + ".onnx.gz", "wb", mtime=0) if large else open(name + ".onnx", "wb") as f:
        f.write(data)
    with open(name + ".csv", "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(head)
        w.writerows([repr(float(str(v))) for v in row] for row in zip(*cols))
    with open(name + ".json", "w") as f:
        json.dump(binding, f)
    print(f"{name:32s} {len(data):7d} bytes")


def xgb(name, y, columns, classes=0, forest=False, **params):
    def make():
        kind = {(0, False): xgboost.XGBRegressor, (0, True): xgboost.XGBRFRegressor, (1, False): xgboost.XGBClassifier, (1, True): xgboost.XGBRFClassifier}[min(classes, 1), forest]
        options = dict(n_estimators=8, max_depth=4, n_jobs=1, random_state=1)
        if 6 in columns:
            options.update(enable_categorical=True, feature_types=["c" if c > 5 else "q" for c in columns], tree_method="hist")
        m = kind(**{**options, **params}).fit(X[:, columns], y)
        return convert_xgboost(m, initial_types=[("X", MLFloat([None, len(columns)]))], target_opset=15).SerializeToString()
    return name, make, columns, classes


def lgb(name, y, columns, classes=0, **params):
    def make():
        options = dict(num_leaves=15, min_data_in_leaf=10, learning_rate=0.2, verbose=-1, seed=1, deterministic=True, num_threads=1, objective=["regression", "", "binary", "multiclass"][classes])
        rounds = params.pop("rounds", 8)
        if classes > 2:
            options["num_class"] = classes
        data = lightgbm.Dataset(X[:, columns], label=y, categorical_feature=[i for i, c in enumerate(columns) if c > 5])
        m = lightgbm.train({**options, **params}, data, rounds)
        return convert_lightgbm(m, initial_types=[("X", MLFloat([None, len(columns)]))], target_opset=15, zipmap=False).SerializeToString()
    return name, make, columns, classes


def skl(name, model, y, columns, classes=0):
    def make():
        model.fit(X[:, columns], y)
        return to_onnx(model, initial_types=[("X", FloatTensorType([None, len(columns)]))], options={"zipmap": False} if classes else None).SerializeToString()
    return name, make, columns, classes


def cat(name, y, columns, classes=0, **params):
    def make():
        options = dict(iterations=8, depth=4, learning_rate=0.3, random_seed=1, thread_count=1, verbose=0, allow_writing_files=False,
                       loss_function=["RMSE", "", "Logloss", "MultiClass"][classes])
        cats = [i for i, c in enumerate(columns) if c > 5]
        data = X[:, columns]
        if cats:
            data = data.astype(object)
            data[:, cats] = np.nan_to_num(data[:, cats].astype(float), nan=-1).astype(int)
        m = (catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor)(**{**options, **params}).fit(data, y, cat_features=cats)
        with tempfile.TemporaryDirectory() as folder:
            m.save_model(folder + "/m.onnx", format="onnx")
            return open(folder + "/m.onnx", "rb").read()
    return name, make, columns, classes


CASES = [
    xgb("xgboost_missing", Y2, NUMBERS, 2),
    xgb("xgboost_onehot", Y2, EVERY, 2, max_cat_to_onehot=64),
    xgb("xgboost_partition", Y2, EVERY, 2, max_cat_to_onehot=1),
    xgb("xgboost_partition_regressor", YR, EVERY, 0, max_cat_to_onehot=1),
    xgb("xgboost_forest", Y3, NUMBERS, 3, forest=True, n_estimators=6),
    xgb("xgboost_multi", Y3, NUMBERS, 3, max_depth=3),
    xgb("xgboost_parallel", YR, NUMBERS, num_parallel_tree=4, subsample=0.7, n_estimators=3),
    xgb("xgboost_base", Y2, NUMBERS, 2, base_score=0.3),
    xgb("xgboost_base_regressor", YR, NUMBERS, base_score=2.5),
    xgb("xgboost_manycuts", WAVE, TWO, tree_method="exact", max_depth=8, n_estimators=6),
    xgb("xgboost_deep", YR, WHOLE, tree_method="exact", max_depth=16, min_child_weight=0, n_estimators=1),
    xgb("xgboost_oneleaf", YR, NUMBERS, gamma=1e9, n_estimators=3),
    xgb("xgboost_lopsided", Y2, NUMBERS, 2, grow_policy="lossguide", max_depth=0, max_leaves=30, tree_method="hist"),
    xgb("xgboost_depth6", Y2, NUMBERS, 2, max_depth=6),
    lgb("lightgbm_missing", Y2, NUMBERS, 2),
    lgb("lightgbm_zero_as_missing", Y2, NUMBERS, 2, zero_as_missing=True),
    lgb("lightgbm_no_missing", Y2, NUMBERS, 2, use_missing=False),
    lgb("lightgbm_onehot", Y2, EVERY, 2, max_cat_to_onehot=64),
    lgb("lightgbm_partition", Y2, EVERY, 2, max_cat_to_onehot=1, cat_smooth=1, min_data_per_group=5),
    lgb("lightgbm_dart", Y2, NUMBERS, 2, boosting="dart", drop_rate=0.3),
    lgb("lightgbm_rf", Y2, NUMBERS, 2, boosting="rf", bagging_freq=1, bagging_fraction=0.6),
    lgb("lightgbm_rf_regressor", YR, NUMBERS, boosting="rf", bagging_freq=1, bagging_fraction=0.6),
    lgb("lightgbm_multi", Y3, NUMBERS, 3, rounds=5),
    lgb("lightgbm_manycuts", WAVE, TWO, max_bin=4000, num_leaves=300, min_data_in_leaf=1, min_data_in_bin=1, rounds=2),
    lgb("lightgbm_deep", WAVE, [3], num_leaves=150, max_bin=1000, min_data_in_leaf=1, min_data_in_bin=1, rounds=1),
    lgb("lightgbm_oneleaf", 1 - Y2, NUMBERS, 2, min_data_in_leaf=10000, rounds=2),
    lgb("lightgbm_oneleaf_regressor", YR, NUMBERS, min_data_in_leaf=10000, rounds=2),
    skl("sklearn_missing", HistGradientBoostingClassifier(max_iter=8), Y2, NUMBERS, 2),
    skl("sklearn_forest", RandomForestClassifier(8, max_depth=5, random_state=0), Y2, WHOLE, 2),
    skl("sklearn_forest_regressor", RandomForestRegressor(8, max_depth=5, random_state=0), YR, WHOLE),
    skl("sklearn_multi", ExtraTreesClassifier(6, max_depth=5, random_state=0), Y3, WHOLE, 3),
    skl("sklearn_multi_boosting", HistGradientBoostingClassifier(max_iter=4), Y3, NUMBERS, 3),
    skl("sklearn_manycuts", DecisionTreeRegressor(max_leaf_nodes=600, random_state=0), WAVE, TWO),
    skl("sklearn_deep", DecisionTreeClassifier(max_leaf_nodes=200, min_samples_leaf=1, random_state=0), Y2, WHOLE, 2),
    skl("sklearn_oneleaf", DecisionTreeRegressor(min_samples_split=10 ** 6), YR, WHOLE),
    skl("sklearn_oneleaf_boosting", HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=2000), YR, NUMBERS),
    skl("sklearn_lopsided", HistGradientBoostingClassifier(max_iter=6, max_leaf_nodes=25), Y2, NUMBERS, 2),
    cat("catboost_missing", Y2, NUMBERS, 2, iterations=5),
    cat("catboost_missing_max", Y2, NUMBERS, 2, iterations=5, nan_mode="Max"),
    cat("catboost_multi", Y3, NUMBERS, 3, iterations=5),
    cat("catboost_base", YR, NUMBERS, iterations=5),
    cat("catboost_manycuts", WAVE, TWO, border_count=2000, depth=3, iterations=200),
    cat("catboost_deep", WAVE, TWO, depth=13, iterations=1, border_count=500),
]
OF_XGBOOST_2 = [
    xgb("xgboost_2_base", Y2, NUMBERS, 2, base_score=0.3),
    xgb("xgboost_2_base_multi", Y3, NUMBERS, 3, base_score=0.7, max_depth=3, n_estimators=4),
]
# What converters refuse, and how they say it.
REFUSED = [
    (xgb("xgboost_zero_as_missing", Y2, NUMBERS, 2, missing=0.0), RuntimeError, "Cannot convert a XGBoost model where missing values are not nan but 0.0."),
    (xgb("xgboost_dart", Y2, NUMBERS, 2, booster="dart", rate_drop=0.4, one_drop=1), KeyError, "'gbtree_model_param'"),
    (xgb("xgboost_linear", YR, WHOLE, booster="gblinear"), KeyError, "'gbtree_model_param'"),
    (xgb("xgboost_vector", np.column_stack([YR, YR]), WHOLE, multi_strategy="multi_output_tree"), xgboost.core.XGBoostError, "support for multi-target tree is not yet implemented"),
    (cat("catboost_onehot", Y2, EVERY, 2, one_hot_max_size=64), catboost.CatBoostError, "ONNX-ML format export does yet not support categorical features"),
    (cat("catboost_partition", Y2, EVERY, 2, one_hot_max_size=1), catboost.CatBoostError, "ONNX-ML format export does yet not support categorical features"),
    (cat("catboost_oneleaf", YR, NUMBERS, min_data_in_leaf=10 ** 6, iterations=2, grow_policy="Lossguide", max_leaves=2), catboost.CatBoostError, "Can save non symmetric trees only in cbm, Json, or Pmml format"),
    (cat("catboost_lossguide", YR, NUMBERS, grow_policy="Lossguide", max_leaves=12), catboost.CatBoostError, "Can save non symmetric trees only in cbm, Json, or Pmml format"),
    (cat("catboost_depthwise", YR, NUMBERS, grow_policy="Depthwise"), catboost.CatBoostError, "Can save non symmetric trees only in cbm, Json, or Pmml format"),
]


def lost():
    """Holds that what the converters write is still not the library's model: linear leaves, categories of histogram boosting."""
    def scores(data, x):
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: x})
    make = lgb("", YR, WHOLE, linear_tree=True)[1]
    linear = lightgbm.train(dict(objective="regression", linear_tree=True, num_leaves=15, min_data_in_leaf=10, learning_rate=0.2, verbose=-1, seed=1, deterministic=True, num_threads=1), lightgbm.Dataset(X[:, WHOLE], label=YR), 8)
    assert np.abs(scores(make(), R[5:, WHOLE])[0].ravel() - linear.predict(R[5:, WHOLE])).max() > 0.1
    m = HistGradientBoostingClassifier(max_iter=4, categorical_features=[6, 7])
    data = skl("", m, Y2, EVERY, 2)[1]()
    assert np.abs(scores(data, R[5:, :8])[1][:, 1] - m.predict_proba(R[5:, :8])[:, 1]).max() > 0.1


def main():
    for name, make, columns, classes in OF_XGBOOST_2 if XGBOOST_2 else CASES:
        save(name, make(), columns, classes)
    with open("versions.txt", "a" if XGBOOST_2 else "w") as f:
        for lib in (xgboost,) if XGBOOST_2 else (sklearn, skl2onnx, onnxmltools, lightgbm, xgboost, catboost, onnx, onnxruntime, np):
            f.write(f"{lib.__name__} {lib.__version__}\n")
    if XGBOOST_2:
        return
    texts = {}
    for (name, make, _, _), error, text in REFUSED:
        try:
            make()
        except error as e:
            assert text in str(e), f"{name}: {e}"
            texts[name] = text
            continue
        raise AssertionError(f"{name} is made now: it needs a golden case")
    with open("refused.json", "w") as f:
        json.dump(texts, f, indent=1, sort_keys=True)
        f.write("\n")
    lost()
    with open("rows.csv", "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(NAMES)
        w.writerows(["" if np.isnan(v) else repr(float(str(v))) for v in row] for row in R)


main()
