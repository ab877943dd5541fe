"""Makes golden.json: vectors, and what scikit-learn and SciPy say of them.

Made with numpy 2.4.6, scikit-learn 1.9.1, scipy 1.17.1.
"""
import json
import math
import os

import numpy as np
from scipy.stats import norm
from sklearn import metrics as sk

rng = np.random.default_rng(7)


def two_class(name, n, decimals, weighted, base=0.4):
    y = (rng.random(n) < base).astype(int)
    p = np.round(np.clip(rng.normal(0.35 + 0.25 * y, 0.25), 0, 1), decimals)  # rounded: with ties, zeros and ones
    w = np.round(rng.random(n) * 3 + 0.1, 1) if weighted else None
    said = (p >= 0.5).astype(int)
    loss = sk.log_loss(y, p, sample_weight=w, labels=[0, 1])
    prior = np.average(y, weights=w)
    entropy = -(prior * math.log(prior) + (1 - prior) * math.log(1 - prior))
    kw = {"sample_weight": w}
    expect = {
        "Accuracy": sk.accuracy_score(y, said, **kw), "Precision": sk.precision_score(y, said, **kw),
        "Recall": sk.recall_score(y, said, **kw), "F-Score": sk.f1_score(y, said, **kw),
        "AUC": sk.roc_auc_score(y, p, **kw), "Average Log Loss": loss, "Training Log Loss": 100 * (entropy - loss) / entropy,
    }
    (tn, fp), (fn, tp) = sk.confusion_matrix(y, said, **kw)
    fpr, tpr, thresholds = sk.roc_curve(y, p, drop_intermediate=False, **kw)
    precision, recall, at = sk.precision_recall_curve(y, p, **kw)
    return {
        "name": name, "y": y.tolist(), "p": p.tolist(), "w": None if w is None else w.tolist(), "metrics": expect,
        "confusion": [float(tp), float(fn), float(fp), float(tn)],
        "roc": {"threshold": thresholds[1:].tolist(), "fpr": fpr[1:].tolist(), "tpr": tpr[1:].tolist()},
        "precision": precision[:-1][::-1].tolist(),
    }


def multiclass(name, n, k, weighted):
    y = rng.integers(0, k, n)
    raw = rng.random((n, k)) + 0.8 * np.eye(k)[y]
    p = np.round(raw / raw.sum(axis=1, keepdims=True), 3)
    p[:, -1] = 1 - p[:, :-1].sum(axis=1)
    said = p.argmax(axis=1)
    w = np.round(rng.random(n) * 2 + 0.5, 1) if weighted else None
    kw = {"sample_weight": w}
    loss = sk.log_loss(y, p, labels=list(range(k)), **kw)
    share = np.array([np.average(y == c, weights=w) for c in range(k)])
    entropy = -(share * np.log(share)).sum()
    macro = {"average": "macro", **kw}
    auc = np.mean([sk.roc_auc_score(y == c, p[:, c], **kw) for c in range(k)])
    average = np.mean([np.average((y == c) == (said == c), weights=w) for c in range(k)])
    accuracy = sk.accuracy_score(y, said, **kw)
    precision, recall = sk.precision_score(y, said, **macro), sk.recall_score(y, said, **macro)
    return {
        "name": name, "classes": [f"c{c}" for c in range(k)], "y": y.tolist(), "said": said.tolist(), "p": p.T.tolist(),
        "w": None if w is None else w.tolist(),
        "metrics": {
            "Accuracy": accuracy, "Precision": precision, "Recall": recall, "F-Score": sk.f1_score(y, said, **macro),
            "AUC": auc, "Average Log Loss": loss, "Training Log Loss": 100 * (entropy - loss) / entropy,
            "Overall accuracy": accuracy, "Average accuracy": average,
            "Micro-averaged precision": sk.precision_score(y, said, average="micro", **kw), "Macro-averaged precision": precision,
            "Micro-averaged recall": sk.recall_score(y, said, average="micro", **kw), "Macro-averaged recall": recall,
        },
        "confusion": sk.confusion_matrix(y, said, **kw).astype(float).tolist(),
    }


def regression(name, n, weighted, deviation):
    y = np.round(rng.normal(50, 10, n), 1)
    scored = np.round(y + rng.normal(1, 4, n), 1)
    scored[::5] = y[::5]
    sd = np.round(rng.random(n) * 3 + 1, 2) if deviation else None
    if deviation:
        sd[3] = 0
    w = np.round(rng.random(n) * 2 + 0.5, 1) if weighted else None
    kw = {"sample_weight": w}
    mean = np.average(y, weights=w)
    expect = {
        "Mean Absolute Error": sk.mean_absolute_error(y, scored, **kw),
        "Root Mean Squared Error": sk.root_mean_squared_error(y, scored, **kw),
        "Relative Absolute Error": np.average(abs(scored - y), weights=w) / np.average(abs(y - mean), weights=w),
        "Relative Squared Error": 1 - sk.r2_score(y, scored, **kw),
        "Mean Zero One Error": np.average(scored != y, weights=w),
        "Coefficient of Determination": sk.r2_score(y, scored, **kw),
    }
    if deviation:
        used = np.maximum(sd, sd[sd > 0].min())
        one = w if weighted else np.ones(n)
        expect["Negative Log Likelihood"] = -(one * norm.logpdf(y, scored, used)).sum()
    return {
        "name": name, "y": y.tolist(), "scored": scored.tolist(), "deviation": None if sd is None else sd.tolist(),
        "w": None if w is None else w.tolist(), "metrics": expect,
    }


def quantiles(name, n, q, weighted):
    y = np.round(rng.normal(0, 1, n), 2)
    scored = [np.round(norm.ppf(level) + rng.normal(0, 0.2, n), 2) for level in q]
    w = np.round(rng.random(n) * 2 + 0.5, 1) if weighted else None
    losses = [sk.mean_pinball_loss(y, s, alpha=level, sample_weight=w) for level, s in zip(q, scored)]
    expect = {f"Quantile Loss {level:g}": loss for level, loss in zip(q, losses)}
    expect["Average Quantile Loss"] = float(np.mean(losses))
    return {
        "name": name, "q": q, "y": y.tolist(), "scored": [s.tolist() for s in scored],
        "w": None if w is None else w.tolist(), "metrics": expect,
    }


golden = {
    "twoClass": [
        two_class("a few ties", 60, 1, False), two_class("weights", 60, 1, True), two_class("many points", 3000, 4, False),
        two_class("many ties, weights", 3000, 2, True),
    ],
    "multiclass": [multiclass("three classes", 80, 3, False), multiclass("five classes, weights", 120, 5, True)],
    "regression": [
        regression("plain", 50, False, False), regression("weights", 50, True, False), regression("distribution", 50, False, True),
        regression("distribution, weights", 50, True, True),
    ],
    "quantiles": [quantiles("plain", 60, [0.25, 0.5, 0.75], False), quantiles("weights", 60, [0.1, 0.9], True)],
}
with open(os.path.join(os.path.dirname(__file__), "golden.json"), "w") as f:
    json.dump(golden, f, separators=(",", ":"))
