"""Makes the golden cases of the group Feature Selection.

Made with numpy 2.4.6, pandas 3.1.1, scikit-learn 1.9.1, scipy 1.17.1.
"""
import json
import math
import os
import sys

import numpy as np
import pandas as pd
from scipy import linalg, stats
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.feature_selection import f_classif
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
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def case(module, name, tolerance=1e-9, **fields):
    folder = os.path.join(HERE, module.lower().replace(" ", "-"))
    os.makedirs(folder, exist_ok=True)
    out = {"module": module, **fields}
    if "outputs" in fields:
        out["tolerance"] = tolerance
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump(out, f, indent=1, ensure_ascii=False)
        f.write("\n")


# Filter Based Feature Selection

FILTER = "Filter Based Feature Selection"


def binned(x):
    if not pd.api.types.is_numeric_dtype(x):
        return x
    if x.nunique() <= 10:
        return x
    return pd.qcut(x, 10, labels=False, duplicates="drop")


def score(method, x, y):
    both = pd.DataFrame({"x": x, "y": y}).dropna()
    x, y = both.x, both.y
    numeric = pd.api.types.is_numeric_dtype(x)
    if method in ("Mutual Information", "Chi Squared"):
        a, b = binned(x), binned(y)
        if method == "Mutual Information":
            return sk.normalized_mutual_info_score(b, a)
        return stats.chi2_contingency(pd.crosstab(a, b), correction=False).statistic
    if not numeric:
        return 0.0
    if method == "Fisher Score":
        groups = binned(y)
        k, n = groups.nunique(), len(x)
        return f_classif(x.to_numpy()[:, None], groups)[0][0] * (k - 1) / (n - k)
    if not pd.api.types.is_numeric_dtype(y):
        y = x.groupby(y).transform("mean")
    f = {"Pearson Correlation": stats.pearsonr, "Kendall Correlation": stats.kendalltau, "Spearman Correlation": stats.spearmanr}[method]
    return abs(f(x, y)[0])


def select(df, method, target, n, columns=None, front=()):
    columns = [c for c in df.columns if c != target] if columns is None else columns
    scores = {c: float(score(method, df[c], df[target])) for c in columns}
    order = sorted(columns, key=lambda c: -scores[c])
    able = [c for c in order if method in ("Mutual Information", "Chi Squared") or pd.api.types.is_numeric_dtype(df[c])]
    kept = list(front) + [target] + able[:n]
    return {"Filtered dataset": text(df[kept]), "Features": text(pd.DataFrame({c: [scores[c]] for c in order}))}


rng = np.random.default_rng(4)
x, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
numbers = x.iloc[:70, :6].copy()
numbers["region"] = rng.choice(["north", "south", "west"], 70)
numbers["progression"] = y[:70]
numbers.loc[::13, "bmi"] = math.nan
x, y = load_iris(return_X_y=True, as_frame=True)
flowers = x.iloc[::2].copy()
flowers.columns = ["sepal length", "sepal width", "petal length", "petal width"]
flowers["color"] = np.where(rng.random(75) < 0.6, np.array(["blue", "pink", "white"])[y[::2]], "violet")
flowers["species"] = np.array(["setosa", "versicolor", "virginica"])[y[::2]]

METHODS = ["Pearson Correlation", "Mutual Information", "Kendall Correlation", "Spearman Correlation", "Chi Squared", "Fisher Score"]
for method in METHODS:
    for name, df, target in (("numbers", numbers, "progression"), ("classes", flowers, "species")):
        case(FILTER, f"{method.lower().replace(' ', '-')}-{name}", parameters={
            "Feature scoring method": method, "Target column": target, "Number of desired features": "3",
        }, inputs={"Dataset": text(df)}, outputs=select(df, method, target, 3))
case(FILTER, "one-feature", why="the default is one", parameters={"Target column": "species"}, inputs={"Dataset": text(flowers)},
     outputs=select(flowers, "Pearson Correlation", "species", 1))
case(FILTER, "more-than-there-are", why="text cannot be correlated: it is not kept", parameters={"Target column": "species", "Number of desired features": "50"},
     inputs={"Dataset": text(flowers)}, outputs=select(flowers, "Pearson Correlation", "species", 50))

ids = numbers.copy()
ids.insert(0, "id", np.arange(70) * 3 + 7)
ids["w"] = np.round(rng.random(70), 2)
features = [c for c in numbers.columns if c != "progression"]
roles = [{"name": "id", "role": "id"}, {"name": "w", "role": "weight"}]
case(FILTER, "features-only", why="ids and weights pass through", parameters={
    "Target column": "progression", "Number of desired features": "2", "Operate on feature columns only": "true",
}, inputs={"Dataset": {"csv": text(ids), "schema": roles}}, outputs=select(ids, "Pearson Correlation", "progression", 2, features, ["id", "w"]))
case(FILTER, "every-column", parameters={
    "Target column": "progression", "Number of desired features": "9", "Operate on feature columns only": "false",
}, inputs={"Dataset": {"csv": text(ids), "schema": roles}}, outputs=select(ids, "Pearson Correlation", "progression", 9))
case(FILTER, "transformation", why="learned on one table, applied to another without the target", parameters={
    "Target column": "progression", "Number of desired features": "2", "Feature scoring method": "Spearman Correlation",
}, inputs={"Dataset": text(numbers)}, outputs={"Selection transformation": {
    "apply": text(numbers.drop(columns="progression").head(4)),
    "gives": text(numbers[sorted(features[:6], key=lambda c: -score("Spearman Correlation", numbers[c], numbers.progression))[:2]].head(4)),
}})

counts = pd.DataFrame({
    "zeros": [0, 0, 0, 0], "some": [0, 2, 0, 1], "holes": [1.5, math.nan, 0.0, -1.0], "all": [1, 2, 3, 4], "text": ["a", "b", "a", "0"],
    "flag": ["True", "False", "False", "False"],
})
nonzero = pd.DataFrame({"all": [4.0], "some": [2.0], "holes": [2.0], "flag": [1.0], "zeros": [0.0], "text": [0.0]})
case(FILTER, "counts", parameters={"Feature scoring method": "Count Based"}, inputs={"Dataset": text(counts)},
     outputs={"Filtered dataset": text(counts[["some", "holes", "all", "flag"]]), "Features": text(nonzero)})
case(FILTER, "counts-at-least-two", parameters={"Feature scoring method": "Count Based", "Minimum number of non-zero elements": "2"},
     inputs={"Dataset": text(counts)}, outputs={"Filtered dataset": text(counts[["some", "holes", "all"]]), "Features": text(nonzero)})
case(FILTER, "constant", why="a column of one value says nothing", parameters={"Target column": "y", "Number of desired features": "2"},
     inputs={"Dataset": "a,b,y\n1,4,1\n1,5,2\n1,7,3\n"}, outputs={
         "Filtered dataset": "y,b,a\n1,4,1\n2,5,1\n3,7,1\n",
         "Features": text(pd.DataFrame({"b": [float(stats.pearsonr([4, 5, 7], [1, 2, 3])[0])], "a": [0.0]}))})
case(FILTER, "one-row", parameters={"Target column": "y"}, inputs={"Dataset": "a,y\n1,4\n"},
     outputs={"Filtered dataset": "y,a\n4,1\n", "Features": "a\n0\n"})
case(FILTER, "no-target", parameters={}, inputs={"Dataset": "a,y\n1,4\n"}, error="Error 0003")
case(FILTER, "unknown-target", parameters={"Target column": "z"}, inputs={"Dataset": "a,y\n1,4\n"}, error="Error 0001")
case(FILTER, "empty-target", parameters={"Target column": "y"}, inputs={"Dataset": "a,y\n1,\n2,\n"}, error="Error 0134")
case(FILTER, "no-features", parameters={"Target column": "y"}, inputs={"Dataset": "y\n1\n2\n"}, error="Error 0020")

# Fisher Linear Discriminant Analysis

LDA = "Fisher Linear Discriminant Analysis"


def discriminants(df, label, columns, n):
    full = df[columns + [label]].dropna()
    x, y = full[columns].to_numpy(float), full[label]
    within = sum(np.cov(x[(y == c).to_numpy()].T, bias=True).reshape(len(columns), -1) * (y == c).mean() for c in y.unique())
    between = np.cov(x.T, bias=True).reshape(len(columns), -1) - within
    _, v = linalg.eigh(between, within)
    v = v[:, ::-1][:, :n]
    v = v * np.sign(v[np.abs(v).argmax(axis=0), np.arange(v.shape[1])])
    out = df.drop(columns=columns).copy()
    for k in range(v.shape[1]):
        out[f"col{k + 1}"] = df[columns].to_numpy(float) @ v[:, k]
    return out


iris = flowers.drop(columns="color")
iris.columns = ["sepal length", "sepal width", "petal length", "petal width", "species"]
measures = list(iris.columns[:4])
for n in (1, 2):
    case(LDA, f"{n}-of-4", 1e-8, parameters={"Class labels column": "species", "Number of feature extractors": str(n)},
         inputs={"Dataset": text(iris)}, outputs={"Transformed features": text(discriminants(iris, "species", measures, n))})
two = iris[["sepal length", "petal width", "species"]]
case(LDA, "all", 1e-8, why="0 gives as many as there are features", parameters={"Class labels column": "species", "Number of feature extractors": "0"},
     inputs={"Dataset": text(two)}, outputs={"Transformed features": text(discriminants(two, "species", ["sepal length", "petal width"], 2))})
gaps = iris.copy()
gaps.insert(0, "id", [f"f{i}" for i in range(75)])
gaps.loc[gaps.index[::10], "petal width"] = math.nan
lda = discriminants(gaps, "species", measures, 2)
case(LDA, "missing-and-ids", 1e-8, why="rows with a missing cell are not learned from and get no combinations; ids pass through", parameters={
    "Class labels column": "species", "Number of feature extractors": "2",
}, inputs={"Dataset": {"csv": text(gaps), "schema": [{"name": "id", "role": "id"}]}}, outputs={
    "Transformed features": text(lda),
    "Fisher linear discriminant analysis transformation": {"apply": text(gaps.drop(columns=["species", "id"]).head(5)), "gives": text(lda[["col1", "col2"]].head(5))},
})
case(LDA, "name-taken", 1e-8, why="a name that is there already gets a number", parameters={"Class labels column": "col1", "Number of feature extractors": "1"},
     inputs={"Dataset": text(two.rename(columns={"species": "col1"}))}, outputs={
         "Transformed features": text(discriminants(two, "species", ["sepal length", "petal width"], 1).set_axis(["col1", "col1 (2)"], axis=1))})
case(LDA, "more-than-features", parameters={"Class labels column": "species", "Number of feature extractors": "5"}, inputs={"Dataset": text(iris)}, error="Error 0008")
case(LDA, "text", parameters={"Class labels column": "species"}, inputs={"Dataset": text(flowers)}, error="Error 0017")
case(LDA, "huge", parameters={"Class labels column": "c"}, inputs={"Dataset": "x,c\n1e308,a\n-1e308,a\n1e308,b\n0,b\n"}, error="Error 0033: column \"x\"")
case(LDA, "one-class", parameters={"Class labels column": "c"}, inputs={"Dataset": "x,c\n1,a\n2,a\n3,a\n"}, error="Error 0134")
case(LDA, "no-rows", parameters={"Class labels column": "c"}, inputs={"Dataset": {"csv": "x,c\n", "schema": [{"name": "x", "type": "Double"}]}}, error="Error 0134")
case(LDA, "no-label", parameters={}, inputs={"Dataset": "x,c\n1,a\n2,b\n"}, error="Error 0003")

# Permutation Feature Importance

PFI = "Permutation Feature Importance"


def importance(df, columns, metric, seed, better):
    whole = metric(df)
    lost = {}
    for k, c in enumerate(columns):
        mixed = df.copy()
        mixed[c] = df[c].to_numpy()[gorand.PCG(seed, k).perm(len(df))]
        lost[c] = float(whole - metric(mixed)) * better
    order = sorted(columns, key=lambda c: -lost[c])
    return {"Feature importance": text(pd.DataFrame({"Feature": order, "Score": [lost[c] for c in order]}))}


x, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
df = x.iloc[:60, [2, 3, 4, 8]].copy()
df["progression"] = y[:60]
columns = list(df.columns[:4])
ridge = Ridge(alpha=0.001, solver="cholesky").fit(df[columns], df.progression)


def of_ridge(f):
    return lambda d: f(d.progression, ridge.predict(d[columns]))


def relative_absolute(y, s):
    return np.abs(y - s).sum() / np.abs(y - y.mean()).sum()


linear = {"module": "Train Model", "parameters": {"Label column": "progression"}, "inputs": {"Untrained model": {"module": "Linear Regression"}, "Dataset": text(df)}}
for name, f, better in (
    ("Mean Absolute Error", sk.mean_absolute_error, -1), ("Root Mean Squared Error", sk.root_mean_squared_error, -1),
    ("Relative Absolute Error", relative_absolute, -1), ("Relative Squared Error", lambda y, s: 1 - sk.r2_score(y, s), -1),
    ("Coefficient of Determination", sk.r2_score, 1),
):
    case(PFI, "regression-" + name.lower().replace(" ", "-"), 1e-7, parameters={"Metric for measuring performance": "Regression - " + name},
         inputs={"Trained model": linear, "Test data": text(df)}, outputs=importance(df, columns, of_ridge(f), 0, better))

x, y = load_breast_cancer(return_X_y=True, as_frame=True)
df = x.iloc[:80, [0, 1, 4, 5]].copy()
df.columns = [c.replace(" ", "_") for c in df.columns]
columns = list(df.columns)
low, span = df.min(), df.max() - df.min()
df["diagnosis"] = np.where(y[:80] == 1, "benign", "malignant")
logistic = LogisticRegression(C=1.0, tol=1e-12, max_iter=10000).fit((df[columns] - low) / span, df.diagnosis == "malignant")


def of_logistic(f):
    return lambda d: f(d.diagnosis == "malignant", logistic.predict_proba((d[columns] - low) / span)[:, 1])


trained = {"module": "Train Model", "parameters": {"Label column": "diagnosis"}, "inputs": {
    "Untrained model": {"module": "Two-Class Logistic Regression", "parameters": {"L1 regularization weight": "0", "Optimization tolerance": "1e-12"}},
    "Dataset": text(df)}}
for name, f, better in (
    ("Accuracy", lambda y, p: sk.accuracy_score(y, p >= 0.5), 1), ("Precision", lambda y, p: sk.precision_score(y, p >= 0.5), 1),
    ("Recall", lambda y, p: sk.recall_score(y, p >= 0.5), 1), ("Average Log Loss", sk.log_loss, -1),
):
    case(PFI, "classification-" + name.lower().replace(" ", "-"), 1e-6, parameters={"Metric for measuring performance": "Classification - " + name},
         inputs={"Trained model": trained, "Test data": text(df)}, outputs=importance(df, columns, of_logistic(f), 0, better))
case(PFI, "another-seed", 1e-6, parameters={"Random seed": "12"}, inputs={"Trained model": trained, "Test data": text(df)},
     outputs=importance(df, columns, of_logistic(lambda y, p: sk.accuracy_score(y, p >= 0.5)), 12, 1))
case(PFI, "metric-of-another-kind", parameters={"Metric for measuring performance": "Regression - Mean Absolute Error"},
     inputs={"Trained model": trained, "Test data": text(df)}, error="Error 0013")
case(PFI, "no-label", parameters={}, inputs={"Trained model": trained, "Test data": text(df[columns])}, error="Error 0024")
case(PFI, "no-column", parameters={}, inputs={"Trained model": trained, "Test data": text(df.drop(columns=columns[1]))}, error="Error 0001")
