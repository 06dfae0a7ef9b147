"""Questions to a server over HTTP and, on the very same files, to DuckDB.

    questions.py --url HOST:PORT --data FOLDER --load FOLDER [--pid PID] [--runs N] [--only TEXT,TEXT] [--out FILE]

Prints a row per question: median and worst time of the server with everything that HTTP and JSON
cost, its CPU time, DuckDB's median in process, and the ratio of both. The two are asked in turn,
so that what else the machine does hits both. Answers must have as many rows. DuckDB reads the
live files of the Delta tables; where it needs another spelling of a question, that stands next to
ours.
"""
import argparse
import http.client
import json
import os
import statistics
import sys
import time
import urllib.parse
from pathlib import Path

import deltalake
import duckdb

TICKS = os.sysconf("SC_CLK_TCK")


def questions(load):
    metrics = json.load(open(load / "metrics.meta.json"))
    spans = json.load(open(load / "spans.meta.json"))
    end = metrics["end_ms"]
    bin_ours = "date_bin(interval '1 minute', time)"
    bin_duck = "time // 60000000000"
    series = "(SELECT DISTINCT ON (series_id) * FROM {series})"
    value = "coalesce(value_int / pow(10, value_scale), value)"
    duration = "(attributes['duration_ms'])::double"
    both = lambda name, text: (name, text, None)
    rows = [
        both("newest 100 lines of a service", "SELECT * FROM {logs} WHERE service = 'cart' ORDER BY time DESC LIMIT 100"),
        both("LIKE needle, 10 of 1 M lines", "SELECT * FROM {logs} WHERE body LIKE '%zq7vX91kTt%'"),
        (
            "has_token needle",
            "SELECT * FROM {logs} WHERE has_token(body, 'zq7vX91kTt')",
            "SELECT * FROM {logs} WHERE body LIKE '%zq7vX91kTt%'",
        ),
        (
            "lines of a trace, none",
            "SELECT * FROM {logs} WHERE trace_id = '80000000000000000000000000000000'",
            "SELECT * FROM {logs} WHERE trace_id = '\\x80" + "\\x00" * 15 + "'::blob",
        ),
        both(
            "status 500 and slow, newest 100",
            "SELECT * FROM {logs} WHERE attributes['status'] = '500' AND " + duration + " > 200 ORDER BY time DESC LIMIT 100",
        ),
        ("lines by service and minute", f"SELECT service, {bin_ours} m, count(*) FROM {{logs}} GROUP BY 1, 2", f"SELECT service, {bin_duck} m, count(*) FROM {{logs}} GROUP BY 1, 2"),
        (
            "errors by service and minute",
            f"SELECT service, {bin_ours} m, count(*) FROM {{logs}} WHERE severity = 'error' GROUP BY 1, 2",
            f"SELECT service, {bin_duck} m, count(*) FROM {{logs}} WHERE severity = 'error' GROUP BY 1, 2",
        ),
        (
            "lines by status and minute",
            f"SELECT attributes['status'] s, {bin_ours} m, count(*) FROM {{logs}} GROUP BY 1, 2",
            f"SELECT attributes['status'] s, {bin_duck} m, count(*) FROM {{logs}} GROUP BY 1, 2",
        ),
        (
            "p99 of duration by service and minute",
            f"SELECT service, {bin_ours} m, approx_percentile_cont({duration}, 0.99) FROM {{logs}} GROUP BY 1, 2",
            f"SELECT service, {bin_duck} m, approx_quantile({duration}, 0.99) FROM {{logs}} GROUP BY 1, 2",
        ),
        (
            "top 10 of 200 k users",
            "SELECT user_id, count(*) n FROM {logs} GROUP BY 1 ORDER BY n DESC LIMIT 10",
            "SELECT user_id, count(*) n FROM {logs} GROUP BY 1 ORDER BY n DESC LIMIT 10",
        ),
        (
            "trace by id",
            f"SELECT * FROM {{spans}} WHERE trace_id = '{spans['pick'][1]}'",
            f"SELECT * FROM {{spans}} WHERE trace_id = unhex('{spans['pick'][1]}')",
        ),
        (
            "span rate by service and minute",
            f"SELECT service, {bin_ours} m, count(*) FROM {{spans}} GROUP BY 1, 2",
            f"SELECT service, {bin_duck} m, count(*) FROM {{spans}} GROUP BY 1, 2",
        ),
        (
            "p99 of server spans by service and minute",
            f"SELECT service, {bin_ours} m, approx_percentile_cont(duration, 0.99) FROM {{spans}} WHERE kind = 'server' GROUP BY 1, 2",
            f"SELECT service, {bin_duck} m, approx_quantile(duration, 0.99) FROM {{spans}} WHERE kind = 'server' GROUP BY 1, 2",
        ),
        both("slow spans of a service, 20", "SELECT trace_id, name, duration FROM {spans} WHERE service = 'checkout' AND duration > 100000000 LIMIT 20"),
        both("failed requests, 20", "SELECT trace_id, name, duration FROM {spans} WHERE http_status_code = 500 LIMIT 20"),
        (
            "samples at one moment, sum by metric",
            f"SELECT metric, sum(value) FROM samples JOIN (SELECT DISTINCT series_id, metric FROM series) s USING (series_id) WHERE time = to_timestamp_millis({end}) GROUP BY 1",
            f"SELECT metric, sum({value}) FROM {{samples}} JOIN {series} s USING (series_id) WHERE time = make_timestamptz({end} * 1000) GROUP BY 1",
        ),
        (
            "average by region, 500 gauges by the minute",
            f"SELECT region, {bin_ours} m, avg(value) FROM metrics.cpu_usage_user GROUP BY 1, 2",
            f"SELECT labels['region'] region, epoch_us(time) // 60000000 m, avg({value}) FROM {{samples}} JOIN {series} s USING (metric_id, series_id) WHERE metric = 'cpu_usage_user' GROUP BY 1, 2",
        ),
        (
            "highest by host",
            "SELECT hostname, max(value) FROM metrics.cpu_usage_user GROUP BY 1",
            f"SELECT labels['hostname'] hostname, max({value}) FROM {{samples}} JOIN {series} s USING (metric_id, series_id) WHERE metric = 'cpu_usage_user' GROUP BY 1",
        ),
        (
            "increase by job and code in 5 min",
            "SELECT job, code, b, sum(d) FROM (SELECT job, code, series_id, date_bin(interval '5 minutes', time) b, max(value) - min(value) d FROM metrics.http_requests_total GROUP BY 1, 2, 3, 4) GROUP BY 1, 2, 3",
            f"SELECT labels['job'] job, labels['code'] code, b, sum(d) FROM (SELECT metric_id, series_id, epoch_us(time) // 300000000 b, max({value}) - min({value}) d FROM {{samples}} GROUP BY 1, 2, 3) JOIN {series} s USING (metric_id, series_id) WHERE metric = 'http_requests_total' GROUP BY 1, 2, 3",
        ),
        (
            "20 series over an hour",
            "SELECT time, hostname, value FROM metrics.cpu_usage_user WHERE hostname IN ({hosts})",
            f"SELECT epoch_us(time) time, labels['hostname'] hostname, {value} FROM {{samples}} JOIN {series} s USING (metric_id, series_id) WHERE metric = 'cpu_usage_user' AND labels['hostname'] IN ({{hosts}})",
        ),
    ]
    hosts = ", ".join(f"'host_{n}'" for n in range(20))
    return [(name, ours.replace("{hosts}", hosts), (duck or ours).replace("{hosts}", hosts)) for name, ours, duck in rows]


class Server:
    def __init__(self, url, pid):
        self.connection, self.pid = http.client.HTTPConnection(url, timeout=120), pid

    def ask(self, text):
        self.connection.request("GET", "/api/sql?" + urllib.parse.urlencode({"query": text, "format": "json"}))
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {body[:400].decode()}")
        return body

    def cpu_s(self):
        if not self.pid:
            return 0.0
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def in_turn(runs, rounds):
    """Runs each of them once a round, so that what else the machine does hits all alike."""
    answers, times = [None] * len(runs), [[] for _ in runs]
    for _ in range(rounds + 1):
        for at, run in enumerate(runs):
            start = time.perf_counter()
            answers[at] = run()
            times[at].append((time.perf_counter() - start) * 1e3)
    return [{"first_ms": all[0], "median_ms": statistics.median(all[1:]), "max_ms": max(all[1:])} for all in times], answers


def ours(server, text):
    for table in ("logs", "spans", "samples", "series"):
        text = text.replace("{" + table + "}", table)
    return lambda: server.ask(text)


def files(data, table):
    folder = Path(data) / "tables" / "default" / table
    found = deltalake.DeltaTable(str(folder)).file_uris()
    return "read_parquet([" + ", ".join(f"'{path}'" for path in found) + "], union_by_name = true)"


def theirs(con, data, text):
    for table in ("logs", "spans", "samples", "series"):
        text = text.replace("{" + table + "}", files(data, table) if "{" + table + "}" in text else "")
    return lambda: con.execute(text).fetchall()


def compare(server, con, data, question, rounds):
    name, our_text, duck_text = question
    # DuckDB runs in this process: what the server takes in the meantime it takes for its own answers.
    before = server.cpu_s()
    (result, duck), (body, rows) = in_turn([ours(server, our_text), theirs(con, data, duck_text)], rounds)
    cpu_ms = (server.cpu_s() - before) * 1e3 / (rounds + 1)
    result |= {"name": name, "cpu_ms": cpu_ms, "rows": len(json.loads(body))}
    return result | {"duckdb": duck | {"rows": len(rows)}}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--url", required=True)
    options.add_argument("--data", required=True)
    options.add_argument("--load", required=True)
    options.add_argument("--pid", type=int)
    options.add_argument("--runs", type=int, default=9)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--only", default="")
    options.add_argument("--out")
    given = options.parse_args()
    server = Server(given.url, given.pid)
    con = duckdb.connect(config={"threads": given.threads})
    results = []
    print("| question | ms, median | worst | first | CPU-ms | DuckDB, ms | ratio | rows |\n|---|---|---|---|---|---|---|---|")
    for question in questions(Path(given.load)):
        name = question[0]
        if not any(part in name for part in given.only.split(",")):
            continue
        try:
            result = compare(server, con, given.data, question, given.runs)
        except RuntimeError as error:
            results.append({"name": name, "error": str(error)})
            print(f"| {name} | {str(error)[:200]} | | | | | | |", flush=True)
            continue
        results.append(result)
        duck = result["duckdb"]
        rows = str(result["rows"]) + ("" if result["rows"] == duck["rows"] else f" (DuckDB {duck['rows']})")
        print(
            f"| {name} | {result['median_ms']:.1f} | {result['max_ms']:.1f} | {result['first_ms']:.1f} | {result['cpu_ms']:.0f} "
            f"| {duck['median_ms']:.1f} | {result['median_ms'] / duck['median_ms']:.2f} | {rows} |",
            flush=True,
        )
    if given.out:
        json.dump(results, open(given.out, "w"), indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
