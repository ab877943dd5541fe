"""Makes the golden models: {name}.onnx, what ONNX Runtime answers for rows.csv in {name}.csv, and {name}.json, the
binding that an author would give. Versions of the libraries are in versions.txt. Run it in this folder:
    python make.py
"""
import csv, json, os, sys, warnings
import numpy as np, onnx, onnxruntime, sklearn, skl2onnx, onnxmltools, lightgbm, xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as MLFloat
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (AdaBoostClassifier, ExtraTreesRegressor, GradientBoostingClassifier, GradientBoostingRegressor,
                              HistGradientBoostingClassifier, HistGradientBoostingRegressor, IsolationForest,
                              RandomForestClassifier, RandomForestRegressor, VotingClassifier, BaggingRegressor, StackingClassifier)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (ElasticNet, LinearRegression, LogisticRegression, PoissonRegressor, Ridge, SGDClassifier)
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (KBinsDiscretizer, MaxAbsScaler, MinMaxScaler, Normalizer, OneHotEncoder, OrdinalEncoder,
                                   PolynomialFeatures, RobustScaler, StandardScaler)
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

warnings.filterwarnings("ignore")

# skl2onnx 1.20 hands numpy's numbers of histogram boosting on, which onnx 1.23 refuses.
make_attribute = onnx.helper.make_attribute
onnx.helper.make_attribute = lambda key, value, *a, **k: make_attribute(
    key, [int(v) if isinstance(v, (bool, np.integer, np.bool_)) else v for v in value] if isinstance(value, list) else value, *a, **k)
rng = np.random.default_rng(7)
N = 3000
F = 8
NUM = [f"n{i}" for i in range(F)]
X = rng.normal(size=(N, F)).astype(np.float32).round(3)
GAPS = [f"g{i}" for i in range(4)]
G = rng.normal(loc=2, size=(N, 4)).astype(np.float32).round(2)
G[rng.random(G.shape) < 0.15] = np.nan
CITY = np.array(["Berlin", "Köln", "São Paulo", "New York", "Oslo"])[rng.integers(0, 5, N)]
PLAN = np.array(["basic", "plus", "pro"])[rng.integers(0, 3, N)]
VISITS = rng.integers(0, 6, N)
gaps = np.random.default_rng(8)
AREA = np.array(["north", "south", "west"], dtype=object)[gaps.integers(0, 3, N)]
AREA[gaps.random(N) < 0.2] = np.nan
TIER = np.array(["gold", "silver"], dtype=object)[gaps.integers(0, 2, N)]
TIER[gaps.random(N) < 0.2] = None
margin = (X[:, 0] - 0.7 * X[:, 1] * X[:, 2] + 0.5 * np.nan_to_num(G[:, 0], nan=2.0) + (CITY == "Oslo") - (PLAN == "pro")
          + 0.2 * VISITS + rng.normal(scale=0.6, size=N) - 1.3)
Y2 = (margin > 0).astype(np.int64)
YS = np.where(Y2 == 1, "yes", "no")
Y3 = np.digitize(margin, [-0.7, 0.8]).astype(np.int64)
YR = (3 * margin + 10).astype(np.float32)
YP = rng.poisson(np.exp(np.clip(margin / 2, -2, 2)))
ROWS = 1000


def write_rows():
    with open("rows.csv", "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(NUM + GAPS + ["city", "plan", "visits", "area", "tier"])
        for r in range(ROWS):
            w.writerow([repr(float(str(v))) for v in X[r]] + ["" if np.isnan(v) else repr(float(str(v))) for v in G[r]]
                       + [CITY[r], PLAN[r], VISITS[r], AREA[r] if isinstance(AREA[r], str) else "", TIER[r] or ""])


def feeds(inputs):
    parts = {"n": X[:ROWS], "g": G[:ROWS], "all": np.hstack([X, G])[:ROWS], "city": CITY[:ROWS, None].astype(object),
             "plan": PLAN[:ROWS, None].astype(object), "visits": VISITS[:ROWS, None].astype(np.int64)}
    return {k: parts[v] for k, v in inputs.items()}


COLUMNS = {"n": NUM, "g": GAPS, "all": NUM + GAPS, "city": "city", "plan": "plan", "visits": "visits"}


def save(name, model, inputs, kind, classes=None, score=None, label=None):
    """Scores rows.csv by ONNX Runtime and writes the three files."""
    data = model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # with more, sums have an order of their own
    s = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in s.get_outputs()]
    out = dict(zip(names, s.run(None, feeds(inputs))))
    head, cols = [], []
    if kind == "regression":
        head, cols = ["score"], [np.asarray(out[score or names[0]]).reshape(-1)]
    else:
        p = out[score or names[1]]
        if isinstance(p, list):
            p = np.array([[row[c] for c in row] for row in p])
        if kind == "two-class":
            p = p[:, -1] if p.ndim == 2 else p
            head, cols = ["Scored Probabilities"], [p]
        else:
            head = [f'Scored Probabilities for Class "{c}"' for c in classes]
            cols = list(p.T)
        if label:
            head.append("Scored Labels")
            cols.append(out[names[0]])
    open(name + ".onnx", "wb").write(data)
    with open(name + ".csv", "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(head)
        for row in zip(*cols):
            w.writerow([v if isinstance(v, (str, np.str_)) else repr(float(str(v))) if isinstance(v, np.floating) else v for v in row])
    binding = {"inputs": {k: COLUMNS[v] for k, v in inputs.items()}}
    if kind != "regression":
        binding["label"] = {"positive": str(classes[1])} if kind == "two-class" else {}
    json.dump(binding, open(name + ".json", "w"), ensure_ascii=False)
    print(f"{name:28s} {len(data):8d} bytes", sorted({n.op_type for n in model.graph.node}))


def skl(name, model, kind, y, cols="n", options=None, label=True, score=None, opset=None):
    """A model of one table of floats."""
    x = {"n": X, "g": G, "all": np.hstack([X, G])}[cols]
    model.fit(x, y)
    o = to_onnx(model, initial_types=[("X", FloatTensorType([None, x.shape[1]]))], options=options, target_opset=opset)
    classes = list(getattr(model, "classes_", [])) if kind != "regression" else None
    save(name, o, {"X": cols}, kind, classes, score, label)


def mixed(name, tail, y, kind, **kw):
    """A pipeline of imputer, scaler and one-hot over columns of several types."""
    import pandas as pd
    df = pd.DataFrame({**{c: G[:, i] for i, c in enumerate(GAPS)}, "city": CITY, "plan": PLAN, "visits": VISITS})
    prep = ColumnTransformer([
        ("num", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), GAPS),
        ("cat", OneHotEncoder(**kw), ["city", "plan"]),
        ("int", "passthrough", ["visits"]),
    ])
    p = make_pipeline(prep, tail).fit(df, y)
    types = [(c, FloatTensorType([None, 1])) for c in GAPS] + [(c, StringTensorType([None, 1])) for c in ("city", "plan")] + [("visits", Int64TensorType([None, 1]))]
    o = to_onnx(p, initial_types=types)
    COLUMNS.update({c: c for c in GAPS})
    old = feeds
    globals()["feeds"] = lambda i: {**{c: G[:ROWS, k:k + 1] for k, c in enumerate(GAPS)}, **old({c: c for c in ("city", "plan", "visits")})}
    save(name, o, {c: c for c in GAPS + ["city", "plan", "visits"]}, kind, list(getattr(p, "classes_", [])) or None, label=True)
    globals()["feeds"] = old


def missing_text():
    """Encoders that learnt missing cells as a category: ONNX Runtime reads NaN as the text nan and None as None, as the converter writes them."""
    df = np.stack([AREA, TIER], 1)
    y = (X[:, 0] + (AREA == "west") + 2 * (AREA != AREA) - (TIER == None) + gaps.normal(size=N) > 0.5).astype(np.int64)  # noqa: E711
    types = [("area", StringTensorType([None, 1])), ("tier", StringTensorType([None, 1]))]
    COLUMNS.update(area="area", tier="tier")
    old = feeds
    globals()["feeds"] = lambda i: {"area": AREA[:ROWS, None], "tier": TIER[:ROWS, None]}
    for name, encode in (("missing_onehot", OneHotEncoder(handle_unknown="ignore")), ("missing_ordinal", OrdinalEncoder())):
        import pandas as pd
        frame = pd.DataFrame({"area": pd.Series(AREA, dtype=object), "tier": pd.Series(TIER, dtype=object)})
        p = make_pipeline(ColumnTransformer([("area", encode, ["area"]), ("tier", OneHotEncoder(), ["tier"])]), DecisionTreeClassifier(max_depth=5, random_state=0)).fit(frame, y)
        save(name, to_onnx(p, initial_types=types, options={"zipmap": False}), {"area": "area", "tier": "tier"}, "two-class", [0, 1])
        mine, theirs = p.predict_proba(frame[:ROWS])[:, 1], np.loadtxt(name + ".csv", skiprows=1)
        print("  ", np.abs(mine - theirs).max())
    globals()["feeds"] = old


def refused():
    """Graphs that cannot be scored, or not as they say: refused/{name}.onnx."""
    os.makedirs("refused", exist_ok=True)
    few = slice(0, 40)
    for name, model, y in (("scan", KNeighborsClassifier(3), Y3), ("kmeans", KMeans(3, n_init=1, random_state=0), Y3), ("svc_scores", SVC(), Y2), ("two_targets", LinearRegression(), np.stack([YR, YR], 1))):
        model.fit(X[few], y[few])
        o = to_onnx(model, initial_types=[("X", FloatTensorType([None, F]))])
        open(f"refused/{name}.onnx", "wb").write(o.SerializeToString())


def main():
    refused()
    write_rows()
    missing_text()
    mixed("pipeline_logistic", LogisticRegression(), YS, "two-class", handle_unknown="ignore")
    mixed("pipeline_strict", LogisticRegression(), Y3, "multiclass")
    mixed("pipeline_forest", RandomForestClassifier(8, max_depth=5, random_state=0), YS, "two-class", handle_unknown="ignore")
    mixed("pipeline_ridge", Ridge(), YR, "regression", handle_unknown="ignore")
    skl("logistic", LogisticRegression(), "two-class", YS)
    skl("logistic_nozipmap", LogisticRegression(), "two-class", Y2, options={"zipmap": False})
    skl("logistic_multi", LogisticRegression(), "multiclass", Y3)
    skl("linear", LinearRegression(), "regression", YR)
    skl("ridge_scaled", make_pipeline(StandardScaler(), Ridge()), "regression", YR)
    skl("elastic_poly", make_pipeline(PolynomialFeatures(2), ElasticNet(0.01)), "regression", YR)
    skl("poisson", make_pipeline(StandardScaler(), PoissonRegressor()), "regression", YP)
    skl("sgd", make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)), "two-class", Y2)
    skl("lda", LinearDiscriminantAnalysis(), "multiclass", Y3)
    skl("pca_logistic", make_pipeline(PCA(4, random_state=0), LogisticRegression()), "two-class", Y2)
    skl("normalizer_logistic", make_pipeline(Normalizer(), LogisticRegression()), "two-class", Y2)
    skl("minmax_logistic", make_pipeline(MinMaxScaler(), MaxAbsScaler(), RobustScaler(), LogisticRegression()), "two-class", Y2)
    skl("bins_logistic", make_pipeline(KBinsDiscretizer(4, encode="onehot-dense", quantile_method="averaged_inverted_cdf"), LogisticRegression()), "two-class", Y2)
    skl("select_logistic", make_pipeline(SelectKBest(k=3), LogisticRegression()), "two-class", Y2)
    skl("imputer_logistic", make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()), "two-class", Y2, cols="g")
    skl("tree", DecisionTreeClassifier(max_depth=6, random_state=0), "multiclass", Y3)
    skl("tree_regressor", DecisionTreeRegressor(max_depth=7, random_state=0), "regression", YR)
    skl("forest", RandomForestClassifier(12, max_depth=6, random_state=0), "multiclass", Y3)
    skl("forest_regressor", RandomForestRegressor(12, max_depth=6, random_state=0), "regression", YR)
    skl("extra_regressor", ExtraTreesRegressor(8, max_depth=6, random_state=0), "regression", YR)
    skl("boosting", GradientBoostingClassifier(n_estimators=30, random_state=0), "two-class", Y2)
    skl("boosting_multi", GradientBoostingClassifier(n_estimators=10, random_state=0), "multiclass", Y3)
    skl("boosting_regressor", GradientBoostingRegressor(n_estimators=30, random_state=0), "regression", YR)
    skl("histboosting", HistGradientBoostingClassifier(max_iter=20), "two-class", Y2, cols="all")
    skl("histboosting_multi", HistGradientBoostingClassifier(max_iter=10), "multiclass", Y3, cols="all")
    skl("histboosting_regressor", HistGradientBoostingRegressor(max_iter=20), "regression", YR, cols="all")
    skl("adaboost", AdaBoostClassifier(n_estimators=8, random_state=0), "two-class", Y2)
    skl("bagging", BaggingRegressor(n_estimators=4, random_state=0, estimator=DecisionTreeRegressor(max_depth=4)), "regression", YR)
    skl("voting", VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], voting="soft", flatten_transform=False), "multiclass", Y3)
    skl("stacking", StackingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3))], cv=3), "two-class", Y2)
    skl("calibrated", CalibratedClassifierCV(LinearSVC(), cv=2), "two-class", Y2)
    skl("naive_bayes", GaussianNB(), "multiclass", Y3)
    skl("bernoulli", BernoulliNB(), "two-class", Y2)
    small = slice(0, 300)
    for name, m, kind, y in (("svc", SVC(probability=True, random_state=0), "two-class", Y2), ("svc_multi", SVC(kernel="poly", probability=True, random_state=0), "multiclass", Y3)):
        m.fit(X[small], y[small])
        o = to_onnx(m, initial_types=[("X", FloatTensorType([None, F]))])
        save(name, o, {"X": "n"}, kind, list(m.classes_))
    m = SVR(C=2).fit(X[small], YR[small])
    save("svr", to_onnx(m, initial_types=[("X", FloatTensorType([None, F]))]), {"X": "n"}, "regression")
    for name, m, y, kind in (("knn", KNeighborsClassifier(5), Y3, "multiclass"), ("knn_regressor", KNeighborsRegressor(3, weights="distance"), YR, "regression")):
        m.fit(X[small], y[small])
        save(name, to_onnx(m, initial_types=[("X", FloatTensorType([None, F]))], options={id(m): {"optim": "cdist"}}), {"X": "n"}, kind, list(getattr(m, "classes_", [])) or None)
    skl("mlp", make_pipeline(StandardScaler(), MLPClassifier((24, 12), max_iter=80, random_state=0)), "two-class", Y2)
    skl("mlp_multi", MLPClassifier((16,), activation="tanh", max_iter=80, random_state=0), "multiclass", Y3)
    skl("mlp_regressor", MLPRegressor(hidden_layer_sizes=(16,), activation="logistic", max_iter=80, random_state=0), "regression", YR)
    A = np.hstack([X, G])
    types = [("X", MLFloat([None, A.shape[1]]))]
    for suffix, cls, y, kind in (("", lightgbm.LGBMClassifier, Y2, "two-class"), ("_multi", lightgbm.LGBMClassifier, Y3, "multiclass"), ("_regressor", lightgbm.LGBMRegressor, YR, "regression")):
        m = cls(n_estimators=15, num_leaves=15, verbose=-1).fit(A, y)
        save("lightgbm" + suffix, convert_lightgbm(m, initial_types=types, target_opset=15), {"X": "all"}, kind, list(getattr(m, "classes_", [])) or None, label=True)
    for suffix, cls, y, kind in (("", xgboost.XGBClassifier, Y2, "two-class"), ("_multi", xgboost.XGBClassifier, Y3, "multiclass"), ("_regressor", xgboost.XGBRegressor, YR, "regression")):
        m = cls(n_estimators=15, max_depth=4).fit(A, y)
        save("xgboost" + suffix, convert_xgboost(m, initial_types=types, target_opset=15), {"X": "all"}, kind, list(range(len(set(y)))) if kind != "regression" else None, label=True)
    with open("versions.txt", "w") as f:
        for lib in (sklearn, skl2onnx, onnxmltools, lightgbm, xgboost, onnx, onnxruntime, np):
            f.write(f"{lib.__name__} {lib.__version__}\n")


main()
