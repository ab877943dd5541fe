"""Makes goldens.json: decision functions of one-class SVMs.

Made with numpy 2.4.6, pandas 3.1.1, scikit-learn 1.9.1. The tables are those of ../../testdata/linear, without their labels.
"""
import json
import pathlib

import pandas as pd
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import OneClassSVM

HERE = pathlib.Path(__file__).parent
goldens = []
for table in ("wine", "diabetes", "breast_cancer"):
    x = MinMaxScaler().fit_transform(pd.read_csv(HERE / "../../testdata/linear" / (table + ".csv")).iloc[:, :-1].to_numpy(float))
    for nu, epsilon in ((0.1, 1e-10), (0.03, 1e-10), (0.5, 1e-10), (0.1, 1e-3)):
        m = OneClassSVM(nu=nu, tol=epsilon, gamma="scale", cache_size=500).fit(x)
        goldens.append({"table": table, "nu": nu, "epsilon": epsilon, "rho": -float(m.intercept_[0]),
                        "decisions": m.decision_function(x).round(12).tolist()})
(HERE / "goldens.json").write_text(json.dumps(goldens) + "\n")
