"""Scores rows by scikit-learn, one thread, as rival.c does by other libraries: rival.py sklearn - MODEL ROWS COLUMNS"""
import sys, time
import joblib, numpy as np

pipe = joblib.load(sys.argv[3])
x = np.fromfile(sys.argv[4]).reshape(-1, int(sys.argv[5])).astype(np.float32)
print("ready", *("%.9g" % v for v in pipe.predict_proba(x[:3]).ravel()), flush=True)
for line in sys.stdin:
    n, at, rows, start = int(line), 0, 0, time.process_time()
    while time.process_time() - start < 0.2 or rows == 0:
        pipe.predict_proba(x[at:at + n])
        rows, at = rows + n, (at + n) % (len(x) - n + 1) if len(x) > n else 0
    print("%.1f" % ((time.process_time() - start) / rows * 1e9), flush=True)
