# Writes the Parquet files of this folder: inputs of jobs, as other programs
# write them. TestParquet_foreign says what becomes of each.
#
#   pyarrow 26.0.1, pandas 3.1.1
import decimal
import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

here = os.path.dirname(os.path.abspath(__file__))
n = 40
ids = [f"C{i:03d}" if i % 7 else f"é, \"{i}\"\nmoved" for i in range(1, n + 1)]
minutes = [None if i % 11 == 0 else i / 4 for i in range(1, n + 1)]
calls = [None if i % 5 == 0 else i % 9 for i in range(1, n + 1)]
good = {"extra": pa.array(range(n)), "minutes": pa.array(minutes), "calls": pa.array(calls, pa.int64()), "id": pa.array(ids)}


def write(name, columns, **options):
    pq.write_table(pa.table(columns), os.path.join(here, name + ".parquet"), **options)


write("snappy", good, compression="snappy", row_group_size=9)
write("zstd-v2", good, compression="zstd", data_page_version="2.0", row_group_size=16, data_page_size=64)
write("gzip-plain", good, compression="gzip", use_dictionary=False, row_group_size=40)
write("delta", good, compression="none", use_dictionary=False, column_encoding={
    "extra": "DELTA_BINARY_PACKED", "minutes": "BYTE_STREAM_SPLIT", "calls": "DELTA_BINARY_PACKED", "id": "DELTA_BYTE_ARRAY"}, row_group_size=13)
pd.DataFrame({"id": pd.Categorical(ids), "minutes": minutes, "calls": pd.array(calls, "Int16")}).to_parquet(os.path.join(here, "pandas.parquet"))
write("empty", {k: v[:0] for k, v in good.items()})

# Other types than the service's: what fits is read, what does not is a bad row.
write("types", {
    "id": pa.array(range(1, 9), pa.int32()),
    "minutes": pa.array(["2", " 4 ", "12O", "", None, "-1", "1e3", "8"]),
    "calls": pa.array([1.0, 2.5, 3.0, None, 2.0**40, 6.0, 7.0, float("inf")]),
}, row_group_size=3)
write("decimal", {
    "id": pa.array([b"a", b"\xff", b"c"], pa.binary()),
    "minutes": pa.array([decimal.Decimal("1.50"), decimal.Decimal("-2.25"), None], pa.decimal128(9, 2)),
})
write("missing", {"Id": pa.array(ids), "minutes": pa.array(minutes)})
write("nested", {"id": pa.array(ids), "minutes": pa.array([[m] for m in minutes])})
write("brotli", good, compression="brotli")
