# Goldens of decision forests, decision jungles and the quantile forest, of the
# palette group Machine Learning / Initialize Model.
#
#   scikit-learn 1.9.1 (DecisionTreeClassifier, DecisionTreeRegressor), NumPy
#
# Trees are scikit-learn's, grown on the rows that Go's random numbers draw. No
# library grows jungles or these quantile forests: they are written out here
# once more, from the papers' words. Tables have one number of few values, so
# that all of its splits are measured, or say how one is drawn.
import json
import math
import os
import shutil
import sys

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "moduletest"))
from golden import PCG

PRIOR = 0.5  # samples of the table's classes in each leaf


def case(module, name, params, train, apply, columns, scored, trainer=None, **more):
    folder = os.path.join(here, "testdata", "golden", module.lower().replace(" ", "-"))
    os.makedirs(folder, exist_ok=True)
    head, *rows = apply.strip().split("\n")
    lines = [head + "," + ",".join('"' + c.replace('"', '""') + '"' for c in columns)]
    lines += [r + "," + ",".join(s if isinstance(s, str) else repr(float(s)) for s in scores) for r, scores in zip(rows, scored, strict=True)]
    doc = {"module": module}
    if "why" in more:
        doc["why"] = more.pop("why")
    doc["parameters"] = {k: str(v) for k, v in params.items()}
    trainer = trainer or {"module": "Train Model", "parameters": {"Label column": "y"}, "inputs": {"Dataset": train}}
    doc["outputs"] = {"Untrained model": {"train": trainer, "apply": apply, "gives": "\n".join(lines) + "\n"}}
    doc["tolerance"] = 1e-9
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump(doc, f, indent=1, ensure_ascii=False)
        f.write("\n")


for m in ["Two-Class Decision Forest", "Multiclass Decision Forest", "Decision Forest Regression", "Two-Class Decision Jungle",
          "Multiclass Decision Jungle", "Fast Forest Quantile Regression"]:
    shutil.rmtree(os.path.join(here, "testdata", "golden", m.lower().replace(" ", "-")), ignore_errors=True)

VALUES, PER_VALUE = 12, 9


def table(classes, seed):
    """Rows of a number x, each value of which nine rows have, and a label."""
    rng = PCG(seed, 77)
    x = np.repeat(np.arange(VALUES), PER_VALUE)
    y = []
    for v in x:
        k = (int(v) * 7 // 5) % max(classes, 2)
        if rng.intn(4) == 0:
            k = rng.intn(max(classes, 2))
        y.append(k if classes else round(10 * k + v + rng.float64() * 6, 2))
    return x.astype(float), np.array(y)


def text(x, y, classes):
    return "x,y\n" + "".join("%d,%s\n" % (a, spell(b, classes)) for a, b in zip(x, y))


def spell(y, classes):
    return repr(float(y)) if not classes else ("no", "yes")[int(y)] if classes == 2 else "abc"[int(y)]


APPLY = "x\n" + "".join("%d\n" % v for v in range(VALUES))
QUERY = np.arange(VALUES, dtype=float)


def bootstrap(n, count, rng):
    times = np.zeros(n, int)
    for _ in range(count):
        times[rng.intn(n)] += 1
    return np.repeat(np.arange(n), times)


def answers(classes, p):
    """What Score Model adds for probabilities by row and class."""
    if classes == 2:
        return ["Scored Labels", "Scored Probabilities"], [["yes" if q[1] >= 0.5 else "no", q[1]] for q in p]
    names = ['Scored Probabilities for Class "%s"' % c for c in "abc"]
    return names + ["Scored Labels"], [[*q, "abc"[int(np.argmax(q))]] for q in p]


def shares(y, classes, at, prior):
    """Probabilities in the leaf of labels y[at]."""
    counts = np.bincount(y[at].astype(int), minlength=classes).astype(float)
    return (counts + PRIOR * prior) / (counts.sum() + PRIOR)


def refused(module, name):
    """A list of values where the mode says that there is one."""
    folder = os.path.join(here, "testdata", "golden", module.lower().replace(" ", "-"))
    with open(os.path.join(folder, "single.json"), "w") as f:
        json.dump({"module": module, "parameters": {"Create trainer mode": "Single Parameter", name: "2;4"}, "error": "Error 0002"}, f, indent=1)
        f.write("\n")


# --- Decision forests

def forest(classes, x, y, trees=8, depth=32, leaf=1, replicate=False, seed=0, query=QUERY):
    """The answers of a forest whose trees measure all splits of x."""
    total = []
    prior = np.bincount(y.astype(int), minlength=classes) / len(y) if classes else None
    for t in range(trees):
        rows = np.arange(len(x)) if replicate else bootstrap(len(x), len(x), PCG(seed, t))
        kind = DecisionTreeClassifier(criterion="entropy", max_depth=depth, min_samples_leaf=leaf) if classes else \
            DecisionTreeRegressor(max_depth=depth, min_samples_leaf=leaf)
        tree = kind.fit(x[rows, None], y[rows])
        of, at = tree.apply(x[rows, None]), tree.apply(query[:, None])
        total.append([shares(y[rows], classes, of == a, prior) if classes else (y[rows][of == a].mean(), (y[rows][of == a] ** 2).mean()) for a in at])
    return np.mean(total, axis=0)


def scored(classes, p):
    if classes:
        return answers(classes, p)
    return ["Scored Label Mean", "Scored Label Standard Deviation"], [[m, math.sqrt(max(0, s - m * m))] for m, s in p]


def accuracy(classes, p, y):
    return np.mean(np.argmax(p, axis=1) == y)


TREES, DEPTH, SPLITS, LEAF = "Number of decision trees", "Maximum depth of the decision trees", "Number of random splits per node", "Minimum number of samples per leaf node"
METHOD, SEED, UNKNOWN = "Resampling method", "Random number seed", "Allow unknown values for categorical features"


def picked(n, want, rng):
    """Algorithm S: which of n things are chosen."""
    out, left = [], n
    for i in range(n):
        left -= 1
        if want > left or want > 0 and rng.intn(left + 1) < want:
            want -= 1
            out.append(i)
    return out


def trained_by_tuning(train, validation):
    return {"module": "Tune Model Hyperparameters", "output": "Trained best model",
            "parameters": {"Label column": "y", "Specify parameter sweeping mode": "Entire grid"},
            "inputs": {"Training dataset": train, "Optional validation dataset": validation}}


def unknown_cases(module, classes, params):
    """A level that training did not see, where the larger side of the split has no missing cells."""
    labels = {2: ("no", "yes"), 3: ("a", "b"), 0: ("1", "2")}[classes]
    n = 20  # rows of the larger side; of the other half have level q, half none
    train = "c,y\n" + "p,%s\n" % labels[0] * n + "q,%s\n" % labels[1] * (n // 2) + ",%s\n" % labels[1] * (n // 2 - 1)
    if classes == 3:
        train += "r,c\n" * 30
    apply = "c,z\np,0\nq,0\n,0\nnever,0\n"
    return train, apply, n


for module, classes in [("Two-Class Decision Forest", 2), ("Multiclass Decision Forest", 3), ("Decision Forest Regression", 0)]:
    x, y = table(classes, 5 + classes)
    train = text(x, y, classes)
    for name, params, options in [
        ("bagging", {METHOD: "Bagging"}, {}),
        ("replicate", {METHOD: "Replicate"}, {"replicate": True}),
        ("trees", {TREES: 3}, {"trees": 3}),
        ("depth", {DEPTH: 2}, {"depth": 2}),
        ("leaf", {LEAF: 14}, {"leaf": 14}),
        ("seed", {SEED: 12345}, {"seed": 12345}),
    ]:
        case(module, name, params, train, APPLY, *scored(classes, forest(classes, x, y, **options)))
    # One random split of one tree, on all rows: one cut among those between values.
    rng = PCG(3, 0)
    rng.intn(1)  # which of one feature
    cut = picked(VALUES - 1, 1, rng)[0] + 0.5
    prior = np.bincount(y.astype(int), minlength=classes) / len(y) if classes else None
    sides = [x < cut, x >= cut]
    leaves = [shares(y, classes, s, prior) if classes else (y[s].mean(), (y[s] ** 2).mean()) for s in sides]
    case(module, "splits", {SPLITS: 1, METHOD: "Replicate", TREES: 1, DEPTH: 1, SEED: 3}, train, APPLY,
         *scored(classes, np.array([leaves[0] if v < cut else leaves[1] for v in QUERY])), why="the one split that is drawn is x < %s" % cut)
    # The trainer mode: the depth that a validation dataset prefers.
    depths = (1, 4)
    p = {d: forest(classes, x, y, depth=d, replicate=True) for d in depths}
    if classes:
        truth = np.array([np.bincount(y[x == v].astype(int), minlength=classes).argmax() for v in QUERY])
        best = max(depths, key=lambda d: accuracy(classes, p[d], truth))
        assert accuracy(classes, p[depths[0]], truth) != accuracy(classes, p[depths[1]], truth)
    else:
        truth = np.array([y[x == v].mean() for v in QUERY]).round(3)
        best = min(depths, key=lambda d: np.abs(p[d][:, 0] - truth).mean())
    case(module, "range", {"Create trainer mode": "Parameter Range", DEPTH: ";".join(map(str, depths)), METHOD: "Replicate"}, train, APPLY,
         *scored(classes, p[best]), trainer=trained_by_tuning(train, text(QUERY, truth, classes)), why="depth %d is better on the validation dataset" % best)
    refused(module, DEPTH)

# Unknown levels, by hand: one tree of one test on all rows.
for module, learner in [("Two-Class Decision Forest", "forest"), ("Two-Class Decision Jungle", "jungle")]:
    train, apply, n = unknown_cases(module, 2, None)
    share = (n - 1) / (2 * n - 1)
    larger, smaller = PRIOR * share / (n + PRIOR), (n - 1 + PRIOR * share) / (n - 1 + PRIOR)
    for value, at in (("true", larger), ("false", smaller)):
        params = {METHOD: "Replicate", UNKNOWN: value}
        p = [larger, smaller, smaller, at]
        case(module, "unknown-" + value, params, train, apply, *answers(2, [[1 - q, q] for q in p]),
             why="p goes one way, q and missing cells the other; an unknown level goes with p, the larger side, where it is allowed, else as a missing cell")
for module in ("Multiclass Decision Forest", "Multiclass Decision Jungle"):
    n = 20
    train = "c,y\n" + "p,a\n" * n + "q,b\n" * 9 + ",b\n" * 9
    share = np.array([n, 18]) / (n + 18)
    larger, smaller = (np.array([n, 0]) + PRIOR * share) / (n + PRIOR), (np.array([0, 18]) + PRIOR * share) / (18 + PRIOR)
    for value, at in (("true", larger), ("false", smaller)):
        rows = [larger, smaller, smaller, at]
        names = ['Scored Probabilities for Class "%s"' % c for c in "ab"] + ["Scored Labels"]
        case(module, "unknown-" + value, {METHOD: "Replicate", UNKNOWN: value}, train, "c,z\np,0\nq,0\n,0\nnever,0\n",
             names, [[*q, "ab"[int(np.argmax(q))]] for q in rows], why="as of two classes")
train = "c,y\n" + "p,1\n" * 20 + "q,2\n" * 9 + ",2\n" * 9
for value, at in (("true", 1), ("false", 2)):
    case("Decision Forest Regression", "unknown-" + value, {METHOD: "Replicate", UNKNOWN: value}, train, "c,z\np,0\nq,0\n,0\nnever,0\n",
         ["Scored Label Mean", "Scored Label Standard Deviation"], [[v, 0] for v in (1, 2, 2, at)], why="as of two classes")


# --- Decision jungles

def xlogx(v):
    return v * math.log(v) if v > 0 else 0.0


def impurity(w):
    return xlogx(sum(w)) - sum(map(xlogx, w))


class Node:
    """Rows of a table of one number, by class and value."""

    def __init__(self, cells):
        self.cells = cells  # value by class
        self.by = cells.sum(axis=0)

    def best(self, beyond=None):
        """The cut behind the value that leaves least impurity, beside what the children hold."""
        values = [v for v in range(len(self.cells)) if self.cells[v].sum() > 0]
        best = None
        for v in values[:-1]:
            left, right = self.cells[:v + 1].sum(axis=0), self.cells[v + 1:].sum(axis=0)
            if beyond is not None:
                left, right = left + beyond[0], right + beyond[1]
            cost = impurity(left) + impurity(right)
            if best is None or cost < best[0] - 1e-9:
                at = values[values.index(v) + 1]
                best = (cost, (v + at - 1) // 2)
        return best

    def sides(self, cut):
        return self.cells[:cut + 1].sum(axis=0), self.cells[cut + 1:].sum(axis=0)

    def part(self, cut):
        left, right = self.cells.copy(), self.cells.copy()
        left[cut + 1:], right[:cut + 1] = 0, 0
        return left, right


def graph(cells, rng, depth, width, steps, prior):
    """Grows one graph and returns the probabilities by value."""
    out = np.zeros(cells.shape)
    level, allowed, at = [(Node(cells), list(range(len(cells))))], 1, 0
    while level:
        parents = []
        for node, values in level:
            split = None
            if at < depth and (node.by > 0).sum() > 1:
                rng.intn(1)  # which of one feature
                split = node.best()
                if split and impurity(node.by) - split[0] < 3 and node.by.sum() < 256:
                    split = None
            if split:
                parents.append([node, values, split[1], [None, None]])
                continue
            for v in values:
                out[v] = (node.by + PRIOR * prior) / (node.by.sum() + PRIOR)
        if not parents:
            break
        allowed = min(2 * allowed if allowed < 32 else allowed + allowed // 5, width)
        if 2 * len(parents) <= allowed:
            for i, p in enumerate(parents):
                p[3] = [2 * i, 2 * i + 1]
            slots = 2 * len(parents)
        else:
            share(parents, allowed, steps, rng)
            slots = allowed
        made = [[np.zeros(cells.shape), []] for _ in range(slots)]
        for node, values, cut, child in parents:
            for side, part in enumerate(node.part(cut)):
                made[child[side]][0] += part
                made[child[side]][1] += [v for v in values if (v > cut) == (side == 1)]
        level = [(Node(c), values) for c, values in made if c.sum() > 0]
        at += 1
    return out


def share(parents, width, steps, rng):
    slots = [np.zeros(len(parents[0][0].by)) for _ in range(width)]

    def cheapest(w, but):
        best = None
        for s, held in enumerate(slots):
            if s != but:
                cost = impurity(held + w) - impurity(held)
                if best is None or cost < best[0] - 1e-9:
                    best = (cost, s)
        return best[1]

    order = sorted(((-p[0].sides(p[2])[side].sum(), i, side) for i, p in enumerate(parents) for side in (0, 1)), key=lambda o: o[0])
    for k, (_, i, side) in enumerate(order):
        p = parents[i]
        w = p[0].sides(p[2])[side]
        p[3][side] = k if k < width else cheapest(w, p[3][1 - side])
        slots[p[3][side]] = slots[p[3][side]] + w
    for _ in range(steps):
        p = parents[rng.intn(len(parents))]
        if rng.intn(2) == 0:
            for side in (0, 1):
                w = p[0].sides(p[2])[side]
                slots[p[3][side]] = slots[p[3][side]] - w
                p[3][side] = cheapest(w, p[3][1 - side])
                slots[p[3][side]] = slots[p[3][side]] + w
            continue
        rng.intn(1)
        l, r = p[3]
        before = impurity(slots[l]) + impurity(slots[r])
        left, right = p[0].sides(p[2])
        beyond = slots[l] - left, slots[r] - right
        cost, cut = p[0].best(beyond)
        if cost < before - 1e-9:
            p[2] = cut
            left, right = p[0].sides(cut)
            slots[l], slots[r] = beyond[0] + left, beyond[1] + right


def jungle(classes, x, y, graphs=8, depth=32, width=128, steps=2048, replicate=False, seed=0):
    total = []
    prior = np.bincount(y.astype(int), minlength=classes) / len(y)
    for t in range(graphs):
        rng = PCG(seed, t)
        rows = np.arange(len(x)) if replicate else bootstrap(len(x), len(x), rng)
        cells = np.zeros((int(x.max()) + 1, classes))
        for r in rows:
            cells[int(x[r]), int(y[r])] += 1
        total.append(graph(cells, rng, depth, width, steps, prior))
    return np.mean(total, axis=0)


GRAPHS, GDEPTH, WIDTH, STEPS = "Number of decision DAGs", "Maximum depth of the decision DAGs", "Maximum width of the decision DAGs", "Number of optimization steps per decision DAG layer"

for module, classes in [("Two-Class Decision Jungle", 2), ("Multiclass Decision Jungle", 3)]:
    x, y = table(classes, 15 + classes)
    x, y = np.tile(x, 2), np.concatenate([y, table(classes, 25 + classes)[1]])
    train = text(x, y, classes)
    for name, params, options in [
        ("bagging", {METHOD: "Bagging"}, {}),
        ("replicate", {METHOD: "Replicate"}, {"replicate": True}),
        ("dags", {GRAPHS: 3}, {"graphs": 3}),
        ("depth", {GDEPTH: 2}, {"depth": 2}),
        ("seed", {SEED: 12345}, {"seed": 12345}),
    ]:
        case(module, name, params, train, APPLY, *answers(classes, jungle(classes, x, y, **options)))
    depths = (1, 3)
    p = {d: jungle(classes, x, y, depth=d, replicate=True) for d in depths}
    truth = np.array([np.bincount(y[x == v].astype(int), minlength=classes).argmax() for v in QUERY])
    assert accuracy(classes, p[1], truth) < accuracy(classes, p[3], truth)
    case(module, "range", {"Create trainer mode": "Parameter Range", GDEPTH: "1;3", METHOD: "Replicate"}, train, APPLY,
         *answers(classes, p[3]), trainer=trained_by_tuning(train, text(QUERY, truth, classes)), why="depth 3 is better on the validation dataset")
    refused(module, GDEPTH)
    # Many values, whose labels a narrow graph must merge. What it comes to
    # depends on the steps, for some tables.
    for seed in range(100):
        rng = PCG(seed, 77 + classes)
        wide = np.repeat(np.arange(64), 20).astype(float)
        of = [rng.intn(classes) for _ in range(64)]
        labels = np.array([of[int(v)] if rng.intn(6) else rng.intn(classes) for v in wide])
        narrow = {"width": 8, "graphs": 2, "depth": 12}
        many, few = jungle(classes, wide, labels, **narrow), jungle(classes, wide, labels, steps=1000, **narrow)
        if np.abs(many - few).max() > 1e-3:
            break
    else:
        raise ValueError("steps make no difference")
    query = "x\n" + "".join("%d\n" % v for v in range(64))
    common = {WIDTH: 8, GRAPHS: 2, GDEPTH: 12}
    case(module, "width", common, text(wide, labels, classes), query, *answers(classes, many))
    case(module, "steps", {STEPS: 1000, **common}, text(wide, labels, classes), query, *answers(classes, few))


# --- Quantile forest

def half_away(v):
    return math.floor(v + 0.5)


UNIT = 1 << 24


def weigh(labels, weights):
    """Labels with weights as whole numbers that come to UNIT."""
    order = np.lexsort((np.arange(len(labels)), labels))
    total, run, before, out = sum(weights), 0.0, 0, []
    for i, k in enumerate(order):
        run += weights[k]
        if i + 1 < len(order) and labels[order[i + 1]] == labels[k]:
            continue
        up = UNIT if i + 1 == len(order) else half_away(run / total * UNIT)
        if up > before:
            out.append((labels[k], up - before))
            before = up
    return out


def quantile_forest(X, y, query, quantiles=(0.25, 0.5, 0.75), trees=100, leaves=20, leaf=10, bagging=0.7, features=0.7, split=0.7, samples=100, seed=0):
    pools = [{} for _ in query]
    for t in range(trees):
        rng = PCG(seed, t)
        rows = bootstrap(len(y), max(1, half_away(bagging * len(y))), rng)
        order = list(range(X.shape[1]))
        n = max(1, half_away(features * len(order)))
        per = max(1, half_away(split * n))

        def draw(k, upto):
            for i in range(k):
                j = i + rng.intn(upto - i)
                order[i], order[j] = order[j], order[i]

        def find(rows):
            if len(set(y[rows])) == 1:
                return None
            draw(per, n)
            best = None
            for f in order[:per]:
                values = sorted(set(X[rows, f]))
                for a, b in zip(values, values[1:]):
                    left = rows[X[rows, f] <= a]
                    right = rows[X[rows, f] > a]
                    if min(len(left), len(right)) < leaf:
                        continue
                    gain = sum(y[s].sum() ** 2 / len(s) for s in (left, right)) - y[rows].sum() ** 2 / len(rows)
                    if best is None or gain > best[0] + 1e-9:
                        best = (gain, f, (a + b) / 2)
            return best

        def close(rows, where):
            sample = weigh(list(y[rows]), [1] * len(rows))
            if len(rows) > samples:
                offset, labels, i, up = rng.float64(), [], 0, sample[0][1]
                for k in range(samples):
                    at = int((k + offset) / samples * UNIT)
                    while at >= up and i + 1 < len(sample):
                        i += 1
                        up += sample[i][1]
                    labels.append(sample[i][0])
                sample = weigh(labels, [1] * samples)
            for q in where:
                for label, w in sample:
                    pools[q][label] = pools[q].get(label, 0) + w

        draw(n, len(order))
        open_ = []

        def add(rows, where):
            best = find(rows)
            if best:
                open_.append((best, rows, where))
            else:
                close(rows, where)

        add(rows, list(range(len(query))))
        made = 1
        while made < leaves and open_:
            k = max(range(len(open_)), key=lambda i: (open_[i][0][0], -i))
            (_, f, cut), rows, where = open_.pop(k)
            add(rows[X[rows, f] < cut], [q for q in where if query[q, f] < cut])
            add(rows[X[rows, f] >= cut], [q for q in where if query[q, f] >= cut])
            made += 1
        for _, rows, where in open_:
            close(rows, where)
    out = []
    for pool in pools:
        row, labels = [], sorted(pool)
        for q in quantiles:
            run = 0
            for v in labels:
                run += pool[v]
                if run >= max(math.ceil(q * trees * UNIT) - trees, 1):
                    row.append(v)
                    break
        out.append(row)
    return out


module = "Fast Forest Quantile Regression"
x, y = table(0, 9)
rng = PCG(91, 77)
X = np.stack([x, np.array([rng.intn(5) for _ in x], float), np.array([rng.intn(4) for _ in x], float)], axis=1)
y = np.round(y + 3 * X[:, 1], 2)
train = "x,u,v,y\n" + "".join("%d,%d,%d,%s\n" % (*r, repr(float(v))) for r, v in zip(X, y))
query = np.array([(a, b, c) for a in (0, 3, 7, 11) for b in (0, 2, 4) for c in (0, 3)], float)
apply = "x,u,v\n" + "".join("%d,%d,%d\n" % tuple(r) for r in query)


def names(quantiles):
    return ["Scored Quantile %s" % q for q in quantiles]


quartiles = (0.25, 0.5, 0.75)
for name, params, options in [
    ("trees", {"Number of Trees": 5}, {"trees": 5}),
    ("leaves", {"Number of Leaves": 4, "Number of Trees": 9}, {"leaves": 4, "trees": 9}),
    ("leaf", {"Minimum number of training instances required to form a leaf": 3, "Number of Trees": 9}, {"leaf": 3, "trees": 9}),
    ("bagging", {"Bagging fraction": 0.4, "Number of Trees": 9}, {"bagging": 0.4, "trees": 9}),
    ("feature-fraction", {"Feature fraction": 0.3, "Number of Trees": 9}, {"features": 0.3, "trees": 9}),
    ("split-fraction", {"Split fraction": 1, "Number of Trees": 9}, {"split": 1, "trees": 9}),
    ("samples", {"Quantile sample count": 4, "Number of Trees": 9}, {"samples": 4, "trees": 9}),
    ("seed", {"Random number seed": 99, "Number of Trees": 9}, {"seed": 99, "trees": 9}),
]:
    case(module, name, params, train, apply, names(quartiles), quantile_forest(X, y, query, **options))
case(module, "quantiles", {"Quantiles to be estimated": "0.9, 0.05", "Number of Trees": 9}, train, apply, names((0.05, 0.9)),
     quantile_forest(X, y, query, quantiles=(0.05, 0.9), trees=9), why="in rising order, whatever their order in the parameter")

# One tree of two leaves that uses all rows about as they are: p one way, q and
# missing cells the other.
train = "c,y\n" + "p,1\n" * 60 + "q,2\n" * 20 + ",2\n" * 20
for value, at in (("true", 1), ("false", 2)):
    case(module, "unknown-" + value, {"Allow unknown categorical levels": value}, train, "c,z\np,0\nq,0\n,0\nnever,0\n",
         names(quartiles), [[v] * 3 for v in (1, 2, 2, at)],
         why="an unknown level goes with p, the larger side, where it is allowed, else as a missing cell")
# The trainer mode: the number of leaves that a validation dataset prefers.
X = np.repeat(np.arange(4.0), 30)[:, None]
y = np.repeat([1.0, 2, 5, 7], 30)
train = "x,y\n" + "".join("%d,%s\n" % (v, repr(float(w))) for v, w in zip(X[:, 0], y))
query = np.arange(4.0)[:, None]
case(module, "range", {"Create trainer mode": "Parameter Range", "Number of Leaves": "1;2", "Number of Trees": 5}, train, "x\n0\n1\n2\n3\n",
     names(quartiles), quantile_forest(X, y, query, leaves=2, trees=5), trainer=trained_by_tuning(train, "x,y\n0,1\n1,2\n2,5\n3,7\n"),
     why="two leaves are better on the validation dataset than one")
refused(module, "Number of Leaves")
