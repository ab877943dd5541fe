# Goldens of the palette group Data Transformation / Manipulation.
#
#   pandas 3.1.1 (merge, concat, drop_duplicates, fillna), scikit-learn 1.9.1
#   (IterativeImputer), SQLite 3.40.1 (Python's sqlite3), NumPy. SMOTE and
#   probabilistic PCA are written out here from their papers.
import io
import json
import math
import os
import sqlite3
import sys

import numpy as np
import pandas as pd
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import Ridge

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "moduletest"))
from golden import PCG, Cases, csv

case = Cases(__file__)


def read(text):
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def typed(text, *fields):
    return {"csv": text, "schema": [dict(zip(["name", "type", "role", "categorical"], f)) if isinstance(f, tuple) else f for f in fields]}


def cat(name):
    return {"name": name, "categorical": True}


RESULT = "Results dataset"

# --- Select Columns in Dataset

S = "Select Columns in Dataset"
wide = "id,größe,b,c,d,e\n1,2.5,x,True,2024-01-01T00:00:00,\n2,,y,False,,5\n"
picks = {"Dataset": {"csv": wide, "schema": [{"name": "id", "role": "id"}, cat("b"), {"name": "e", "role": "label"}]}}
w = read(wide)
rules = lambda *r: json.dumps({"isFilter": True, "rules": list(r)}, ensure_ascii=False)
for name, text, columns in [
    ("names", "e,größe", ["e", "größe"]),
    ("names-filter", rules({"ruleType": "ColumnNames", "columns": ["e", "größe"]}), ["größe", "e"]),
    ("exclude", rules({"ruleType": "AllColumns"}, {"ruleType": "ColumnNames", "columns": ["b"], "exclude": True}), ["id", "größe", "c", "d", "e"]),
    ("numeric", "NumericAll", ["id", "größe", "e"]),
    ("types", rules({"ruleType": "ColumnTypes", "columnTypes": ["DateTime", "Boolean"], "columnKinds": ["All"]}), ["c", "d"]),
    ("roles", "AllLabels", ["e"]),
    ("indexes", rules({"ruleType": "ColumnIndexes", "columns": ["1-2", "5"]}), ["id", "größe", "d"]),
]:
    case(S, name, {"Select columns": text}, picks, {RESULT: csv(w[columns])})
case(S, "kept", {"Select columns": "All"}, picks, {RESULT: wide}, types={RESULT: ["Int32/id", "Double", "String[x y]", "Boolean", "DateTime", "Int32/label"]})
case(S, "nothing", {"Select columns": "None"}, picks, error="Error 0020")
case(S, "no-column", {"Select columns": "groesse"}, picks, error='Error 0001: column "groesse"')
case(S, "empty", {"Select columns": "b"}, {"Dataset": "a,b\n"}, {RESULT: "b\n"})

# --- Edit Metadata

E = "Edit Metadata"
D, K, F, NEW = "Data type", "Categorical", "Fields", "New column names"
for to, source, text, out, types in [
    ("Unchanged", None, "a\n01\n", "a\n01\n", ["String"]),
    ("String", None, "a\n1.50\n-2\n", "a\n1.5\n-2\n", ["String"]),
    ("Integer", None, "a\n1.0\n3e2\n", "a\n1\n300\n", ["Int32"]),
    ("Floating point", None, "a\n1\n\"\"\n", 'a\n1\n""\n', ["Double"]),
    ("Boolean", None, "a\n1\n0\n", "a\nTrue\nFalse\n", ["Boolean"]),
    ("DateTime", "String", "a\n2024-05-17\n", "a\n2024-05-17T00:00:00\n", ["DateTime"]),
]:
    inputs = typed(text, {"name": "a", "type": source}) if source else text
    case(E, "type-" + to.lower().replace(" ", "-"), {"Column": "a", D: to}, {"Dataset": inputs}, {RESULT: out}, types={RESULT: types})
case(E, "type-wide-integer", {"Column": "a", D: "Integer"}, {"Dataset": "a\n3000000000.0\n"}, {RESULT: "a\n3000000000\n"}, types={RESULT: ["Int64"]})
case(E, "type-cannot", {"Column": "a", D: "Integer"}, {"Dataset": "a\n1.5\n"}, error='Error 0042: column "a": value "1.5"')
abc = "a,b\nz,1\nä,2\n,1\n"
case(E, "make-categorical", {"Column": "a,b", K: "Make categorical"}, {"Dataset": abc}, {RESULT: abc}, types={RESULT: ["String[z ä]", "String[1 2]"]})
case(E, "make-non-categorical", {"Column": "a", K: "Make non-categorical"}, {"Dataset": typed(abc, cat("a"))}, {RESULT: abc}, types={RESULT: ["String", "Int32"]})
case(E, "categorical-unchanged", {"Column": "a", K: "Unchanged"}, {"Dataset": typed(abc, cat("a"))}, {RESULT: abc}, types={RESULT: ["String[z ä]", "Int32"]})
for how, was, now in [
    ("Unchanged", "label", "/label"), ("Features", "label", ""), ("Labels", "", "/label"), ("Weights", "", "/weight"), ("Clear features", "", "/id"),
    ("Clear labels", "label", ""), ("Clear scores", "score", ""), ("Clear weights", "weight", ""),
]:
    case(E, "fields-" + how.lower().replace(" ", "-"), {"Column": "b", F: how}, {"Dataset": typed(abc, {"name": "b", "role": was})}, {RESULT: abc}, types={RESULT: ["String", "Int32" + now]})
case(E, "rename", {"Column": "b,a", NEW: 'Größe,"x, y"'}, {"Dataset": abc}, {RESULT: abc.replace("a,b", 'Größe,"x, y"')}, why="in the table's order")
case(E, "rename-too-few", {"Column": "b,a", NEW: "x"}, {"Dataset": abc}, error="Error 0027")
case(E, "nothing", {"Column": "None"}, {"Dataset": abc}, error="Error 0020")
case(E, "empty", {"Column": "a", K: "Make categorical"}, {"Dataset": "a,b\n"}, {RESULT: "a,b\n"}, types={RESULT: ["String[]", "String"]})

# --- Convert to Indicator Values

V = "Convert to Indicator Values"
COLS, OVER = "Categorical columns to convert", "Overwrite categorical columns"
levels = "n,größe,t\n1,klein,x\n2,,y\n3,groß,x\n"
frame = read(levels)
dummies = pd.get_dummies(frame["größe"].replace("", np.nan), prefix="größe", prefix_sep="-").astype(int).assign(**{"größe-Missing": [0, 1, 0]})
case(V, "appended", {COLS: "größe", OVER: False}, {"Dataset": typed(levels, cat("größe"))}, {RESULT: csv(frame.join(dummies))})
case(V, "overwritten", {COLS: "größe", OVER: True}, {"Dataset": typed(levels, cat("größe"))}, {RESULT: csv(frame.drop(columns="größe").join(dummies))}, types={RESULT: ["Int32", "String"] + ["Int32"] * 3})
case(V, "two", {COLS: "CategoricalAll", OVER: True}, {"Dataset": typed("a,b\nx,1\ny,2\n", cat("a"), cat("b"))}, {RESULT: "a-x,a-y,b-1,b-2\n1,0,1,0\n0,1,0,1\n"})
case(V, "not-categorical", {COLS: "n"}, {"Dataset": levels}, error='Error 0056: column "n"')
case(V, "nothing", {COLS: "CategoricalAll"}, {"Dataset": levels}, error="Error 0020")
case(V, "empty", {COLS: "a"}, {"Dataset": {"csv": "a\n", "schema": [{"name": "a", "levels": ["p", "q"]}]}}, {RESULT: "a,a-p,a-q\n"})

# --- Add Columns, Add Rows

case("Add Columns", "same-length", None, {"Left dataset": "a,b\n1,x\n2,y\n", "Right dataset": "c\nTrue\nFalse\n"}, {"Combined dataset": "a,b,c\n1,x,True\n2,y,False\n"},
     types={"Combined dataset": ["Int32", "String", "Boolean"]})
left, right = read("a,b\n1,x\n"), read("a,c,b\n7,8,9\n4,5,6\n")
both = pd.concat([left, right.rename(columns={"a": "a (2)", "b": "b (2)"})], axis=1).fillna("")
case("Add Columns", "padded-and-renamed", None, {"Left dataset": csv(left), "Right dataset": csv(right)}, {"Combined dataset": csv(both)})
case("Add Columns", "suffix-taken", None, {"Left dataset": "a,a (2)\n1,2\n", "Right dataset": "a,a (3)\n3,4\n"}, {"Combined dataset": "a,a (2),a (4),a (3)\n1,2,3,4\n"},
     why="(2) is taken on the left and (3) on the right")
case("Add Columns", "right-shorter", None, {"Left dataset": "a\n1\n2\n", "Right dataset": {"csv": "ü,l\nx,1\n", "schema": [cat("ü"), {"name": "l", "role": "label"}]}},
     {"Combined dataset": "a,ü,l\n1,x,1\n2,,\n"}, types={"Combined dataset": ["Int32", "String[x]", "Int32/label"]})
case("Add Columns", "empty", None, {"Left dataset": "a\n", "Right dataset": "b\n5\n"}, {"Combined dataset": "a,b\n,5\n"})

R = "Add Rows"
top, under = read("a,s,d\n1,x,2024-01-01T00:00:00\n,y,\n"), read("s,d,a\nz,2025-01-01T00:00:00,2.5\n")
case(R, "by-name", None, {"Dataset1": csv(top), "Dataset2": csv(under)}, {RESULT: csv(pd.concat([top, under]))}, types={RESULT: ["Double", "String", "DateTime"]})
case(R, "levels", None, {"Dataset1": typed("s,t\nb,p\n", cat("s"), cat("t")), "Dataset2": typed("s,t\na,q\nb,p\n", cat("s"))}, {RESULT: "s,t\nb,p\na,q\nb,p\n"},
     types={RESULT: ["String[b a]", "String"]}, why="the levels are united; t is not categorical in the second table")
case(R, "roles", None, {"Dataset1": typed("a,b\n1,2\n", {"name": "b", "role": "label"}), "Dataset2": "a,b\n3000000000,4\n"}, {RESULT: "a,b\n1,2\n3000000000,4\n"}, types={RESULT: ["Int64", "Int32/label"]})
case(R, "empty-first", None, {"Dataset1": typed("a,b\n", {"name": "a", "type": "Int32"}), "Dataset2": "a,b\n1,x\n"}, {RESULT: "a,b\n1,x\n"})
case(R, "both-empty", None, {"Dataset1": "a\n", "Dataset2": "a\n"}, {RESULT: "a\n"})
case(R, "other-names", None, {"Dataset1": "a,b\n1,2\n", "Dataset2": "a,c\n1,2\n"}, error='Error 0010: the second table has no column "b"')
case(R, "other-count", None, {"Dataset1": "a,b\n1,2\n", "Dataset2": "a\n1\n"}, error="Error 0010")
case(R, "other-types", None, {"Dataset1": "a\n1\n", "Dataset2": "a\nx\n"}, error='Error 0016: column "a" is Int32')

# --- Join Data

J = "Join Data"
L, RIGHT, CASE, TYPE, KEEP = "Join key columns for L", "Join key columns for R", "Match case", "Join type", "Keep right key columns in joined table"
lt = read("k,größe,m\na,1,p\nB,2,q\n,3,r\na,4,s\nd,5,t\n")
rt = read("key,m,v\nb,u,10\na,v,20\na,w,30\n,x,40\nE,y,50\n")
sides = {"Dataset1": csv(lt), "Dataset2": csv(rt)}


def merged(how, fold=False, keep=True):
    l, r = lt.assign(_i=range(len(lt))), rt.assign(_j=range(len(rt)))
    f = (lambda s: s.str.lower()) if fold else (lambda s: s)
    l["_k"], r["_k"] = f(l["k"]), f(r["key"])
    inner = l[l._k != ""].merge(r[r._k != ""].rename(columns={"m": "m (2)"}), on="_k", how="inner")
    if how == "Left Semi-Join":
        return lt[lt.index.isin(inner._i)]
    parts = [inner]
    if how in ("Left Outer Join", "Full Outer Join"):
        parts.append(l[~l._i.isin(inner._i)])
    out = pd.concat(parts).sort_values(["_i", "_j"])
    if how == "Full Outer Join":
        rest = r[~r._j.isin(inner._j)].rename(columns={"m": "m (2)"})
        out = pd.concat([out, rest])
    out = out[["k", "größe", "m", "key", "m (2)", "v"]].fillna("")
    if not keep:
        out["k"] = [k or key for k, key in zip(out["k"], out["key"])]
        out = out.drop(columns="key")
    return out


for how in ["Inner Join", "Left Outer Join", "Full Outer Join", "Left Semi-Join"]:
    slug = how.split()[0].lower() + ("-semi" if "Semi" in how else "")
    case(J, slug, {L: "k", RIGHT: "key", TYPE: how}, sides, {RESULT: csv(merged(how))}, why="missing keys agree with nothing")
    case(J, slug + "-any-case", {L: "k", RIGHT: "key", TYPE: how, CASE: False}, sides, {RESULT: csv(merged(how, fold=True))})
    case(J, slug + "-matched-case", {L: "k", RIGHT: "key", TYPE: how, CASE: True}, sides, {RESULT: csv(merged(how))})
    if "Semi" not in how:
        case(J, slug + "-one-key", {L: "k", RIGHT: "key", TYPE: how, KEEP: False}, sides, {RESULT: csv(merged(how, keep=False))})
case(J, "keys-kept", {L: "k", RIGHT: "key", KEEP: True}, sides, {RESULT: csv(merged("Inner Join"))})
case(J, "two-keys", {L: "a,b", RIGHT: "y,x"}, {"Dataset1": "a,b\n1,p\n1,q\n2,p\n", "Dataset2": "x,y,z\np,1,10\nq,1,11\np,3,12\n"}, {RESULT: "a,b,x,y,z\n1,p,p,1,10\n1,q,q,1,11\n"},
     why="a list of names pairs keys in its order")
case(J, "numbers-of-two-types", {L: "a", RIGHT: "b"}, {"Dataset1": "a\n1\n2\n0\n", "Dataset2": "b,c\n2.0,x\n1.5,y\n-0.0,z\n"}, {RESULT: "a,b,c\n2,2,x\n0,0,z\n"}, types={RESULT: ["Int32", "Double", "String"]})
case(J, "large-integers", {L: "a", RIGHT: "b"}, {"Dataset1": "a\n9007199254740992\n", "Dataset2": "b\n9007199254740993\n9007199254740992\n"}, {RESULT: "a,b\n9007199254740992,9007199254740992\n"},
     why="the two are one float64")
case(J, "dates-and-truth", {L: "d,t", RIGHT: "d,t", KEEP: False}, {"Dataset1": "d,t,n\n2024-01-01T00:00:00,True,1\n2024-01-02T00:00:00,False,2\n", "Dataset2": "d,t,m\n2024-01-02T00:00:00,False,7\n2024-01-01T00:00:00,False,8\n"},
     {RESULT: "d,t,n,m\n2024-01-02T00:00:00,False,2,7\n"}, types={RESULT: ["DateTime", "Boolean", "Int32", "Int32"]})
case(J, "categories", {L: "s", RIGHT: "s", TYPE: "Full Outer Join", KEEP: False},
     {"Dataset1": typed("s,a\nx,1\ny,2\n", cat("s")), "Dataset2": typed("s,b\nz,3\nx,4\n", cat("s"), {"name": "b", "role": "label"})},
     {RESULT: "s,a,b\nx,1,4\ny,2,\nz,,3\n"}, types={RESULT: ["String[x y z]", "Int32", "Int32/label"]})
case(J, "texts-and-categories", {L: "s", RIGHT: "u", CASE: False}, {"Dataset1": typed("s\nÄ\nx\n", cat("s")), "Dataset2": "u\nä\nX\n"}, {RESULT: "s,u\nÄ,ä\nx,X\n"}, types={RESULT: ["String[x Ä]", "String"]})
case(J, "empty-right", {L: "k", RIGHT: "key", TYPE: "Left Outer Join"}, {"Dataset1": "k,a\nx,1\n", "Dataset2": "key,b\n"}, {RESULT: "k,a,key,b\nx,1,,\n"})
case(J, "empty-left", {L: "k", RIGHT: "key", TYPE: "Full Outer Join"}, {"Dataset1": "k,a\n", "Dataset2": "key,b\nx,1\n"}, {RESULT: "k,a,key,b\n,,x,1\n"})
case(J, "other-counts", {L: "k,m", RIGHT: "key"}, sides, error="Error 0027")
case(J, "other-types", {L: "größe", RIGHT: "key"}, sides, error="Error 0016")
case(J, "no-key", {L: "None", RIGHT: "key"}, sides, error="Error 0020")
case(J, "no-column", {L: "kk", RIGHT: "key"}, sides, error='Error 0001: column "kk"')
case(J, "other-type-of-join", {L: "k", RIGHT: "key", TYPE: "Right Outer Join"}, sides, error="Error 0002")

# --- Remove Duplicate Rows

U = "Remove Duplicate Rows"
KEY, FIRST = "Key column selection filter expression", "Retain first duplicate row"
dup = read("a,b,größe\n1,x,10\n2,x,11\n1,y,12\n1,x,13\n,x,14\n,x,15\n2,,16\n")
for first in (True, False):
    for name, keys in [("two", ["a", "b"]), ("one", ["a"]), ("other", ["b"])]:
        out = dup.drop_duplicates(keys, keep="first" if first else "last")
        case(U, f"{name}-{'first' if first else 'last'}", {KEY: ",".join(keys), FIRST: first}, {"Dataset": csv(dup)}, {RESULT: csv(out)})
case(U, "nothing-twice", {KEY: "größe"}, {"Dataset": csv(dup)}, {RESULT: csv(dup)})
case(U, "zeros", {KEY: "a"}, {"Dataset": "a\n0.0\n-0.0\n0.5\n"}, {RESULT: "a\n0\n0.5\n"})
case(U, "texts-apart", {KEY: "a,b"}, {"Dataset": "a,b\nxy,z\nx,yz\n"}, {RESULT: "a,b\nxy,z\nx,yz\n"})
case(U, "categories", {KEY: "s", FIRST: False}, {"Dataset": typed("s,d,t\nx,2024-01-01T00:00:00,True\ny,,False\nx,,\n", cat("s"))}, {RESULT: "s,d,t\ny,,False\nx,,\n"}, types={RESULT: ["String[x y]", "DateTime", "Boolean"]})
case(U, "empty", {KEY: "a"}, {"Dataset": "a\n"}, {RESULT: "a\n"})
case(U, "no-key", {KEY: "None"}, {"Dataset": csv(dup)}, error="Error 0020")

# --- Select Columns Transform

T = "Select Columns Transform"
case(T, "selects", None, {"Dataset with desired columns": "größe,a\n1,2\n"}, {"Columns selection transformation": {"apply": "a,b,größe\nx,1,2\n,,\n", "gives": "größe,a\n2,x\n,\n"}})
case(T, "same-table", None, {"Dataset with desired columns": "a\n"}, {"Columns selection transformation": {"apply": "a\n", "gives": "a\n"}})

# --- Group Categorical Values

G = "Group Categorical Values"
MODE, DEFAULT, COUNT, COLUMNS = "Output mode", "Default level name", "New number of levels", "Selected columns"
name = lambda i: f"Name of new level {i}"
old = lambda i: f"Comma-separated list of old levels to map to new level {i}"
cars = "id,cylinders,other\n1,four,p\n2,six,four\n3,,p\n4,twelve,p\n5,three,q\n6,two,\n"
cars_in = {"Dataset": typed(cars, cat("cylinders"), cat("other"))}
studio = {COUNT: 3, DEFAULT: "other", name(1): "big", old(1): "six, eight, twelve", name(2): "small", old(2): "two, four"}
mapping = {"six": "big", "eight": "big", "twelve": "big", "two": "small", "four": "small", "": ""}
f = read(cars)
grouped = f[["cylinders", "other"]].map(lambda v: mapping.get(v, "other"))
level = "String[big small other]"
for mode, out, types in [
    ("ResultOnly", grouped, [level] * 2),
    ("Inplace", f.assign(**grouped), ["Int32"] + [level] * 2),
    ("Append", f.join(grouped.rename(columns=lambda c: c + " (2)")), ["Int32", "String[four six three twelve two]", "String[four p q]"] + [level] * 2),
]:
    case(G, "output-" + mode.lower(), {**studio, MODE: mode}, cars_in, {RESULT: csv(out)}, types={RESULT: types}, why="cars, as in the Studio's documentation")
only = {**studio, COLUMNS: "cylinders", MODE: "Inplace"}
case(G, "columns", only, cars_in, {RESULT: csv(f.assign(cylinders=grouped["cylinders"]))})
case(G, "without-default", {**only, DEFAULT: ""}, cars_in, {RESULT: csv(f.assign(cylinders=grouped["cylinders"].replace("other", "")))}, types={RESULT: ["Int32", "String[big small]", "String[four p q]"]})
case(G, "two-levels", {**only, COUNT: 2}, cars_in, {RESULT: csv(f.assign(cylinders=f["cylinders"].map(lambda v: "" if v == "" else "big" if mapping.get(v) == "big" else "other")))})
case(G, "one-level", {COUNT: 1, DEFAULT: "alles", COLUMNS: "other"}, cars_in, {RESULT: "other\n" + "alles\n" * 5 + '""\n'}, types={RESULT: ["String[alles]"]})
case(G, "one-name-twice", {**only, name(2): "big"}, cars_in, {RESULT: csv(f.assign(cylinders=grouped["cylinders"].replace("small", "big")))}, types={RESULT: ["Int32", "String[big other]", "String[four p q]"]})
letters = [chr(ord("a") + i) for i in range(20)]
all_levels = {COUNT: 20, DEFAULT: "rest"}
for i in range(1, 20):
    all_levels[name(i)] = "L" + letters[i - 1]
    all_levels[old(i)] = letters[i - 1]
every = "s\n" + "".join(c + "\n" for c in letters)
case(G, "all-levels", all_levels, {"Dataset": typed(every, cat("s"))}, {RESULT: "s\n" + "".join(f"L{c}\n" for c in letters[:19]) + "rest\n"})
case(G, "values-with-commas", {COUNT: 2, name(1): "n", old(1): 'b,"a, x",ü', DEFAULT: "d"}, {"Dataset": typed('s\n"a, x"\nü\nc\n', cat("s"))}, {RESULT: "s\nn\nn\nd\n"})
case(G, "mapped-twice", {**studio, old(2): "two,six"}, cars_in, error='Error 0002: value "six" is mapped to level "big"')
case(G, "level-without-name", {**studio, name(1): ""}, cars_in, error='Error 0003: parameter "Name of new level 1" is required')
case(G, "not-categorical", {**studio, COLUMNS: "id"}, cars_in, error='Error 0056: column "id"')
case(G, "nothing", {**studio, COLUMNS: "None"}, cars_in, error="Error 0020")
case(G, "empty", {**studio, COLUMNS: "a"}, {"Dataset": {"csv": "a\n", "schema": [{"name": "a", "levels": ["six"]}]}}, {RESULT: "a\n"})

# --- Apply SQL Transformation

Q = "Apply SQL Transformation"
SCRIPT = "SQL Query Script"
t1 = "id,name,größe,ok,day,grp\n1,Anna,1.5,True,2024-02-29T10:30:00,x\n2,,2,False,2024-03-01T00:00:00,y\n3,Öl; 'x',,True,,x\n4,anna,-4.25,,2023-12-31T23:59:59.5,\n"
t2 = "id,score\n3,30\n1,10\n1,11\n9,90\n"
t3 = "k\n5\n"
tables = {"Table1": {"csv": t1, "schema": [{"name": "id", "role": "id"}, cat("grp"), {"name": "ok", "role": "label"}]}, "Table2": t2, "Table3": t3}
t1_types = ["Int32/id", "String", "Double", "Boolean/label", "DateTime", "String[x y]"]


def sqlite(script):
    db = sqlite3.connect(":memory:")
    db.execute('CREATE TABLE t1(id INTEGER, name TEXT, "größe" REAL, ok INTEGER, day TEXT, grp TEXT)')
    for row in read(t1).to_numpy():
        v = [None if x == "" else x for x in row]
        v[3] = None if v[3] is None else int(v[3] == "True")
        v[4] = v[4] and v[4].replace("T", " ")
        db.execute("INSERT INTO t1 VALUES(?,?,?,?,?,?)", v)
    db.execute("CREATE TABLE t2(id INTEGER, score INTEGER)")
    db.executemany("INSERT INTO t2 VALUES(?,?)", read(t2).to_numpy().tolist())
    db.execute("CREATE TABLE t3(k INTEGER)")
    db.executemany("INSERT INTO t3 VALUES(?)", read(t3).to_numpy().tolist())
    statements, rest = [], ""
    for piece in script.split(";"):
        rest += piece + ";"
        if sqlite3.complete_statement(rest):
            statements.append(rest)
            rest = ""
    statements = [s for s in statements + [rest[:-1]] if s.strip(" ;")]
    for s in statements[:-1]:
        db.execute(s)
    cursor = db.execute(statements[-1])
    names = [d[0] for d in cursor.description]
    return pd.DataFrame([["" if v is None else v for v in r] for r in cursor.fetchall()], columns=names, dtype=object)


def sql(name, script, types=None, fix=lambda f: f, **more):
    if types:
        more["types"] = {RESULT: types}
    case(Q, name, {SCRIPT: script}, tables, {RESULT: csv(fix(sqlite(script)))}, **more)


def truth(f):
    f["ok"] = [{1: True, 0: False}.get(v, v) for v in f["ok"]]
    return f


def dated(column):
    def fix(f):
        f[column] = [str(v).replace(" ", "T") for v in f[column]]
        return f
    return fix


sql("default", "select * from t1;", t1_types, lambda f: dated("day")(truth(f)), why="types, roles and levels are those of the table")
case(Q, "absent", None, {"Table1": t2}, {RESULT: t2})
sql("columns", 'SELECT "größe", [id] AS nummer, `name` FROM t1 WHERE id > 1 -- comment; with a semicolon', ["Double", "Int32/id", "String"])
sql("aggregates", "SELECT grp, COUNT(*) AS n, SUM(id) s, AVG(größe) AS m, MIN(name) AS least, TOTAL(id) AS t FROM t1 GROUP BY grp ORDER BY grp", ["String[x y]", "Int64", "Int64", "Double", "String", "Double"])
sql("join", "SELECT t1.id, t1.name, t2.score FROM t1 LEFT JOIN t2 ON t1.id = t2.id ORDER BY t1.id, score", ["Int32/id", "String", "Int32"])
sql("three-tables", "SELECT id + k AS sum FROM t2, t3 ORDER BY sum, score", ["Int64"])
sql("same-name-twice", "SELECT t1.id, t2.id FROM t1 JOIN t2 USING (id) ORDER BY score", fix=lambda f: f.set_axis(["id", "id (2)"], axis=1))
sql("missing", "SELECT id, COALESCE(name, 'niemand') AS name, größe IS NULL AS gone, größe + 1 AS plus FROM t1 ORDER BY id", ["Int32/id", "String", "Int64", "Double"])
sql("case", "SELECT CASE WHEN ok = 1 THEN 'ja' WHEN ok = 0 THEN 'nein' ELSE 'ü' END AS answer, id || '-' || name AS both FROM t1", ["String", "String"])
sql("dates", "SELECT MAX(day) AS last, date(day, '+1 day') AS next, strftime('%Y', day) AS year FROM t1 WHERE day IS NOT NULL GROUP BY day > '2024-02' ORDER BY 1", ["DateTime", "String", "String"], dated("last"))
sql("date-arithmetic", "SELECT id, datetime(day, 'start of month') AS month FROM t1 WHERE id < 3", ["Int32/id", "DateTime"], dated("month"))
sql("statements", "CREATE TABLE best AS SELECT id, MAX(score) AS score FROM t2 GROUP BY id; INSERT INTO best VALUES(7, 70);\nCREATE VIEW v AS SELECT * FROM best WHERE score > 10;\nUPDATE t1 SET name = 'it''s; ok' WHERE id = 3;\nSELECT v.*, name FROM v LEFT JOIN t1 USING (id) ORDER BY id", ["Int64", "Int64", "String"])
sql("window", "SELECT id, score, row_number() OVER (PARTITION BY id ORDER BY score DESC) AS place FROM t2 ORDER BY id, place", ["Int32", "Int32", "Int64"])
sql("with", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 5) SELECT i, i*i AS square FROM n", ["Int64", "Int64"])
sql("values", "VALUES (1, 'a'), (2.5, NULL)", ["Double", "String"])
sql("mixed-column", "SELECT CASE WHEN id = 1 THEN 1.5 WHEN id = 2 THEN 'x' ELSE id END AS mixed FROM t1", ["String"])
sql("no-rows", "SELECT * FROM t1 WHERE 0", t1_types)
sql("wide-integers", "SELECT 9007199254740993 AS big, -9223372036854775808 AS least", ["Int64", "Int64"])
sql("new-level", "UPDATE t1 SET grp = 'neu' WHERE id = 1; SELECT grp FROM t1 ORDER BY id", ["String"], why="a level that the column did not have")
sql("renamed-column", "ALTER TABLE t1 RENAME COLUMN name TO wer; SELECT wer FROM t1", ["String"])
sql("set-operations", "SELECT id FROM t1 EXCEPT SELECT id FROM t2 ORDER BY 1", ["Int32/id"])
case(Q, "one-row", {SCRIPT: "SELECT a*2 AS b FROM t1"}, {"Table1": "a\n4\n"}, {RESULT: "b\n8\n"})
case(Q, "empty-table", {SCRIPT: "SELECT COUNT(*) AS n, SUM(a) AS s FROM t1"}, {"Table1": "a\n"}, {RESULT: "n,s\n0,\n"})
case(Q, "names-that-differ-in-case", {SCRIPT: 'SELECT a, "A (2)" FROM t1'}, {"Table1": "a,A\n1,2\n"}, {RESULT: "a,A (2)\n1,2\n"}, why="SQLite does not tell a from A")
case(Q, "random-is-drawn-alike", {SCRIPT: "SELECT random() = (SELECT 1) AS same FROM t1"}, {"Table1": "a\n1\n"}, {RESULT: "same\n0\n"})
for name, script, error in [
    ("no-column", "SELECT nme FROM t1", "Error 0069: no such column: nme"),
    ("no-table", "SELECT * FROM t4", "Error 0069: no such table: t4"),
    ("syntax", "SELECT * FORM t1", 'Error 0069: near "FORM": syntax error'),
    ("empty-script", " ; -- nothing\n", "Error 0069: the SQL script is empty"),
    ("no-result", "SELECT 1; CREATE TABLE x(a)", 'Error 0069: the last statement of the SQL script begins with "CREATE"'),
    ("attach", "ATTACH 'x.db' AS x; SELECT 1", "Error 0069: ATTACH, DETACH or VACUUM is not allowed"),
    ("vacuum", "VACUUM INTO 'x.db'; SELECT 1", "Error 0069: ATTACH, DETACH or VACUUM is not allowed"),
    ("pragma", "PRAGMA journal_mode=wal; SELECT 1", "Error 0069: PRAGMA is not allowed"),
    ("pragma-function", "SELECT * FROM pragma_database_list", "Error 0069"),
    ("trigger", "CREATE TRIGGER g AFTER INSERT ON t1 BEGIN SELECT 1", "Error 0069"),
    ("transaction", "COMMIT; SELECT 1", "Error 0069: a transaction is not allowed"),
    ("virtual-table", "CREATE VIRTUAL TABLE f USING fts5(a); SELECT 1", "Error 0069: a virtual table is not allowed"),
    ("extension", "SELECT load_extension('x')", "Error 0069: not authorized to use function: load_extension"),
    ("blob", "SELECT x'00ff' AS b", 'Error 0017: column "b"'),
    ("infinite", "SELECT 9e999 AS x", 'Error 0033: column "x"'),
    ("too-large", "SELECT zeroblob(100000000) AS x", "Error 0138"),
]:
    case(Q, name, {SCRIPT: script}, tables, error=error)
case(Q, "table-not-connected", {SCRIPT: "SELECT * FROM t2"}, {"Table1": t1}, error="Error 0069: no such table: t2")

# --- Clean Missing Data

C = "Clean Missing Data"
CLEANED, LEARNED = "Cleaned dataset", "Cleaning transformation"
CM, LO, HI, HOW, VALUE, NONE, FLAG = (
    "Columns to be cleaned", "Minimum missing value ratio", "Maximum missing value ratio", "Cleaning mode", "Replacement value", "Cols with all missing values", "Generate missing value indicator column",
)
gaps = pd.DataFrame({
    "id": [f"r{i}" for i in range(8)],
    "größe": [1.5, np.nan, -2, 4.25, np.nan, 0, 7, np.nan],
    "n": pd.array([3, 9, None, 4, 4, 10, None, 1], "Int64"),
    "ok": [True, True, None, False, True, True, True, False],
    "s": ["x", None, "y", "y", None, "x", "y", "z"],
    "day": ["2024-01-01T00:00:00", None, "2024-01-04T00:00:00", None, "2024-01-04T00:00:00", "2024-01-05T12:00:00", None, "2024-01-09T00:00:00"],
    "full": range(8),
})
gap_schema = [{"name": "id", "role": "id"}, cat("s"), {"name": "full", "role": "label"}]
gap_in = {"Dataset": {"csv": csv(gaps), "schema": gap_schema}}


def clean(name, params, out, **more):
    case(C, name, params, gap_in, {CLEANED: csv(out)}, **more)


numbers = ["größe", "n"]
clean("custom", {CM: "größe,n", HOW: "Custom substitution value"}, gaps.fillna({"größe": 0, "n": 0}))
clean("custom-value", {CM: "größe,n", VALUE: "-7"}, gaps.fillna({"größe": -7, "n": -7}))
clean("custom-text", {CM: "s", VALUE: "ß, ü"}, gaps.fillna({"s": "ß, ü"}), types={CLEANED: ["String/id", "Double", "Int32", "Boolean", "String[x y z ß, ü]", "DateTime", "Int32/label"]})
clean("mean", {CM: "größe,n,day,full", HOW: "Replace with mean"}, gaps.assign(
    größe=gaps["größe"].fillna(gaps["größe"].mean()), n=gaps["n"].fillna(round(gaps["n"].dropna().astype(float).mean())), day=gaps["day"].fillna("2024-01-04T16:48:00")), tolerance=1e-15,
    why="31/6 is rounded to 5; the mean of the days is 4.7 days behind the 1st's midnight less one")
clean("median", {CM: "größe,n", HOW: "Replace with median"}, gaps.assign(größe=gaps["größe"].fillna(gaps["größe"].median()), n=gaps["n"].fillna(4)))
clean("mode", {CM: "All", HOW: "Replace with mode"}, gaps.assign(
    größe=gaps["größe"].fillna(-2.0), n=gaps["n"].fillna(4), ok=gaps["ok"].fillna(True), s=gaps["s"].fillna("y"), day=gaps["day"].fillna("2024-01-04T00:00:00")), why="of several, the least")
clean("row", {CM: "größe,s", HOW: "Remove entire row"}, gaps.dropna(subset=["größe", "s"]))
clean("column", {CM: "größe,s,full", HOW: "Remove entire column"}, gaps.drop(columns=["größe", "s"]))
clean("indicator", {CM: "größe,full", FLAG: True}, gaps.fillna({"größe": 0}).assign(**{"größe_IsMissing": gaps["größe"].isna(), "full_IsMissing": False}))
clean("no-indicator", {CM: "größe,full", FLAG: False}, gaps.fillna({"größe": 0}))
clean("least-ratio", {CM: "größe,n", LO: 0.3}, gaps.fillna({"größe": 0}), why="3 of 8 is enough, 2 of 8 is not")
clean("most-ratio", {CM: "größe,n", HI: 0.3}, gaps.fillna({"n": 0}))
hollow = {"Dataset": {"csv": "a,b\n,1\n,\n", "schema": [{"name": "a", "type": "Double"}]}}
for mode in ["Replace with mean", "Replace with median", "Replace with mode", "Replace using MICE", "Replace using Probabilistic PCA"]:
    slug = mode.split()[-1].lower()
    case(C, f"hollow-{slug}-remove", {HOW: mode, NONE: "Remove"}, hollow, {CLEANED: "b\n1\n1\n"})
    case(C, f"hollow-{slug}-propagate", {HOW: mode, NONE: "Propagate"}, hollow, {CLEANED: "a,b\n,1\n,1\n"})
case(C, "mean-of-text", {CM: "s", HOW: "Replace with mean"}, gap_in, error="Error 0017")
case(C, "huge", {HOW: "Replace with mean"}, {"Dataset": "a\n1e308\n-1e308\n\"\"\n"}, error='Error 0033: column "a": "Replace with mean" would be infinite')
ids = {"Dataset": {"csv": "id,x\nr0,1\n,\nr2,3\n", "schema": [{"name": "id", "role": "id"}]}}
for mode, value in [("Custom substitution value", 0), ("Replace with mean", 2), ("Replace with mode", 1), ("Replace using MICE", 2)]:
    case(C, f"ids-{mode.split()[-1].lower()}", {HOW: mode}, ids, {CLEANED: f"id,x\nr0,1\n,{value}\nr2,3\n"}, why="an id is neither filled nor learned from")
case(C, "ids-row", {HOW: "Remove entire row"}, ids, {CLEANED: "id,x\nr0,1\nr2,3\n"})
case(C, "median-of-truth", {CM: "ok", HOW: "Replace with median"}, gap_in, error="Error 0017")
case(C, "value-that-does-not-suit", {CM: "n", VALUE: "x"}, gap_in, error='Error 0002: the replacement value "x"')
case(C, "ratios", {LO: 0.6, HI: 0.5}, gap_in, error="Error 0008")
case(C, "empty", {}, {"Dataset": "a\n"}, {CLEANED: "a\n"})
case(C, "one-row", {}, {"Dataset": "a,b\n,1\n"}, {CLEANED: "a,b\n0,1\n"})
case(C, "other-table", {CM: "größe", HOW: "Replace with mean"}, gap_in, {LEARNED: {"apply": "größe,q\n,1\n2.5,\n", "gives": f"größe,q\n{float(gaps['größe'].mean())!r},1\n2.5,\n"}}, tolerance=1e-15)

clean("custom-ticks", {CM: "day", VALUE: "638397504000000000"}, gaps.fillna({"day": "2024-01-02T00:00:00"}), why="638397504000000000 ticks are 2024-01-02")
clean("custom-date", {CM: "day", VALUE: "2024-02-29"}, gaps.fillna({"day": "2024-02-29T00:00:00"}))

# Imputation: dimensions are columns, and levels of categorical ones, scaled.
rng = PCG(11)
rows = 40
base = [rng.float64() * 4 - 2 for _ in range(rows)]
data = pd.DataFrame({
    "a": [round(b + rng.float64() * 0.4, 3) for b in base],
    "b": [round(10 * b - 3 + rng.float64(), 2) for b in base],
    "n": pd.array([round(100 + 30 * b + rng.float64() * 9) for b in base], "Int64"),
    "t": [b + rng.float64() > 0.6 for b in base],
    "s": ["low" if b < -0.8 else "mid" if b < 0.7 else "high" for b in base],
    "day": [(pd.Timestamp("2024-01-01") + pd.Timedelta(seconds=round(86400 * (20 + 8 * b)))).isoformat() for b in base],
    "w": [round(rng.float64(), 3) for _ in base],
})
data["t"] = data["t"].astype(object)
for c in data.columns[:-1]:
    for r in range(rows):
        if rng.float64() < 0.2:
            data.loc[r, c] = pd.NA if c == "n" else np.nan if c in "ab" else None
data.loc[3, ["a", "b", "n"]] = [np.nan, np.nan, pd.NA]
im_in = {"Dataset": {"csv": csv(data), "schema": [cat("s")]}}
IM = "a,b,n,t,s,day"
LEVELS = ["high", "low", "mid"]
EPOCH = pd.Timestamp("1970-01-01")


def dimensions(f, columns):
    out, groups = [], []
    for k, c in enumerate(columns):
        if c == "s":
            for level in LEVELS:
                out.append([np.nan if v is None or v != v else float(v == level) for v in f[c]])
                groups.append(k)
            continue
        if c == "day":
            col = [np.nan if v is None or v != v else (pd.Timestamp(v) - EPOCH) / pd.Timedelta(microseconds=1) for v in f[c]]
        else:
            col = [np.nan if v is None or v is pd.NA or v != v else float(v) for v in f[c]]
        out.append(col)
        groups.append(k)
    return np.array(out).T, groups


def restored(f, columns, X):
    out, d = f.copy(), 0
    for c in columns:
        w = 3 if c == "s" else 1
        for r in range(len(f)):
            v = f[c].iloc[r]
            if v is not None and v is not pd.NA and v == v:
                continue
            x = X[r, d]
            if c == "s":
                v = LEVELS[int(X[r, d : d + 3].argmax())]
            elif c == "day":
                v = (EPOCH + pd.Timedelta(microseconds=round(x))).isoformat()
                v = v.rstrip("0") if "." in v else v
            elif c == "n":
                v = round(x)
            elif c == "t":
                v = bool(x >= 0.5)
            else:
                v = x
            out.loc[f.index[r], c] = v
        d += w
    return out


def scale(X):
    m, s = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    return m, np.where(s == 0, 1, s)


class Chained:
    """IterativeImputer, which must not predict a level from the column's other levels."""

    def __init__(self, groups, rounds):
        self.groups, self.rounds = np.array(groups), rounds

    def fit(self, Z):
        if len(set(self.groups)) == len(self.groups):
            self.model = IterativeImputer(Ridge(alpha=1e-3), max_iter=self.rounds, tol=0, sample_posterior=False, imputation_order="ascending", initial_strategy="mean")
            import warnings
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.filled = self.model.fit_transform(Z)
            self.fill = self.model.transform
            return self
        miss = np.isnan(Z)
        order = np.argsort(miss.mean(axis=0), kind="stable")
        F, self.steps = np.where(miss, 0, Z), []
        for _ in range(self.rounds):
            for t in order:
                use = self.groups != self.groups[t]
                model = Ridge(alpha=1e-3).fit(F[~miss[:, t]][:, use], F[~miss[:, t], t])
                if miss[:, t].any():
                    F[miss[:, t], t] = model.predict(F[miss[:, t]][:, use])
                self.steps.append((t, use, model))
        self.filled = F
        return self


class Latent:
    """Probabilistic PCA by EM over what is there (Tipping and Bishop 1999; Ilin and Raiko 2010)."""

    def __init__(self, iterations):
        self.iterations = iterations

    def expect(self, z):
        o = ~np.isnan(z)
        W = self.W[o]
        M = W.T @ W + self.noise * np.eye(W.shape[1])
        return np.linalg.solve(M, W.T @ (z[o] - self.mean[o])), self.noise * np.linalg.inv(M)

    def fit(self, Z):
        n, p = Z.shape
        F = np.where(np.isnan(Z), 0, Z)
        values, vectors = np.linalg.eigh(F.T @ F / n)
        values, vectors = values[::-1], vectors[:, ::-1]
        q = next((q for q in range(1, p) if values[:q].sum() >= 0.8 * values.sum()), p - 1)
        self.noise = max(values[q:].sum() / (p - q), 1e-9)
        self.W = vectors[:, :q] * np.sqrt(np.maximum(values[:q] - self.noise, 0))
        self.mean = np.zeros(p)
        for _ in range(self.iterations):
            H = [self.expect(z) for z in Z]
            W, mean, error, cells = np.zeros((p, q)), np.zeros(p), 0.0, 0
            for d in range(p):
                there = [i for i in range(n) if not np.isnan(Z[i, d])]
                A, b = np.zeros((q + 1, q + 1)), np.zeros(q + 1)
                for i in there:
                    h, S = H[i]
                    g = np.append(h, 1)
                    A += np.outer(g, g)
                    A[:q, :q] += S
                    b += g * Z[i, d]
                w = np.linalg.solve(A + 1e-9 * np.eye(q + 1), b)
                W[d], mean[d] = w[:q], w[q]
                for i in there:
                    h, S = H[i]
                    error += (Z[i, d] - mean[d] - W[d] @ h) ** 2 + W[d] @ S @ W[d]
                cells += len(there)
            self.W, self.mean, self.noise = W, mean, max(error / cells, 1e-9)
        self.filled = self.fill(Z)
        return self

    def fill(self, Z):
        out = Z.copy()
        for i, z in enumerate(Z):
            if np.isnan(z).any():
                h, _ = self.expect(z)
                out[i] = np.where(np.isnan(z), self.mean + self.W @ h, z)
        return out


def imputed(columns, model, f=data):
    X, groups = dimensions(f, columns)
    m, s = scale(X)
    learned = model(groups).fit((X - m) / s)
    return restored(f, columns, learned.filled * s + m), lambda g: restored(g, columns, learned.fill((dimensions(g, columns)[0] - m) / s) * s + m)


plain, mixed = ["a", "b", "n", "w"], ["a", "b", "n", "t", "s", "day"]
for mode, key, model, default in [
    ("Replace using MICE", "Number of iterations", lambda k: lambda groups: Chained(groups, k), 5),
    ("Replace using Probabilistic PCA", "Number of iterations for PCA prediction", lambda k: lambda groups: Latent(k), 10),
]:
    slug = "mice" if "MICE" in mode else "ppca"
    out, again = imputed(plain, model(default))
    case(C, slug, {CM: ",".join(plain), HOW: mode}, im_in, {CLEANED: csv(out)}, tolerance=1e-8)
    fresh = pd.DataFrame({"n": pd.array([None, 150, 100], "Int64"), "x": ["p", "q", "r"], "a": [1.0, np.nan, np.nan], "w": [0.5, np.nan, 0.25], "b": [np.nan, np.nan, 5.0]})
    gives = again(fresh)[fresh.columns]
    case(C, slug + "-other-table", {CM: ",".join(plain), HOW: mode}, im_in, {LEARNED: {"apply": csv(fresh), "gives": csv(gives)}}, tolerance=1e-8, why="w had no missing cell when it was learned")
    out, _ = imputed(plain, model(2))
    case(C, slug + "-iterations", {CM: ",".join(plain), HOW: mode, key: 2}, im_in, {CLEANED: csv(out)}, tolerance=1e-8)
    out, _ = imputed(mixed, model(default))
    case(C, slug + "-all-types", {CM: IM, HOW: mode}, im_in, {CLEANED: csv(out)}, tolerance=1e-8, types={CLEANED: ["Double", "Double", "Int32", "Boolean", "String[high low mid]", "DateTime", "Double"]})
    flags = {c + "_IsMissing": data[c].isna() for c in ["a", "n"]}
    out, _ = imputed(["a", "n"], model(default))
    case(C, slug + "-indicator", {CM: "a,n", HOW: mode, FLAG: True}, im_in, {CLEANED: csv(out.assign(**flags))}, tolerance=1e-8)
    case(C, slug + "-one-column", {CM: "a", HOW: mode}, im_in, {CLEANED: csv(data.fillna({"a": data["a"].mean()}))}, tolerance=1e-12, why="nothing to predict from: the mean")
    case(C, slug + "-of-text", {CM: "a,x", HOW: mode}, {"Dataset": "a,x\n1,p\n,q\n"}, error='Error 0017: column "x" is text without categories')
    case(C, slug + "-iterations-outside", {HOW: mode, key: 0}, im_in, error="Error 0008")
    case(C, slug + "-nothing-missing", {HOW: mode}, {"Dataset": "a,b\n1,2\n3,4\n"}, {CLEANED: "a,b\n1,2\n3,4\n"})

# --- SMOTE

O = "SMOTE"
PERCENT, NEAR, SEED = "SMOTE percentage", "Number of nearest neighbors", "Random seed"
rng = PCG(21)
minority = pd.DataFrame({
    "id": range(24), "größe": [round(rng.float64() * 10, 2) for _ in range(24)], "n": [rng.intn(30) for _ in range(24)], "s": ["pqr"[rng.intn(3)] for _ in range(24)],
    "t": [rng.float64() < 0.5 for _ in range(24)], "y": ["rare" if i % 4 == 1 else "usual" for i in range(24)], "w": [1 + i % 3 for i in range(24)],
})
smote_schema = [{"name": "id", "role": "id"}, cat("s"), {"name": "y", "role": "label"}, {"name": "w", "role": "weight"}]


def smote(f, percent, k, seed, numeric, nominal, blank=("id",)):
    """Chawla et al. 2002, and SMOTE-NC, with the random numbers of the module."""
    counts = f["y"].value_counts().sort_index()
    rows = [i for i in range(len(f)) if f["y"].iloc[i] == counts.idxmin()]
    extra = set(PCG(seed, 0).perm(len(rows))[: percent % 100 * len(rows) // 100])
    differ = np.median([f[c].iloc[rows].astype(float).std(ddof=0) for c in numeric]) ** 2 if numeric else 1.0

    def distance(a, b):
        return sum((float(f[c].iloc[a]) - float(f[c].iloc[b])) ** 2 for c in numeric) + differ * sum(f[c].iloc[a] != f[c].iloc[b] for c in nominal)

    rng, new = PCG(seed, 1), []
    for b, base in enumerate(rows):
        for _ in range(percent // 100 + (b in extra)):
            near = sorted((r for r in rows if r != base), key=lambda r: (distance(base, r), r))[: min(k, len(rows) - 1)]
            other = near[rng.intn(len(near))]
            part = rng.float64()
            row = f.iloc[base].to_dict()
            for c in numeric:
                x = row[c] + part * (f[c].iloc[other] - row[c])
                row[c] = round(x) if f[c].dtype.kind == "i" else x
            for c in nominal:
                values = [f[c].iloc[r] for r in near]
                row[c] = max(values, key=lambda v: (values.count(v), -values.index(v)))
            for c in blank:
                row[c] = ""
            new.append(row)
    return pd.concat([f.astype(object), pd.DataFrame(new, columns=f.columns, dtype=object)])


def oversampled(name, params, percent=100, k=1, seed=0, **more):
    out = smote(minority, percent, k, seed, ["größe", "n"], ["s", "t"])
    case(O, name, params, {"Samples": {"csv": csv(minority), "schema": smote_schema}}, {"Table": csv(out)}, tolerance=1e-12, **more)


oversampled("default", None, types={"Table": ["Int32/id", "Double", "Int32", "String[p q r]", "Boolean", "String/label", "Int32/weight"]})
oversampled("none", {PERCENT: 0}, 0)
oversampled("twice", {PERCENT: 200}, 200)
oversampled("some-of-them", {PERCENT: 150}, 150, why="three of the six once more")
oversampled("neighbours", {NEAR: 3}, k=3)
oversampled("more-neighbours-than-rows", {NEAR: 50}, k=50)
oversampled("seed", {SEED: 12}, seed=12)
case(O, "no-label", None, {"Samples": "a,b\n1,2\n"}, error="Error 0024")
case(O, "two-labels", None, {"Samples": {"csv": "a,b\n1,2\n", "schema": [{"name": "a", "role": "label"}, {"name": "b", "role": "label"}]}}, error="Error 0037")
case(O, "one-class", None, {"Samples": {"csv": "a,b\n1,2\n1,2\n", "schema": [{"name": "b", "role": "label"}]}}, error="Error 0054")
case(O, "one-row-of-the-class", None, {"Samples": {"csv": "a,b\n1,2\n1,3\n1,3\n", "schema": [{"name": "b", "role": "label"}]}}, error="Error 0021")
case(O, "empty", None, {"Samples": {"csv": "a,b\n", "schema": [{"name": "b", "role": "label"}]}}, {"Table": "a,b\n"})
case(O, "missing-cells", {PERCENT: 100}, {"Samples": {"csv": "a,d,y\n,2024-01-01T00:00:00,1\n,2024-01-01T00:00:00,1\n5,2024-01-01T00:00:00,0\n5,2024-01-01T00:00:00,0\n5,,\n5,,0\n", "schema": [{"name": "y", "role": "label"}]}},
     {"Table": "a,d,y\n,2024-01-01T00:00:00,1\n,2024-01-01T00:00:00,1\n5,2024-01-01T00:00:00,0\n5,2024-01-01T00:00:00,0\n5,,\n5,,0\n,2024-01-01T00:00:00,1\n,2024-01-01T00:00:00,1\n"})
case(O, "percentage-outside", {PERCENT: -1}, {"Samples": "a\n1\n"}, error="Error 0008")
