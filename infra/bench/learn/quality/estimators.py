"""References that no library has with a learner's own parameters; scikit-learn does the work where it can.

Names of table.json: estimators.<class>.
"""
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge, SGDClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC


class Wrapped(BaseEstimator):
    """Fits another estimator, made by make(number of rows), and answers as it does."""

    def fit(self, x, y):
        self.model_ = self.make(len(y)).fit(x, y)
        return self

    def predict(self, x):
        return self.model_.predict(x)


class WrappedClassifier(ClassifierMixin, Wrapped):
    def predict_proba(self, x):
        return self.model_.predict_proba(x)

    @property
    def classes_(self):
        return self.model_.classes_


def platt(scores, random_state):
    """Platt's sigmoid of an estimator's scores, on the rows held out of five folds."""
    return CalibratedClassifierCV(scores, method="sigmoid", cv=StratifiedKFold(5, shuffle=True, random_state=random_state), ensemble=False)


class AveragedPerceptron(WrappedClassifier):
    """Steps down the hinge loss, bounded by the rate, averaged over all; Platt's sigmoid."""

    def __init__(self, rate=1.0, iterations=10, random_state=0):
        self.rate, self.iterations, self.random_state = rate, iterations, random_state

    def make(self, rows):
        steps = SGDClassifier(loss="hinge", penalty=None, learning_rate="pa1", eta0=self.rate, average=True, max_iter=self.iterations, tol=None, random_state=self.random_state)
        return platt(steps, self.random_state)


class Margin(ClassifierMixin, Wrapped):
    """LinearSVC, whose loss is a sum over rows, with the weight of a penalty on a mean."""

    def __init__(self, penalty=0.001):
        self.penalty = penalty

    def make(self, rows):
        return LinearSVC(C=1 / (2 * rows * self.penalty), dual=False, intercept_scaling=100, tol=1e-6, max_iter=10000)

    def decision_function(self, x):
        return self.model_.decision_function(x)

    @property
    def classes_(self):
        return self.model_.classes_


class SupportVectors(WrappedClassifier):
    """The least of lambda/2 w² + the mean of half the squared hinge loss; Platt's sigmoid."""

    def __init__(self, penalty=0.001, random_state=0):
        self.penalty, self.random_state = penalty, random_state

    def make(self, rows):
        return platt(Margin(self.penalty), self.random_state)


class OneVsRest(WrappedClassifier):
    """A logistic regression for each class against all others, their probabilities divided by their sum."""

    def __init__(self, C=1.0, l1_ratio=0.0, solver="saga", max_iter=100, random_state=0):
        self.C, self.l1_ratio, self.solver, self.max_iter, self.random_state = C, l1_ratio, solver, max_iter, random_state

    def make(self, rows):
        return OneVsRestClassifier(LogisticRegression(**self.get_params()))


class Poisson(RegressorMixin, Wrapped):
    """PoissonRegressor, whose loss is a mean over rows, with the weight of a penalty on a sum."""

    def __init__(self, l2=1.0):
        self.l2 = l2

    def make(self, rows):
        return PoissonRegressor(alpha=self.l2 / rows, solver="newton-cholesky", max_iter=1000, tol=1e-6)


class MeanRidge(RegressorMixin, Wrapped):
    """Ridge, whose loss is a sum over rows, with the weight of a penalty on a mean."""

    def __init__(self, l2=0.001):
        self.l2 = l2

    def make(self, rows):
        return Ridge(alpha=self.l2 * rows)


class Extended(ClassifierMixin, BaseEstimator):
    """One logistic regression of whether a row is above a class, of every row with every class but the last (Li and Lin 2006)."""

    def __init__(self, C=1.0, l1_ratio=0.0, solver="saga", max_iter=100, random_state=0):
        self.C, self.l1_ratio, self.solver, self.max_iter, self.random_state = C, l1_ratio, solver, max_iter, random_state

    def with_threshold(self, x, k):
        return np.hstack([x, np.eye(len(self.classes_) - 1)[np.full(len(x), k)]])

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        thresholds = range(len(self.classes_) - 1)
        rows = np.vstack([self.with_threshold(x, k) for k in thresholds])
        self.model_ = LogisticRegression(**self.get_params()).fit(rows, np.concatenate([y > self.classes_[k] for k in thresholds]))
        return self

    def predict_proba(self, x):
        above = [self.model_.predict_proba(self.with_threshold(x, k))[:, 1] for k in range(len(self.classes_) - 1)]
        return -np.diff(np.column_stack([np.ones(len(x)), *above, np.zeros(len(x))]), axis=1)

    def predict(self, x):
        return self.classes_[self.predict_proba(x).argmax(1)]


class CumulativeLogistic(ClassifierMixin, BaseEstimator):
    """Proportional odds (McCullagh 1980): P(y <= k) = 1/(1+e^-(t_k - w·x)), with l2/2 w² on their log loss."""

    def __init__(self, l2=1.0):
        self.l2 = l2

    def fit(self, x, y):
        self.classes_, codes = np.unique(y, return_inverse=True)
        k, n = len(self.classes_), x.shape[1]
        rows = np.arange(len(x))

        def thresholds(v):
            return np.cumsum(np.concatenate([v[n:n + 1], np.exp(v[n + 1:])]))

        def loss(v):
            w, t = v[:n], thresholds(v)
            s = x @ w
            below = np.column_stack([np.zeros(len(x)), expit(t - s[:, None]), np.ones(len(x))])
            slope = below * (1 - below)
            p = np.maximum(below[rows, codes + 1] - below[rows, codes], 1e-300)
            by_t = np.zeros((len(x), k + 1))
            by_t[rows, codes + 1] = slope[rows, codes + 1] / p
            by_t[rows, codes] -= slope[rows, codes] / p
            by_t = -by_t[:, 1:k]
            after = np.cumsum(by_t.sum(0)[::-1])[::-1]  # a gap moves all thresholds above it
            g = np.concatenate([-x.T @ by_t.sum(1) + self.l2 * w, after[:1], after[1:] * np.exp(v[n + 1:])])
            return -np.log(p).sum() + self.l2 / 2 * w @ w, g

        start = np.concatenate([np.zeros(n), [-1.0], np.zeros(k - 2)])
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "maxfun": 10000, "ftol": 1e-13, "gtol": 1e-6})
        self.w_, self.t_ = found.x[:n], thresholds(found.x)
        return self

    def predict_proba(self, x):
        below = expit(self.t_ - (x @ self.w_)[:, None])
        return np.diff(np.column_stack([np.zeros(len(x)), below, np.ones(len(x))]), axis=1)

    def predict(self, x):
        return self.classes_[self.predict_proba(x).argmax(1)]


class QuantileForest(RegressorMixin, BaseEstimator):
    """Quantile regression forest (Meinshausen 2006) on the trees of RandomForestRegressor."""

    def __init__(self, quantiles=(0.25, 0.5, 0.75), n_estimators=100, max_leaf_nodes=20, min_samples_leaf=10, max_samples=0.7, max_features=0.49):
        self.quantiles, self.n_estimators, self.max_leaf_nodes = quantiles, n_estimators, max_leaf_nodes
        self.min_samples_leaf, self.max_samples, self.max_features = min_samples_leaf, max_samples, max_features

    def fit(self, x, y):
        parameters = self.get_params()
        del parameters["quantiles"]
        self.forest_ = RandomForestRegressor(random_state=0, n_jobs=1, **parameters).fit(x, y)
        order = np.argsort(y)
        self.y_, self.leaves_ = np.asarray(y)[order], self.forest_.apply(x)[order]
        self.sizes_ = [np.bincount(leaves) for leaves in self.leaves_.T]
        return self

    def predict(self, x):
        weight = np.zeros((len(x), len(self.y_)))
        for t, leaves in enumerate(self.forest_.apply(x).T):
            weight += (leaves[:, None] == self.leaves_[None, :, t]) / self.sizes_[t][leaves][:, None]
        share = np.cumsum(weight, axis=1) / weight.sum(1, keepdims=True)
        return np.column_stack([self.y_[np.minimum((share < q - 1e-12).sum(1), len(self.y_) - 1)] for q in self.quantiles])


class Subspace(BaseEstimator):
    """The share of a row's length that its projection on the exact principal components leaves."""

    def __init__(self, components=2):
        self.components = components

    def fit(self, x, y=None):
        self.axes_ = np.linalg.svd(x, full_matrices=False)[2][:self.components]
        return self

    def score_samples(self, x):
        rest = x - x @ self.axes_.T @ self.axes_
        return -np.linalg.norm(rest, axis=1) / np.linalg.norm(x, axis=1)
