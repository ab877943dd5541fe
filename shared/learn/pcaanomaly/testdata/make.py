"""Makes goldens.json: the share that randomized principal components leave of each row.

Made with numpy 2.4.6. The tables are those of ../../testdata/linear, without their labels.
"""
import json
import pathlib
import sys

import numpy as np
import pandas as pd

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "../../../module/moduletest"))
import gorand  # noqa: E402

goldens = []
for table in ("wine", "diabetes", "breast_cancer"):
    raw = pd.read_csv(HERE / "../../testdata/linear" / (table + ".csv")).iloc[:, :-1].to_numpy(float)
    n = raw.shape[1]
    for components, oversampling, center in ((2, 2, False), (2, 2, True), (2, 0, True), (1, 1, False), (4, 3, True), (n // 2, 9, True)):
        x = raw - raw.mean(axis=0) if center else raw
        rng = gorand.PCG(0, 0)
        width = min(n, components + oversampling)
        signs = np.array([[1 - 2 * (rng.uint64() >> 63) for _ in range(n)] for _ in range(width)], float)
        q = signs.T
        for _ in range(4):
            q = np.linalg.qr(x.T @ (x @ q))[0]
        u = q @ np.linalg.svd(x @ q, full_matrices=False)[2][:components].T
        rest = x - (x @ u) @ u.T
        goldens.append({"table": table, "components": components, "oversampling": oversampling, "center": center,
                        "scores": (np.linalg.norm(rest, axis=1) / np.linalg.norm(x, axis=1)).round(12).tolist()})
(HERE / "goldens.json").write_text(json.dumps(goldens) + "\n")
