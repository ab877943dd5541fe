"""Makes the golden cases of Evaluate Model.

Made with numpy 2.4.6, scikit-learn 1.9.1, scipy 1.17.1.
"""
import json
import math
import os

import numpy as np
from scipy.stats import norm
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

HERE = os.path.dirname(os.path.abspath(__file__))


def text(columns):
    names = list(columns)
    lines = [",".join('"' + n.replace('"', '""') + '"' for n in names)]
    for row in zip(*columns.values()):
        cells = []
        for v in row:
            if v is None or isinstance(v, float) and math.isnan(v):
                cells.append("")
            else:
                cells.append(repr(float(v)) if isinstance(v, (float, np.floating)) else str(v))
        line = ",".join(cells)
        lines.append(line if line else '""')
    return "\n".join(lines) + "\n"


def case(name, why="", tolerance=1e-9, **fields):
    folder = os.path.join(HERE, "evaluate-model")
    os.makedirs(folder, exist_ok=True)
    out = {"module": "Evaluate Model"}
    if why:
        out["why"] = why
    out.update(fields)
    if "outputs" in fields:
        out["tolerance"] = tolerance
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump(out, f, indent=1, ensure_ascii=False)
        f.write("\n")


def scored(columns, **roles):
    schema = [{"name": n.replace("__", " "), **(r if isinstance(r, dict) else {"role": r})} for n, r in roles.items()]
    return {"csv": text(columns), "schema": schema}


def results(*rows):
    """The table of metrics; a metric that a row lacks is missing."""
    names = []
    for row in rows:
        for i, n in enumerate(row):
            if n not in names:
                names.insert(min(i, len(names)), n)
    return {"Evaluation results": text({n: [float(r.get(n, math.nan)) for r in rows] for n in names})}


def two_class(y, p, w=None):
    said = p >= 0.5
    kw = {"sample_weight": w}
    loss = sk.log_loss(y, p, labels=[False, True], **kw)
    prior = np.average(y, weights=w)
    reduction = math.nan
    if 0 < prior < 1:
        entropy = -(prior * math.log(prior) + (1 - prior) * math.log(1 - prior))
        reduction = 100 * (entropy - loss) / entropy
    return {
        "Accuracy": sk.accuracy_score(y, said, **kw), "Precision": sk.precision_score(y, said, zero_division=0, **kw),
        "Recall": sk.recall_score(y, said, zero_division=0, **kw), "F-Score": sk.f1_score(y, said, zero_division=0, **kw),
        "AUC": sk.roc_auc_score(y, p, **kw) if 0 < prior < 1 else math.nan,
        "Average Log Loss": loss, "Training Log Loss": reduction,
    }


def multiclass(y, said, p, k, w=None):
    kw = {"sample_weight": w}
    share = np.array([np.average(y == c, weights=w) for c in range(k)])
    macro = {"average": "macro", "zero_division": 0, **kw}
    accuracy = sk.accuracy_score(y, said, **kw)
    precision, recall = sk.precision_score(y, said, **macro), sk.recall_score(y, said, **macro)
    loss = reduction = auc = math.nan
    if p is not None:
        loss = sk.log_loss(y, p, labels=list(range(k)), **kw)
        entropy = -sum(s * math.log(s) for s in share if s > 0)
        reduction = 100 * (entropy - loss) / entropy
        auc = np.mean([sk.roc_auc_score(y == c, p[:, c], **kw) for c in range(k)])
    return {
        "Accuracy": accuracy, "Precision": precision, "Recall": recall, "F-Score": sk.f1_score(y, said, **macro), "AUC": auc,
        "Average Log Loss": loss, "Training Log Loss": reduction, "Overall accuracy": accuracy,
        "Average accuracy": np.mean([np.average((y == c) == (said == c), weights=w) for c in range(k)]),
        "Micro-averaged precision": accuracy, "Macro-averaged precision": precision,
        "Micro-averaged recall": accuracy, "Macro-averaged recall": recall,
    }


def regression(y, s, w=None, sd=None):
    kw = {"sample_weight": w}
    mean = np.average(y, weights=w)
    out = {}
    if sd is not None:
        out["Negative Log Likelihood"] = -((np.ones(len(y)) if w is None else w) * norm.logpdf(y, s, sd)).sum()
    out.update({
        "Mean Absolute Error": sk.mean_absolute_error(y, s, **kw),
        "Root Mean Squared Error": sk.root_mean_squared_error(y, s, **kw),
        "Relative Absolute Error": np.average(abs(s - y), weights=w) / np.average(abs(y - mean), weights=w),
        "Relative Squared Error": 1 - sk.r2_score(y, s, **kw),
        "Mean Zero One Error": np.average(s != y, weights=w),
        "Coefficient of Determination": sk.r2_score(y, s, **kw),
    })
    return out


# Two classes: a model of scikit-learn on breast_cancer, of few features.
x, y = load_breast_cancer(return_X_y=True)
x, y = x[:90, :2], y[:90] == 1
model = LogisticRegression(C=0.01).fit(x[:60], y[:60])
p = np.round(model.predict_proba(x)[:, 1], 2)  # rounded: with ties
names = np.where(y, "benign", "malignant")
said = np.where(p >= 0.5, "benign", "malignant")
columns = {"diagnosis": names, "Scored Labels": said, "Scored Probabilities": p}
case("two-class", inputs={"Scored dataset": scored(columns, diagnosis="label")}, outputs=results(two_class(y, p)))
case("two-class-first-class-positive", "the class that is said at 0.5 and above is positive, though it sorts first", inputs={
    "Scored dataset": scored({"diagnosis": np.where(y, "a", "b"), "Scored Labels": np.where(p >= 0.5, "a", "b"), "Scored Probabilities": p}, diagnosis="label"),
}, outputs=results(two_class(y, p)))
w = np.round(np.random.default_rng(3).random(90) * 3, 1)
keep = w > 0
case("two-class-weights", "a row of weight 0 is left out", inputs={
    "Scored dataset": scored({**columns, "w": w}, diagnosis="label", w="weight"),
}, outputs=results(two_class(y[keep], p[keep], w[keep])))
other = np.round(np.clip(p + np.where(np.arange(90) % 3 == 0, 0.2, -0.05), 0, 1), 2)
case("two-class-compared", inputs={
    "Scored dataset": scored(columns, diagnosis="label"),
    "Scored dataset to compare": scored({**columns, "Scored Labels": np.where(other >= 0.5, "benign", "malignant"), "Scored Probabilities": other}, diagnosis="label"),
}, outputs=results(two_class(y, p), two_class(y, other)))
gaps = {"diagnosis": [None if i % 7 == 0 else n for i, n in enumerate(names)], "Scored Labels": [None if i % 11 == 0 else s for i, s in enumerate(said)],
        "Scored Probabilities": [None if i % 11 == 0 else v for i, v in enumerate(p)]}
keep = np.array([i % 7 != 0 and i % 11 != 0 for i in range(90)])
case("two-class-missing", "rows without a label or a score are left out", inputs={"Scored dataset": scored(gaps, diagnosis="label")},
     outputs=results(two_class(y[keep], p[keep])))
case("two-class-numbers", "labels 0 and 1 as numbers; one certain error costs -ln(2^-52)", inputs={
    "Scored dataset": scored({"y": [0, 1, 1, 0], "Scored Labels": [0, 1, 0, 0], "Scored Probabilities": [0.25, 1.0, 0.0, 0.5 - 1e-9]}, y="label"),
}, outputs=results(two_class(np.array([False, True, True, False]), np.array([0.25, 1.0, 0.0, 0.5 - 1e-9]))))
case("two-class-one-row", "without a negative row there is no AUC, and nothing to reduce", inputs={
    "Scored dataset": scored({"y": [1], "Scored Labels": [1], "Scored Probabilities": [0.75]}, y="label"),
}, outputs=results(two_class(np.array([True]), np.array([0.75]))))
case("two-class-one-class-only", "no row is positive", inputs={
    "Scored dataset": scored({"y": ["no", "no", "no"], "Scored Labels": ["no", "yes", "no"], "Scored Probabilities": [0.1, 0.6, 0.2]}, y="label"),
}, outputs=results(two_class(np.array([False, False, False]), np.array([0.1, 0.6, 0.2]))))
case("anomaly", "an anomaly model scores 0 and 1 whatever the label's words: the Studio's rule takes the second in order as positive", inputs={
    "Scored dataset": scored({"what": ["fraud", "normal", "normal", "fraud", "normal"][::-1], "Scored Labels": [0, 1, 0, 1, 0], "Scored Probabilities": [0.2, 0.9, 0.4, 0.7, 0.1]}, what="label"),
}, outputs=results(two_class(np.array([True, False, True, True, False]), np.array([0.2, 0.9, 0.4, 0.7, 0.1]))))
case("two-class-unicode", inputs={
    "Scored dataset": scored({"größe ✓": ["klein", "groß", "groß", "klein"], "Scored Labels": ["klein", "groß", "klein", "klein"], "Scored Probabilities": [0.7, 0.4, 0.5, 0.9]}, **{"größe ✓": "label"}),
}, outputs=results(two_class(np.array([True, False, False, True]), np.array([0.7, 0.4, 0.5, 0.9]))))

# Three classes.
x, y = load_iris(return_X_y=True)
x, y = x[::2, :2], y[::2]
model = LogisticRegression(C=0.5).fit(x, y)
p = np.round(model.predict_proba(x), 3)
p[:, 2] = 1 - p[:, 0] - p[:, 1]
said = p.argmax(axis=1)
flowers = np.array(["setosa", "versicolor", "virginica"])
columns = {"species": flowers[y], **{f'Scored Probabilities for Class "{f}"': p[:, k] for k, f in enumerate(flowers)}, "Scored Labels": flowers[said]}
case("multiclass", inputs={"Scored dataset": scored(columns, species="label")}, outputs=results(multiclass(y, said, p, 3)))
w = np.round(np.random.default_rng(5).random(len(y)) + 0.5, 1)
case("multiclass-weights", inputs={"Scored dataset": scored({**columns, "w": w}, species="label", w="weight")}, outputs=results(multiclass(y, said, p, 3, w)))
case("multiclass-labels-only", "without probabilities there is no AUC and no log loss", inputs={
    "Scored dataset": scored({"species": flowers[y], "Scored Labels": flowers[said]}, species="label"),
}, outputs=results(multiclass(y, said, None, 3)))

# Numbers.
x, y = load_diabetes(return_X_y=True)
x, y = x[:60, :4], y[:60]
s = np.round(LinearRegression().fit(x, y).predict(x), 2)
s[::9] = y[::9]
case("regression", inputs={"Scored dataset": scored({"progression": y, "Scored Labels": s}, progression="label")}, outputs=results(regression(y, s)))
w = np.round(np.random.default_rng(6).random(60) + 0.2, 1)
case("regression-weights", inputs={"Scored dataset": scored({"progression": y, "w": w, "Scored Labels": s}, progression="label", w="weight")},
     outputs=results(regression(y, s, w)))
case("regression-one-value", "relative to labels that are all the same no error is defined", inputs={
    "Scored dataset": scored({"y": [2.0, 2.0], "Scored Labels": [2.0, 2.5]}, y="label"),
}, outputs=results({"Mean Absolute Error": 0.25, "Root Mean Squared Error": math.sqrt(0.125), "Relative Absolute Error": math.nan,
                    "Relative Squared Error": math.nan, "Mean Zero One Error": 0.5, "Coefficient of Determination": math.nan}))
sd = np.round(np.random.default_rng(8).random(60) * 30 + 30, 1)
case("distribution", inputs={
    "Scored dataset": scored({"progression": y, "Scored Label Mean": s, "Scored Label Standard Deviation": sd}, progression="label"),
}, outputs=results(regression(y, s, None, sd)))
case("distribution-and-regression", "a distribution has one metric more", inputs={
    "Scored dataset": scored({"progression": y, "Scored Labels": s}, progression="label"),
    "Scored dataset to compare": scored({"progression": y, "Scored Label Mean": s, "Scored Label Standard Deviation": sd}, progression="label"),
}, outputs=results(regression(y, s), regression(y, s, None, sd)))
q = {0.25: s - 20, 0.5: s, 0.75: s + 25}
losses = {f"Quantile Loss {level:g}": sk.mean_pinball_loss(y, v, alpha=level) for level, v in q.items()}
case("quantiles", inputs={
    "Scored dataset": scored({"progression": y, **{f"Scored Quantile {level:g}": v for level, v in q.items()}}, progression="label"),
}, outputs=results({"Average Quantile Loss": np.mean(list(losses.values())), **losses}))

# Clusters: centers at 0 and 10 and 13 of one feature.
v = np.array([0.0, 1.0, 2.0, 9.0, 12.0, 13.5])
d = np.abs(v[:, None] - np.array([0.0, 10.0, 13.0])[None, :])
own = d.argmin(axis=1)
rest = (d.sum(axis=1) - d.min(axis=1)) / 2


def line(rows):
    return [d.min(axis=1)[rows].mean(), rest[rows].mean(), int(rows.sum()), d.min(axis=1)[rows].max()]


lines = [line(np.ones(6, bool))] + [line(own == c) for c in range(3)]
case("clusters", inputs={
    "Scored dataset": text({"v": v, "Assignments": own, **{f"DistancesToClusterCenter no.{k}": d[:, k] for k in range(3)}}),
}, outputs={"Evaluation results": text({
    "Result Description": ["Combined Evaluation"] + [f"Evaluation For Cluster No.{c}" for c in range(3)],
    "Average Distance to Cluster Center": [x[0] for x in lines], "Average Distance to Other Center": [x[1] for x in lines],
    "Number of Points": [x[2] for x in lines], "Maximal Distance To Cluster Center": [x[3] for x in lines],
})})

# What cannot be evaluated.
case("no-label", inputs={"Scored dataset": text({"y": [0, 1], "Scored Labels": [0, 1], "Scored Probabilities": [0.1, 0.9]})}, error="Error 0024")
case("two-labels", inputs={"Scored dataset": scored({"y": [0, 1], "z": [0, 1], "Scored Labels": [0, 1], "Scored Probabilities": [0.1, 0.9]}, y="label", z="label")}, error="Error 0022")
case("no-scores", inputs={"Scored dataset": scored({"y": [0, 1], "x": [0.1, 0.9]}, y="label")}, error="Error 0025")
case("no-rows", inputs={"Scored dataset": {"csv": "y,Scored Labels,Scored Probabilities\n", "schema": [
    {"name": "y", "type": "Int32", "role": "label"}, {"name": "Scored Labels", "type": "Int32"}, {"name": "Scored Probabilities", "type": "Double"}]}}, error="Error 0134")
case("no-labelled-row", inputs={"Scored dataset": scored({"y": [None, None], "Scored Labels": [0, 1], "Scored Probabilities": [0.1, 0.9]}, y="label")}, error="Error 0134")
case("three-classes-of-two", inputs={"Scored dataset": scored({"y": ["a", "b", "c"], "Scored Labels": ["a", "b", "a"], "Scored Probabilities": [0.1, 0.9, 0.2]}, y="label")}, error="Error 0017")
case("text-and-numbers", inputs={"Scored dataset": scored({"y": ["a", "b"], "Scored Label Mean": [0.1, 0.9], "Scored Label Standard Deviation": [1.0, 1.0]}, y="label")}, error="Error 0017")
case("kinds-differ", inputs={
    "Scored dataset": scored({"y": [0.0, 1.5], "Scored Labels": [0.1, 0.9]}, y="label"),
    "Scored dataset to compare": scored({"y": [0, 1], "Scored Labels": [0, 1], "Scored Probabilities": [0.1, 0.9]}, y="label"),
}, error="Error 0062")
