# Goldens of the palette group Data Format Conversions.
#
#   pandas 3.1.1 replaces the values; the types are written out by hand.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "moduletest"))
from golden import Cases

write = Cases(__file__)


def case(module, name, inputs=None, outputs=None, params=None, **more):
    write(module, name, params, inputs, outputs, **more)


import io

import numpy as np
import pandas as pd

table = "n,x,s,c,ok,id\n1,1.5,?,a,True,r1\n,2,obs,?,False,r2\n0,,b,,,r3\n1,-1,\"q, 1\",b,True,\n"
schema = [{"name": "c", "categorical": True}, {"name": "id", "role": "id"}, {"name": "x", "role": "label"}]
inputs = {"Dataset": {"csv": table, "schema": schema}}
D = "Convert to Dataset"
frame = pd.read_csv(io.StringIO(table), dtype=str, keep_default_na=False, na_values=[""])


def csv(f):
    return f.to_csv(index=False, lineterminator="\n")


def out(f):
    return {"Results dataset": csv(f)}


types = ["Int32", "Double/label", "String", "String[? a b]", "Boolean", "String/id"]
for f in ["CSV", "TSV", "ARFF"]:
    case("Convert to " + f, "passes", inputs, {"Results dataset": table}, types={"Results dataset": types})
    case("Convert to " + f, "empty", {"Dataset": "a,b\n"}, {"Results dataset": "a,b\n"})
numbers = "y,a,b\n1,0.5,True\n0,,False\n"
case("Convert to SVMLight", "passes", {"Dataset": {"csv": numbers, "schema": [{"name": "y", "role": "label"}]}}, {"Results dataset": numbers})
case("Convert to SVMLight", "text", {"Dataset": "a,b\n1,x\n"}, error='Error 0017: column "b" is String')

case(D, "none", inputs, {"Results dataset": table}, {"Action": "None"}, types={"Results dataset": types})
case(D, "missing-default", inputs, out(frame.replace("?", np.nan)), {"Action": "SetMissingValue"})
case(D, "missing-number", inputs, out(frame.replace({"n": {"1": np.nan}})), {"Action": "SetMissingValue", "Custom missing value": "1.0"},
     why="1.0 is the whole number 1; as text nothing is 1.0, and x has no 1")
case(D, "missing-truth", inputs, out(frame.replace({"ok": {"True": np.nan}})), {"Action": "SetMissingValue", "Custom missing value": "true"},
     why="texts compare exactly, truth values by what they are")
case(D, "missing-level", inputs, out(frame.replace({"c": {"b": np.nan}, "s": {"b": np.nan}})), {"Action": "SetMissingValue", "Custom missing value": "b"})
texts = {"Dataset": {"csv": "s,c,id\nobs,a,r1\n?,,r2\n,obs,\n", "schema": [{"name": "c", "categorical": True}, {"name": "id", "role": "id"}]}}
tf = pd.read_csv(io.StringIO("s,c,id\nobs,a,r1\n?,,r2\n,obs,\n"), dtype=str, keep_default_na=False, na_values=[""])
case(D, "replace-custom-by-missing", texts, out(tf.replace("obs", np.nan)), {"Action": "ReplaceValues", "Replace": "Custom"})
case(D, "replace-given-by-missing", texts, out(tf.replace("?", np.nan)), {"Action": "ReplaceValues", "Replace": "Custom", "Custom value": "?"})
case(D, "replace-missing-by-custom", texts, out(tf.fillna("0")), {"Action": "ReplaceValues", "New value": "Custom"},
     types={"Results dataset": ["String", "String[a obs 0]", "String/id"]})
case(D, "replace-missing-by-given", texts, out(tf.fillna("none")), {"Action": "ReplaceValues", "New value": "Custom", "New custom value": "none"})
case(D, "replace-custom-by-custom", texts, out(tf.replace("obs", "seen")), {"Action": "ReplaceValues", "Replace": "Custom", "New value": "Custom", "New custom value": "seen"},
     types={"Results dataset": ["String", "String[a obs seen]", "String[r1 r2 seen]/id"][:2] + ["String/id"]})
case(D, "replace-missing-by-missing", texts, out(tf), {"Action": "ReplaceValues"}, why="nothing to do")
case(D, "replace-numbers", {"Dataset": "n,x\n1,\n,2.5\n"}, {"Results dataset": "n,x\n1,0\n0,2.5\n"}, {"Action": "ReplaceValues", "New value": "Custom"})
case(D, "replace-unfit", {"Dataset": "n,s\n1,\n,x\n"}, params={"Action": "ReplaceValues", "New value": "Custom", "New custom value": "none"},
     error='Error 0017: column "n" is Int32: it cannot hold the new value "none"')
case(D, "replace-unfit-unmet", {"Dataset": "n,s\n1,\n2,x\n"}, {"Results dataset": "n,s\n1,none\n2,x\n"}, {"Action": "ReplaceValues", "New value": "Custom", "New custom value": "none"})
case(D, "empty", {"Dataset": "a,b\n"}, {"Results dataset": "a,b\n"}, {"Action": "SetMissingValue"})
case(D, "named-missing-by-custom", texts, out(tf.fillna("0")), {"Action": "ReplaceValues", "Replace": "Missing", "New value": "Custom"})
case(D, "named-custom-by-missing", texts, out(tf.replace("obs", np.nan)), {"Action": "ReplaceValues", "Replace": "Custom", "New value": "Missing"})
