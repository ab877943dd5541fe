"""The steps of the experiment in pandas and XGBoost: one line of JSON with seconds by step and the peak memory in MB.

    rival.py table.csv threads
"""
import json
import sys
import time

import numpy as np
import pandas as pd
import xgboost

path, threads = sys.argv[1], int(sys.argv[2])
steps, last = {}, time.perf_counter()


def step(name):
    global last
    now = time.perf_counter()
    steps[name], last = now - last, now


t = pd.read_csv(path)
step("data")
features = [c for c in t.columns if c != "y"]
t[features] = t[features].fillna(t[features].mean())
step("clean")
t[features] = (t[features] - t[features].mean()) / t[features].std(ddof=0)
step("scaled")
picked = np.random.default_rng(1).random(len(t)) < 0.75
train, test = t[picked], t[~picked]
step("split")
params = {
    "objective": "binary:logistic", "tree_method": "hist", "max_bin": 256, "eta": 0.2, "nthread": threads,
    "grow_policy": "lossguide", "max_depth": 0, "max_leaves": 20, "min_child_weight": 0,
}
booster = xgboost.train(params, xgboost.QuantileDMatrix(train[features], train["y"], max_bin=256, nthread=threads), 100)
step("train")
p = booster.predict(xgboost.DMatrix(test[features], nthread=threads)).astype(float)
test = test.assign(label=np.where(p >= 0.5, 1, 0), probability=p)
step("score")
y = test["y"].to_numpy()
order = np.argsort(p, kind="stable")
rank = np.empty(len(p))
rank[order] = np.arange(1, len(p) + 1)
positive = y.sum()
auc = (rank[y == 1].sum() - positive * (positive + 1) / 2) / (positive * (len(y) - positive))
loss = -np.mean(y * np.log(p) + (1 - y) * np.log1p(-p))
accuracy = np.mean((p >= 0.5) == (y == 1))
step("evaluate")
# ru_maxrss would begin with what the process was forked from
with open("/proc/self/status") as status:
    kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
print(json.dumps({"steps": steps, "auc": auc, "loss": loss, "accuracy": accuracy, "mb": kb / 1024}))
