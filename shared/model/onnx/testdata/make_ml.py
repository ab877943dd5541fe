"""Makes ml.tar.gz: graphs of one node of domain ai.onnx.ml, each with inputs and what ONNX Runtime answers, laid out as
ONNX's own node tests. Versions: golden/versions.txt.
    python make_ml.py
"""
import gzip, io, itertools, tarfile
import numpy as np, onnxruntime
from onnx import TensorProto as T, helper as h, numpy_helper as nh

rng = np.random.default_rng(3)
NP = {T.FLOAT: np.float32, T.DOUBLE: np.float64, T.INT64: np.int64, T.INT32: np.int32, T.STRING: object, T.BOOL: bool}
cases = {}


def case(name, op, inputs, outputs=1, ml=3, core=18, domain="ai.onnx.ml", **attrs):
    """inputs are arrays; outputs their number."""
    ins = [f"x{i}" for i in range(len(inputs))]
    outs = [f"y{i}" for i in range(outputs)]
    node = h.make_node(op, ins, outs, domain=domain, **attrs)
    def elem(a):
        return next(t for t, n in NP.items() if a.dtype == n)
    # ONNX Runtime says what type an output has; the graph must declare one first.
    for types in itertools.product([T.FLOAT, T.INT64, T.STRING, T.DOUBLE, T.INT32, T.BOOL], repeat=outputs):
        g = h.make_graph([node], "g", [h.make_tensor_value_info(n, elem(a), [None] * a.ndim) for n, a in zip(ins, inputs)],
                         [h.make_tensor_value_info(o, t, None) for o, t in zip(outs, types)])
        m = h.make_model(g, opset_imports=[h.make_opsetid("", core), h.make_opsetid("ai.onnx.ml", ml)], ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        try:
            s = onnxruntime.InferenceSession(m.SerializeToString(), options)
            break
        except Exception as e:
            why = e
    else:
        print("ONNX Runtime refuses", name, why)
        return
    got = s.run(None, dict(zip(ins, inputs)))
    files = {f"{name}/model.onnx": m.SerializeToString()}
    for i, a in enumerate(inputs):
        files[f"{name}/test_data_set_0/input_{i}.pb"] = nh.from_array(a).SerializeToString()
    for i, a in enumerate(got):
        files[f"{name}/test_data_set_0/output_{i}.pb"] = nh.from_array(np.asarray(a)).SerializeToString()
    assert name not in cases, name
    cases[name] = files


X = rng.normal(size=(9, 4)).astype(np.float32).round(2)
XN = X.copy()
XN[0, 0] = XN[3, 2] = np.nan
XN[4, 1] = np.inf
TYPES = {"float": X, "double": X.astype(np.float64), "int64": (X * 3).astype(np.int64), "int32": (X * 3).astype(np.int32)}
WORDS = np.array([["a", "b"], ["c", ""], ["zz", "a"]], dtype=object)
POST = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]


def encoders():
    for t, x in TYPES.items():
        case(f"binarizer_{t}", "Binarizer", [x], threshold=0.5)
        case(f"scaler_{t}", "Scaler", [x], offset=[0.5, 1.0, -1.0, 0.1], scale=[2.0, 0.3, 1.0, 0.0])
        case(f"scaler_one_{t}", "Scaler", [x], offset=[0.5], scale=[2.0])
        for n in ("MAX", "L1", "L2"):
            case(f"normalizer_{n}_{t}", "Normalizer", [np.vstack([x, np.zeros((1, 4), x.dtype)])], norm=n)
        case(f"onehot_{t}", "OneHotEncoder", [x], cats_int64s=[0, 1, -1, 3], zeros=1)
        case(f"extract_{t}", "ArrayFeatureExtractor", [x, np.array([2, 0, 2], np.int64)])
        case(f"vectorizer_{t}", "FeatureVectorizer", [x, x[:, :2]], inputdimensions=[4, 2])
    case("normalizer_negative", "Normalizer", [-np.abs(X)], norm="MAX")
    case("extract_rank1", "ArrayFeatureExtractor", [X[0], np.array([1, 3], np.int64)])
    case("extract_text", "ArrayFeatureExtractor", [WORDS, np.array([1], np.int64)])
    case("onehot_text", "OneHotEncoder", [WORDS], cats_strings=["a", "b", "c"], zeros=1)
    case("onehot_text_rank1", "OneHotEncoder", [WORDS[:, 0]], cats_strings=["a", "c"], zeros=1)
    case("imputer_nan", "Imputer", [XN], imputed_value_floats=[1.0, 2.0, 3.0, 4.0], replaced_value_float=float("nan"))
    case("imputer_one", "Imputer", [XN], imputed_value_floats=[7.0], replaced_value_float=float("nan"))
    case("imputer_value", "Imputer", [X], imputed_value_floats=[9.0], replaced_value_float=float(X[0, 0]))
    case("imputer_int", "Imputer", [TYPES["int64"]], imputed_value_int64s=[5], replaced_value_int64=0)
    case("mapper_text", "CategoryMapper", [WORDS], cats_strings=["a", "b"], cats_int64s=[5, 6], default_int64=-7)
    case("mapper_int", "CategoryMapper", [np.array([[5, 6, 7]], np.int64)], cats_strings=["a", "b"], cats_int64s=[5, 6], default_string="none")
    ints, floats = np.array([[1, 2, 9]], np.int64), np.array([[1, 2, np.nan, 9]], np.float32)
    keys = {"strings": (["a", "b"], WORDS), "int64s": ([1, 2], ints), "floats": ([1.0, float("nan")], floats)}
    values = {"strings": (["p", "q"], {"default_string": "d"}), "int64s": ([10, 20], {"default_int64": -5}), "floats": ([0.5, 1.5], {"default_float": 3.25})}
    for (k, (kv, x)), (v, (vv, d)) in itertools.product(keys.items(), values.items()):
        if k == "floats" and v == "int64s":
            kv = [1.0, 2.0]
        case(f"label_{k}_{v}", "LabelEncoder", [x], **{f"keys_{k}": kv, f"values_{v}": vv}, **d)
        case(f"label_{k}_{v}_plain", "LabelEncoder", [x], **{f"keys_{k}": kv, f"values_{v}": vv})
    nan = np.array([1, np.nan], np.float32)
    case("label_nan", "LabelEncoder", [floats], ml=4, keys_tensor=nh.from_array(nan), values_tensor=nh.from_array(np.array([0.5, 1.5], np.float32)),
         default_tensor=nh.from_array(np.array([9], np.float32)))
    case("label_nan_list", "LabelEncoder", [floats], ml=4, keys_floats=nan.tolist(), values_floats=[0.5, 1.5])
    case("label_tensor", "LabelEncoder", [WORDS], ml=4, keys_tensor=nh.from_array(np.array(["a", "c"], dtype=object)),
         values_tensor=nh.from_array(np.array([4, 5], np.int64)), default_tensor=nh.from_array(np.array([-1], np.int64)))


def linear():
    for t, x in TYPES.items():
        case(f"regressor_{t}", "LinearRegressor", [x], coefficients=[0.1, -0.2, 0.3, 1.0], intercepts=[0.25])
    case("regressor_targets", "LinearRegressor", [X], coefficients=rng.normal(size=8).tolist(), intercepts=[1.0, -1.0], targets=2)
    case("regressor_bare", "LinearRegressor", [X], coefficients=[0.1, -0.2, 0.3, 1.0])
    for p in POST:
        w3, w1 = (rng.normal(size=12) / 4).tolist(), (rng.normal(size=4) / 4).tolist()
        case(f"classifier3_{p}", "LinearClassifier", [X], 2, coefficients=w3, intercepts=[0.3, 0.4, 0.2], classlabels_ints=[4, 5, 6], post_transform=p)
        case(f"classifier2_{p}", "LinearClassifier", [X], 2, coefficients=w3[:8], intercepts=[0.3, 0.4], classlabels_strings=["n", "y"], post_transform=p)
        if p != "PROBIT":  # of one score, it leaves the second undefined
            case(f"classifier1_{p}", "LinearClassifier", [X], 2, coefficients=w1, intercepts=[0.5], classlabels_strings=["n", "y"], post_transform=p)
    for t, x in TYPES.items():
        case(f"classifier_{t}", "LinearClassifier", [x], 2, coefficients=w3, intercepts=[0.3, 0.4, 0.2], classlabels_ints=[0, 1, 2])


def svm():
    for k in ("LINEAR", "POLY", "RBF", "SIGMOID"):
        v = rng.normal(size=(5, 4)).round(2)
        common = dict(kernel_type=k, kernel_params=[0.3, 0.1, 3.0])
        case(f"svr_{k}", "SVMRegressor", [X], support_vectors=v.ravel().tolist(), n_supports=5, coefficients=rng.normal(size=5).tolist(), rho=[0.2], **common)
        case(f"one_class_{k}", "SVMRegressor", [X], support_vectors=v.ravel().tolist(), n_supports=5, coefficients=rng.normal(size=5).tolist(), rho=[0.0], one_class=1, **common)
        for n, per in ((2, [2, 3]), (3, [2, 1, 2])):
            pairs = n * (n - 1) // 2
            for proba in (False, True):
                extra = dict(prob_a=[-1.2] * pairs, prob_b=[0.1] * pairs) if proba else {}
                for p in ("NONE", "LOGISTIC", "SOFTMAX") if not proba else ("NONE",):
                    case(f"svc{n}_{k}_{p}_{'proba' if proba else 'scores'}", "SVMClassifier", [X], 2, support_vectors=v.ravel().tolist(), vectors_per_class=per,
                         coefficients=rng.normal(size=5 * (n - 1)).tolist(), rho=rng.normal(size=pairs).tolist(), classlabels_ints=list(range(n)), post_transform=p, **common, **extra)
    case("svr_plain", "SVMRegressor", [X], n_supports=0, coefficients=[0.1, 0.2, 0.3, 0.4], rho=[0.5], kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0])
    case("svc_linear_mode", "SVMClassifier", [X], 2, coefficients=rng.normal(size=12).tolist(), rho=[0.5, 0.5, 0.5], classlabels_ints=[0, 1, 2], kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0])


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def forest(modes, classes, trees=3, depth=3, positive=False, one=None, tracks=True):
    """Random full trees over X, thresholds among its values so that equality happens."""
    a = {k: [] for k in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    w = {k: [] for k in ("treeids", "nodeids", "ids", "weights")}
    for t in range(trees):
        for n in range(2 ** (depth + 1) - 1):
            leaf = n >= 2 ** depth - 1
            f = int(rng.integers(0, 4))
            a["treeids"].append(t), a["nodeids"].append(n), a["featureids"].append(0 if leaf else f)
            a["modes"].append("LEAF" if leaf else str(rng.choice(modes)))
            a["values"].append(0.0 if leaf else float(X[rng.integers(0, 9), f]))
            a["truenodeids"].append(0 if leaf else 2 * n + 1), a["falsenodeids"].append(0 if leaf else 2 * n + 2)
            a["missing_value_tracks_true"].append(int(rng.integers(0, 2)) if not leaf else 0)
            if leaf:
                for c in range(classes) if one is None else [one]:
                    v = rng.normal()
                    w["treeids"].append(t), w["nodeids"].append(n), w["ids"].append(c), w["weights"].append(float(abs(v) / 4 if positive else v))
    if not tracks:
        del a["missing_value_tracks_true"]
    return {f"nodes_{k}": v for k, v in a.items()}, w


def trees():
    for m in MODES + ["mixed"]:
        for tracks in (True, False):
            a, w = forest(MODES if m == "mixed" else [m], 1, tracks=tracks)
            case(f"trees_{m}_{'tracks' if tracks else 'plain'}", "TreeEnsembleRegressor", [XN], **a, **{f"target_{k}": v for k, v in w.items()}, n_targets=1)
    for agg in ("SUM", "AVERAGE", "MIN", "MAX"):
        for n, base in ((1, [0.5]), (1, None), (3, [0.5, 1.0, 2.0]), (3, None)):
            a, w = forest(MODES, n)
            extra = {"base_values": base} if base else {}
            case(f"trees_{agg}_{n}_{'base' if base else 'bare'}", "TreeEnsembleRegressor", [X], **a, **{f"target_{k}": v for k, v in w.items()}, n_targets=n, aggregate_function=agg, **extra)
    for p in POST:
        for n, one in ((1, None), (3, None)):
            a, w = forest(["BRANCH_LEQ"], n, positive=p == "PROBIT", trees=1)
            case(f"trees_{p}_{n}", "TreeEnsembleRegressor", [X], **a, **{f"target_{k}": v for k, v in w.items()}, n_targets=n, post_transform=p)
    for p in POST[:4]:
        for positive in (False, True):
            for n, one in ((3, None), (2, None), (2, 0), (2, 1)):
                for base in ([], [0.25], [0.25, 0.5], [0.25, 0.5, 0.75]):
                    if len(base) not in ((0, 3) if n == 3 else (0, 1) if one == 0 else (0,)):
                        continue  # where ONNX says nothing, or another thing than ONNX Runtime
                    a, w = forest(["BRANCH_LT"], n, positive=positive, one=one)
                    extra = {"base_values": base} if base else {}
                    case(f"trees_class_{p}_{n}_{'all' if one is None else one}_{'positive' if positive else 'mixed'}_{len(base)}", "TreeEnsembleClassifier", [X], 2,
                         **a, **{f"class_{k}": v for k, v in w.items()}, classlabels_int64s=list(range(n)), post_transform=p, **extra)
    a, w = forest(MODES, 3)
    for t, x in TYPES.items():
        case(f"trees_class_{t}", "TreeEnsembleClassifier", [x], 2, **a, **{f"class_{k}": v for k, v in w.items()}, classlabels_strings=["x", "y", "z"])
    a, w = forest(["BRANCH_LEQ"], 1)
    for t, x in TYPES.items():
        case(f"trees_type_{t}", "TreeEnsembleRegressor", [x], **a, **{f"target_{k}": v for k, v in w.items()}, n_targets=1)
    v, u = a.pop("nodes_values"), w.pop("weights")
    case("trees_double", "TreeEnsembleRegressor", [X.astype(np.float64) + 1e-9], **a, **{f"target_{k}": k2 for k, k2 in w.items()}, n_targets=1,
         nodes_values_as_tensor=nh.from_array(np.array(v) + 1e-9), target_weights_as_tensor=nh.from_array(np.array(u)))
    for dtype in (np.float32, np.float64):
        for agg in range(4):
            for post in (0, 3):  # ONNX Runtime takes 1 and 2 for each other
                ensemble5(dtype, agg, post)


def ensemble5(dtype, agg, post):
    """Two trees by version 5: one of every comparison, one with a set."""
    x = (X.astype(dtype) * 10).round()
    case(f"ensemble_{np.dtype(dtype)}_{agg}_{post}", "TreeEnsemble", [x], ml=5, n_targets=2 if agg < 2 else 1, aggregate_function=agg, post_transform=post,
         tree_roots=[0, 3, 5], nodes_featureids=[0, 1, 2, 3, 0, 1], nodes_modes=nh.from_array(np.array([0, 1, 3, 6, 4, 2], np.uint8)),
         nodes_splits=nh.from_array(np.array([1, 2, -3, np.nan, x[0, 0], 4], dtype)), membership_values=nh.from_array(np.array([1, 4, -7, 12, np.nan], dtype)),
         nodes_truenodeids=[1, 0, 2, 4, 6, 8], nodes_trueleafs=[0, 1, 1, 0, 1, 1], nodes_falsenodeids=[2, 1, 3, 5, 7, 9], nodes_falseleafs=[0, 1, 1, 1, 1, 1],
         leaf_targetids=[0, 1, 0, 1, 0, 1, 0, 1, 0, 1] if agg < 2 else [0] * 10, leaf_weights=nh.from_array(np.array([1.5, 2, -3, 4, 5.25, -6, 7, 8, 9.5, 10], dtype)))


def main():
    encoders(), linear(), svm(), trees()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for n in sorted(cases):
            for f, data in sorted(cases[n].items()):
                info = tarfile.TarInfo(f)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    with gzip.GzipFile("ml.tar.gz", "wb", 9, mtime=0) as z:
        z.write(out.getvalue())
    print(len(cases), "cases")


main()
