"""Scores a table as the batch does, with pandas and XGBoost, and prints a line of JSON.

    rival.py train.csv table.csv scored.csv threads

The model, of 100 trees with 20 leaves, is trained before the time is taken. Text columns are categories to both.
"""
import json
import resource
import sys
import time

import pandas as pd
import xgboost as xgb

train, table, scored, threads = sys.argv[1:4] + [int(sys.argv[4])]
TEXTS = ["state", "area_code", "international_plan", "voice_mail_plan"]

known = pd.read_csv(train)
levels = {c: pd.CategoricalDtype(sorted(known[c].unique())) for c in TEXTS}
x = known.drop(columns=["customer_id", "churn"]).astype(levels)
y = (known["churn"] == "yes").astype(int)
params = {
    "objective": "binary:logistic", "tree_method": "hist", "grow_policy": "lossguide", "max_depth": 0, "max_leaves": 20,
    "eta": 0.2, "nthread": threads, "seed": 0,
}
model = xgb.train(params, xgb.DMatrix(x, y, enable_categorical=True), 100)
del known


def processor():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


began, cpu = time.perf_counter(), processor()
data = pd.read_csv(table, dtype=levels)
read = time.perf_counter()
p = model.predict(xgb.DMatrix(data[x.columns], enable_categorical=True, nthread=threads))
data["Scored Labels"] = pd.Series(p >= 0.5).map({False: "no", True: "yes"})
data["Scored Probabilities"] = p
score = time.perf_counter()
data.to_csv(scored, index=False)
done = time.perf_counter()
print(json.dumps({
    "Version": "pandas %s, XGBoost %s" % (pd.__version__, xgb.__version__), "Rows": len(data),
    "Read": read - began, "Score": score - read, "Write": done - score, "All": done - began, "CPU": processor() - cpu,
    "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
}))
