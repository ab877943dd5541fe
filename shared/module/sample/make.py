# Goldens of the palette group Data Transformation / Sample and Split.
#
#   pandas 3.1.1 takes rows; the random numbers are those of Go's math/rand/v2,
#   written again in moduletest/golden.py. What is drawn is computed here from
#   the modules' documentation, not copied from them.
import io
import math
import os
import re
import sys

import pandas as pd

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "moduletest"))
from golden import PCG, Cases, csv

case = Cases(__file__)

text = "id,n,s,ü name,day\n" + "".join(
    "r%d,%s,%s,%s,2024-%02d-%02dT10:00:00\n" % (i, "" if i == 5 else (i * 7) % 20, "xyz"[i % 3] if i != 8 else "", i * 1.5 - 4, 1 + i % 12, 1 + i)
    for i in range(20)
)
schema = [{"name": "s", "categorical": True}, {"name": "id", "role": "id"}, {"name": "n", "role": "label"}]
table = {"csv": text, "schema": schema}
frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
types = ["String/id", "Int32/label", "String[x y z]", "Double", "DateTime"]
n = len(frame)


def rows(which):
    return csv(frame.iloc[sorted(which)])


def strata(column):
    out = {}
    for i, v in enumerate(frame[column]):
        out.setdefault(v, []).append(i)
    return list(out.values())


def nearest(x):
    return math.floor(x + 0.5)


# --- Split Data

M = "Split Data"


def two(first, second=None):
    first = set(first)
    second = set(range(n)) - first if second is None else second
    return {"Results dataset1": rows(first), "Results dataset2": rows(second)}


def split(name, params, first, second=None, **more):
    case(M, name, params, {"Dataset": table}, two(first, second), **more)


def drawn(fraction, seed, groups):
    rng = PCG(seed)
    first = []
    for g in groups:
        first += [g[i] for i in rng.perm(len(g))][: math.floor(fraction * len(g) + 1e-9)]
    return first


everything = [list(range(n))]
split("rows", {"Splitting mode": "Split Rows"}, drawn(0.5, 0, everything), types={"Results dataset1": types, "Results dataset2": types})
split("rows-fraction", {"Fraction of rows in the first output dataset": 0.29}, drawn(0.29, 0, everything), why="0.29 of 20 is 5.8, rounded down")
split("rows-fraction-of-decimals", {"Fraction of rows in the first output dataset": 0.35}, drawn(0.35, 0, everything), why="0.35 of 20 is 7, although 0.35*20 is below it in binary")
split("rows-all", {"Fraction of rows in the first output dataset": 1}, range(n))
split("rows-none", {"Fraction of rows in the first output dataset": 0}, [])
split("rows-in-order", {"Randomized split": False}, range(10))
split("rows-randomized", {"Randomized split": True}, drawn(0.5, 0, everything))
split("rows-seed", {"Random seed": 42}, drawn(0.5, 42, everything))
split("rows-seed-negative", {"Random seed": -1}, drawn(0.5, -1, everything))
split("rows-stratified", {"Stratified split": True, "Stratification key column": "s", "Fraction of rows in the first output dataset": 0.4}, drawn(0.4, 0, strata("s")))
split("rows-stratified-by-integer", {"Stratified split": True, "Stratification key column": "n"}, drawn(0.5, 0, strata("n")))
split("rows-not-stratified", {"Stratified split": False}, drawn(0.5, 0, everything))
case(M, "rows-too-few", {}, {"Dataset": "a\n1\n"}, error="Error 0021")
case(M, "rows-empty", {}, {"Dataset": "a\n"}, error="Error 0021")
case(M, "rows-strata-of-numbers", {"Stratified split": True, "Stratification key column": "ü name"}, {"Dataset": table}, error='Error 0017: column "ü name" is Double')
case(M, "rows-strata-none", {"Stratified split": True}, {"Dataset": table}, error="Error 0003")
case(M, "fraction-outside", {"Fraction of rows in the first output dataset": 1.5}, {"Dataset": table}, error="Error 0008")


def where(f):
    return [i for i in range(n) if f(frame.iloc[i])]


R = {"Splitting mode": "Regular Expression"}
split("regular", {**R, "Regular expression": '\\"id" r1.'}, where(lambda r: re.search("r1.", r["id"])), types={"Results dataset1": types})
split("regular-by-number", {**R, "Regular expression": "(\\2) ^[x-y]"}, where(lambda r: re.search("^[x-y]", r["s"])), why="columns count from 0; a missing cell has no match")
split("regular-by-name", {**R, "Regular expression": "(\\id) 7$"}, where(lambda r: re.search("7$", r["id"])))
case(M, "regular-unicode", {**R, "Regular expression": '\\"größe, x" ä$'}, {"Dataset": '"größe, x",b\nzä,1\näz,2\n,3\n'},
     {"Results dataset1": '"größe, x",b\nzä,1\n', "Results dataset2": '"größe, x",b\näz,2\n,3\n'})
case(M, "regular-empty-table", {**R, "Regular expression": '\\"a" x'}, {"Dataset": "a\n"}, {"Results dataset1": "a\n", "Results dataset2": "a\n"})
case(M, "regular-of-numbers", {**R, "Regular expression": '\\"n" 1'}, {"Dataset": table}, error='Error 0017: column "n" is Int32')
case(M, "regular-no-column", {**R, "Regular expression": '\\"idd" 1'}, {"Dataset": table}, error='Error 0001: column "idd"')
case(M, "regular-number-outside", {**R, "Regular expression": "(\\9) 1"}, {"Dataset": table}, error="Error 0001")
case(M, "regular-absent", R, {"Dataset": table}, error="Error 0003")
case(M, "regular-no-pattern", {**R, "Regular expression": '\\"id"'}, {"Dataset": table}, error="no pattern behind the column")
case(M, "regular-bad", {**R, "Regular expression": '\\"id" (?=x)'}, {"Dataset": table}, error="Error 0002")
case(M, "regular-bare", {**R, "Regular expression": "id r1"}, {"Dataset": table}, error="Error 0002")

E = {"Splitting mode": "Relative Expression"}


def number(column, f):
    return where(lambda r: r[column] != "" and f(float(r[column])))


split("relative", {**E, "Relational expression": '\\"n" > 9'}, number("n", lambda x: x > 9), why="the missing cell of row 5 is not selected")
split("relative-and", {**E, "Relational expression": "(\\1)<=14 & !=7"}, number("n", lambda x: x <= 14 and x != 7))
split("relative-or", {**E, "Relational expression": '\\"n" < 3 | > 12 & <= 16'}, number("n", lambda x: x < 3 or 12 < x <= 16), why="and binds before or")
split("relative-equal", {**E, "Relational expression": '\\"ü name" == 0.5'}, number("ü name", lambda x: x == 0.5))
split("relative-at-least", {**E, "Relational expression": '\\"ü name" >= -1e0'}, number("ü name", lambda x: x >= -1))
split("relative-fraction-of-integers", {**E, "Relational expression": '\\"n" > 8.5'}, number("n", lambda x: x > 8.5))
split("relative-date", {**E, "Relational expression": '\\"day" > 2024-06-01'}, where(lambda r: r["day"] > "2024-06-01"))
split("relative-american-date", {**E, "Relational expression": '\\"day" >= 3/3/2024 & < 10-08-2024'}, where(lambda r: "2024-03-03" <= r["day"] < "2024-10-08"))
case(M, "relative-large-integers", {**E, "Relational expression": '\\"a" > 9007199254740992'}, {"Dataset": "a\n9007199254740992\n9007199254740993\n"},
     {"Results dataset1": "a\n9007199254740993\n", "Results dataset2": "a\n9007199254740992\n"}, why="the two are one float64")
case(M, "relative-one-row", {**E, "Relational expression": '\\"a" > 1'}, {"Dataset": "a\n1\n"}, {"Results dataset1": "a\n", "Results dataset2": "a\n1\n"})
case(M, "relative-of-text", {**E, "Relational expression": '\\"s" > 1'}, {"Dataset": table}, error='Error 0017: column "s" is String')
case(M, "relative-bad", {**E, "Relational expression": '\\"n" 3'}, {"Dataset": table}, error="Error 0002")
case(M, "relative-bad-value", {**E, "Relational expression": '\\"n" > x'}, {"Dataset": table}, error="Error 0002")
case(M, "relative-absent", E, {"Dataset": table}, error="Error 0003")

# The recommender split, by the seven steps of its documentation.
ratings = pd.DataFrame([(f"u{u}", f"i{i}", (u * i) % 5 + 1) for u in range(10) for i in range(8) if (u * 3 + i * 5) % 4 != 0], columns=["user", "item", "rating"])
frame, n = ratings, len(ratings)
table = csv(ratings)
S = {"Splitting mode": "Recommender Split"}


def recommend(training=0.5, ratings=0.25, cold_users=0.0, cold_items=0.0, ignored_users=0.0, ignored_items=0.0, remove=False, seed=0):
    rng = PCG(seed)
    left, first, second = set(range(n)), [], []

    def some(groups, part):
        k = nearest(part * len(groups))
        order = rng.perm(len(groups))
        return [groups[g] for g in sorted(order[:k])], [groups[g] for g in sorted(order[k:])]

    def give(groups, to):
        for g in groups:
            for r in g:
                if r in left:
                    left.discard(r)
                    to.append(r)

    ignored, items = some(strata("item"), ignored_items)
    give(ignored, [])
    cold, items = some(items, cold_items)
    give(cold, second)
    users = [g for g in ([r for r in g if r in left] for g in strata("user")) if g]
    ignored, users = some(users, ignored_users)
    give(ignored, [])
    count = len(users)
    cold, users = some(users, cold_users)
    give(cold, second)
    if users:
        only, users = some(users, min(1, training * count / len(users)))
        give(only, first)
    for u in users:
        order = rng.perm(len(u))
        cut = max(1, nearest(ratings * len(u)))
        first += [u[i] for i in order[:cut]]
        second += [u[i] for i in order[cut:]]
    if remove:
        gone = {r for g in items if not set(g) & set(first) for r in g}
        second = [r for r in second if r not in gone]
    return first, second


split("recommender", S, *recommend())
split("recommender-training-users", {**S, "Fraction of training only users": 0.2}, *recommend(training=0.2))
split("recommender-ratings", {**S, "Fraction of test user ratings for training": 0.6}, *recommend(ratings=0.6))
split("recommender-cold-users", {**S, "Fraction of cold users": 0.3}, *recommend(cold_users=0.3))
split("recommender-cold-items", {**S, "Fraction of cold items": 0.25}, *recommend(cold_items=0.25))
split("recommender-ignored-users", {**S, "Fraction of ignored users": 0.3}, *recommend(ignored_users=0.3))
split("recommender-ignored-items", {**S, "Fraction of ignored items": 0.25}, *recommend(ignored_items=0.25))
few = {"Fraction of training only users": 0, "Fraction of test user ratings for training": 0, "Fraction of cold users": 0.7}
split("recommender-occasionally-cold", {**S, **few, "Remove occasionally produced cold items": True}, *recommend(0, 0, cold_users=0.7, remove=True))
split("recommender-occasionally-cold-kept", {**S, **few, "Remove occasionally produced cold items": False}, *recommend(0, 0, cold_users=0.7))
split("recommender-seed", {**S, "Random seed for recommender": 5}, *recommend(seed=5))
case(M, "recommender-columns", S, {"Dataset": "a,b,c,d\n1,2,3,4\n1,2,3,4\n"}, error="Error 0022: the table has 4 columns")
case(M, "recommender-fractions", {**S, "Fraction of cold users": 0.6}, {"Dataset": table}, error="Error 0007")
case(M, "recommender-rows", S, {"Dataset": "u,i\n1,2\n"}, error="Error 0021")

# --- Partition and Sample

P = "Partition and Sample"
frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
table = {"csv": text, "schema": schema}
n = len(frame)
FOLD = "Fold Assignments"


def sampled(rate, seed, groups):
    rng = PCG(seed)
    out = []
    for g in groups:
        out += [g[i] for i in rng.perm(len(g))][: nearest(rate * len(g))]
    return out


def sample(name, params, which, **more):
    case(P, name, params, {"Dataset": table}, {"oDataset": rows(which)}, **more)


sample("sampling", {"Partition or sample mode": "Sampling", "Rate of sampling": 0.4}, sampled(0.4, 0, everything), types={"oDataset": types})
sample("sampling-default-rate", {}, [], why="0.01 of 20 rows is no row")
sample("sampling-rate", {"Rate of sampling": 0.33}, sampled(0.33, 0, everything), why="6.6 is rounded to 7")
sample("sampling-all", {"Rate of sampling": 1}, range(n))
sample("sampling-seed", {"Rate of sampling": 0.4, "Random seed for sampling": 9}, sampled(0.4, 9, everything))
sample("sampling-stratified", {"Rate of sampling": 0.5, "Stratified split for sampling": True, "Stratification key column for sampling": "s"}, sampled(0.5, 0, strata("s")))
sample("sampling-not-stratified", {"Rate of sampling": 0.5, "Stratified split for sampling": False, "Stratification key column for sampling": "s"}, sampled(0.5, 0, everything))
case(P, "sampling-empty", {"Rate of sampling": 0.5}, {"Dataset": "a,b\n"}, {"oDataset": "a,b\n"})
case(P, "sampling-one-row", {"Rate of sampling": 0.5}, {"Dataset": "a\n7\n"}, {"oDataset": "a\n7\n"})
case(P, "sampling-rate-outside", {"Rate of sampling": -0.1}, {"Dataset": table}, error="Error 0008")
case(P, "sampling-strata-of-numbers", {"Stratified split for sampling": True, "Stratification key column for sampling": "ü name"}, {"Dataset": table}, error="Error 0017")

H = {"Partition or sample mode": "Head"}
sample("head", H, range(10))
sample("head-rows", {**H, "Number of rows to select": 3}, range(3))
sample("head-none", {**H, "Number of rows to select": 0}, [])
sample("head-more-than-there-are", {**H, "Number of rows to select": 100}, range(n))

A = {"Partition or sample mode": "Assign to Folds"}


def assign(name, params, folds, **more):
    out = frame.copy()
    out[FOLD] = [f + 1 for f in folds]
    case(P, name, {**A, **params}, {"Dataset": table}, {"oDataset": csv(out)}, **more)


def even(k, seed=0, groups=everything, random=True):
    rng, folds, turn = PCG(seed), [0] * n, 0
    for g in groups:
        for i in rng.perm(len(g)) if random else range(len(g)):
            folds[g[i]] = turn % k
            turn += 1
    return folds


def custom(parts, seed=0, groups=everything, random=True):
    ends = [sum(parts[: i + 1]) for i in range(len(parts))]
    if ends[-1] < 1 - 1e-9:
        ends.append(1)
    rng, folds = PCG(seed), [0] * n
    for g in groups:
        for k, i in enumerate(rng.perm(len(g)) if random else range(len(g))):
            folds[g[i]] = next(f for f, e in enumerate(ends) if k < nearest(e * len(g)) or f == len(ends) - 1)
    return folds


assign("folds", {"Specify the partitioner method": "Partition evenly"}, even(5), types={"oDataset": types + ["Int32/id"]})
assign("folds-number", {"Specify number of folds to split evenly into": 3}, even(3))
assign("folds-in-turn", {"Randomized split": False}, even(5, random=False))
assign("folds-randomized", {"Randomized split": True}, even(5))
assign("folds-seed", {"Random seed": 3}, even(5, 3))
assign("folds-stratified", {"Stratified split": True, "Stratification key column": "s"}, even(5, groups=strata("s")))
assign("folds-not-stratified", {"Stratified split": False, "Stratification key column": "s"}, even(5))
C = {"Specify the partitioner method": "Partition with customized proportions"}
L = "List of proportions separated by comma"
assign("custom", {**C, L: ".5, .25,.25"}, custom([0.5, 0.25, 0.25]))
assign("custom-rest", {**C, L: "0.2,0.3"}, custom([0.2, 0.3]), why="a third fold has the remaining half")
assign("custom-in-order", {**C, L: "0.5,0.5", "Randomized split": False}, custom([0.5, 0.5], random=False))
assign("custom-seed", {**C, L: "0.5,0.5", "Random seed": 8}, custom([0.5, 0.5], 8))
key = "Stratification key column for customized fold assignment"
assign("custom-stratified", {**C, L: "0.6,0.4", "Stratified split for customized fold assignment": True, key: "s"}, custom([0.6, 0.4], groups=strata("s")))
assign("custom-not-stratified", {**C, L: "0.6,0.4", "Stratified split for customized fold assignment": False, key: "s"}, custom([0.6, 0.4]))
case(P, "custom-too-much", {**A, **C, L: "0.8,0.3"}, {"Dataset": table}, error="Error 0007")
case(P, "custom-bad", {**A, **C, L: "0.8,x"}, {"Dataset": table}, error='"x" is not a part')
case(P, "custom-absent", {**A, **C}, {"Dataset": table}, error="Error 0003")

rng, folds, turn = PCG(0), [[] for _ in range(5)], 0
for _ in range(n):
    folds[turn % 5].append(rng.intn(n))
    turn += 1
out = frame.iloc[[r for f in folds for r in sorted(f)]].copy()
out[FOLD] = [k + 1 for k, f in enumerate(folds) for _ in f]
case(P, "folds-replacement", {**A, "Use replacement in the partitioning": True}, {"Dataset": table}, {"oDataset": csv(out)})
assign("folds-no-replacement", {"Use replacement in the partitioning": False}, even(5))

folded = {"module": P, "parameters": {**A, "Specify number of folds to split evenly into": "4"}, "inputs": {"Dataset": table}}
F = {"Partition or sample mode": "Pick Fold"}
which = even(4)
pick = lambda k: [i for i in range(n) if which[i] == k - 1]
case(P, "pick", F, {"Dataset": folded}, {"oDataset": rows(pick(1))}, types={"oDataset": types})
case(P, "pick-another", {**F, "Specify which fold to be sampled from": 3}, {"Dataset": folded}, {"oDataset": rows(pick(3))})
case(P, "pick-complement", {**F, "Specify which fold to be sampled from": 2, "Pick complement of the selected fold": True}, {"Dataset": folded},
     {"oDataset": rows(set(range(n)) - set(pick(2)))})
case(P, "pick-itself", {**F, "Specify which fold to be sampled from": 2, "Pick complement of the selected fold": False}, {"Dataset": folded}, {"oDataset": rows(pick(2))})
case(P, "pick-no-such-fold", {**F, "Specify which fold to be sampled from": 5}, {"Dataset": folded}, error="Error 0018")
case(P, "pick-without-folds", F, {"Dataset": table}, error="Error 0018")
case(P, "folds-again", {**A, "Specify number of folds to split evenly into": 2}, {"Dataset": folded},
     {"oDataset": csv(frame.assign(**{FOLD: [f + 1 for f in even(2)]}))}, why="new folds take the place of old ones")
