# Writes the Parquet files of this folder and, beside each, what is expected:
# the column types, then the table as CSV as Portico prints it; or a refusal.
#
#   pyarrow 26.0.1
import datetime as dt
import decimal
import os
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

here = os.path.dirname(os.path.abspath(__file__))


def write(name, table, expected, **options):
    pq.write_table(table, os.path.join(here, name + ".parquet"), **options)
    with open(os.path.join(here, name + ".txt"), "w") as f:
        f.write(expected)


utc = dt.timezone.utc
mixed = pa.table({
    "i8": pa.array([1, None, -3], pa.int8()),
    "u16": pa.array([65535, 0, None], pa.uint16()),
    "i32": pa.array([2**31 - 1, None, -2**31], pa.int32()),
    "u32": pa.array([2**32 - 1, 0, None], pa.uint32()),
    "i64": pa.array([2**53 + 1, None, -2**63], pa.int64()),
    "f32": pa.array([0.5, None, float("nan")], pa.float32()),
    "f64": pa.array([1e-5, -0.0, None]),
    "b": pa.array([True, None, False]),
    "s": pa.array(["é, x", None, ""]),
    "d": pa.array([dt.date(2015, 10, 9), None, dt.date(1, 1, 1)]),
    "ms": pa.array([dt.datetime(2015, 10, 9, 8, 30, 0, 250000, utc), None, None], pa.timestamp("ms", "UTC")),
    "us": pa.array([dt.datetime(1969, 12, 31, 23, 59, 59, 999999), None, None], pa.timestamp("us")),
    "ns": pa.array([-1, None, 1_000_000_001], pa.timestamp("ns")),
    "dec": pa.array([decimal.Decimal("12345.67"), None, decimal.Decimal("-0.01")], pa.decimal128(20, 2)),
    "whole": pa.array([decimal.Decimal("7"), None, None], pa.decimal128(5, 0)),
    "time": pa.array([dt.time(8, 30), None, dt.time(23, 59, 59, 1500)], pa.time64("us")),
    "h": pa.array([1.5, None, -65504.0], pa.float16()),
    "cat": pa.array(["b", "a", None]).dictionary_encode(),
})
types = "Int32,Int32,Int32,Int64,Int64,Double,Double,Boolean,String,DateTime,DateTime,DateTime,DateTime,Double,Double,String,Double,String\n"
rows = """i8,u16,i32,u32,i64,f32,f64,b,s,d,ms,us,ns,dec,whole,time,h,cat
1,65535,2147483647,4294967295,9007199254740993,0.5,1E-05,True,"é, x",2015-10-09T00:00:00,2015-10-09T08:30:00.25,1969-12-31T23:59:59.999999,1969-12-31T23:59:59.999999,12345.67,7,08:30:00,1.5,b
,0,,0,,,0,,,,,,,,,,,a
-3,,-2147483648,,-9223372036854775808,,,False,,0001-01-01T00:00:00,,,1970-01-01T00:00:01,-0.01,,23:59:59.0015,-65504,
"""
for codec in ["none", "snappy", "gzip", "zstd"]:
    write("mixed-" + codec, mixed, types + rows, compression=codec)
write("mixed-v2", mixed, types + rows, data_page_version="2.0", version="2.6", write_page_checksum=True)
write("mixed-plain", mixed, types + rows, use_dictionary=False)
narrow = pa.table({"m": pa.array([decimal.Decimal("1.5"), None], pa.decimal128(9, 1)), "n": pa.array([decimal.Decimal("-2.25"), None], pa.decimal128(18, 2)),
                   "old": pa.array([dt.datetime(2015, 10, 9, 8, 30, 0, 123456), None], pa.timestamp("us"))})
write("narrow", narrow, "Double,Double,DateTime\nm,n,old\n1.5,-2.25,2015-10-09T08:30:00.123456\n,,\n", store_decimal_as_integer=True, use_deprecated_int96_timestamps=True)

n = 1500
delta = pa.table({
    "i": pa.array([(k * k * 7919) % 100003 - 50000 if k % 11 else None for k in range(n)], pa.int64()),
    "w": pa.array([(-1) ** k * (2**62 - k) for k in range(n)], pa.int64()),
    "j": pa.array([k * 3 for k in range(n)], pa.int32()),
    "f": pa.array([k / 4 for k in range(n)]),
    "l": pa.array(["x" * (k % 7) + str(k) for k in range(n)]),
    "p": pa.array(["customer-%06d" % k if k % 5 else None for k in range(n)]),
    "b": pa.array([k // 100 % 2 == 0 for k in range(n)]),
})
expected = "Int64,Int64,Int32,Double,String,String,Boolean\ni,w,j,f,l,p,b\n"
for k in range(n):
    i = (k * k * 7919) % 100003 - 50000
    f = ("%.2f" % (k / 4)).rstrip("0").rstrip(".")
    expected += ",".join([str(i) if k % 11 else "", str((-1) ** k * (2**62 - k)), str(k * 3), f, "x" * (k % 7) + str(k),
                          "customer-%06d" % k if k % 5 else "", str(k // 100 % 2 == 0)]) + "\n"
write("delta", delta, expected, use_dictionary=False, row_group_size=700, data_page_size=2000, version="2.6", data_page_version="2.0", compression="none",
      column_encoding={"i": "DELTA_BINARY_PACKED", "w": "DELTA_BINARY_PACKED", "j": "DELTA_BINARY_PACKED", "f": "BYTE_STREAM_SPLIT", "l": "DELTA_LENGTH_BYTE_ARRAY",
                       "p": "DELTA_BYTE_ARRAY", "b": "RLE"})
write("dictionary", delta, expected, row_group_size=700, data_page_size=500)

write("empty", mixed.slice(0, 0), types + rows.split("\n")[0] + "\n")
write("nested", pa.table({"l": pa.array([[1, 2]])}), 'refused: column "l" is nested\n')
write("repeated-names", pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), 'refused: the file has column "a" twice\n')
write("lz4", pa.table({"a": [1]}), "refused: compression LZ4 is not supported\n", compression="lz4")
write("brotli", pa.table({"a": [1]}), "refused: compression Brotli is not supported\n", compression="brotli")
write("u64", pa.table({"a": pa.array([1, 2**63], pa.uint64())}), 'refused: row 2: column "a" (Int64): Error 0033: the value 9223372036854775808\n')
write("infinite", pa.table({"a": [1.0, float("inf")]}), 'refused: row 2: column "a" (Double): Error 0033\n')
write("bytes", pa.table({"a": pa.array([b"\xff"], pa.binary())}), 'refused: row 1: column "a" (String): the text is not UTF-8\n')
