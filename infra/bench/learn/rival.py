"""Trains XGBoost as often as a line comes on standard input, and answers each with a line of JSON:
seconds on the wall and of the processor, and the log loss on the rows held out.

    rival.py data rows held columns rounds leaves rate threads growth

data holds float32, little-endian: the columns of all rows one after the other, then the labels.
Growth is lossguide, which grows the leaf that gains most as ours does, or depthwise, XGBoost's default.
"""
import json
import resource
import sys
import time

import numpy as np
import xgboost

path = sys.argv[1]
rows, held, columns, rounds, leaves = map(int, sys.argv[2:7])
rate, threads, growth = float(sys.argv[7]), int(sys.argv[8]), sys.argv[9]
data = np.fromfile(path, dtype="<f4").reshape(columns + 1, rows + held)
x, y = np.ascontiguousarray(data[:columns].T), data[columns]
params = {
    "objective": "binary:logistic", "tree_method": "hist", "max_bin": 256, "eta": rate, "nthread": threads,
    "grow_policy": growth, "seed": 0,
}
if growth == "depthwise":
    params["max_depth"] = int(np.log2(leaves))
else:
    params |= {"max_depth": 0, "max_leaves": leaves}


def processor():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


for _ in sys.stdin:
    wall, cpu = time.perf_counter(), processor()
    booster = xgboost.train(params, xgboost.QuantileDMatrix(x[:rows], y[:rows], max_bin=256, nthread=threads), rounds)
    wall, cpu = time.perf_counter() - wall, processor() - cpu
    p = booster.predict(xgboost.DMatrix(x[rows:])).astype(float)
    t = y[rows:]
    loss = -np.mean(t * np.log(p) + (1 - t) * np.log1p(-p))
    print(json.dumps({"wall": wall, "cpu": cpu, "loss": loss}), flush=True)
