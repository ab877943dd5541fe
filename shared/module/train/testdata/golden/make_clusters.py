"""Makes the golden cases of Train Clustering Model, Sweep Clustering and Assign Data to Clusters.

Made with numpy 2.4.6, pandas 3.1.1, scikit-learn 1.9.1.
"""
import json
import math
import os
import sys

import numpy as np
import pandas as pd
from sklearn import metrics as sk
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../../moduletest"))
import gorand  # noqa: E402


def text(df):
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


def case(module, name, folder=HERE, **fields):
    folder = os.path.join(folder, module.lower().replace(" ", "-"))
    os.makedirs(folder, exist_ok=True)
    out = {"module": module, **fields}
    if "outputs" in fields:
        out["tolerance"] = 1e-8
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump(out, f, indent=1, ensure_ascii=False)
        f.write("\n")


def untrained(k):
    p = {"Number of Centroids": k, "Initialization": "First N", "Normalize features": "false"}
    if ";" in k:
        p |= {"Create trainer mode": "Parameter Range", "Number of seeds to sweep": "1"}
    return {"module": "K-Means Clustering", "parameters": p}


def cluster(df, columns, k):
    """The model, and what it says of the table; rows with a gap are not learned from and not assigned."""
    x = df[columns].dropna()
    first = x.drop_duplicates().to_numpy()[:k]
    model = KMeans(k, init=first, n_init=1, tol=0, max_iter=100).fit(x)
    d = pd.DataFrame(model.transform(x), index=x.index)
    out = pd.DataFrame({"Assignments": d.idxmin(axis=1).astype(object)}, index=x.index)
    for c in range(k):
        out[f"DistancesToClusterCenter no.{c}"] = d[c]
    return model, out.reindex(df.index).astype(object).where(lambda v: v.notna(), None), d


def quality(metric, model, d, x):
    own, k = d.min(axis=1), d.shape[1]
    if metric == "Average Deviation":
        return own.mean()
    if metric == "Simplified Silhouette":
        second = np.sort(d.to_numpy(), axis=1)[:, 1]
        return ((second - own) / np.maximum(second, own)).mean()
    if metric == "Davies-Bouldin":
        return sk.davies_bouldin_score(x, model.labels_)
    centers = model.cluster_centers_
    apart = [np.linalg.norm(centers[a] - centers[b]) for a in range(k) for b in range(a)]
    return min(apart) / own.max()


# Rows of iris, the second feature with gaps; names of columns with a space.
x, y = load_iris(return_X_y=True, as_frame=True)
iris = x.iloc[::3].reset_index(drop=True)
iris.columns = ["sepal length", "sepal width", "petal length", "petal width"]
iris = iris.sample(frac=1, random_state=2).reset_index(drop=True)
measures = list(iris.columns)
iris[measures] = np.round(iris[measures] + np.random.default_rng(9).normal(0, 0.02, iris[measures].shape), 4)  # no ties
named = iris.copy()
named.insert(0, "flower", [f"f{i}" for i in range(len(iris))])
ids = [{"name": "flower", "role": "id"}]
APPEND = "Check for Append or Uncheck for Result Only"

TRAIN = "Train Clustering Model"


def train(name, df, columns, k, p, schema=(), **fields):
    model, results, _ = cluster(df, columns, k)
    whole = results if p.get(APPEND) == "false" else pd.concat([df, results], axis=1)
    head = df.head(5)
    case(TRAIN, name, parameters=p, inputs={"Untrained model": untrained(str(k)), "Dataset": {"csv": text(df), "schema": list(schema)}}, outputs={
        "Results dataset": text(whole), "Trained model": {"apply": text(head), "gives": text(pd.concat([head, results.head(5)], axis=1))}}, **fields)


train("append", named, measures, 3, {APPEND: "true"}, ids, why="an id is not learned from")
train("result-only", named, measures, 3, {APPEND: "false"}, ids)
train("two-columns", named, measures[2:], 2, {"Column Set": "petal length,petal width"}, ids)
gaps = iris.copy()
gaps.loc[::7, "sepal width"] = math.nan
train("missing", gaps, measures, 3, {}, why="rows with a missing cell are assigned to no cluster")
case(TRAIN, "no-columns", parameters={"Column Set": "None"}, inputs={"Untrained model": untrained("2"), "Dataset": text(iris)}, error="Error 0020")
case(TRAIN, "too-few-rows", parameters={}, inputs={"Untrained model": untrained("4"), "Dataset": "x\n1\n2\n3\n"}, error="Error 0021")

ASSIGN, SCORE = "Assign Data to Clusters", os.path.join(HERE, "../../../score/testdata/golden")
_, results, _ = cluster(named, measures, 3)
trained = {"module": TRAIN, "inputs": {"Untrained model": untrained("3"), "Dataset": {"csv": text(named), "schema": ids}}, "output": "Trained model"}
for flag in ("true", "false"):
    whole = results if flag == "false" else pd.concat([named, results], axis=1)
    case(ASSIGN, "append-" + flag, SCORE, parameters={APPEND: flag}, inputs={"Trained model": trained, "Dataset": {"csv": text(named), "schema": ids}},
         outputs={"Results dataset": text(whole)})
case(ASSIGN, "no-column", SCORE, parameters={}, inputs={"Trained model": trained, "Dataset": text(iris[measures[:2]])}, error="Error 0001")

SWEEP = "Sweep Clustering"
METRIC, MODE, RUNS = "Metric for measuring clustering result", "Specify parameter sweeping mode", "Maximum number of runs on random sweep"


def tries(grid, p):
    if p.get(MODE, "Random sweep") == "Entire grid":
        return grid
    random, picked = gorand.PCG(int(p.get("Random seed", 0)), 1), []
    for _ in range(int(p.get(RUNS, 5))):
        k = random.intn(len(grid))
        if k not in picked:
            picked.append(k)
    return [grid[k] for k in picked]


def ranked(df, columns, grid, p):
    metric, runs = p.get(METRIC, "Simplified Silhouette"), []
    for i, k in enumerate(tries(grid, p)):
        model, results, d = cluster(df, columns, k)
        runs.append((quality(metric, model, d, df[columns]), k, i, results))
    better = 1 if metric in ("Simplified Silhouette", "Dunn") else -1
    return sorted(runs, key=lambda r: -better * r[0])


def sweep(name, df, columns, grid, p, schema=(), **fields):
    runs = ranked(df, columns, grid, p)
    best = runs[0][3]
    whole = best if p.get(APPEND) == "false" else pd.concat([df, best], axis=1)
    head = df.head(5)
    case(SWEEP, name, parameters=p, inputs={
        "Untrained model": untrained(";".join(map(str, grid))), "Dataset": {"csv": text(df), "schema": list(schema)},
    }, outputs={
        "Best Trained model": {"apply": text(head), "gives": text(pd.concat([head, best.head(5)], axis=1))},
        "Results dataset": text(whole),
        "Sweep results": text(pd.DataFrame({"Cluster metric": [r[0] for r in runs], "Number of centroids": [r[1] for r in runs], "Index of run": [r[2] for r in runs]})),
    }, **fields)


grid, ENTIRE = [2, 3, 4, 5, 6], {MODE: "Entire grid"}
for metric in ("Simplified Silhouette", "Davies-Bouldin", "Dunn", "Average Deviation"):
    sweep("metric-" + metric.lower().replace(" ", "-"), iris, measures, grid, {**ENTIRE, METRIC: metric})
sweep("mode-random-sweep", iris, measures, grid, {MODE: "Random sweep"})
sweep("runs", iris, measures, grid, {RUNS: "2"})
sweep("seed", iris, measures, grid, {"Random seed": "4"})
sweep("two-columns", named, measures[:2], grid, {**ENTIRE, "Column Set": "sepal length,sepal width"}, ids)
sweep("append", named, measures, grid, {**ENTIRE, APPEND: "true"}, ids)
sweep("result-only", named, measures, grid, {**ENTIRE, APPEND: "false"}, ids)
