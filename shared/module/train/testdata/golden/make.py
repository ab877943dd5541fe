"""Makes the golden cases of the groups Machine Learning / Train and Cross-Validate Model.

Made with numpy 2.4.6, pandas 3.1.1, scikit-learn 1.9.1.
"""
import json
import math
import os
import sys

import numpy as np
import pandas as pd
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../../moduletest"))
import gorand  # noqa: E402


def text(df):
    """CSV with the shortest decimals that read back the same."""
    lines = [",".join('"' + str(c).replace('"', '""') + '"' for c in df.columns)]
    for row in df.itertuples(index=False):
        cells = []
        for v in row:
            if v is None or isinstance(v, float) and math.isnan(v):
                cells.append("")
            else:
                cells.append(repr(float(v)) if isinstance(v, (float, np.floating)) else str(v))
        line = ",".join(cells)
        lines.append(line if line else '""')
    return "\n".join(lines) + "\n"


def case(module, name, tolerance=1e-6, **fields):
    folder = os.path.join(HERE, module.lower().replace(" ", "-"))
    os.makedirs(folder, exist_ok=True)
    out = {"module": module, **fields}
    if "outputs" in fields:
        out["tolerance"] = tolerance
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump(out, f, indent=1, ensure_ascii=False)
        f.write("\n")


# The learners of these cases, and the same in scikit-learn.


def untrained(module, **parameters):
    return {"module": module, "parameters": {k.replace("_", " "): v for k, v in parameters.items()}}


def least_squares(l2="0.001"):
    p = {"L2 regularization weight": l2}
    if ";" in l2:
        p["Create trainer mode"] = "Parameter Range"
    return {"module": "Linear Regression", "parameters": p}


def logistic(module="Two-Class Logistic Regression", l2="1"):
    p = {"L1 regularization weight": "0", "L2 regularization weight": l2, "Optimization tolerance": "1e-12"}
    if ";" in l2:
        p["Create trainer mode"] = "Parameter Range"
    return {"module": module, "parameters": p}


class Line:
    """Linear Regression by least squares."""

    def __init__(self, l2=0.001):
        self.l2 = l2

    def fit(self, x, y, w=None):
        self.model = Ridge(alpha=self.l2, solver="cholesky").fit(x, y, sample_weight=w)
        return self

    def score(self, x):
        return pd.DataFrame({"Scored Labels": self.model.predict(x)}, index=x.index)

    def metrics(self, y, s):
        s = s["Scored Labels"]
        return {
            "Mean Absolute Error": sk.mean_absolute_error(y, s), "Root Mean Squared Error": sk.root_mean_squared_error(y, s),
            "Relative Absolute Error": np.abs(s - y).sum() / np.abs(y - y.mean()).sum(),
            "Relative Squared Error": 1 - sk.r2_score(y, s), "Mean Zero One Error": float((s != y).mean()),
            "Coefficient of Determination": sk.r2_score(y, s),
        }


def scaled(x, low, span):
    return (x - low) / span.where(span > 0, 1)


class TwoClass:
    """Two-Class Logistic Regression: its features are scaled to a range of 1."""

    def __init__(self, l2=1.0, positive=None):
        self.l2, self.positive = l2, positive

    def fit(self, x, y, w=None):
        self.low, self.span = x.min(), x.max() - x.min()
        self.positive = self.positive or max(y)
        self.negative = next(c for c in y if c != self.positive)
        self.model = LogisticRegression(C=1 / self.l2, tol=1e-12, max_iter=100000).fit(scaled(x, self.low, self.span), y == self.positive, sample_weight=w)
        return self

    def score(self, x):
        p = self.model.predict_proba(scaled(x, self.low, self.span))[:, 1]
        return pd.DataFrame({"Scored Labels": np.where(p >= 0.5, self.positive, self.negative), "Scored Probabilities": p}, index=x.index)

    def metrics(self, y, s):
        y, p, said = y == self.positive, s["Scored Probabilities"], s["Scored Labels"] == self.positive
        loss, prior = sk.log_loss(y, p, labels=[False, True]), y.mean()
        entropy = -(prior * math.log(prior) + (1 - prior) * math.log(1 - prior))
        return {
            "Accuracy": sk.accuracy_score(y, said), "Precision": sk.precision_score(y, said, zero_division=0),
            "Recall": sk.recall_score(y, said), "F-Score": sk.f1_score(y, said), "AUC": sk.roc_auc_score(y, p),
            "Average Log Loss": loss, "Training Log Loss": 100 * (entropy - loss) / entropy,
        }


class Classes:
    """Multiclass Logistic Regression."""

    def __init__(self, l2=1.0):
        self.l2 = l2

    def fit(self, x, y, w=None):
        self.low, self.span = x.min(), x.max() - x.min()
        self.model = LogisticRegression(C=1 / self.l2, tol=1e-12, max_iter=100000).fit(scaled(x, self.low, self.span), y, sample_weight=w)
        self.classes = list(self.model.classes_)
        return self

    def score(self, x):
        p = self.model.predict_proba(scaled(x, self.low, self.span))
        out = pd.DataFrame({f'Scored Probabilities for Class "{c}"': p[:, k] for k, c in enumerate(self.classes)}, index=x.index)
        out["Scored Labels"] = np.array(self.classes)[p.argmax(axis=1)]
        return out

    def metrics(self, y, s):
        said, p = s["Scored Labels"], s[[c for c in s.columns if "Class" in c]].to_numpy()
        macro = {"average": "macro", "zero_division": 0}
        share = y.value_counts(normalize=True)
        loss, entropy = sk.log_loss(y, p, labels=self.classes), -(share * np.log(share)).sum()
        accuracy, precision, recall = sk.accuracy_score(y, said), sk.precision_score(y, said, **macro), sk.recall_score(y, said, **macro)
        return {
            "Accuracy": accuracy, "Precision": precision, "Recall": recall, "F-Score": sk.f1_score(y, said, **macro),
            "AUC": np.mean([sk.roc_auc_score(y == c, p[:, k]) for k, c in enumerate(self.classes)]),
            "Average Log Loss": loss, "Training Log Loss": 100 * (entropy - loss) / entropy, "Overall accuracy": accuracy,
            "Average accuracy": np.mean([((y == c) == (said == c)).mean() for c in self.classes]),
            "Micro-averaged precision": accuracy, "Macro-averaged precision": precision,
            "Micro-averaged recall": accuracy, "Macro-averaged recall": recall,
        }


# The data: rows of tables that scikit-learn brings along, with as many digits as they have.


def diabetes(rows):
    x, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    df = x[["age", "bmi", "bp", "s5"]].copy()
    df["progression"] = y
    return df.iloc[rows].reset_index(drop=True)


def cancer(rows, columns=(0, 1, 4, 5)):
    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    df = x.iloc[:, list(columns)].copy()
    df.columns = [c.replace(" ", "_") for c in df.columns]
    df["diagnosis"] = np.where(y == 1, "benign", "malignant")
    return df.iloc[rows].reset_index(drop=True)


def iris(rows):
    x, y = load_iris(return_X_y=True, as_frame=True)
    df = x.iloc[:, [0, 1]].copy()
    df.columns = ["sepal length", "sepal width"]
    df["species"] = np.array(["setosa", "versicolor", "virginica"])[y]
    return df.iloc[rows].reset_index(drop=True)


def features(df, label):
    return [c for c in df.columns if c not in (label, "id", "w", "Fold Assignments")]


def behind(df, scores):
    return text(pd.concat([df, scores], axis=1))


# Train Model

TRAIN = "Train Model"
numbers, patients, flowers = diabetes(range(40)), cancer(range(60)), iris(range(0, 150, 3))


def train(name, u, m, df, label, schema=(), apply=None, keep=None, w=None, p=None, **fields):
    """m is trained on the rows keep of df, and applied to apply."""
    x = features(df, label)
    learned = df if keep is None else df[keep]
    m.fit(learned[x].astype(float), learned[label], None if w is None else learned[w])
    apply = df.head(12) if apply is None else apply
    case(TRAIN, name, parameters={"Label column": label, **(p or {})}, inputs={
        "Untrained model": u, "Dataset": {"csv": text(df), "schema": list(schema)},
    }, outputs={"Trained model": {"apply": text(apply), "gives": behind(apply, m.score(apply[x].astype(float)))}}, **fields)


train("regression", least_squares(), Line(), numbers, "progression")
train("two-class", logistic(), TwoClass(), patients, "diagnosis")
train("multiclass", logistic("Multiclass Logistic Regression"), Classes(), flowers, "species")
POSITIVE = {"Positive class": "benign"}
train("positive-class", logistic(), TwoClass(positive="benign"), patients, "diagnosis", p=POSITIVE, why="the probability is that of the class that is named")
other = numbers.rename(columns={"progression": "risk"})[["risk", "s5", "bp"]]
train("another-label", least_squares(), Line(), other, "bp", why="the label is the parameter's, whatever the others are")
weighted = patients.copy()
weighted["w"] = np.round(np.random.default_rng(1).random(60) * 2, 1)
train("weights", logistic(), TwoClass(), weighted, "diagnosis", [{"name": "w", "role": "weight"}], keep=weighted.w > 0, w="w",
      why="a row counts as often as its weight says")
gaps = numbers.copy()
gaps.loc[::6, "progression"] = math.nan
train("missing-labels", least_squares(), Line(), gaps, "progression", keep=gaps.progression.notna(), why="rows without a label are left out")
ids = numbers.copy()
ids.insert(0, "id", range(100, 140))
train("ids", least_squares(), Line(), ids, "progression", [{"name": "id", "role": "id"}], why="an id is not learned from")


def refuse(module, name, number, u, data, label="y", **parameters):
    case(module, name, parameters={"Label column": label, **parameters}, inputs={"Untrained model": u, **data}, error=f"Error {number:04d}")


few = "x,y\n1,a\n2,b\n3,a\n4,\n5,\n6,\n"
one = "x,y\n1,a\n2,a\n3,a\n4,a\n5,a\n"
three = "x,y\n1,a\n2,b\n3,c\n4,a\n5,b\n"
for module, more in ((TRAIN, {}), ("Cross-Validate Model", {})):
    refuse(module, "no-label-column", 58, logistic(), {"Dataset": "x,z\n1,a\n2,b\n3,a\n4,b\n"})
    refuse(module, "three-labelled-rows", 134, logistic(), {"Dataset": few})
    refuse(module, "one-class", 134, logistic(), {"Dataset": one})
    refuse(module, "three-classes-of-two", 17, logistic(), {"Dataset": three})
    refuse(module, "text-as-a-number", 17, least_squares(), {"Dataset": three})
    refuse(module, "no-rows", 134, logistic(), {"Dataset": {"csv": "x,y\n", "schema": [{"name": "x", "type": "Double"}]}})
    refuse(module, "no-features", 20, logistic(), {"Dataset": "y\na\nb\na\nb\na\n"})
    refuse(module, "a-range-of-parameters", 13, least_squares("1;2"), {"Dataset": "x,y\n1,1\n2,2\n3,4\n4,3\n"})
    refuse(module, "two-label-columns", 22, logistic(), {"Dataset": "x,y,z\n1,a,a\n2,b,b\n3,a,a\n4,b,b\n"}, label="y,z")
refuse(TRAIN, "positive-class-of-none", 2, logistic(), {"Dataset": "x,y\n1,a\n2,b\n3,a\n4,b\n"}, **{"Positive class": "c"})
refuse("Train Anomaly Detection Model", "a-classifier", 13, logistic(), {"Dataset": "x\n1\n2\n"})
refuse("Train Clustering Model", "a-classifier", 13, logistic(), {"Dataset": "x\n1\n2\n"})
refuse("Sweep Clustering", "a-classifier", 13, logistic(), {"Dataset": "x\n1\n2\n"})
for module in ("Train Anomaly Detection Model", "Train Clustering Model", "Sweep Clustering"):
    path = os.path.join(HERE, module.lower().replace(" ", "-"), "a-classifier.json")
    with open(path) as f:
        c = json.load(f)
    c["parameters"] = {}
    with open(path, "w") as f:
        json.dump(c, f, indent=1, ensure_ascii=False)
        f.write("\n")


# Cross-Validate Model

CROSS = "Cross-Validate Model"


def deal(df, label, count, seed, classes):
    """The folds that are dealt where none are assigned."""
    order = list(range(len(df)))
    gorand.PCG(seed, 0).shuffle(order)
    if classes:
        first = {v: i for i, v in reversed(list(enumerate(df[label])))}
        seen = sorted(first, key=first.get)
        order.sort(key=lambda r: seen.index(df[label][r]))
    of = [0] * len(df)
    for i, r in enumerate(order):
        of[r] = i % min(count, len(df))
    return np.array(of)


def folds(df, label, m, of):
    x = features(df, label)
    scores, rows = [], []
    for k in sorted(set(of)):
        inside = of == k
        m.fit(df[x][~inside].astype(float), df[label][~inside])
        s = m.score(df[x][inside].astype(float))
        scores.append(s)
        rows.append({"Fold Number": str(k), "Number of examples in fold": int(inside.sum()), **m.metrics(df[label][inside], s)})
    return pd.concat(scores).sort_index(), pd.DataFrame(rows)


def cross(name, u, m, df, label, seed=None, of=None, schema=(), more=None, **fields):
    given = of is not None
    if not given:
        of = deal(df, label, 10, seed or 0, not isinstance(m, Line))
    s, report = folds(df, label, m, of)
    numbers = report.iloc[:, 2:]
    for row, values in (("Mean", numbers.mean()), ("Standard Deviation", numbers.std())):
        report.loc[len(report)] = [row, len(df), *values]
    report.insert(2, "Model", u["module"])
    whole = df if given else df.assign(**{"Fold Assignments": of})
    p = {"Label column": label, **(more or {})}
    if seed is not None:
        p["Random seed"] = str(seed)
    case(CROSS, name, parameters=p, inputs={"Untrained model": u, "Dataset": {"csv": text(df), "schema": list(schema)}}, outputs={
        "Scored results": behind(whole, s), "Evaluation results by fold": text(report)}, **fields)


for seed in (0, 5):
    cross(f"regression-seed-{seed}", least_squares(), Line(), numbers, "progression", seed)
cross("two-class", logistic(), TwoClass(), patients, "diagnosis", why="every fold has its share of both classes")
cross("multiclass", logistic("Multiclass Logistic Regression"), Classes(), flowers, "species")
cross("positive-class", logistic(), TwoClass(positive="benign"), patients, "diagnosis", more=POSITIVE)
assigned = patients.copy()
assigned["Fold Assignments"] = 1 + np.arange(60) % 4
cross("assigned-folds", logistic(), TwoClass(), assigned, "diagnosis", of=assigned["Fold Assignments"].to_numpy(),
      schema=[{"name": "Fold Assignments", "role": "id"}], why="folds that are assigned are taken as they are")
case(CROSS, "one-assigned-fold", parameters={"Label column": "y"}, inputs={"Untrained model": least_squares(), "Dataset": {
    "csv": "x,y,Fold Assignments\n1,1,1\n2,2,1\n3,4,1\n4,3,1\n", "schema": [{"name": "Fold Assignments", "role": "id"}]}}, error="Error 0018")
case(CROSS, "scores-are-there", parameters={"Label column": "y"}, inputs={
    "Untrained model": least_squares(), "Dataset": "x,y,Scored Labels\n1,1,0\n2,2,0\n3,4,0\n4,3,0\n5,6,0\n"}, error="Error 0028")

# Tune Model Hyperparameters

TUNE = "Tune Model Hyperparameters"
OPTIONS = {
    "Accuracy": ("Accuracy", 1), "Precision": ("Precision", 1), "Recall": ("Recall", 1), "F-score": ("F-Score", 1), "AUC": ("AUC", 1),
    "Average Log Loss": ("Average Log Loss", -1), "Train Log Loss": ("Training Log Loss", 1),
    "Mean absolute error": ("Mean Absolute Error", -1), "Root of mean squared error": ("Root Mean Squared Error", -1),
    "Relative absolute error": ("Relative Absolute Error", -1), "Relative squared error": ("Relative Squared Error", -1),
    "Coefficient of determination": ("Coefficient of Determination", 1),
}
CLASSIFICATION, REGRESSION = "Metric for measuring performance for classification", "Metric for measuring performance for regression"
MODE, SWEEP_RUNS, GRID_RUNS = "Specify parameter sweeping mode", "Maximum number of runs on random sweep", "Maximum number of runs on random grid"


def tries(grid, p):
    """The candidates of a sweep, in the order of trial."""
    random = gorand.PCG(int(p.get("Random seed", 0)), 1)
    mode = p.get(MODE, "Random sweep")
    if mode == "Entire grid":
        return grid
    if mode == "Random grid":
        return [grid[k] for k in random.perm(len(grid))[: int(p.get(GRID_RUNS, 5))]]
    picked = []
    for _ in range(int(p.get(SWEEP_RUNS, 5))):
        k = random.intn(len(grid))
        if k not in picked:
            picked.append(k)
    return [grid[k] for k in picked]


def make(kind, l2, p):
    return kind(float(l2), p["Positive class"]) if "Positive class" in p else kind(float(l2))


def ranked(kind, grid, df, label, p, validation=None):
    """Candidate and metrics, the best first."""
    x, runs = features(df, label), []
    if "Fold Assignments" in df:
        of = df["Fold Assignments"].to_numpy()
    else:
        of = deal(df, label, 5, int(p.get("Random seed", 0)), kind is not Line)
    for l2 in tries(grid, p):
        m = make(kind, l2, p)
        if validation is not None:
            m.fit(df[x].astype(float), df[label])
            runs.append((l2, m.metrics(validation[label], m.score(validation[x].astype(float)))))
        else:
            report = folds(df, label, m, of)[1]
            runs.append((l2, dict(report.iloc[:, 2:].mean())))
    name, better = OPTIONS[p.get(REGRESSION, "Mean absolute error") if kind is Line else p.get(CLASSIFICATION, "Accuracy")]
    return sorted(runs, key=lambda r: -better * float(f"{r[1][name]:.11e}"))


def tune(name, kind, grid, df, label, p, validation=None, schema=(), **fields):
    runs = ranked(kind, grid, df, label, p, validation)
    x = features(df, label)
    best = make(kind, runs[0][0], p).fit(df[x].astype(float), df[label])
    u = least_squares(";".join(grid)) if kind is Line else logistic(l2=";".join(grid))
    inputs = {"Untrained model": u, "Training dataset": {"csv": text(df), "schema": list(schema)}}
    if validation is not None:
        inputs["Optional validation dataset"] = text(validation)
    lines = [{"L2 regularization weight": float(l2) if any("." in g for g in grid) else int(l2), **m} for l2, m in runs]
    head = df.head(8)
    case(TUNE, name, parameters={"Label column": label, **p}, inputs=inputs, outputs={
        "Sweep results": text(pd.DataFrame(lines)),
        "Trained best model": {"apply": text(head), "gives": behind(head, best.score(head[x].astype(float)))}}, **fields)


def order(kind, grid, df, label, p, validation=None):
    return [l2 for l2, _ in ranked(kind, grid, df, label, p, validation)]


grid = ["0.01", "0.1", "1", "10", "100", "1000"]
for mode in ("Entire grid", "Random sweep", "Random grid"):
    tune("mode-" + mode.lower().replace(" ", "-"), Line, grid, numbers, "progression", {MODE: mode})
tune("random-sweep-3", Line, grid, numbers, "progression", {SWEEP_RUNS: "3"})
tune("random-grid-2", Line, grid, numbers, "progression", {MODE: "Random grid", GRID_RUNS: "2"})
tune("seed", Line, grid, numbers, "progression", {"Random seed": "3"})
tune("validation", Line, grid, numbers, "progression", {MODE: "Entire grid"}, diabetes(range(60, 100)))
tune("positive-class", TwoClass, ["0.1", "1"], patients, "diagnosis", {MODE: "Entire grid", **POSITIVE})
folded = numbers.assign(**{"Fold Assignments": 1 + np.arange(40) % 3})
tune("assigned-folds", Line, grid, folded, "progression", {MODE: "Entire grid"}, schema=[{"name": "Fold Assignments", "role": "id"}])

# For each metric, data on which it ranks candidates unlike the default does.


def search(option, default):
    regression = default.startswith("Mean")
    kind, label = (Line, "progression") if regression else (TwoClass, "diagnosis")
    param = REGRESSION if regression else CLASSIFICATION
    against = {param: "Root of mean squared error" if regression else "AUC"} if option == default else {}
    grids = [["1", "30", "300", "3000"]] if regression else [["0.1", "1", "4", "16"], ["0.01", "0.3", "30"], ["2", "8", "40"]]
    for columns in ((0, 1, 4, 8), (1, 4, 9), (4, 8, 9, 11), (1, 9)):
        for start in range(0, 400, 7):
            df = diabetes(range(start, start + 30)) if regression else cancer(range(start, start + 50), columns)
            if not regression and df.diagnosis.value_counts().min() < 10:
                continue
            for grid in grids:
                p = {MODE: "Entire grid"}
                if order(kind, grid, df, label, {**p, param: option}) != order(kind, grid, df, label, {**p, **against}):
                    tune("metric-" + option.lower().replace(" ", "-"), kind, grid, df, label, {**p, param: option})
                    return
    sys.exit(f"no data on which {option} ranks unlike the default")


for option in OPTIONS:
    search(option, "Mean absolute error" if option in list(OPTIONS)[7:] else "Accuracy")

refuse(TUNE, "no-label-column", 58, least_squares("1;2"), {"Training dataset": "x,z\n1,1\n2,2\n3,4\n4,3\n"})
refuse(TUNE, "three-labelled-rows", 134, logistic(l2="1;2"), {"Training dataset": few})
refuse(TUNE, "no-label-in-validation", 58, least_squares("1;2"), {"Training dataset": "x,y\n1,1\n2,2\n3,4\n4,3\n", "Optional validation dataset": "x\n1\n"})
refuse(TUNE, "range-out-of-bounds", 8, least_squares("1;2"), {"Training dataset": "x,y\n1,1\n2,2\n3,4\n4,3\n"}, **{SWEEP_RUNS: "0"})
