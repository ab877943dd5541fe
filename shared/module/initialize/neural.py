# Goldens of neural networks, of the palette group Machine Learning / Initialize
# Model.
#
#   NumPy 2.4.6
#
# Gradient descent row by row is done here once more, in NumPy, from the same
# first weights and in the same orders, which Go's random numbers draw.
import json
import os
import shutil
import sys

import numpy as np

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "moduletest"))
from golden import MASK, PCG

SEED, UNKNOWN, MODE, RATE, ITERATIONS = "Random number seed", "Allow unknown categorical levels", "Create trainer mode", "Learning rate", "Number of learning iterations"
LAYERS, SCRIPT, NODES, DIAMETER = "Hidden layer specification", "Neural network definition", "Number of hidden nodes", "The initial learning weights diameter"
MOMENTUM, NORMALIZER, SHUFFLE = "The momentum", "The type of normalizer", "Shuffle examples"
MODULES = {2: "Two-Class Neural Network", 3: "Multiclass Neural Network", 0: "Neural Network Regression"}
CLASSES = {2: ["no", "yes"], 3: ["a", "b", "c"]}
APPLY = [(0.4, 3.1, "p"), (-1.3, 2.5, "r"), (0.1, 3.3, "q"), (0.9, 2.8, "never")]


def table(classes):
    rng = PCG(7, classes)
    rows = []
    for _ in range(45):
        number, other, level = round(3 * rng.float64() - 1.5, 2), round(2 + 2 * rng.float64(), 2), "pqr"[rng.intn(3)]
        v = number * number + other * (level == "q") - (level == "r") + 0.3 * rng.float64()
        y = round(10 * v, 1) if not classes else CLASSES[classes][min(classes - 1, int(max(0, v / (1.2 if classes == 2 else 1.0))))]
        rows.append((number, other, level, y))
    return rows


def text(rows, label=True):
    head = "number,other,level" + (",label" if label else "")
    return head + "\n" + "".join(",".join(str(c) for c in r) + "\n" for r in rows)


def features(rows):
    return np.array([[r[0], r[1], *(float(r[2] == level) for level in "pqr")] for r in rows])


def scaler(x, by):
    if by == "Do not normalize":
        return lambda v: v
    if by == "Gaussian normalizer":
        return lambda v: (v - x.mean(axis=0)) / x.std(axis=0)
    if by == "Min-Max normalizer":
        return lambda v: (v - x.min(axis=0)) / (x.max(axis=0) - x.min(axis=0))
    cuts = []
    for f in x.T:
        s = np.sort(f)
        c = np.unique([s[b * len(s) // 256] for b in range(1, 256)])
        cuts.append(c[c > s[0]])
    return lambda v: np.stack([np.searchsorted(c, f, side="right") / len(c) for c, f in zip(cuts, v.T)], axis=1)


SIGMOID = (lambda s: 1 / (1 + np.exp(-s)), lambda s, y: y * (1 - y))
TANH = (np.tanh, lambda s, y: 1 - y * y)
RECTIFY = (lambda s: np.maximum(0, s), lambda s, y: (s > 0) * 1.0)


def answers(classes, rows, seed=0, rate=None, iterations=100, diameter=0.1, momentum=0.0, normalizer="Min-Max normalizer", shuffle=True,
            hidden=((100, SIGMOID),), output="usual", query=APPLY, loss=False):
    rate = rate or (0.1 if classes else 0.005)
    x = features(rows)
    scale = scaler(x, normalizer)
    z, q = scale(x), scale(features(query))
    y = np.array([CLASSES[classes].index(r[3]) for r in rows]) if classes else np.array([r[3] for r in rows], float)
    mean, deviation = (y.mean(), y.std()) if not classes else (0, 1)
    outputs = 1 if classes in (0, 2) and output != "softmax" else classes
    rng = PCG(seed, MASK)
    layers, inputs = [], z.shape[1]
    for n, _ in [*hidden, (outputs, None)]:
        draws = np.array([diameter * (rng.float64() - 0.5) for _ in range((inputs + 1) * n)])
        layers.append([draws[:n].copy(), draws[n:].reshape(inputs, n).copy()])
        inputs = n
    moves = [[np.zeros_like(b), np.zeros_like(w)] for b, w in layers]

    def forward(v):
        nodes, sums = [v], []
        for i, (b, w) in enumerate(layers):
            sums.append(b + nodes[-1] @ w)
            nodes.append(hidden[i][1][0](sums[-1]) if i < len(hidden) else sums[-1])
        return nodes, sums

    def probabilities(s):
        if outputs == 1 or output == "sigmoid":
            return 1 / (1 + np.exp(-s))
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    order = list(range(len(rows)))
    for epoch in range(iterations):
        order = PCG(seed, epoch).perm(len(rows)) if shuffle else order
        for r in order:
            nodes, sums = forward(z[r])
            if not classes:
                slope = nodes[-1] - (y[r] - mean) / deviation
            elif outputs == 1:
                slope = probabilities(nodes[-1]) - y[r]
            else:
                slope = probabilities(nodes[-1]) - np.eye(classes)[y[r]]
            for i in range(len(layers) - 1, -1, -1):
                b, w = layers[i]
                below = w @ slope
                for m, g in zip(moves[i], (slope, np.outer(nodes[i], slope))):
                    m *= momentum
                    m -= rate * g
                b += moves[i][0]
                w += moves[i][1]
                if i:
                    slope = below * hidden[i - 1][1][1](sums[i - 1], nodes[i])
    s = forward(q)[0][-1]
    if not classes:
        return s[:, 0] * deviation + mean
    p = probabilities(s)
    return np.hstack([1 - p, p]) if outputs == 1 else p


def write(module, name, doc):
    folder = os.path.join(here, "testdata", "golden", module.lower().replace(" ", "-"))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump({"module": module} | doc, f, indent=1, ensure_ascii=False)
        f.write("\n")


def case(classes, name, params, trainer=None, strict=False, **options):
    rows = table(classes)
    p = answers(classes, rows, **options)
    if not classes:
        columns, cells = ["Scored Labels"], [[repr(float(v))] for v in p]
    elif classes == 2:
        columns, cells = ["Scored Labels", "Scored Probabilities"], [["yes" if v[1] >= 0.5 else "no", repr(float(v[1]))] for v in p]
    else:
        columns = ['"Scored Probabilities for Class ""%s"""' % c for c in CLASSES[3]] + ["Scored Labels"]
        cells = [[*(repr(float(u)) for u in v), CLASSES[3][int(np.argmax(v))]] for v in p]
    if strict:
        cells[3] = [""] * len(columns)
    head, *lines = text(APPLY, False).strip().split("\n")
    gives = head + "," + ",".join(columns) + "\n" + "".join(",".join([line, *c]) + "\n" for line, c in zip(lines, cells))
    trainer = trainer or {"module": "Train Model", "parameters": {"Label column": "label"}, "inputs": {"Dataset": text(rows)}}
    write(MODULES[classes], name, {
        "parameters": {k: str(v) for k, v in params.items()},
        "outputs": {"Untrained model": {"train": trainer, "apply": text(APPLY, False), "gives": gives}}, "tolerance": 1e-6,
    })


for classes, module in MODULES.items():
    shutil.rmtree(os.path.join(here, "testdata", "golden", module.lower().replace(" ", "-")), ignore_errors=True)
    # A few nodes that have room to learn, so that every parameter shows.
    base, small = {NODES: "6", DIAMETER: "2", ITERATIONS: "20"}, dict(hidden=((6, SIGMOID),), diameter=2.0, iterations=20)
    case(classes, "defaults", {})
    case(classes, "nodes", {**base, NODES: "5,3"}, **small | dict(hidden=((5, SIGMOID), (3, SIGMOID))))
    case(classes, "connected", {**base, LAYERS: "Fully-connected case"}, **small)
    case(classes, "rate", {**base, RATE: "0.03"}, **small | dict(rate=0.03))
    case(classes, "iterations", {**base, ITERATIONS: "7"}, **small | dict(iterations=7))
    case(classes, "diameter", {**base, DIAMETER: "1"}, **small | dict(diameter=1.0))
    case(classes, "momentum", {**base, MOMENTUM: "0.6"}, **small | dict(momentum=0.6))
    for n in ("Min-Max normalizer", "Binning normalizer", "Gaussian normalizer", "Do not normalize"):
        case(classes, n.lower().replace(" ", "-"), {**base, NORMALIZER: n}, **small | dict(normalizer=n))
    for value in (True, False):
        case(classes, "shuffle-" + str(value).lower(), {**base, SHUFFLE: str(value).lower()}, **small | dict(shuffle=value))
    case(classes, "seed", {**base, SEED: "9"}, **small | dict(seed=9))
    case(classes, "unknown-levels-allowed", {**base, UNKNOWN: "true"}, **small)
    case(classes, "unknown-levels-missing", {**base, UNKNOWN: "false"}, strict=True, **small)
    custom = {DIAMETER: "2", ITERATIONS: "20", LAYERS: "Custom definition script"}
    script = "// two layers\ninput Data [5];\nhidden First [4] tanh from Data all;\nhidden Second [3] rlinear from First all;\noutput Result auto from Second all;"
    case(classes, "script", {**custom, SCRIPT: script}, **small | dict(hidden=((4, TANH), (3, RECTIFY))))
    if classes:
        script = "input Data auto;\nhidden H [4] from Data all;\noutput Result [%d] %s from H all;" % (classes, "softmax" if classes == 2 else "sigmoid")
        case(classes, "script-output", {**custom, SCRIPT: script}, **small | dict(hidden=((4, SIGMOID),), output="softmax" if classes == 2 else "sigmoid"))
    data = text(table(classes))
    case(classes, "parameter-range", {**base, MODE: "Parameter Range", RATE: "1e-09;0.05"}, trainer={
        "module": "Tune Model Hyperparameters",
        "parameters": {"Label column": "label", "Specify parameter sweeping mode": "Entire grid",
                       "Metric for measuring performance for classification": "Average Log Loss",
                       "Metric for measuring performance for regression": "Root of mean squared error"},
        "inputs": {"Training dataset": data, "Optional validation dataset": data}}, **small | dict(rate=0.05))
    write(module, "single-parameter", {"parameters": {MODE: "Single Parameter", RATE: "1;2"}, "error": "Error 0002"})
    write(module, "no-script", {"parameters": {LAYERS: "Custom definition script"}, "error": "Error 0003"})
    write(module, "convolution", {"parameters": {LAYERS: "Custom definition script", SCRIPT: "input D [9];\nhidden H [4] from D convolve { InputShape = [9]; }"},
                                  "error": "line 2 of the network definition: convolutional connections"})
    write(module, "no-nodes", {"parameters": {NODES: "0"}, "error": "Error 0002"})
