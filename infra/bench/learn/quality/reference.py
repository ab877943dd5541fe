"""Measures the reference libraries by cross-validation, for rows of table.json; writes reference.json.

    python reference.py [name of a row [table]...]

scikit-learn 1.9.1, LightGBM 4.6.0, XGBoost 3.2.0, pandas 3.1.1. Without a name it measures what
reference.json does not have; a named row, on all its tables or those named, it measures again. A
row that is random is measured with random_state 0, 1, ... as many as tables.json has seeds for the
table, and each fold has the mean of their figures.
"""
import importlib
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from sklearn import metrics
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, MinMaxScaler

HERE = pathlib.Path(__file__).parent
TABLES = json.loads((HERE / "tables.json").read_text())
FOLDS = dict(line.split() for line in (HERE / "folds.txt").read_text().splitlines())


def read(name):
    table = pd.read_csv(HERE / "data" / (name + ".csv.gz"), keep_default_na=False, na_values=[""])
    for c in table.columns:
        if table[c].dtype.kind not in "ifb":
            table[c] = table[c].astype("category")
    y = table.pop(TABLES[name]["label"])
    return table, y


def prepared(x, how):
    """Returns the table as the library reads it, and what goes before the estimator."""
    if how == "categories":  # the library takes pandas categories and missing cells
        return x, []
    if how == "codes":  # numbers alone, categories by code, missing cells as NaN
        return x.apply(lambda c: c.cat.codes.replace(-1, np.nan).astype(float) if isinstance(c.dtype, pd.CategoricalDtype) else c), []
    texts = [c for c in x.columns if isinstance(x[c].dtype, pd.CategoricalDtype)]
    steps = [ColumnTransformer(
        [("levels", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts)], remainder="passthrough", sparse_threshold=0)]
    if how == "standard":
        steps.append(StandardScaler())
    if how == "minmax":
        steps.append(MinMaxScaler())
    if how not in ("indicators", "standard", "minmax"):
        raise ValueError(how)
    return x, steps


def measure(y, model, x, names):
    if "rmse" in names:
        return {"rmse": float(np.sqrt(np.mean((y - model.predict(x)) ** 2)))}
    if "pinball" in names:
        q = np.array(model[-1].quantiles)
        e = y[:, None] - model.predict(x)
        return {"pinball": float(np.mean(np.maximum(q * e, (q - 1) * e)))}
    if "inertia" in names:
        return {"inertia": float(-model.score(x) / len(x))}
    if hasattr(model, "score_samples"):  # y is whether the row is unusual
        return {"auc": float(metrics.roc_auc_score(y, -model.score_samples(x)))}
    out = {}
    if "accuracy" in names:
        out["accuracy"] = float(np.mean(model.predict(x) == y))
    if "auc" in names:
        s = model.predict_proba(x)[:, 1] if hasattr(model, "predict_proba") else model.decision_function(x)
        out["auc"] = float(metrics.roc_auc_score(y, s))
    if "log loss" in names:
        p = model.predict_proba(x)
        p = np.clip(p / p.sum(1, keepdims=True), 1e-15, 1 - 1e-15)
        out["log loss"] = float(-np.mean(np.log(p[np.arange(len(y)), np.searchsorted(model.classes_, y)])))
    return out


def run(row, name):
    parameters = row["reference"].get("parameters", {})
    seeds = [{"random_state": seed} for seed in range(TABLES[name].get("seeds", 1))] if row.get("random") else [{}]
    runs = [validate(row, name, {**parameters, **seed}) for seed in seeds]
    return {m: [round(float(np.mean(v)), 8) for v in zip(*(r[m] for r in runs))] for m in runs[0]}


def validate(row, name, parameters):
    """Returns each metric by fold."""
    x, y = read(name)
    folds = np.array(list(map(int, FOLDS[name])))
    usual = np.ones(len(y), bool)
    if row["reference"].get("usual"):  # learns from the rows of one class
        usual = (y == TABLES[name]["usual"]).to_numpy()
        y = pd.Series(~usual).astype(int)
    if y.dtype.kind not in "if":
        y = y.cat.codes  # classes in the order of their names
    if row["reference"].get("complete"):
        keep = x.notna().all(axis=1).to_numpy()
        x, y, folds, usual = x[keep], y[keep], folds[keep], usual[keep]
    x, steps = prepared(x, row["reference"]["prepare"])
    module, cls = row["reference"]["class"].rsplit(".", 1)
    cls = getattr(importlib.import_module(module), cls)
    results = {}
    for k in range(10):
        model = make_pipeline(*steps, cls(**parameters))
        if row["reference"].get("target") == "standard":  # the label in units of its deviation
            model = TransformedTargetRegressor(model, transformer=StandardScaler())
        train, test = (folds != k) & usual, folds == k
        model.fit(x[train], y[train])
        for metric, v in measure(y[test].to_numpy(), model, x[test], row["metrics"] if "metrics" in row else TABLES[name]["metrics"]).items():
            results.setdefault(metric, []).append(v)
    return results


def written(results):
    """Returns the text of reference.json: the numbers of one metric in one line."""
    rows = []
    for name in sorted(results):
        tables = []
        for t in sorted(results[name]):
            tables.append('  %s: {%s}' % (json.dumps(t), ", ".join('"%s": %s' % (m, json.dumps(v)) for m, v in sorted(results[name][t].items()))))
        rows.append(' %s: {\n%s\n }' % (json.dumps(name), ",\n".join(tables)))
    return "{\n" + ",\n".join(rows) + "\n}\n"


def main():
    path = HERE / "reference.json"
    wanted, tables = sys.argv[1:2], sys.argv[2:]
    for row in json.loads((HERE / "table.json").read_text()):
        name = row["name"]
        if "reference" not in row or (wanted and name not in wanted):
            continue
        for table in row["tables"]:
            if tables and table not in tables or not wanted and table in json.loads(path.read_text()).get(name, {}):
                continue
            measured = run(row, table)
            print(name, table, {m: round(float(np.mean(v)), 4) for m, v in measured.items()}, flush=True)
            done = json.loads(path.read_text())  # others may have measured meanwhile
            done.setdefault(name, {})[table] = measured
            path.write_text(written(done))


main()
