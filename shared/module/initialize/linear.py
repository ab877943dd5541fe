"""Makes the golden cases of the linear learners' modules.

Made with numpy 2.4, scipy 1.17, pandas 3.1.1, scikit-learn 1.9.1. What scikit-learn
computes too is taken from it; the learners that go row by row, and the optimizer's way
where a case stops it early, are written out here after their papers.
"""

import json
import os
import sys
import warnings

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.calibration import _SigmoidCalibration
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../moduletest"))
from gorand import PCG  # noqa: E402

warnings.filterwarnings("ignore", category=FutureWarning)
rng = np.random.default_rng(5)

# The table: two numbers, a category, and labels that depend on them.
N, LEVELS = 45, ["p", "q", "r"]
number = np.round(rng.normal(0, 1, N), 2)
hundreds = np.round(rng.normal(300, 80, N), 1)
level = rng.integers(0, 3, N)
signal = 1.1 * number + (hundreds - 300) / 90 + 0.8 * (level - 1) + rng.normal(0, 0.8, N)
yes = signal > 0.2
grade = np.digitize(signal, [-0.9, 0.9])
price = np.round(200 + 40 * signal, 1)
count = rng.poisson(np.exp(0.6 + 0.5 * signal))
TEST = [(0.4, 310.0, 0), (-1.3, 250.5, 2), (0.1, 333.3, 1), (0.9, 280.0, None)]

x = np.column_stack([number, hundreds, *(level == k for k in range(3))]).astype(float)
test = np.array([[a, b, *(c == k for k in range(3))] for a, b, c in TEST], float)
low, span = x.min(0), x.max(0) - x.min(0)


def table(label):
    rows = [f"{a},{b},{LEVELS[c]},{y}" for a, b, c, y in zip(number, hundreds, level, label)]
    return "\n".join(["number,hundreds,level,label", *rows]) + "\n"


TESTED = [f"{a},{b},{'never' if c is None else LEVELS[c]}" for a, b, c in TEST]
TESTS = "\n".join(["number,hundreds,level", *TESTED]) + "\n"


def write(module, name, doc):
    folder = os.path.join(HERE, "testdata/golden", module.lower().replace(" ", "-"))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump({"module": module, **doc}, f, indent=1)
        f.write("\n")


def case(module, name, label, scores, parameters=None, strict=False, train=None, tolerance=1e-6, inputs=None):
    """scores are a dict of score columns; with strict the last row, whose level
    nobody knows, has none."""
    lines = ["number,hundreds,level," + ",".join(n if '"' not in n else '"' + n.replace('"', '""') + '"' for n in scores)]
    for i, cells in enumerate(TESTED):
        s = [v[i] if isinstance(v[i], str) else repr(float(v[i])) for v in scores.values()]
        lines.append(cells + "," + ",".join("" if strict and i == len(TESTED) - 1 else v for v in s))
    doc = {"parameters": parameters or {}}
    if inputs:
        doc["inputs"] = inputs
    doc["outputs"] = {"Untrained model": {
        "train": train or {"module": "Train Model", "parameters": {"Label column": "label"}, "inputs": {"Dataset": table(label)}},
        "apply": TESTS, "gives": "\n".join(lines) + "\n"}}
    write(module, name, {**doc, "tolerance": tolerance})


def two(p):
    return {"Scored Labels": ["yes" if v >= 0.5 else "no" for v in p], "Scored Probabilities": p}


GRADES = ["a", "b", "c"]


def many(p):
    scores = {f'Scored Probabilities for Class "{c}"': p[:, k] for k, c in enumerate(GRADES)}
    return {**scores, "Scored Labels": [GRADES[k] for k in p.argmax(1)]}


def value(v):
    return {"Scored Labels": v}


def ranges(module, label, scores, parameter, best, worst):
    """A range of two values, the best of which is that with the least loss on the
    rows that are learned from."""
    params = {"Create trainer mode": "Parameter Range", parameter: f"{worst};{best}"}
    tune = {"module": "Tune Model Hyperparameters", "parameters": {
        "Label column": "label", "Specify parameter sweeping mode": "Entire grid",
        "Metric for measuring performance for classification": "Average Log Loss",
        "Metric for measuring performance for regression": "Root of mean squared error"},
        "inputs": {"Training dataset": table(label), "Optional validation dataset": table(label)}}
    case(module, "parameter-range", label, scores, params, train=tune, tolerance=1e-5)
    single = {"Create trainer mode": "Single Parameter", parameter: f"{worst};{best}"}
    write(module, "single-parameter", {"parameters": single, "error": "Error 0002"})


def least_loss(learner, *options):
    """Which of some options has the least log loss on the rows learned from."""
    losses = []
    for o in options:
        p = np.array(learner(**o, at=None)["Scored Probabilities"])
        losses.append(-np.mean(np.log(np.where(yes, p, 1 - p))))
    assert abs(losses[0] - losses[1]) > 1e-3
    return int(np.argmin(losses))


LABELS = {"two": np.where(yes, "yes", "no"), "many": np.array(GRADES)[grade], "price": price, "count": count}
z, zt = (x - low) / span, (test - low) / span


# Logistic and Poisson regression.


def logistic(target, l1=1.0, l2=1.0):
    if l1 == 0:
        return LogisticRegression(C=1 / l2, solver="newton-cholesky", tol=1e-13, max_iter=10_000).fit(z, target)
    return LogisticRegression(C=1 / (l1 + l2), l1_ratio=l1 / (l1 + l2), penalty="elasticnet", solver="saga", tol=1e-12, max_iter=1_000_000, random_state=0).fit(z, target)


def early(loss, base, curvature, tolerance, memory, l2=1.0):
    """L-BFGS as package lbfgs describes it, with L2 alone; loss gives the sum
    and the derivative by every score. Weights are of centred features."""
    k, n = len(base), x.shape[1]
    c = z - z.mean(0)
    scale = np.concatenate([(np.outer(curvature, (c**2).sum(0)) + l2).ravel(), np.array(curvature) * N])

    def objective(v):
        w, b = v[:-k].reshape(k, n), v[-k:]
        f, d = loss(c @ w.T + b)
        return f + l2 / 2 * (w**2).sum(), np.concatenate([(d.T @ c + l2 * w).ravel(), d.sum(0)])

    v = np.concatenate([np.zeros(k * n), base])
    f, g = objective(v)
    steps = []
    while np.linalg.norm(g) > tolerance * max(1, np.linalg.norm(v)):
        d, alphas = -g, []
        for s, y in reversed(steps):
            alphas.append(s @ d / (s @ y))
            d = d - alphas[-1] * y
        if steps:
            s, y = steps[-1]
            d = d * (s @ y) / (y @ (y / scale))
        d = d / scale
        for (s, y), a in zip(steps, reversed(alphas)):
            d = d + (a - y @ d / (s @ y)) * s
        lo, hi, t = 0.0, np.inf, 1.0
        while True:  # weak Wolfe conditions
            at, slope = v + t * d, g @ d
            new, gradient = objective(at)
            if new > f + 1e-4 * t * slope:
                hi = t
            elif gradient @ d < 0.9 * slope:
                lo = t
            else:
                break
            t = 2 * t if np.isinf(hi) else (lo + hi) / 2
        steps = [*steps, (at - v, gradient - g)][-memory:]
        v, f, g = at, new, gradient
    w, b = v[:-k].reshape(k, n), v[-k:]
    return (zt - z.mean(0)) @ w.T + b


def softmax(s):
    e = np.exp(s - s.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


share = yes.mean()
shares = np.bincount(grade) / N


def two_loss(s):
    return np.logaddexp(0, -s[:, 0] * np.where(yes, 1, -1)).sum(), sigmoid(s) - yes[:, None]


def many_loss(s):
    return (np.log(np.exp(s).sum(1)) - s[np.arange(N), grade]).sum(), softmax(s) - np.eye(3)[grade]


def count_loss(s):
    return (np.exp(s[:, 0]) - count * s[:, 0]).sum(), np.exp(s) - count[:, None]


def poisson(l1, l2):
    """The answers of Poisson regression; with L1 by the positive and the negative
    part of each weight."""
    if l1 == 0:
        return PoissonRegressor(alpha=l2 / N, solver="newton-cholesky", tol=1e-13, max_iter=10_000).fit(z, count).predict(zt)

    def objective(v):
        w = v[:5] - v[5:10]
        f, d = count_loss((z @ w + v[10])[:, None])
        g = z.T @ d[:, 0] + l2 * w
        return f + l1 * v[:10].sum() + l2 / 2 * w @ w, np.concatenate([g + l1, l1 - g, [d.sum()]])

    r = minimize(objective, np.zeros(11), jac=True, method="L-BFGS-B", bounds=[(0, None)] * 10 + [(None, None)], options={"maxiter": 100_000, "ftol": 1e-16, "gtol": 1e-10})
    return np.exp(zt @ (r.x[:5] - r.x[5:10]) + r.x[10])


FAMILIES = [
    ("Two-Class Logistic Regression", "two", two, lambda l1, l2: logistic(yes, l1, l2).predict_proba(zt)[:, 1],
     lambda tol, memory: sigmoid(early(two_loss, [np.log(share / (1 - share))], [share * (1 - share)], tol, memory))[:, 0]),
    ("Multiclass Logistic Regression", "many", many, lambda l1, l2: logistic(grade, l1, l2).predict_proba(zt),
     lambda tol, memory: softmax(early(many_loss, np.log(shares), shares * (1 - shares), tol, memory))),
    ("Poisson Regression", "count", value, poisson,
     lambda tol, memory: np.exp(early(count_loss, [np.log(count.mean())], [count.mean()], tol, memory))[:, 0]),
]
L1, L2 = "L1 regularization weight", "L2 regularization weight"
for module, label, scores, exact, stopped in FAMILIES:
    y = LABELS[label]
    case(module, "l2", y, scores(exact(0, 0.2)), {L1: "0", L2: "0.2"})
    case(module, "defaults", y, scores(exact(1, 1)))
    case(module, "l1", y, scores(exact(0.3, 1)), {L1: "0.3"})
    case(module, "tolerance", y, scores(stopped(1.0, 20)), {L1: "0", "Optimization tolerance": "1"})
    case(module, "memory", y, scores(stopped(0.02, 1)), {L1: "0", "Optimization tolerance": "0.02", "Memory size for L-BFGS": "1"})
    case(module, "unknown-levels-allowed", y, scores(exact(0, 1)), {L1: "0", "Allow unknown categorical levels": "true"})
    case(module, "unknown-levels-missing", y, scores(exact(0, 1)), {L1: "0", "Allow unknown categorical levels": "false"}, strict=True)
    ranges(module, y, scores(exact(1, 1)), L2, "1", "100000")
    write(module, "no-tolerance", {"parameters": {"Optimization tolerance": "0"}, "error": "Error 0008"})


# Rows one at a time: perceptron, support vector machine, gradient descent.


def order(seed, passes, rows=range(N)):
    for p in range(passes):
        yield from shuffled(seed, p, rows)


def shuffled(seed, p, rows=range(N)):
    rows = list(rows)
    PCG(seed, p).shuffle(rows)
    return rows


FOLDS = 5


def platt(learn, seed, z, zt):
    """The sigmoid of the scores that learn makes of all rows, fitted to those of
    rows that it did not learn from; as many rows of a class in every fold."""
    fold, draws = np.zeros(N, int), PCG(seed, 2**64 - 1)
    for is_in in [~yes, yes]:
        rows = list(np.flatnonzero(is_in))
        order = list(range(len(rows)))
        draws.shuffle(order)
        for i, at in enumerate(order):
            fold[rows[at]] = i % FOLDS
    held = np.zeros(N)
    for k in range(FOLDS):
        w, b = learn(np.flatnonzero(fold != k))
        held[fold == k] = z[fold == k] @ w + b
    w, b = learn(np.arange(N))
    sigmoid = _SigmoidCalibration().fit(held, yes.astype(int))
    if sigmoid.a_ > 0:  # they fall with the label: they say nothing
        sigmoid.fit(np.zeros(N), yes.astype(int))
    return two(sigmoid.predict(zt @ w + b))


sign = np.where(yes, 1.0, -1.0)
centre = z.mean(0)


def perceptron(rate=1.0, iterations=10, seed=0, at=zt):
    """at is where to score: None for the rows that are learned from."""
    c = z - centre
    ct = c if at is None else at - centre

    def learn(rows):
        w, b, sum_w, sum_b = np.zeros(5), 0.0, np.zeros(5), 0.0
        for row in order(seed, iterations, rows):
            short = 1 - sign[row] * (c[row] @ w + b)
            if short > 0:
                step = sign[row] * min(rate, short / (1 + c[row] @ c[row]))
                w, b = w + step * c[row], b + step
            sum_w, sum_b = sum_w + w, sum_b + b
        return sum_w / len(rows) / iterations, sum_b / len(rows) / iterations

    return platt(learn, seed, c, ct)


def svm(iterations=1, lam=0.001, normalize=True, project=False, seed=0, at=zt):
    c, ct = (z - centre, zt - centre) if normalize else (x, test)
    ct = c if at is None else ct

    def learn(rows):
        w, b, sum_w, sum_b, total = np.zeros(5), 0.0, np.zeros(5), 0.0, len(rows) * iterations
        for t, row in enumerate(order(seed, iterations, rows)):
            rate = 1 / np.sqrt(1 + t / 10)
            short = 1 - sign[row] * (c[row] @ w + b)
            if short > 0:
                step = sign[row] * short * rate / (1 + rate * (1 + c[row] @ c[row]))
                w, b = w + step * c[row], b + step
            w = w / (1 + rate * lam)
            if project:
                w = w / max(1, np.linalg.norm(w))
            if t >= total // 2:
                sum_w, sum_b = sum_w + w, sum_b + b
        return sum_w / (total - total // 2), sum_b / (total - total // 2)

    return platt(learn, seed, c, ct)


def descent(rate=0.1, epochs=10, l2=0.001, normalize=True, average=True, decrease=True, seed=0):
    c, ct = ((x - x.mean(0)) / x.std(0), (test - x.mean(0)) / x.std(0)) if normalize else (x, test)
    y = (price - price.mean()) / price.std()
    w, b, sum_w, sum_b, total = np.zeros(5), 0.0, np.zeros(5), 0.0, N * epochs
    for t, row in enumerate(order(seed, epochs)):
        r = rate / np.sqrt(t + 1) if decrease else rate
        step = (y[row] - c[row] @ w - b) * r / (1 + r * (1 + c[row] @ c[row]))
        w, b = (w + step * c[row]) / (1 + r * l2), b + step
        if t >= total // 2:
            sum_w, sum_b = sum_w + w, sum_b + b
    if average:
        w, b = sum_w / (total - total // 2), sum_b / (total - total // 2)
    return value((ct @ w + b) * price.std() + price.mean())


two_class, prices = LABELS["two"], LABELS["price"]
UNKNOWN = "Allow unknown categorical levels"
for module, learner, cases, iterations in [
    ("Two-Class Averaged Perceptron", perceptron, [
        ("defaults", {}, {}), ("rate", {"Learning rate": "0.05"}, {"rate": 0.05}),
        ("iterations", {"Maximum number of iterations": "2"}, {"iterations": 2}), ("seed", {"Random number seed": "7"}, {"seed": 7}),
    ], "Maximum number of iterations"),
    ("Two-Class Support Vector Machine", svm, [
        ("defaults", {}, {}), ("iterations", {"Number of iterations": "5"}, {"iterations": 5}), ("lambda", {"Lambda": "0.5"}, {"lam": 0.5}),
        ("normalized", {"Normalize features": "true"}, {}), ("not-normalized", {"Normalize features": "false"}, {"normalize": False}),
        ("projected", {"Project to the unit-sphere": "true"}, {"project": True}),
        ("not-projected", {"Project to the unit-sphere": "false"}, {}),
        ("seed", {"Random number seed": "7"}, {"seed": 7}),
    ], "Number of iterations"),
]:
    for name, params, options in cases:
        case(module, name, two_class, learner(**options), params, tolerance=1e-5)
    case(module, "unknown-levels-allowed", two_class, learner(), {UNKNOWN: "true"}, tolerance=1e-5)
    case(module, "unknown-levels-missing", two_class, learner(), {UNKNOWN: "false"}, strict=True, tolerance=1e-5)

    values = [1, 20]
    best = least_loss(learner, *({"iterations": v} for v in values))
    ranges(module, two_class, learner(iterations=values[best]), iterations, values[best], values[1 - best])

LR, GRADIENT = "Linear Regression", {"Solution method": "Online Gradient Descent"}
for name, params, options in [
    ("gradient-descent", {}, {}), ("gradient-l2", {L2: "0.3"}, {"l2": 0.3}), ("rate", {"Learning rate": "0.02"}, {"rate": 0.02}),
    ("epochs", {"Number of training epochs": "3"}, {"epochs": 3}),
    ("normalized", {"Normalize features": "true"}, {}), ("not-normalized", {"Normalize features": "false"}, {"normalize": False}),
    ("averaged", {"Average final hypothesis": "true"}, {}), ("not-averaged", {"Average final hypothesis": "false"}, {"average": False}),
    ("decreasing", {"Decrease learning rate": "true"}, {}), ("not-decreasing", {"Decrease learning rate": "false"}, {"decrease": False}),
    ("seed", {"Random number seed": "7"}, {"seed": 7}),
]:
    case(LR, name, prices, descent(**options), {**GRADIENT, **params})

# Least squares.


def squares(l2=0.001, intercept=True):
    return value(Ridge(alpha=l2, fit_intercept=intercept, solver="svd").fit(x, price).predict(test))


case(LR, "defaults", prices, squares())
case(LR, "least-squares", prices, squares(), {"Solution method": "Ordinary Least Squares"})
case(LR, "l2", prices, squares(30), {L2: "30"})
case(LR, "intercept", prices, squares(30), {L2: "30", "Include intercept term": "true"})
case(LR, "no-intercept", prices, squares(30, False), {L2: "30", "Include intercept term": "false"})
case(LR, "unknown-levels-allowed", prices, squares(), {UNKNOWN: "true"})
case(LR, "unknown-levels-missing", prices, squares(), {UNKNOWN: "false"}, strict=True)
ranges(LR, prices, squares(), L2, "0.001", "1e12")


# Bayesian linear regression, in closed form.


def bayes(l=1.0):
    c, ct = z - centre, zt - centre
    inverse = np.linalg.inv(c.T @ c + l * np.eye(5))
    w = inverse @ c.T @ (price - price.mean())
    noise = (((price - price.mean() - c @ w) ** 2).sum() + l * w @ w) / (N - 3)
    return {"Scored Label Mean": price.mean() + ct @ w,
            "Scored Label Standard Deviation": np.sqrt(noise * (1 + 1 / N + np.einsum("ij,jk,ik->i", ct, inverse, ct)))}


BAYES, WEIGHT = "Bayesian Linear Regression", "Regularization weight"
case(BAYES, "defaults", prices, bayes())
case(BAYES, "weight", prices, bayes(7), {WEIGHT: "7"})
case(BAYES, "unknown-levels-allowed", prices, bayes(), {UNKNOWN: "true"})
case(BAYES, "unknown-levels-missing", prices, bayes(), {UNKNOWN: "false"}, strict=True)
ranges(BAYES, prices, bayes(), WEIGHT, "1", "1e9")


# The Bayes point machine: expectation propagation, all rows at once.


def bayes_point(iterations=30, bias=True, at=zt):
    top = np.abs(x).max(0)
    c, ct = (z - centre, zt - centre) if bias else (x / top, test / top)
    ct = c if at is None else ct
    prior = np.eye(5)
    if bias:
        c, ct = np.column_stack([c, np.ones(N)]), np.column_stack([ct, np.ones(len(ct))])
        prior = np.diag([1, 1, 1, 1, 1, 0.01])
    tau, nu, mean = np.zeros(N), np.zeros(N), np.zeros(len(prior))
    for _ in range(iterations):
        cov = np.linalg.inv(prior + (c.T * tau) @ c)
        v = np.einsum("ij,jk,ik->i", c, cov, c)
        left = 1 / (1 / v - tau)
        m = left * (c @ mean / v - nu)
        a = sign * m / np.sqrt(1 + left)
        h = np.exp(norm.logpdf(a) - norm.logcdf(a))
        q = h * (a + h) / (1 + left)
        tau = q / (1 - left * q)
        nu = (sign * h / np.sqrt(1 + left) + m * q) / (1 - left * q)
        mean = np.linalg.solve(prior + (c.T * tau) @ c, c.T @ nu)
    return two(norm.cdf(ct @ mean))


BPM, ROUNDS = "Two-Class Bayes Point Machine", "Number of training iterations"
case(BPM, "defaults", two_class, bayes_point())
case(BPM, "iterations", two_class, bayes_point(2), {ROUNDS: "2"})
case(BPM, "bias", two_class, bayes_point(), {"Include bias": "true"})
case(BPM, "no-bias", two_class, bayes_point(30, False), {"Include bias": "false"})
case(BPM, "unknown-levels-allowed", two_class, bayes_point(), {UNKNOWN: "true"})
case(BPM, "unknown-levels-missing", two_class, bayes_point(), {UNKNOWN: "false"}, strict=True)
best = least_loss(bayes_point, {"iterations": 1}, {"iterations": 30})
ranges(BPM, two_class, bayes_point([1, 30][best]), ROUNDS, [1, 30][best], [30, 1][best])

# Many classes by two-class logistic regression.
BASE = {"Untrained binary classification model": {"module": "Two-Class Logistic Regression", "parameters": {L1: "0"}}}
p = np.column_stack([logistic(grade == k, 0).predict_proba(zt)[:, 1] for k in range(3)])
case("One-vs-All Multiclass", "logistic", LABELS["many"], many(p / p.sum(1, keepdims=True)), inputs=BASE)
# Every row with each of two thresholds: is its grade above?
extended = np.vstack([np.hstack([z, np.eye(2)[np.full(N, k)]]) for k in range(2)])
ranks = LogisticRegression(C=1, solver="newton-cholesky", tol=1e-13, max_iter=10_000).fit(extended, np.concatenate([grade > k for k in range(2)]))
above = np.column_stack([np.ones(4), *(ranks.predict_proba(np.hstack([zt, np.eye(2)[np.full(4, k)]]))[:, 1] for k in range(2)), np.zeros(4)])
case("Ordinal Regression", "logistic", LABELS["many"], many(-np.diff(above)), inputs=BASE)
for module in ["One-vs-All Multiclass", "Ordinal Regression"]:
    write(module, "no-two-class-learner", {"inputs": {"Untrained binary classification model": {"module": "Poisson Regression"}}, "error": "Error 0013"})
