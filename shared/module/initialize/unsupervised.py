# Goldens of clustering and anomaly detection, of the palette group Machine
# Learning / Initialize Model.
#
#   NumPy 2.4.6, scikit-learn 1.9.1
#
# First centers, clusters with labels and randomized components are done here
# once more, in NumPy, with Go's random numbers; one-class SVMs are
# scikit-learn's, and so are clusters from given first centers.
import json
import math
import os
import shutil
import sys

import numpy as np
from sklearn.cluster import KMeans
from sklearn.svm import OneClassSVM

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "moduletest"))
from golden import PCG

MODE, SEED, UNKNOWN = "Create trainer mode", "Random number seed", "Allow unknown categorical levels"
CENTERS, INITIALIZATION, STARTS, METRIC = "Number of Centroids", "Initialization", "Number of seeds to sweep", "Metric"
NORMALIZE, ITERATIONS, LABELS = "Normalize features", "Iterations", "Assign Label Mode"


def write(module, name, doc):
    folder = os.path.join(here, "testdata", "golden", module.lower().replace(" ", "-"))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump({"module": module} | doc, f, indent=1, ensure_ascii=False)
        f.write("\n")


def text(head, rows):
    return head + "\n" + "".join(",".join(str(c) for c in r) + "\n" for r in rows)


def golden(module, name, params, trainer, apply, columns, cells, tolerance):
    head, *lines = apply.strip().split("\n")
    gives = head + "," + ",".join(columns) + "\n" + "".join(",".join([line, *c]) + "\n" for line, c in zip(lines, cells, strict=True))
    write(module, name, {
        "parameters": {k: str(v) for k, v in params.items()},
        "outputs": {"Untrained model": {"train": trainer, "apply": apply, "gives": gives}}, "tolerance": tolerance,
    })


# K-Means Clustering

KM = "K-Means Clustering"


class Clusters:
    """K-means of rows x, with one-hot labels behind them where labels are features."""

    def __init__(self, x, k, metric="Euclidean", normalize=False, labels="Ignore label column", guide=None):
        self.k, self.cosine, self.n, self.labels = k, metric == "Cosine", x.shape[1], labels
        self.low, self.scale = np.zeros(self.n), np.ones(self.n)
        if normalize:
            self.low, self.scale = x.min(axis=0), 1 / (x.max(axis=0) - x.min(axis=0))
        self.x, self.guide = self.features(x), guide
        if labels != "Ignore label column":
            names = sorted({g for g in guide if g})
            self.code = np.array([names.index(g) if g else -1 for g in guide])
            means = np.array([self.x[self.code == g].mean(axis=0) for g in range(len(names))])
            far = ((self.x[:, None] - means) ** 2).sum(axis=2)
            self.code = np.where(self.code < 0, far.argmin(axis=1), self.code)
            self.eye = np.eye(len(names))
            self.x = np.hstack([self.x, self.eye[self.code]])

    def features(self, x):
        z = (x - self.low) * self.scale
        return z / np.linalg.norm(z, axis=1, keepdims=True) if self.cosine else z

    def costs(self, x, centers):
        n = self.n
        if not self.cosine:
            return ((x[:, None] - centers) ** 2).sum(axis=2)
        return 1 - x[:, :n] @ centers[:, :n].T

    def settle(self, center):
        return center / np.linalg.norm(center) if self.cosine else center

    def draw(self, rng, cost=None):
        cost = np.ones(len(self.x)) if cost is None or cost.sum() == 0 else cost
        left = rng.float64() * cost.sum()
        for r, c in enumerate(cost):
            if c == 0:
                continue
            last, left = r, left - c
            if left < 0:
                break
        return last

    def start(self, how, rng):
        x, k = self.x, self.k
        if how == "First N":
            return x[:k].copy()
        if how == "Random":
            order = rng.perm(len(x))
            group = np.zeros(len(x), int)
            for i, r in enumerate(order):
                group[r] = i % k
            return np.array([self.settle(x[group == g].mean(axis=0)) for g in range(k)])
        if how == "Evenly":
            lo, hi = x.min(axis=0), x.max(axis=0)
            return np.array([self.settle(lo + (j + 0.5) / k * (hi - lo)) for j in range(k)])
        if how == "K-Means++ Fast":
            first = self.draw(rng)
            centers = [x[first]]
            cost = self.costs(x, x[first:first + 1])[:, 0]
            q = 0.5 / len(x) + 0.5 * cost / cost.sum()
            up = np.cumsum(q)

            def propose():
                r = min(int(np.searchsorted(up, rng.float64() * up[-1])), len(x) - 1)
                return r, self.costs(x[r:r + 1], np.array(centers)).min() / q[r]

            while len(centers) < k:
                row, ratio = propose()
                for _ in range(200):
                    other, r = propose()
                    u = rng.float64()
                    if ratio == 0 or u * ratio < r:
                        row, ratio = other, r
                centers.append(x[row])
            return np.array(centers)
        centers = []
        if how == "Use label column":
            names = sorted({g for g in self.guide if g})
            count = {g: self.guide.count(g) for g in names}
            top = sorted(sorted(names, key=lambda g: -count[g])[:k])
            centers = [self.settle(x[[i for i, v in enumerate(self.guide) if v == g]].mean(axis=0)) for g in top]
        if not centers:
            centers = [x[self.draw(rng)]]
        nearest = self.costs(x, np.array(centers)).min(axis=1)
        while len(centers) < k:
            best = None
            for _ in range(2 + int(math.log(k))):
                r = self.draw(rng, nearest)
                after = np.minimum(nearest, self.costs(x, x[r:r + 1])[:, 0])
                if best is None or after.sum() < best[0]:
                    best = (after.sum(), r, after)
            centers.append(x[best[1]])
            nearest = best[2]
        return np.array(centers)

    def run(self, centers, iterations):
        centers = np.array(centers)
        for _ in range(iterations):
            a = self.costs(self.x, centers).argmin(axis=1)
            assert len(set(a)) == self.k, "a center without rows"
            after = np.array([self.settle(self.x[a == j].mean(axis=0)) for j in range(self.k)])
            changed = not np.array_equal(after, centers)
            centers = after
            if self.labels.startswith("Overwrite"):
                cost = self.costs(self.x, centers)
                label = np.array([self.code[np.where(a == j)[0][cost[a == j, j].argmin()]] for j in range(self.k)])
                changed = changed or not np.array_equal(self.code, label[a])
                self.code = label[a]
                self.x[:, self.n:] = self.eye[self.code]
            if not changed:
                break
        return centers, self.costs(self.x, centers).min(axis=1).sum()

    def distances(self, centers, rows):
        d = self.costs(self.features(rows), centers[:, :self.n])
        return d if self.cosine else np.sqrt(d)


rng = PCG(3, 1)
points = [(round(4 * rng.float64() + 1, 2), round(40 * rng.float64() - 5, 1)) for _ in range(40)]
names = ["gxhw"[rng.intn(4)] if rng.intn(5) else "" for _ in points]
X = np.array(points)
Q = [(1.5, 0.0), (3.3, 12.5), (4.9, 33.0), (2.0, -4.0)]


def search(k, how="K-Means++", seed=0, starts=1, iterations=100, **more):
    best = None
    for s in range(starts):
        c = Clusters(X, k, guide=names, **more)
        centers, cost = c.run(c.start(how, PCG(seed, s)), iterations)
        if best is None or cost < best[0]:
            best = (cost, c.distances(centers, np.array(Q)))
    return best[1]


def case(name, params, trainer=None, guide=False, **options):
    head, rows = ("a,b,group", [(*p, g) for p, g in zip(points, names)]) if guide else ("a,b", points)
    data = {"csv": text(head, rows), "schema": [{"name": "group", "role": "label"}]} if guide else text(head, rows)
    d = search(**options)
    columns = ["Assignments", *("DistancesToClusterCenter no.%d" % k for k in range(d.shape[1]))]
    golden(KM, name, params, trainer or {"module": "Train Clustering Model", "parameters": {}, "inputs": {"Dataset": data}}, text("a,b", Q), columns,
           [[str(v.argmin()), *(repr(float(u)) for u in v)] for v in d], 1e-8)


shutil.rmtree(os.path.join(here, "testdata", "golden", "k-means-clustering"), ignore_errors=True)
case("defaults", {}, k=2)
case("centroids", {CENTERS: "4"}, k=4)
one = {CENTERS: "3", ITERATIONS: "1"}
for how in ("K-Means++", "K-Means++ Fast", "First N", "Random", "Evenly", "Use label column"):
    case("initialization-" + how.lower().replace(" ", "-"), {**one, INITIALIZATION: how}, k=3, iterations=1, how=how, guide=how == "Use label column")
case("more-centroids-than-labels", {CENTERS: "6", INITIALIZATION: "Use label column", ITERATIONS: "1"}, k=6, iterations=1, how="Use label column", guide=True)
case("seed", {**one, SEED: "5"}, k=3, iterations=1, seed=5)
case("iterations", {CENTERS: "3", ITERATIONS: "2", INITIALIZATION: "First N"}, k=3, iterations=2, how="First N")
first = {CENTERS: "3", INITIALIZATION: "First N"}
case("metric-euclidean", {**first, METRIC: "Euclidean"}, k=3, how="First N")
case("metric-cosine", {**first, METRIC: "Cosine"}, k=3, how="First N", metric="Cosine")
reference = KMeans(3, init=X[:3], n_init=1, tol=0, max_iter=100).fit(X).transform(np.array(Q))
assert np.allclose(reference, search(3, "First N"), rtol=1e-12)
case("normalize", {**first, NORMALIZE: "true"}, k=3, how="First N", normalize=True)
case("not-normalized", {**first, NORMALIZE: "false"}, k=3, how="First N")
for mode in ("Ignore label column", "Fill missing values", "Overwrite from closest to center"):
    p = {**first, LABELS: mode, NORMALIZE: "true", ITERATIONS: "3"}
    case("labels-" + mode.split()[0].lower(), p, k=3, how="First N", labels=mode, normalize=True, iterations=3, guide=True)

# Several seeds: of one whose first start is not the best of ten.
ranges = {MODE: "Parameter Range", CENTERS: "3", ITERATIONS: "1"}
seed = next(s for s in range(100) if not np.allclose(search(3, seed=s, iterations=1, starts=10), search(3, seed=s, iterations=1)))
case("parameter-range", {**ranges, SEED: seed}, k=3, seed=seed, iterations=1, starts=10)
case("one-seed", {**ranges, SEED: seed, STARTS: "1"}, k=3, seed=seed, iterations=1)
write(KM, "single-parameter", {"parameters": {MODE: "Single Parameter", CENTERS: "2;3"}, "error": "Error 0002"})
write(KM, "one-centroid", {"parameters": {CENTERS: "1"}, "error": "Number of Centroids"})

levels = [(a, "pq"[i % 2]) for i, (a, _) in enumerate(points)]
z = np.array([[a, float(l == "p"), float(l == "q")] for a, l in levels])
query = [(1.5, "p"), (4.0, "q"), (2.0, "never")]
zq = np.array([[a, float(l == "p"), float(l == "q")] for a, l in query])
km = KMeans(2, init=z[:2], n_init=1, tol=0, max_iter=100).fit(z)
for value in (True, False):
    d = km.transform(zq)
    cells = [[str(v.argmin()), *(repr(float(u)) for u in v)] for v in d]
    if not value:
        cells[2] = ["", "", ""]
    golden(KM, "unknown-levels-" + ("allowed" if value else "missing"), {INITIALIZATION: "First N", UNKNOWN: str(value).lower()},
           {"module": "Train Clustering Model", "parameters": {}, "inputs": {"Dataset": text("a,level", levels)}}, text("a,level", query),
           ["Assignments", "DistancesToClusterCenter no.0", "DistancesToClusterCenter no.1"], cells, 1e-8)

# Anomalies

rng = PCG(4, 1)
usual = []
for i in range(50):
    u, v = 3 + rng.float64(), 2 * rng.float64()
    usual.append((round(u, 3), round(2 * u + v, 3), round(v - u + rng.float64() / 2, 3), "pq"[rng.intn(2)]))
query = [(3.5, 8.0, -2.4, "p"), (3.2, 7.0, -2.0, "q"), (9.0, -5.0, 4.0, "p"), (3.4, 7.5, -2.3, "never")]


def numbers(rows):
    return np.array([[*r[:3], float(r[3] == "p"), float(r[3] == "q")] for r in rows])


def anomaly(module, name, params, p, tolerance, strict=False, trainer=None):
    data = text("a,b,c,level", usual)
    cells = [[str(int(v >= 0.5)), repr(float(v))] for v in p]
    if strict:
        cells[3] = ["", ""]
    golden(module, name, params, trainer or {"module": "Train Anomaly Detection Model", "parameters": {}, "inputs": {"Dataset": data}},
           text("a,b,c,level", query), ["Scored Labels", "Scored Probabilities"], cells, tolerance)


tagged = [(*r, 0) for r in usual] + [(*q[:3], "p", int(i == 2)) for i, q in enumerate(query)]
tagged += [(3.1, 8.1, -3.0, "q", 0), (8.0, -4.0, 4.0, "q", 1), (9.0, -6.0, 5.0, "q", 1)]


def tune():
    return {"module": "Tune Model Hyperparameters",
            "parameters": {"Label column": "odd", "Specify parameter sweeping mode": "Entire grid", "Metric for measuring performance for classification": "Accuracy"},
            "inputs": {"Training dataset": text("a,b,c,level,odd", [(*r, i % 2) for i, r in enumerate(usual)]),
                       "Optional validation dataset": text("a,b,c,level,odd", tagged)}}


def one_class(nu=0.1, epsilon=1e-9):
    x = numbers(usual)
    low, span = x.min(axis=0), x.max(axis=0) - x.min(axis=0)
    m = OneClassSVM(nu=nu, tol=epsilon, gamma="scale").fit((x - low) / span)
    f = m.decision_function((numbers(query) - low) / span)
    return 1 / (1 + np.exp(-5 * f / m.intercept_[0]))


OC = "One-Class Support Vector Machine"
shutil.rmtree(os.path.join(here, "testdata", "golden", "one-class-support-vector-machine"), ignore_errors=True)
tight = {"epsilon": "1e-09"}
anomaly(OC, "epsilon", tight, one_class(), 1e-6)
anomaly(OC, "nu", {**tight, "nu": "0.4"}, one_class(0.4), 1e-6)
anomaly(OC, "unknown-levels-allowed", {**tight, UNKNOWN: "true"}, one_class(), 1e-6)
anomaly(OC, "unknown-levels-missing", {**tight, UNKNOWN: "false"}, one_class(), 1e-6, strict=True)
anomaly(OC, "parameter-range", {**tight, MODE: "Parameter Range", "nu": "1;0.05"}, one_class(0.05), 1e-6, trainer=tune())
write(OC, "single-parameter", {"parameters": {MODE: "Single Parameter", "nu": "0.1;0.2"}, "error": "Error 0002"})


def components(k=2, more=2, center=False):
    x = numbers(usual)
    mean = x.mean(axis=0) if center else np.zeros(x.shape[1])
    x = x - mean
    draws = PCG(0, 0)
    n = x.shape[1]
    signs = np.array([[1 - 2 * (draws.uint64() >> 63) for _ in range(n)] for _ in range(min(n, k + more))], float)
    q = signs.T
    for _ in range(4):
        q, sizes, _ = np.linalg.svd(x.T @ (x @ q), full_matrices=False)
        q = q[:, sizes > 1e-12 * sizes[0]]  # signs that are alike to centered levels span less
    u = q @ np.linalg.svd(x @ q, full_matrices=False)[2][:k].T
    z = numbers(query) - mean
    return np.linalg.norm(z - z @ u @ u.T, axis=1) / np.linalg.norm(z, axis=1)


PCA = "PCA-Based Anomaly Detection"
K, MORE, CENTER = "Number of components to use in PCA", "Oversampling parameter for randomized PCA", "Enable input feature mean normalization"
shutil.rmtree(os.path.join(here, "testdata", "golden", "pca-based-anomaly-detection"), ignore_errors=True)
anomaly(PCA, "defaults", {}, components(), 1e-9)
anomaly(PCA, "components", {K: "3"}, components(3), 1e-9)
anomaly(PCA, "oversampling", {MORE: "0"}, components(more=0), 1e-9)
anomaly(PCA, "mean", {CENTER: "true"}, components(center=True), 1e-9)
anomaly(PCA, "no-mean", {CENTER: "false"}, components(), 1e-9)
anomaly(PCA, "unknown-levels-allowed", {UNKNOWN: "true"}, components(), 1e-9)
anomaly(PCA, "unknown-levels-missing", {UNKNOWN: "false"}, components(), 1e-9, strict=True)
anomaly(PCA, "parameter-range", {MODE: "Parameter Range", K: "5;2"}, components(), 1e-9, trainer=tune())
write(PCA, "single-parameter", {"parameters": {MODE: "Single Parameter", K: "2;3"}, "error": "Error 0002"})
