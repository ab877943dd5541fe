"""Makes reference.json: networks of 20 sigmoid nodes, trained on the even rows, measured on the odd ones.

Made with numpy 2.4.6, pandas 3.1.1, scikit-learn 1.9.1. The tables are those of ../../testdata/linear.
"""
import json
import pathlib
import warnings

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import MinMaxScaler

warnings.simplefilter("ignore", ConvergenceWarning)
HERE = pathlib.Path(__file__).parent
SAME = dict(hidden_layer_sizes=(20,), activation="logistic", solver="sgd", alpha=0, batch_size=1, momentum=0, max_iter=50, tol=0,
            n_iter_no_change=1000, nesterovs_momentum=False)


def measure(name):
    df = pd.read_csv(HERE / "../../testdata/linear" / (name + ".csv"))
    x, y = df.iloc[:, :-1].to_numpy(float), df.iloc[:, -1].to_numpy()
    scaler = MinMaxScaler().fit(x[::2])
    train, test, a, b = scaler.transform(x[::2]), scaler.transform(x[1::2]), y[::2], y[1::2]
    values = []
    for seed in range(5):
        if name == "diabetes":
            mean, deviation = a.mean(), a.std()
            m = MLPRegressor(learning_rate_init=0.005, random_state=seed, **SAME).fit(train, (a - mean) / deviation)
            values.append(np.sqrt(np.mean((m.predict(test) * deviation + mean - b) ** 2)))
            continue
        m = MLPClassifier(learning_rate_init=0.1, random_state=seed, **SAME).fit(train, a)
        values.append(roc_auc_score(b, m.predict_proba(test)[:, 1]) if name == "breast_cancer" else np.mean(m.predict(test) == b))
    return {"mean": float(np.mean(values)), "standard error": float(np.std(values, ddof=1) / np.sqrt(5))}


(HERE / "reference.json").write_text(json.dumps({n: measure(n) for n in ("breast_cancer", "wine", "diabetes")}, indent=1) + "\n")
