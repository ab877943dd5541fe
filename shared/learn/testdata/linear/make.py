"""What the linear learners are held to. Run in this folder; libraries:
scikit-learn 1.9.1, pandas 3.1.1, numpy, scipy.

penguins.csv and sacramento.csv are of the R package modeldata 1.1.0 (MIT licence);
breast_cancer.csv, wine.csv and diabetes.csv are written here, of scikit-learn's data
sets (the first two of the UCI repository, CC BY 4.0); the churn customers are the
sample's. Every case has the reference's weights of the features as they are, and
its predictions for the first rows of the same table.
"""

import json
import warnings

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.calibration import _SigmoidCalibration
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge

warnings.filterwarnings("ignore", category=FutureWarning)
SHOWN = 40
CHURN = "../../../../infra/samples/churn/customers_train.csv"


def export(name, bunch, label):
    frame = pd.DataFrame(bunch.data, columns=[n.replace(" ", "_").replace("/", "_") for n in bunch.feature_names])
    frame["label"] = label
    frame.to_csv(name, index=False, lineterminator="\n")


cancer, wine, diabetes = load_breast_cancer(), load_wine(), load_diabetes(scaled=False)
export("breast_cancer.csv", cancer, np.array(cancer.target_names)[cancer.target])
export("wine.csv", wine, np.array(["a", "b", "c"])[wine.target])
export("diabetes.csv", diabetes, diabetes.target)


class Table:
    """A table as the learners read it: complete rows, indicators of text."""

    def __init__(self, path, label, drop=()):
        self.path, self.label, self.drop = path, label, list(drop)
        frame = pd.read_csv(path).drop(columns=self.drop).dropna().reset_index(drop=True)
        self.y, parts, self.names = frame[label], [], []
        for c in frame.columns:
            if c == label:
                continue
            if pd.api.types.is_numeric_dtype(frame[c]):
                parts.append(frame[c].to_numpy(float)[:, None])
                self.names.append(c)
            else:
                for level in sorted(frame[c].unique()):
                    parts.append((frame[c] == level).to_numpy(float)[:, None])
                    self.names.append(f"{c}-{level}")
        self.x = np.hstack(parts)
        self.low, span = self.x.min(0), self.x.max(0) - self.x.min(0)
        self.span = np.where(span > 0, span, 1)
        self.z = (self.x - self.low) / self.span

    def raw(self, coef, intercept):
        """Weights of scaled features as weights of the features."""
        coef = np.atleast_2d(coef) / self.span
        return coef, np.atleast_1d(intercept) - coef @ self.low


cases = []


def case(name, learner, table, options, predictions, weights=None):
    c = {"name": name, "learner": learner, "table": table.path, "label": table.label, "drop": table.drop, "options": options,
         "predictions": np.asarray(predictions)[:SHOWN].tolist()}
    if weights is not None:
        coef, intercept = weights
        c["features"], c["weights"], c["bases"] = table.names, np.atleast_2d(coef).tolist(), np.atleast_1d(intercept).tolist()
    cases.append(c)


def logistic(l1, l2):
    if l1 == 0:
        return LogisticRegression(C=1 / l2, solver="newton-cholesky", tol=1e-13, max_iter=10_000)
    c = 1 / (l1 + l2)
    return LogisticRegression(C=c, l1_ratio=l1 / (l1 + l2), penalty="elasticnet", solver="saga", tol=1e-11, max_iter=1_000_000, random_state=0)


churn = Table(CHURN, "churn", ["customer_id"])
two = Table("breast_cancer.csv", "label")
three = Table("penguins.csv", "species")
wines = Table("wine.csv", "label")
houses = Table("sacramento.csv", "price", ["zip"])
sugar = Table("diabetes.csv", "label")
calls = Table(CHURN, "number_customer_service_calls", ["customer_id"])

for l1, l2 in [(0, 1), (1, 1), (3, 0.5)]:
    for name, t in [("churn", churn), ("breast-cancer", two)]:
        m = logistic(l1, l2).fit(t.z, t.y)
        positive = list(m.classes_).index("yes" if name == "churn" else "malignant")
        case(f"{name} L1 {l1} L2 {l2}", "logistic", t, {"L1": l1, "L2": l2}, m.predict_proba(t.z)[:, positive], t.raw(m.coef_, m.intercept_))
    for name, t in [("penguins", three), ("wine", wines)]:
        m = logistic(l1, l2).fit(t.z, t.y)
        case(f"{name} L1 {l1} L2 {l2}", "multinomial", t, {"L1": l1, "L2": l2}, m.predict_proba(t.z), t.raw(m.coef_, m.intercept_))

for l2 in [1, 0.01]:
    m = PoissonRegressor(alpha=l2 / len(calls.y), solver="newton-cholesky", tol=1e-12, max_iter=10_000).fit(calls.z, calls.y)
    case(f"calls L2 {l2}", "poisson", calls, {"L1": 0, "L2": l2}, m.predict(calls.z), calls.raw(m.coef_, m.intercept_))

# With L1, by the positive and the negative part of each weight.
for l1, l2 in [(1, 1), (20, 0.5)]:
    n, y = calls.z.shape[1], calls.y.to_numpy(float)

    def loss(v):
        w = v[:n] - v[n:2 * n]
        s = calls.z @ w + v[-1]
        d = np.exp(s) - y
        g = calls.z.T @ d + l2 * w
        return np.sum(np.exp(s) - y * s) + l1 * v[:-1].sum() + l2 / 2 * w @ w, np.concatenate([g + l1, l1 - g, [d.sum()]])

    r = minimize(loss, np.zeros(2 * n + 1), jac=True, method="L-BFGS-B", bounds=[(0, None)] * (2 * n) + [(None, None)], options={"maxiter": 100_000, "maxfun": 200_000, "ftol": 1e-16, "gtol": 1e-9})
    w = r.x[:n] - r.x[n:2 * n]
    case(f"calls L1 {l1} L2 {l2}", "poisson", calls, {"L1": l1, "L2": l2}, np.exp(calls.z @ w + r.x[-1]), calls.raw(w, r.x[-1]))

for name, t in [("sacramento", houses), ("diabetes", sugar)]:
    for l2, intercept in [(0.001, True), (0, True), (50, True), (0.001, False)]:
        m = (Ridge(alpha=l2, fit_intercept=intercept, solver="svd") if l2 else LinearRegression(fit_intercept=intercept)).fit(t.x, t.y)
        case(f"{name} L2 {l2} intercept {intercept}", "squares", t, {"L2": l2, "Intercept": intercept}, m.predict(t.x), (m.coef_, m.intercept_))

# The posterior of Bayesian linear regression, in closed form.
for name, t in [("sacramento", houses), ("diabetes", sugar)]:
    for l in [1.0, 0.05]:
        n, z = len(t.y), t.z - t.z.mean(0)
        factor = cho_factor(z.T @ z + l * np.eye(z.shape[1]))
        y = t.y.to_numpy(float)
        w = cho_solve(factor, z.T @ (y - y.mean()))
        noise = (np.sum((y - y.mean() - z @ w) ** 2) + l * w @ w) / (n - 3)
        var = noise * (1 + 1 / n + np.einsum("ij,ji->i", z, cho_solve(factor, z.T)))
        case(f"{name} regularization {l}", "bayes", t, {"L2": l}, np.column_stack([y.mean() + z @ w, np.sqrt(var)]))



def above(t, thresholds):
    """Every row with every threshold, row by row, and whether its class is above."""
    classes = np.searchsorted(sorted(t.y.unique()), t.y)
    eye = np.eye(thresholds)
    z = np.vstack([np.append(row, eye[k]) for row in t.z for k in range(thresholds)])
    return z, (classes[:, None] > np.arange(thresholds)).ravel()


# Many classes by two-class logistic regression: a class against the others, and
# Li and Lin's extended rows.
for name, t in [("penguins", three), ("wine", wines)]:
    classes = sorted(t.y.unique())
    p = np.column_stack([logistic(0, 1).fit(t.z, t.y == c).predict_proba(t.z)[:, 1] for c in classes])
    case(name, "one-vs-all", t, {"L1": 0, "L2": 1}, p / p.sum(1, keepdims=True))
    z, is_above = above(t, len(classes) - 1)
    p = logistic(0, 1).fit(z, is_above).predict_proba(z)[:, 1].reshape(len(t.y), -1)
    ends = np.ones((len(t.y), 1)), np.zeros((len(t.y), 1))
    case(name, "ordinal", t, {"L1": 0, "L2": 1}, -np.diff(np.hstack([ends[0], p, ends[1]])))

# The best of the SVM's objective.
for lam in [0.001, 0.1]:
    y = np.where(two.y == "malignant", 1.0, -1.0)

    def objective(v):
        short = np.maximum(0, 1 - y * (two.z @ v[:-1] + v[-1]))
        gradient = np.append(lam * v[:-1] - two.z.T @ (y * short) / len(y), -np.mean(y * short))
        return lam / 2 * v[:-1] @ v[:-1] + np.mean(short**2) / 2, gradient

    r = minimize(objective, np.zeros(two.z.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 100_000, "ftol": 1e-15, "gtol": 1e-10})
    case(f"breast-cancer lambda {lam}", "svm", two, {"Lambda": lam}, [r.fun])


def propagate(t, y, bias=100.0, weight=1.0, sweeps=200):
    """Expectation propagation one row after the other, in the space of the
    scores: Rasmussen and Williams 2006, algorithm 3.5. Returns the posterior
    mean of the scores."""
    z = t.z - t.z.mean(0)
    k = weight * z @ z.T + bias
    n = len(y)
    nu, tau, sigma, mu = np.zeros(n), np.zeros(n), k.copy(), np.zeros(n)
    for _ in range(sweeps):
        before = mu
        for i in range(n):
            t0, n0 = 1 / sigma[i, i] - tau[i], mu[i] / sigma[i, i] - nu[i]
            m, v = n0 / t0, 1 / t0
            a = y[i] * m / np.sqrt(1 + v)
            h = np.exp(norm.logpdf(a) - norm.logcdf(a))
            mean, var = m + y[i] * v * h / np.sqrt(1 + v), v - v * v * h / (1 + v) * (a + h)
            change = 1 / var - t0 - tau[i]
            tau[i] += change
            nu[i] = mean / var - n0
            s = sigma[:, i].copy()
            sigma -= np.outer(s, s) * (change / (1 + change * s[i]))
            mu = sigma @ nu
        root = np.sqrt(tau)
        factor = cho_factor(np.eye(n) + root[:, None] * k * root, lower=True)
        sigma = k - (k * root) @ cho_solve(factor, root[:, None] * k)
        mu = sigma @ nu
        if np.abs(mu - before).max() < 1e-9:
            break
    return mu


y = np.where(two.y == "malignant", 1.0, -1.0)
case("breast-cancer", "bayes-point", two, {}, norm.cdf(propagate(two, y)))

# Platt's sigmoid of a score.
s = two.x[:, 0] * 3 - 40
sigmoid = _SigmoidCalibration().fit(s, (two.y == "malignant").astype(int))
case("mean radius", "platt", two, {"Slope": 3, "Offset": -40}, sigmoid.predict(s))

with open("goldens.json", "w") as f:
    json.dump(cases, f, separators=(",", ":"))
    f.write("\n")
