"""Makes wine.csv and goldens.json: K-means from the first rows.

Made with numpy 2.4.6, scikit-learn 1.9.1. The data is the wine table that comes with scikit-learn
(UCI Machine Learning Repository, CC BY 4.0).
"""
import json
import pathlib

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_wine

HERE = pathlib.Path(__file__).parent
data = load_wine(as_frame=True)
# Rows of one class after the other would make all first rows alike.
x = data.data.iloc[np.random.default_rng(1).permutation(len(data.data))].reset_index(drop=True)
x.to_csv(HERE / "wine.csv", index=False, lineterminator="\n")
raw = x.to_numpy()


def euclidean(z, k):
    m = KMeans(k, init=z[:k], n_init=1, max_iter=300, tol=0, algorithm="lloyd").fit(z)
    return m.transform(z)


def cosine(z, k):
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    c = u[:k]
    while True:
        a = (1 - u @ c.T).argmin(axis=1)
        n = np.array([u[a == j].sum(axis=0) for j in range(k)])
        n /= np.linalg.norm(n, axis=1, keepdims=True)
        if np.allclose(n, c, rtol=0, atol=1e-15):
            return 1 - u @ n.T
        c = n


goldens = []
for metric, fit in (("euclidean", euclidean), ("cosine", cosine)):
    for k in (2, 3, 7):
        for normalize in (False, True):
            z = (raw - raw.min(axis=0)) / (raw.max(axis=0) - raw.min(axis=0)) if normalize else raw
            d = fit(z, k)
            goldens.append({"metric": metric, "centers": k, "normalize": normalize,
                            "assigned": d.argmin(axis=1).tolist(), "distances": np.round(d, 12).tolist()})
(HERE / "goldens.json").write_text(json.dumps(goldens) + "\n")
