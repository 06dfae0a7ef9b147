"""Reads the tables of a data folder as an outsider would, and says what is in them as JSON.

    read_tables.py DATA_DIR/tables [--tenant default] [--samples FILE]

Two readers that know nothing of Isinglass are used: the Delta reader of PyPI (`deltalake`)
for the log, and both DuckDB's own Parquet reader and pyarrow's for the files.  They must
agree on the number of rows of every table, and on every value bit for bit; a difference
ends the program with status 1.  Needs: deltalake, duckdb, pyarrow, numpy.

Per table: version, files, bytes, rows, least and greatest time, and what the log's
statistics say of rows and time.  Times are raw: microseconds, nanoseconds or days since 1970.  `samples` also has the number of stale markers, the sum
of all finite values, and `bits`, the exclusive or of the bits of all values.
--samples writes one line per sample: metric_id, series_id, time in microseconds, bits of
the value as hex (`stale` for a stale marker).
"""
import argparse
import datetime
import json
import os
import sys

import duckdb
import numpy
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

KINDS = ["series", "samples", "histograms", "exemplars", "logs", "spans", "rejected"]
VALUE = "coalesce(value_int / pow(10, value_scale), value)"


def problems_of_table(folder, kind, out, samples_to):
    table = DeltaTable(folder)
    files = [os.path.join(folder, path) for path in sorted(table.file_uris())]
    adds = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    time = "day" if kind == "series" else "time"
    raw = {"series": "day - DATE '1970-01-01'", "logs": time, "spans": time, "rejected": time}.get(kind, "epoch_us(time)")
    facts = {"version": table.version(), "files": len(files), "rows": 0,
             "bytes": sum(os.path.getsize(path) for path in files)}
    out[kind] = facts
    if not files:
        return
    rows, low, high = duckdb.sql(f"SELECT count(*), min({raw}), max({raw}) FROM read_parquet({files})").fetchall()[0]
    facts.update(rows=rows, time_min=low, time_max=high)

    for path, add in zip(files, sorted(adds, key=lambda add: add["path"])):
        parquet = pq.ParquetFile(path)
        if parquet.metadata.num_rows != add["num_records"]:
            yield f"{path}: {parquet.metadata.num_rows} rows, the log says {add['num_records']}"
        if os.path.getsize(path) != add["size_bytes"]:
            yield f"{path}: {os.path.getsize(path)} bytes, the log says {add['size_bytes']}"
        low, high = duckdb.sql(f"SELECT min({raw}), max({raw}) FROM read_parquet('{path}')").fetchall()[0]
        logged = since_1970(add[f"min.{time}"]), since_1970(add[f"max.{time}"])
        if logged[0] is not None and (low, high) != logged:
            yield f"{path}: times {low} to {high}, the log says {logged[0]} to {logged[1]}"
    if sum(add["num_records"] for add in adds) != rows:
        yield f"{kind}: {rows} rows, the log says {sum(add['num_records'] for add in adds)}"
    through_delta = table.to_pyarrow_dataset().count_rows()
    if through_delta != rows:
        yield f"{kind}: DuckDB has {rows} rows, the Delta reader {through_delta}"
    yield from unsorted(files, kind)
    yield from differing_columns(files)
    if kind == "samples":
        yield from samples(files, facts, samples_to)


def since_1970(value):
    if isinstance(value, datetime.datetime):
        return (value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
    if isinstance(value, datetime.date):
        return (value - datetime.date(1970, 1, 1)).days
    return value


def unsorted(files, kind):
    order = {"spans": ["trace_id", "time"], "logs": ["service", "stream", "time"], "rejected": ["time"],
             "series": ["metric_id", "series_id"]}.get(kind, ["metric_id", "series_id", "time"])
    key = f"({', '.join(order)})"
    for path in files:
        query = f"""SELECT count(*) FROM (SELECT row{key} AS here, lag(row{key}) OVER (ORDER BY file_row_number) AS before
                    FROM read_parquet('{path}', file_row_number = true)) WHERE before > here"""
        if duckdb.sql(query).fetchall()[0][0]:
            yield f"{path} is not sorted by {key}"


def differing_columns(files, rows=2_000):
    for path in files:
        arrow = pq.ParquetFile(path).read()
        duck = duckdb.sql(f"""SELECT * EXCLUDE (file_row_number) FROM read_parquet('{path}', file_row_number = true)
                              ORDER BY file_row_number LIMIT {rows}""").to_arrow_table()
        for name in arrow.column_names:
            ours, theirs = arrow[name].slice(0, rows).to_pylist(), duck[name].to_pylist()
            if repr(ours) != repr(theirs) and not times(ours, theirs):
                row = next(row for row, pair in enumerate(zip(ours, theirs)) if repr(pair[0]) != repr(pair[1]))
                yield f"{path}: {name} of row {row} is {ours[row]!r} to pyarrow and {theirs[row]!r} to DuckDB"


def times(ours, theirs):
    """The same times, written with time zones of different names."""
    return isinstance(ours[0], datetime.datetime) and ours == theirs


def samples(files, facts, samples_to):
    query = f"SELECT metric_id, series_id, epoch_us(time) AS time, {VALUE} AS v FROM read_parquet({files}, file_row_number = true, filename = true) ORDER BY filename, file_row_number"
    duck = duckdb.sql(query).to_arrow_table()
    duck_values = duck["v"].combine_chunks()
    stale = duck_values.is_null().to_numpy(zero_copy_only=False)
    duck_bits = duck_values.fill_null(0.0).to_numpy(zero_copy_only=False).view(numpy.uint64)

    arrow = pa.concat_tables(pq.read_table(path) for path in files)
    ints, scales = arrow["value_int"].combine_chunks(), arrow["value_scale"].combine_chunks()
    whole = ints.is_valid().to_numpy(zero_copy_only=False)
    scaled = ints.fill_null(0).to_numpy().astype(numpy.float64) / 10.0 ** scales.fill_null(0).to_numpy()
    doubles = arrow["value"].combine_chunks()
    arrow_values = numpy.where(whole, scaled, doubles.fill_null(0.0).to_numpy())
    arrow_stale = ~whole & doubles.is_null().to_numpy(zero_copy_only=False)
    if (stale != arrow_stale).any():
        yield "samples: DuckDB and pyarrow disagree on which rows are stale markers"
    differing = (duck_bits != arrow_values.view(numpy.uint64)) & ~stale
    if differing.any():
        yield f"samples: DuckDB and pyarrow disagree on the bits of {differing.sum()} values"

    values = duck_bits[~stale].view(numpy.float64)
    with numpy.errstate(over="ignore"):
        total = float(values[numpy.isfinite(values)].sum())
    facts.update(stale=int(stale.sum()), integers=int(whole.sum()), sum=total,
                 bits=f"{numpy.bitwise_xor.reduce(duck_bits[~stale], initial=numpy.uint64(0)):016x}")
    if samples_to:
        times = duck["time"].to_numpy()
        with open(samples_to, "w") as lines:
            for row, (metric, series) in enumerate(zip(duck["metric_id"].to_numpy(), duck["series_id"].to_numpy())):
                bits = "stale" if stale[row] else f"{duck_bits[row]:016x}"
                lines.write(f"{metric} {series} {times[row]} {bits}\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tables")
    arguments.add_argument("--tenant", default="default")
    arguments.add_argument("--samples")
    given = arguments.parse_args()
    out, problems = {}, []
    for kind in KINDS:
        folder = os.path.join(given.tables, given.tenant, kind)
        if os.path.isdir(os.path.join(folder, "_delta_log")):
            problems += problems_of_table(folder, kind, out, given.samples)
    json.dump(out, sys.stdout, indent=1)
    print()
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems or not out else 0)


main()
