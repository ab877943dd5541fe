# Goldens of the palette group Data Transformation / Learning with Counts.
#
#   scikit-learn 1.9.1 hashes (MurmurHash3), numpy 2.4.6 takes the logarithms.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "moduletest"))
from golden import Cases

write = Cases(__file__)


def case(module, name, inputs=None, outputs=None, params=None, **more):
    write(module, name, params, inputs, outputs, **more)


import json
import math

from golden import PCG
from sklearn.utils import murmurhash3_32

B, E, I, G, M = "Build Counting Transform", "Export Count Table", "Import Count Table", "Merge Count Transform", "Modify Count Table Parameters"
T = "Counting transform"


def rows(pairs):
    """Rows of (city, device, label), each so many times."""
    return [r for r, n in pairs for _ in range(n)]


train = rows([(("Oslo", "tv", "yes"), 9), (("Oslo", "pc", "no"), 6), (("Rom", "tv", "no"), 12), (("Rom", "", "yes"), 1), (("Bonn", "pc", "yes"), 4), (("Lyon", "pc", "no"), 3),
              (("", "tv", "yes"), 2), (("Rom", "tv", ""), 5)])
more = rows([(("Oslo", "tv", "no"), 3), (("Wien", "pc", "yes"), 11)])
probe = [("Oslo", "tv"), ("Rom", "pc"), ("Bonn", ""), ("", "tv"), ("Wien", "car")]


def csv(names, table):
    return ",".join(names) + "\n" + "".join(",".join(r) + "\n" for r in table)


def data(table):
    return {"Dataset": csv(["city", "device", "left"], table)}


class Counter:
    def __init__(self, table, columns, label=2, bits=20, seed=1, depth=1, classes=None):
        self.columns, self.bits, self.seed, self.depth = columns, bits, seed, depth
        self.classes = classes or sorted({r[label] for r in table if r[label]})
        self.tables = {c: [{} for _ in range(depth)] for c in columns}
        for r in table:
            for c in columns:
                if r[label] and r[c]:
                    for d in range(depth):
                        row = self.tables[c][d].setdefault(self.key(r[c], d), [0.0] * len(self.classes))
                        row[self.classes.index(r[label])] += 1

    def key(self, text, d):
        return murmurhash3_32(text.encode(), self.seed + d, positive=True) & (2**self.bits - 1)

    def features(self, row, prior, m, name, key, noise, noiseseed):
        row = list(row)
        if noise:
            rng = PCG(murmurhash3_32(name.encode(), noiseseed, positive=True) << 32 | key, noiseseed)
            for i in range(len(row)):
                u = rng.float64() - 0.5
                row[i] = max(0.0, row[i] - math.copysign(noise, u) * math.log(1 - 2 * abs(u)))
        odds = [math.log((v + m * p + 1e-6) / (sum(row) - v + m * (1 - p) + 1e-6)) for v, p in zip(row, prior)]
        return row, odds

    def apply(self, names, garbage=10, m=42, output="BothCountsAndLogOdds", backoff=True, noise=0.0, noiseseed=0):
        out = {"city": [p[0] for p in probe], "device": [p[1] for p in probe]}
        for c in self.columns:
            first = self.tables[c][0]
            total = [sum(r[i] for r in first.values()) for i in range(len(self.classes))]
            prior = [t / sum(total) for t in total]
            rare = [sum(r[i] for r in first.values() if sum(r) < garbage) for i in range(len(self.classes))]
            got = []
            for p in probe:
                best, least, used = (rare, 2**32 - 1), math.inf, True
                if p[c]:
                    for d in range(self.depth):
                        k = self.key(p[c], d)
                        row = self.tables[c][d].get(k, [0.0])
                        if sum(row) < least:
                            least = sum(row)
                            best, used = ((row, k), False) if sum(row) >= garbage and len(row) > 1 else ((rare, 2**32 - 1), True)
                got.append(self.features(best[0], prior, m, names[c], best[1], noise, noiseseed) + (used,))
            if output != "LogOddsOnly":
                for i, v in enumerate(self.classes):
                    out["%s Count of %s" % (names[c], v)] = [repr(g[0][i]) for g in got]
            if output != "CountsOnly":
                for i in range(1 if len(self.classes) == 2 else 0, len(self.classes)):
                    out["%s Log Odds of %s" % (names[c], self.classes[i])] = [repr(g[1][i]) for g in got]
            if backoff:
                out["%s IsBackOff" % names[c]] = [str(g[2]) for g in got]
        return csv(list(out), zip(*out.values()))


names = ["city", "device", "left"]
one = {"Label column": "left", "Select columns to count": "city"}
two = {"Label column": "left", "Select columns to count": "city,device"}
inprobe = csv(["city", "device"], probe)


def gives(text):
    return {"apply": inprobe, "gives": text}


def build(name, params, counter, table=train, **options):
    case(B, name, data(table), {T: gives(counter.apply(names, **options))}, params, tolerance=1e-12)


build("one", one, Counter(train, [0]))
build("two", two, Counter(train, [0, 1]))
build("named", {**two, "Count table type": "Dictionary"}, Counter(train, [0, 1]))
many = [("c%d" % k, "tv", "yes" if k % 3 else "no") for k in range(3000)] + train
case(B, "dictionary-collides", data(many), {T: gives(Counter(many, [0], bits=12).apply(names))}, {**one, "The bits of hash function": "12", "Count table type": "Dictionary"}, tolerance=1e-12)
case(B, "sketch", data(many), {T: gives(Counter(many, [0], bits=12, depth=4).apply(names))}, {**one, "The bits of hash function": "12", "Count table type": "CMSketch"}, tolerance=1e-12)
case(B, "seed", data(many), {T: gives(Counter(many, [0], bits=12, seed=7).apply(names))}, {**one, "The bits of hash function": "12", "The seed of hash function": "7"}, tolerance=1e-12)
three = [(a, b, "1" if c == "no" else "2" if b == "tv" else "10") for a, b, c in train if c]
case(B, "three-classes", data(three), {T: gives(Counter(three, [0], classes=["1", "2", "10"]).apply(names))}, {**one, "Number of classes": "3"}, tolerance=1e-12,
     why="classes that are numbers are in their order, and each has its odds")
case(B, "too-many-classes", data(three), params=one, error='Error 0008: label column "left" has 3 classes')
case(B, "no-label", {"Dataset": "city,left\nOslo,\n"}, params=one, error="Error 0134")
case(B, "label-is-counted", data(train), params={"Label column": "left", "Select columns to count": "left"}, error="Error 0020")
case(B, "two-labels", data(train), params={"Label column": "left,city", "Select columns to count": "device"}, error="Error 0022")

learned = {"module": B, "parameters": two, "inputs": data(train)}
c = Counter(train, [0, 1])
for name, params, options in [
    ("default", {}, {}), ("garbage", {"Garbage bin threshold": 4}, {"garbage": 4}), ("no-garbage", {"Garbage bin threshold": 0}, {"garbage": 0}),
    ("prior", {"Additional prior pseudo examples": 0}, {"m": 0}), ("counts", {"Output features include": "CountsOnly"}, {"output": "CountsOnly"}),
    ("odds", {"Output features include": "LogOddsOnly"}, {"output": "LogOddsOnly"}), ("both", {"Output features include": "BothCountsAndLogOdds"}, {}),
    ("no-back-off", {"Ignore back off column": "true"}, {"backoff": False}), ("back-off", {"Ignore back off column": "false"}, {}),
    ("noise", {"Laplacian noise scale": 2.5}, {"noise": 2.5}), ("noise-seed", {"Laplacian noise scale": 2.5, "Random seed": 9}, {"noise": 2.5, "noiseseed": 9}),
]:
    case(M, name, {T: learned}, {"Modified transform": gives(c.apply(names, **options))}, params, tolerance=1e-12)

newer = {"module": B, "parameters": two, "inputs": data(more)}


def merged(decay):
    old, new = Counter(train, [0, 1]), Counter(more, [0, 1])
    for k in old.columns:
        table = old.tables[k][0]
        for row in table.values():
            row[:] = [decay * v for v in row]
        for key, row in new.tables[k][0].items():
            table[key] = [a + b for a, b in zip(table.get(key, [0.0, 0.0]), row)]
    return old.apply(names)


both = {"Previous counting transform": learned, "New counting transform": newer}
case(G, "default", both, {T: gives(merged(1.0))}, tolerance=1e-12)
case(G, "decay", both, {T: gives(merged(0.5))}, {"Decay factor": 0.5}, tolerance=1e-12)
case(G, "differ", {**both, "New counting transform": {"module": B, "parameters": one, "inputs": data(more)}}, error="Error 0010")
modified = {"module": M, "parameters": {"Garbage bin threshold": "0"}, "inputs": {T: learned}}
case(G, "keeps-features", {**both, "Previous counting transform": modified, "New counting transform": learned}, {T: gives((lambda d: (
    [d.tables[k][0].update({h: [2 * v for v in r] for h, r in d.tables[k][0].items()}) for k in d.columns], d.apply(names, garbage=0))[1])(Counter(train, [0, 1])))}, tolerance=1e-12)

meta = {"type": "Dictionary", "bits": 20, "seed": 1, "classes": ["no", "yes"], "features": {"garbage": 10, "prior": 42, "noise": 0, "output": "BothCountsAndLogOdds"}, "names": ["city", "device"]}
text = "Metadata\n" + '"' + json.dumps(meta, separators=(",", ":")).replace('"', '""') + '"\n'
table = "Column,Table,Hash,Class0,Class1\n" + "".join("%s,0,%d,%r,%r\n" % (names[k], h, *c.tables[k][0][h]) for k in c.columns for h in sorted(c.tables[k][0]))
case(E, "tables", {T: learned}, {"Count metadata": text, "Count table": table})
case(I, "tables", {"Count metadata": text, "Count table": table}, {T: gives(c.apply(names))}, tolerance=1e-12)
case(I, "exported", {"Count metadata": {"module": E, "inputs": {T: learned}, "output": "Count metadata"}, "Count table": {"module": E, "inputs": {T: learned}, "output": "Count table"}},
     {T: gives(c.apply(names))}, tolerance=1e-12)
case(I, "no-metadata", {"Count metadata": "a\n1\n", "Count table": table}, error="Error 0018: the count metadata")
case(I, "bad-hash", {"Count metadata": text, "Count table": "Column,Table,Hash,Class0,Class1\ncity,0,1048576,1,2\n"}, error="Error 0018: row 1 of the count table")
case(I, "bad-column", {"Count metadata": text, "Count table": "Column,Table,Hash,Class0,Class1\ntown,0,5,1,2\n"}, error="Error 0018: row 1 of the count table")
case(I, "negative", {"Count metadata": text, "Count table": "Column,Table,Hash,Class0,Class1\ncity,0,5,1,-2\n"}, error="Error 0018")
case(I, "lost-class", {"Count metadata": text, "Count table": "Column,Table,Hash,Class0\ncity,0,5,1\n"}, error="Error 0001")
