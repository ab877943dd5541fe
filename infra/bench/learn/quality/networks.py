"""scikit-learn's networks, with the Studio's first weights, row by row.

Names of table.json: networks.<class>. Order of rows, steps and answers are MLPClassifier's and MLPRegressor's; first
weights are drawn from the Studio's range, for which they have no parameter. The passes are compiled, a hundred times
faster than batches of one row: python networks.py compares the weights that both end with. Needs numba 0.68.1.
"""
import numba
import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import shuffle

LINEAR, LOGISTIC, SOFTMAX = range(3)
DIAMETER = 0.1


@numba.njit
def steps(x, y, order, rate, output, w, b, v, c):
    """Moves hidden weights w and b and output weights v and c down the loss of each row."""
    nodes, delta = np.empty(b.size), np.empty(b.size)
    for r in order:
        for j in range(b.size):
            nodes[j] = b[j]
        for i in range(w.shape[0]):
            for j in range(b.size):
                nodes[j] += x[r, i] * w[i, j]
        for j in range(b.size):
            nodes[j] = 1 / (1 + np.exp(-nodes[j]))
        out = c.copy()
        for j in range(b.size):
            for k in range(c.size):
                out[k] += nodes[j] * v[j, k]
        if output == LOGISTIC:
            out = 1 / (1 + np.exp(-out))
        if output == SOFTMAX:
            out = np.exp(out - out.max())
            out /= out.sum()
        out -= y[r]
        for j in range(b.size):
            delta[j] = 0
            for k in range(c.size):
                delta[j] += out[k] * v[j, k]
                v[j, k] -= rate * out[k] * nodes[j]
            delta[j] *= nodes[j] * (1 - nodes[j])
        c -= rate * out
        b -= rate * delta
        for i in range(w.shape[0]):
            for j in range(b.size):
                w[i, j] -= rate * delta[j] * x[r, i]


class FirstWeights:
    def _init_coef(self, fan_in, fan_out, dtype):
        draw = self._random_state.uniform
        return draw(-DIAMETER / 2, DIAMETER / 2, (fan_in, fan_out)).astype(dtype), draw(-DIAMETER / 2, DIAMETER / 2, fan_out).astype(dtype)


class RowByRow(FirstWeights):
    def _fit_stochastic(self, X, y, *_):
        assert self.batch_size == 1 and self.solver == "sgd" and self.momentum == 0 and self.alpha == 0 and self.activation == "logistic" and len(self.coefs_) == 2
        output = {"identity": LINEAR, "logistic": LOGISTIC, "softmax": SOFTMAX}[self.out_activation_]
        order = np.arange(len(X))
        for self.n_iter_ in range(1, self.max_iter + 1):
            order = shuffle(order, random_state=self._random_state)
            steps(np.ascontiguousarray(X), y.astype(float), order, self.learning_rate_init, output, self.coefs_[0], self.intercepts_[0], self.coefs_[1], self.intercepts_[1])


class Classifier(RowByRow, MLPClassifier):
    """MLPClassifier of one hidden layer of sigmoids, and batches of one row."""


class Regressor(RowByRow, MLPRegressor):
    """MLPRegressor of one hidden layer of sigmoids, and batches of one row."""


def compare():
    rng = np.random.default_rng(0)
    x = rng.random((60, 5))
    labels = {Classifier: [rng.integers(0, 2, 60), rng.integers(0, 3, 60)], Regressor: [rng.normal(size=60)]}
    for ours, of in labels.items():
        for y in of:
            parameters = {
                "hidden_layer_sizes": [20], "activation": "logistic", "solver": "sgd", "alpha": 0, "batch_size": 1, "momentum": 0,
                "nesterovs_momentum": False, "max_iter": 30, "tol": 0, "n_iter_no_change": 1000, "random_state": 3, "learning_rate_init": 0.1,
            }
            theirs = type("Batches", (FirstWeights, ours.__bases__[1]), {})
            a, b = ours(**parameters).fit(x, y), theirs(**parameters).fit(x, y)
            print(ours.__name__, b.out_activation_, max(np.abs(p - q).max() for p, q in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_)))


if __name__ == "__main__":
    compare()
