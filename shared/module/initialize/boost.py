# Goldens of boosted decision trees, of the palette group Machine Learning /
# Initialize Model.
#
#   LightGBM 4.6.0, NumPy
#
# LightGBM estimates how many rows a leaf has from its second derivatives, so the
# trees are grown here once more, in NumPy, on a table of one number of few
# values; where every leaf is large enough they must be LightGBM's. Sums of our
# classes are float32, and gradients are rounded: answers agree to five digits.
import json
import os
import shutil
import sys

import lightgbm
import numpy as np

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "moduletest"))
from golden import PCG

LEAVES, LEAF, RATE, TREES = "Maximum number of leaves per tree", "Minimum number of training instances required to form a leaf", "Learning rate", "Number of trees constructed"
SEED, UNKNOWN, MODE = "Random number seed", "Allow unknown categorical levels", "Create trainer mode"
MODULES = {2: "Two-Class Boosted Decision Tree", 3: "Multiclass Boosted Decision Tree", 0: "Boosted Decision Tree Regression"}


def write(module, name, doc):
    folder = os.path.join(here, "testdata", "golden", module.lower().replace(" ", "-"))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump({"module": module} | doc, f, indent=1, ensure_ascii=False)
        f.write("\n")


def case(classes, name, params, train, apply, scored, why=None, trainer=None):
    columns, rows = answers(classes, scored)
    head, *cells = apply.strip().split("\n")
    lines = [head + "," + ",".join('"' + c.replace('"', '""') + '"' for c in columns)]
    lines += [r + "," + ",".join(s if isinstance(s, str) else repr(float(s)) for s in row) for r, row in zip(cells, rows, strict=True)]
    trainer = trainer or {"module": "Train Model", "parameters": {"Label column": "y"}, "inputs": {"Dataset": train}}
    doc = {"why": why} if why else {}
    doc |= {
        "parameters": {k: str(v) for k, v in params.items()},
        "outputs": {"Untrained model": {"train": trainer, "apply": apply, "gives": "\n".join(lines) + "\n"}},
        "tolerance": 1e-5,
    }
    write(MODULES[classes], name, doc)


def answers(classes, p):
    """What Score Model adds for probabilities by row and class, or for numbers."""
    if not classes:
        return ["Scored Labels"], [[v] for v in p]
    if classes == 2:
        return ["Scored Labels", "Scored Probabilities"], [["yes" if q[1] >= 0.5 else "no", q[1]] for q in p]
    names = ['Scored Probabilities for Class "%s"' % c for c in "abc"[:len(p[0])]]
    return names + ["Scored Labels"], [[*q, "abc"[int(np.argmax(q))]] for q in p]


VALUES, PER_VALUE = 14, 11


def table(classes, seed):
    rng = PCG(seed, 99)
    x = np.repeat(np.arange(VALUES), PER_VALUE)
    y = []
    for v in x:
        k = (int(v) * 5 // 4) % max(classes, 2)
        if rng.intn(3) == 0:
            k = rng.intn(max(classes, 2))
        y.append(k if classes else round(1000 + 10 * k + v + rng.float64() * 6, 2))
    return x.astype(float), np.array(y)


def spell(y, classes):
    return repr(float(y)) if not classes else ("no", "yes")[int(y)] if classes == 2 else "abc"[int(y)]


def text(x, y, classes):
    return "x,y\n" + "".join("%d,%s\n" % (a, spell(b, classes)) for a, b in zip(x, y))


APPLY = "x\n" + "".join("%d\n" % v for v in range(VALUES))
QUERY = np.arange(VALUES, dtype=float)


def grow(x, g, h, leaves, leaf):
    """The leaves of one tree: lists of rows. λ is 1; the leaf whose split gains most is split first."""
    score = lambda rows: g[rows].sum() ** 2 / (h[rows].sum() + 1)

    def best(rows):
        out = (0, None)
        for cut in np.unique(x[rows])[1:]:
            left, right = rows[x[rows] < cut], rows[x[rows] >= cut]
            gain = score(left) + score(right) - score(rows)
            if min(len(left), len(right)) >= leaf and gain > out[0] * (1 + 1e-9) + 1e-9:
                out = (gain, (left, right))
        return out

    parts = [np.arange(len(x))]
    found = [best(parts[0])]
    while len(parts) < leaves and max(f[0] for f in found) > 0:
        i = int(np.argmax([f[0] for f in found]))
        left, right = found[i][1]
        parts[i:i + 1], found[i:i + 1] = [left, right], [best(left), best(right)]
    return parts


def boosted(classes, x, y, leaves=20, leaf=10, rate=0.2, trees=100):
    """The answers for QUERY, which are the values of x."""
    k = max(1, classes if classes > 2 else 1)
    labels = np.eye(classes)[y] if classes > 2 else np.array(y, float)[:, None]
    base = labels.mean(axis=0)
    base = np.log(base) if classes > 2 else np.log(base / (1 - base)) if classes else base
    sums = np.tile(base, (len(x), 1))
    for _ in range(trees):
        p = np.exp(sums) / np.exp(sums).sum(axis=1, keepdims=True) if classes > 2 else 1 / (1 + np.exp(-sums)) if classes else sums
        g, h = p - labels, p * (1 - p) * (classes / (classes - 1) if classes > 2 else 1) if classes else np.ones_like(p)
        for c in range(k):
            for rows in grow(x, g[:, c], h[:, c], leaves, leaf):
                sums[rows, c] -= rate * g[rows, c].sum() / (h[rows, c].sum() + 1)
    sums = np.array([sums[np.flatnonzero(x == v)[0]] for v in QUERY])
    if not classes:
        return sums[:, 0]
    p = np.exp(sums) / np.exp(sums).sum(axis=1, keepdims=True) if classes > 2 else 1 / (1 + np.exp(-sums))
    return p if classes > 2 else np.hstack([1 - p, p])


def lightgbms(classes, x, y, leaves):
    kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    model = kind(num_leaves=leaves, min_child_samples=1, learning_rate=0.2, n_estimators=20, reg_lambda=1, min_child_weight=0,
                 min_data_in_bin=1, verbose=-1, n_jobs=1, deterministic=True, force_col_wise=True)
    model.fit(x[:, None], y)
    return model.predict_proba(QUERY[:, None]) if classes else model.predict(QUERY[:, None])


for m in MODULES.values():
    shutil.rmtree(os.path.join(here, "testdata", "golden", m.lower().replace(" ", "-")), ignore_errors=True)


def unknown(classes):
    """The answers in the leaves of 60 rows of label 0 and 24 of label 1: one step of Newton's from the mean, with λ = 1."""
    n = np.array([60, 24])
    mean = n[1] / n.sum()
    if not classes:
        return [mean + n[0] * (0 - mean) / (n[0] + 1), mean + n[1] * (1 - mean) / (n[1] + 1)]
    out = []
    for label in (0, 1):
        sums = []
        for k in (0, 1):  # of class k
            share = mean if k else 1 - mean
            h = share * (1 - share) * (1 if classes == 2 else 2) * n[label]
            base = np.log(share / (1 - share)) if classes == 2 else np.log(share)
            sums.append(base + n[label] * ((k == label) - share) / (h + 1))
        if classes == 2:
            p = 1 / (1 + np.exp(-sums[1]))
        else:
            p = np.exp(sums[1]) / np.exp(sums).sum()
        out.append([1 - p, p])
    return out


def trained_by_tuning(train, valid):
    return {"module": "Tune Model Hyperparameters", "parameters": {"Specify parameter sweeping mode": "Entire grid", "Label column": "y"},
            "inputs": {"Training dataset": train, "Optional validation dataset": valid}, "output": "Trained best model"}


for classes, module in MODULES.items():
    x, y = table(classes, 3)
    train = text(x, y, classes)
    for leaves in (3, 7):
        theirs = lightgbms(classes, x, y, leaves)
        assert np.allclose(boosted(classes, x, y, leaves, leaf=1, trees=20), theirs, rtol=1e-5, atol=1e-6)
    for name, params, options in [
        ("leaves", {LEAVES: 3}, {"leaves": 3}),
        ("leaf", {LEAF: 30}, {"leaf": 30}),
        ("rate", {RATE: 0.05}, {"rate": 0.05}),
        ("trees", {TREES: 7}, {"trees": 7}),
        ("defaults", {}, {}),
    ]:
        case(classes, name, params, train, APPLY, boosted(classes, x, y, **options))
    # The trainer mode: the number of trees that a validation dataset prefers.
    truth = np.array([np.bincount(y[x == v].astype(int), minlength=classes).argmax() if classes else y[x == v].mean().round(3) for v in QUERY])
    case(classes, "range", {MODE: "Parameter Range", TREES: "1;5"}, train, APPLY, boosted(classes, x, y, trees=5),
         trainer=trained_by_tuning(train, text(QUERY, truth, classes)), why="five trees are better on the validation dataset than one")
    write(module, "single", {"parameters": {MODE: "Single Parameter", TREES: "2;4"}, "error": "Error 0002"})

    # The seed prefers one of two features that say the same in training.
    for seed in range(100):
        if PCG(seed, 0x626F6F7374).perm(2) != PCG(0, 0x626F6F7374).perm(2):
            break
    first = PCG(seed, 0x626F6F7374).perm(2).index(0)
    twice = "p,q,y\n" + "".join("%d,%d,%s\n" % (a, a, spell(b, classes)) for a, b in zip(x, y))
    apply = "p,q\n" + "".join("%d,%d\n" % ((v, 0) if first == 0 else (0, v)) for v in range(VALUES))
    case(classes, "seed", {SEED: seed}, twice, apply, boosted(classes, x, y), why="seed %d takes the column %s of two equal ones" % (seed, "pq"[first]))

    # Unknown levels, by hand: one tree of one split, at rate 1, after which nothing is left to gain.
    rows = {"p": 30, "r": 30, "q": 12, "": 12}
    label = lambda level: 0 if level in "pr" and level else 1
    train = "c,y\n" + "".join(("%s,%s\n" % (c, spell(label(c), classes) if classes else label(c))) * n for c, n in rows.items())
    if classes == 3:
        train += "p,c\n" * 0
    for value in ("true", "false"):
        apply = "c,z\np,0\nq,0\n,0\nnever,0\n"
        p = unknown(classes)
        at = [0, 1, 1, 0 if value == "true" else 1]
        case(classes, "unknown-" + value, {UNKNOWN: value, TREES: 1, RATE: 1}, train, apply, [p[k] for k in at],
             why="q and missing cells go one way, p and r the other; an unknown level goes with the levels that are not sent right, where it is allowed, else as a missing cell")
