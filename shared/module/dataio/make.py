# Goldens of the palette group Data Input and Output.
#
#   pandas 3.1.1 reads the tables; zipfile and gzip are Python's own. The types
#   are written out by hand.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "moduletest"))
from golden import Cases

write = Cases(__file__)


def case(module, name, inputs=None, outputs=None, params=None, **more):
    write(module, name, params, inputs, outputs, **more)


import base64
import gzip
import io
import zipfile

E = "Enter Data Manually"
U = "Unpack Zipped Datasets"


def dataset(csv):
    return {"Dataset": csv}


case(E, "csv", None, dataset("a,b\n1,x\n2,\n"), {"Data": "a,b\n1,x\n2,"}, types={"Dataset": ["Int32", "String"]})
case(E, "csv-no-header", None, dataset("Col1,Col2\na,b\n1,x\n"), {"Data": "a,b\n1,x", "HasHeader": "false"}, types={"Dataset": ["String", "String"]})
case(E, "csv-empty", None, dataset("a,b\n"), {"Data": "a,b\n"})
case(E, "csv-unicode", None, dataset("é,日本\n\"a, b\",ü\n"), {"Data": "é,日本\n\"a, b\",ü"})
case(E, "csv-ragged", params={"Data": "a,b\n1"}, error="Error 0049")
case(E, "csv-twice", params={"Data": "a,a\n1,2"}, error="Error 0049")
case(E, "tsv", None, dataset("a,b\n1,\"x,y\"\n"), {"Data": "a\tb\n1\tx,y\n", "DataFormat": "TSV"})
case(E, "tsv-no-header", None, dataset("Col1,Col2\n1,x\n2,y\n"), {"Data": "1\tx\n2\ty\n", "HasHeader": "false", "DataFormat": "TSV"})
arff = "@relation r\n@attribute a numeric\n@attribute 's x' {n,y}\n@attribute d date yyyyMMdd\n@data\n1,y,20010403\n?,n,?\n{2 20010404}\n"
case(E, "arff", None, dataset("a,s x,d\n1,y,2001-04-03T00:00:00\n,n,\n0,n,2001-04-04T00:00:00\n"), {"Data": arff, "DataFormat": "ARFF"},
     types={"Dataset": ["Double", "String[n y]", "DateTime"]})
case(E, "arff-weights", params={"Data": "@attribute a numeric\n@data\n1,{5}\n", "DataFormat": "ARFF"}, error="Error 0049: the data cannot be parsed: record 1 (line 3): instance weights")
case(E, "svmlight", None, dataset("Label,Col1,Col2,Col3\n1,0.5,0,2\n-1,0,3,0\n"), {"Data": "1 1:0.5 3:2 # c\n-1 2:3\n", "DataFormat": "SvmLight"},
     types={"Dataset": ["Int32/label", "Double", "Double", "Double"]})
case(E, "svmlight-zero", params={"Data": "1 0:0.5\n", "DataFormat": "SvmLight"}, error="Error 0049")

when = (2024, 1, 1, 0, 0, 0)


def archive(*files):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in files:
            z.writestr(zipfile.ZipInfo(name, when), text)
    return cell(b.getvalue())


def cell(b):
    return {"Dataset": "Content\n" + base64.b64encode(b).decode() + "\n"}


def results(csv):
    return {"Results dataset": csv}


one, two = ("one.csv", "1,x\n2,y\n"), ("in/two.csv", "a,b\n3,z\n")
case(U, "zip-single", archive(one), results("Col1,Col2\n1,x\n2,y\n"))
case(U, "zip-named", archive(one, two), results("Col1,Col2\na,b\n3,z\n"), {"Dataset name": "in/two.csv"})
case(U, "zip-header", archive(one, two), results("a,b\n3,z\n"), {"Dataset name": "in/two.csv", "File has header": "true"})
case(U, "zip-tsv", archive(("t.txt", "a\tb\n1\t2\n")), results("a,b\n1,2\n"), {"Data format": "TSV", "File has header": "true"})
case(U, "zip-arff", archive(("t.arff", arff)), results("a,s x,d\n1,y,2001-04-03T00:00:00\n,n,\n0,n,2001-04-04T00:00:00\n"), {"Data format": "ARFF"})
case(U, "zip-svmlight", archive(("t", "1 1:2\n")), results("Label,Col1\n1,2\n"), {"Data format": "SvmLight"})
case(U, "gzip", cell(gzip.compress(b"1,x\n", mtime=0)), results("Col1,Col2\n1,x\n"), {"Compression": "Gzip"})
case(U, "zip-ambiguous", archive(one, two), error="Error 0003: the archive holds 2 files: name the one to unpack; there are one.csv, in/two.csv")
case(U, "zip-absent", archive(one), params={"Dataset name": "two.csv"}, error='Error 0002: the archive has no file "two.csv"')
case(U, "zip-is-gzip", cell(gzip.compress(b"1,x\n", mtime=0)), error="Error 0048: the zip archive is damaged")
case(U, "gzip-is-zip", archive(one), params={"Compression": "Gzip"}, error="Error 0048: the gzip file is damaged")
case(U, "no-archive", {"Dataset": "a,b\n1,2\n"}, error="Error 0048: the dataset is no archive")
case(U, "unreadable", archive(("t.csv", "a,b\n1\n")), error="Error 0049")
case(E, "csv-named", None, dataset("a,b\n1,x\n"), {"Data": "a,b\n1,x\n", "DataFormat": "CSV", "HasHeader": "true"})
case(U, "zip-defaults-named", archive(one), results("Col1,Col2\n1,x\n2,y\n"), {"Compression": "Zip", "Data format": "CSV", "File has header": "false"})
