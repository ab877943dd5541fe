"""Makes data/*.csv.gz and folds.txt, once; both are committed.

    python data.py folder-with-the-tables-of-modeldata

The tables of the R package modeldata 1.1.0 (MIT) come from the folder; breast_cancer, digits and
diabetes are those that scikit-learn 1.9.1 (BSD) brings. A table of grades has a label cut into four
grades of as many rows. A line of folds.txt is a table's name and one
digit for each of its rows: the fold in which the row is tested. Classes are spread evenly over folds.
"""
import gzip
import io
import pathlib
import sys

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.model_selection import KFold, StratifiedKFold

HERE = pathlib.Path(__file__).parent
LABELS = {
    "churn": "churn", "credit": "Status", "wa_churn": "churn", "lending_club": "Class", "penguins": "species",
    "sacramento": "price", "ames": "Sale_Price", "breast_cancer": "diagnosis", "digits": "digit", "diabetes": "progression",
    "sacramento_grade": "price", "diabetes_grade": "progression",
}


def from_sklearn(name):
    bunch = getattr(datasets, "load_" + name)(as_frame=True)
    table = bunch.data.rename(columns=lambda c: c.replace(" ", "_"))
    label = bunch.target
    if name == "breast_cancer":
        label = label.map(lambda k: bunch.target_names[k])
    elif name == "digits":
        label = label.map(lambda k: "d%d" % k)
    table[LABELS[name]] = label
    return table.to_csv(index=False)


def graded(text, label):
    table = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""])
    table[label] = pd.qcut(table[label], 4, labels=["grade %d" % k for k in range(1, 5)])
    return table.to_csv(index=False)


def main():
    tables, lines = pathlib.Path(sys.argv[1]), []
    for name, label in LABELS.items():
        of, grades, _ = name.partition("_grade")
        path = tables / (of + ".csv")
        text = path.read_text() if path.exists() else from_sklearn(of)
        if grades:
            text = graded(text, label)
        out = HERE / "data" / (name + ".csv.gz")
        out.write_bytes(gzip.compress(text.encode(), mtime=0))
        y = pd.read_csv(out, keep_default_na=False, na_values=[""])[label]
        split = StratifiedKFold(10, shuffle=True, random_state=1) if y.dtype.kind not in "if" else KFold(10, shuffle=True, random_state=1)
        folds = np.zeros(len(y), int)
        for k, (_, test) in enumerate(split.split(np.zeros(len(y)), y)):
            folds[test] = k
        lines.append(name + " " + "".join(map(str, folds)))
    (HERE / "folds.txt").write_text("\n".join(lines) + "\n")


main()
