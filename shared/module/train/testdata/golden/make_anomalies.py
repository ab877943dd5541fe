"""Makes the golden cases of Train Anomaly Detection Model and of anomalies in Evaluate Model and Tune Model Hyperparameters.

Made with numpy 2.4.6, pandas 3.1.1, scikit-learn 1.9.1.
"""
import json
import os

import numpy as np
import pandas as pd
from sklearn import metrics as sk
from sklearn.datasets import load_iris
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import OneClassSVM

HERE = os.path.dirname(os.path.abspath(__file__))
TRAIN, EVALUATE, TUNE = "Train Anomaly Detection Model", "Evaluate Model", "Tune Model Hyperparameters"


def text(df):
    return df.to_csv(index=False, lineterminator="\n")


def case(module, name, folder=HERE, **fields):
    folder = os.path.join(folder, module.lower().replace(" ", "-"))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump({"module": module, **fields, "tolerance": 1e-6}, f, indent=1, ensure_ascii=False)
        f.write("\n")


def untrained(nu):
    p = {"nu": nu, "epsilon": "1e-09"}
    if ";" in nu:
        p["Create trainer mode"] = "Parameter Range"
    return {"module": "One-Class Support Vector Machine", "parameters": p}


x, y = load_iris(return_X_y=True, as_frame=True)
x.columns = ["sepal length", "sepal width", "petal length", "petal width"]
usual = x[y == 1].reset_index(drop=True)  # one species, and rows of the two others among those to tell
mixed = x.iloc[[*range(0, 6), *range(60, 90), *range(110, 118)]].reset_index(drop=True)
mixed = (mixed + np.random.default_rng(1).normal(0, 0.03, mixed.shape)).round(3)  # none of the rows that the region is made of
odd = np.array([1] * 6 + [0] * 30 + [1] * 8)


def scores(nu, train, rows):
    scaler = MinMaxScaler().fit(train)
    m = OneClassSVM(nu=nu, tol=1e-9, gamma="scale").fit(scaler.transform(train))
    p = 1 / (1 + np.exp(-5 * m.decision_function(scaler.transform(rows)) / m.intercept_[0]))
    return pd.DataFrame({"Scored Labels": (p >= 0.5).astype(int), "Scored Probabilities": p})


rows = mixed.head(10)
behind = pd.concat([rows, scores(0.1, usual, rows)], axis=1)
case(TRAIN, "one-class", inputs={"Untrained model": untrained("0.1"), "Dataset": text(usual)},
     outputs={"Trained model": {"apply": text(rows), "gives": text(behind)}})
tagged = usual.assign(species="versicolor")
case(TRAIN, "a-label", why="a column that is marked as the label is not learned from", inputs={
    "Untrained model": untrained("0.1"), "Dataset": {"csv": text(tagged), "schema": [{"name": "species", "role": "label"}]},
}, outputs={"Trained model": {"apply": text(rows), "gives": text(behind)}})

# From learner to metrics.
labelled = mixed.assign(odd=odd)
s = scores(0.1, usual, mixed)
said, p = s["Scored Labels"], s["Scored Probabilities"]
trained = {"module": TRAIN, "inputs": {"Untrained model": untrained("0.1"), "Dataset": text(usual)}}
scored = {"module": "Score Model", "inputs": {"Trained model": trained, "Dataset": {"csv": text(labelled), "schema": [{"name": "odd", "role": "label"}]}}}
share = odd.mean()
entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
loss = sk.log_loss(odd, p)
WANT = {
    "Accuracy": sk.accuracy_score(odd, said), "Precision": sk.precision_score(odd, said), "Recall": sk.recall_score(odd, said),
    "F-Score": sk.f1_score(odd, said), "AUC": sk.roc_auc_score(odd, p), "Average Log Loss": loss, "Training Log Loss": 100 * (entropy - loss) / entropy,
}
case(EVALUATE, "anomalies", folder=os.path.join(HERE, "../../../evaluate/testdata/golden"), inputs={"Scored dataset": scored}, outputs={
    "Evaluation results": text(pd.DataFrame([WANT]))})

# Candidates are measured by a label that they do not see.
lines, best = [], None
for nu in ("0.5", "0.02", "0.1"):
    s = scores(float(nu), usual, mixed)
    said, p = s["Scored Labels"], s["Scored Probabilities"]
    loss = sk.log_loss(odd, p)
    lines.append({"nu": float(nu), "Accuracy": sk.accuracy_score(odd, said), "Precision": sk.precision_score(odd, said), "Recall": sk.recall_score(odd, said),
                  "F-Score": sk.f1_score(odd, said), "AUC": sk.roc_auc_score(odd, p), "Average Log Loss": loss, "Training Log Loss": 100 * (entropy - loss) / entropy})
lines.sort(key=lambda m: -m["Accuracy"])
case(TUNE, "anomalies", parameters={"Label column": "odd", "Specify parameter sweeping mode": "Entire grid"}, inputs={
    "Untrained model": untrained("0.5;0.02;0.1"), "Training dataset": text(usual.assign(odd=0)), "Optional validation dataset": text(labelled),
}, outputs={"Sweep results": text(pd.DataFrame(lines)),
            "Trained best model": {"apply": text(rows), "gives": text(pd.concat([rows, scores(lines[0]["nu"], usual, rows)], axis=1))}})
