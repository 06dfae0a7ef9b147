"""Reads a Delta table with the Delta reader and with DuckDB and compares both
with what the server answers over SQL.

    tables.py KIND TABLE SERVER TENANT

Prints the number of rows and the differences, of which there should be none.
"""
import datetime
import json
import struct
import sys
import urllib.request

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

# Columns that identify and weigh a row: name in the file, how SQL shows it.
COLUMNS = {
    "samples": ["metric_id", "series_id", "time", "value", "start_time"],
    "series": ["metric_id", "series_id", "metric", "type"],
    "histograms": ["metric_id", "series_id", "time", "count", "sum", "schema"],
    "exemplars": ["metric_id", "series_id", "time", "value"],
    "logs": ["time", "service", "stream", "body", "trace_id", "span_id"],
    "spans": ["time", "duration", "trace_id", "span_id", "parent_span_id", "service", "name", "kind", "status",
              "http_response_status_code", "size_bytes"],
    "rejected": ["time", "signal", "reason", "message", "item"],
}
# The value of a sample is one of two encodings; both are exact.
VALUE = "coalesce(value_int / pow(10, value_scale), value) as value"


def bits(value):
    """Doubles by their bits, so that -0.0 is not 0.0 and NaN is NaN."""
    return struct.pack(">d", value).hex() if isinstance(value, float) else value


def plain(value):
    """A cell as one comparable value: times as nanoseconds, ids as hex."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, datetime.datetime):
        since = value - datetime.datetime(1970, 1, 1, tzinfo=value.tzinfo)
        return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    return bits(value)


def rows_of(table, columns):
    """Rows of an Arrow table; timestamps as integers of nanoseconds."""
    arrays = []
    for name in columns:
        column = table.column(name).combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_timestamp(column.type):
            factor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[column.type.unit]
            column = column.cast(pa.int64()).to_pylist()
            arrays.append([None if value is None else value * factor for value in column])
        else:
            arrays.append([plain(value) for value in column.to_pylist()])
    return sorted(zip(*arrays), key=repr)


def ask(server, tenant, query):
    body = json.dumps({"query": query, "format": "arrow"}).encode()
    request = urllib.request.Request(f"http://{server}/api/sql", body, {
        "Content-Type": "application/json", "X-Scope-OrgID": tenant})
    with urllib.request.urlopen(request) as answer:
        return pa.ipc.open_stream(answer.read()).read_all()


def main():
    kind, path, server, tenant = sys.argv[1:]
    columns = COLUMNS[kind]
    table = DeltaTable(path)
    files = table.file_uris()
    differences = []

    duck = duckdb.connect()
    duck.execute("set timezone = 'UTC'")
    shown = ", ".join(VALUE if (kind, name) == ("samples", "value") else f'"{name}"' for name in columns)
    source = "read_parquet([" + ", ".join(f"'{file}'" for file in files) + "])"
    from_duck = rows_of(duck.execute(f"select {shown} from {source}").to_arrow_table(), columns)

    # The Delta log knows the same files and counts as the files themselves.
    actions = pa.table(table.get_add_actions(flatten=True))
    counted = sum(actions.column("num_records").to_pylist())
    if counted != len(from_duck):
        differences.append(f"the log counts {counted} rows, the files hold {len(from_duck)}")
    from_delta = duck.from_arrow(table.to_pyarrow_dataset().to_table())
    from_delta = rows_of(duck.execute(f"select {shown} from from_delta").to_arrow_table(), columns)
    if from_delta != from_duck:
        differences.append("the Delta reader and read_parquet differ")

    from_sql = rows_of(ask(server, tenant, f"select {', '.join(chr(34) + c + chr(34) for c in columns)} from {kind}"), columns)
    if from_sql != from_duck:
        only_sql = [row for row in from_sql if row not in from_duck][:3]
        only_duck = [row for row in from_duck if row not in from_sql][:3]
        differences.append(f"SQL has {len(from_sql)} rows, the files {len(from_duck)}; "
                           f"only SQL: {only_sql}; only files: {only_duck}")
    json.dump({"rows": len(from_duck), "files": len(files), "differences": differences}, sys.stdout)


main()
