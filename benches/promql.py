"""PromQL where there are many series: what a sample costs, and what a day of 100,000 series takes.

    promql.py scale --bin BINARY --data FOLDER [--series 10000,100000,1000000] [--svg FILE]
    promql.py day   --bin BINARY --data FOLDER [--series 100000] [--memory 512MiB]
    promql.py few   --url HOST:PORT --load FOLDER --runs 500
    promql.py table RESULT.json...

`scale` fills a server up to each number of series, an hour of them by the minute, and asks for a
rate of all over that hour, and for labels and series; with `--victoria BINARY` it asks
VictoriaMetrics the same of the same requests. `day` fills 24 hours by the minute and asks for the
sum of all rates; what the server held at most is printed. `few` asks a server that was filled by
bench.py for the last hour of 20 series, one question after the other. `table` sets results of bench.py side by
side, the first one being ours.
"""
import argparse
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

import cramjam
import numpy as np

import feed

TICKS = os.sysconf("SC_CLK_TCK")
MINUTE_MS = 60_000
SERIES_A_REQUEST = 500


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def labels(at):
    """Labels of a series: `shard` is unique among 1,000, `job` among 10."""
    pairs = {
        "__name__": "requests_total", "cluster": "c1", "instance": f"10.{at >> 16 & 255}.{at >> 8 & 255}.{at & 255}:80",
        "job": f"job-{at % 10}", "pod": f"pod-{at:07}", "shard": f"s{at // 1000:04}",
    }
    return b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(pairs.items()))


def request(first, count, start_ms, minutes):
    """Samples of `count` series at each minute, as a remote write request of version 1."""
    rng = np.random.default_rng(first)
    # A phase of its own for each series, as scraped targets have it.
    times = start_ms + np.arange(minutes) * MINUTE_MS + rng.integers(0, MINUTE_MS, (count, 1))
    base = (start_ms // MINUTE_MS % 1_000_000) * 50.0
    values = base + rng.integers(0, 100, (count, minutes)).cumsum(1)
    samples = np.zeros((count, minutes, 18), np.uint8)
    samples[:, :, 0], samples[:, :, 1], samples[:, :, 2], samples[:, :, 11] = 0x12, 16, 0x09, 0x10
    samples[:, :, 3:11] = values.astype("<f8").view(np.uint8).reshape(count, minutes, 8)
    for byte in range(6):
        samples[:, :, 12 + byte] = (times >> 7 * byte & 0x7F) | (0x80 if byte < 5 else 0)
    body = b"".join(field(1, labels(first + row) + samples[row].tobytes()) for row in range(count))
    return bytes(cramjam.snappy.compress_raw(body)), count * minutes


def fill(url, path, series, start_ms, minutes):
    """Sends an interval of the series of a range over two connections; the number of samples."""
    firsts = list(range(series.start, series.stop, SERIES_A_REQUEST))
    sent = []

    def work(part):
        for first in part:
            made = request(first, min(SERIES_A_REQUEST, series.stop - first), start_ms, minutes)
            feed.send(url, path, feed.REMOTE_WRITE, [made], sent)

    threads = [threading.Thread(target=work, args=(firsts[at::2],)) for at in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return sum(sent)


class Server:
    def __init__(self, name, url, process):
        self.name, self.url, self.process = name, url, process
        self.connection = http.client.HTTPConnection(url, timeout=600)

    def ask(self, path, **arguments):
        self.connection.request("GET", path + "?" + urllib.parse.urlencode(arguments))
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{self.name} {path}: {answer.status} {body[:400]}")
        return body

    def cpu_s(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mib(self):
        status = open(f"/proc/{self.process.pid}/status").read()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def reset_peak(self):
        open(f"/proc/{self.process.pid}/clear_refs", "w").write("5")

    def timed(self, runs, path, **arguments):
        """Median time in ms, least CPU in ms, and the answer."""
        took, cpu = [], []
        for _ in range(runs + 1):
            before, start = self.cpu_s(), time.perf_counter()
            body = self.ask(path, **arguments)
            took.append((time.perf_counter() - start) * 1e3)
            cpu.append((self.cpu_s() - before) * 1e3)
        return statistics.median(took[1:]), min(cpu[1:]), body

    def stop(self):
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def start_isinglass(given, *arguments):
    data = fresh(given.data, "isinglass")
    process, addresses = feed.start(given.bin, data, None, arguments)
    return Server("isinglass", addresses["http"], process)


def start_victoria(given):
    data, address = fresh(given.data, "victoria"), "127.0.0.1:28429"
    limits = ["-search.maxUniqueTimeseries=2000000", "-search.maxSeries=2000000", "-search.maxTagValues=2000000",
              "-search.maxSamplesPerQuery=2000000000", "-search.maxLabelsAPISeries=2000000"]
    command = [given.victoria, f"-storageDataPath={data}", f"-httpListenAddr={address}", "-retentionPeriod=1y",
               "-search.disableCache", "-search.latencyOffset=0s", *limits]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            connection = http.client.HTTPConnection(address, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return Server("victoria-metrics", address, process)
        except OSError:
            time.sleep(0.1)


def fresh(folder, name):
    data = Path(folder) / name
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    return data


def settle(server):
    """Everything received is in files, and the files are merged."""
    # It was idle for long, and the server may have closed it.
    server.connection.close()
    if server.name == "isinglass":
        feed.post(server.url, "/api/admin/flush")
        feed.post(server.url, "/api/admin/compact")
    else:
        for path in ("/internal/force_flush", "/internal/force_merge", "/internal/force_flush"):
            server.ask(path)
        time.sleep(5)
    server.connection.close()


def of_scale(server, series, start_ms, runs):
    minutes = {"start": start_ms / 1e3, "end": start_ms / 1e3 + 3600, "step": 60, "nocache": 1}
    window = {"start": start_ms / 1e3, "end": start_ms / 1e3 + 3600}
    job = 'requests_total{job="job-3",shard="s0001"}'
    samples = series * 60
    took, cpu, body = server.timed(runs, "/api/v1/query_range", query="sum by (job) (rate(requests_total[5m]))", **minutes)
    assert len(json.loads(body)["data"]["result"]) == 10
    row = {"server": server.name, "series": series, "rate_ms": took, "rate_cpu_ns_a_sample": cpu * 1e6 / samples}
    for name, path, arguments in (
        ("labels_ms", "/api/v1/labels", window),
        ("values_1000_ms", "/api/v1/label/shard/values", window),
        ("values_1000_of_all_ms", "/api/v1/label/shard/values", {"match[]": "requests_total", **window}),
        ("values_all_ms", "/api/v1/label/pod/values", window),
        ("values_matched_ms", "/api/v1/label/pod/values", {"match[]": job, **window}),
        ("series_100_ms", "/api/v1/series", {"match[]": job, **window}),
        ("instant_100_ms", "/api/v1/query", {"query": job, "time": window["end"], "nocache": 1}),
    ):
        row[name], _, body = server.timed(runs, path, **arguments)
        row[name.replace("_ms", "_found")] = len(json.loads(body)["data"].get("result") if "query" in arguments else json.loads(body)["data"])
    return row


def scale(given):
    sizes = [int(size) for size in given.series.split(",")]
    start_ms = (int(time.time()) // 3600 - 2) * 3_600_000
    servers = [start_isinglass(given)] + ([start_victoria(given)] if given.victoria else [])
    rows = []
    try:
        for before, size in zip([0, *sizes], sizes):
            for server in servers:
                fill(server.url, "/api/v1/write", range(before, size), start_ms, 60)
                settle(server)
                row = of_scale(server, size, start_ms, given.runs)
                row["peak_mib"] = server.peak_mib()
                rows.append(row)
                print(json.dumps(row), flush=True)
    finally:
        for server in servers:
            server.stop()
    if given.svg:
        Path(given.svg).write_text(plot([row for row in rows if row["server"] == "isinglass"]))


def plot(rows):
    from math import log10

    width, height, left = 560, 260, 60
    most = max(row["rate_cpu_ns_a_sample"] for row in rows) * 1.2
    low, high = log10(rows[0]["series"]), log10(rows[-1]["series"])
    x = lambda series: left + (log10(series) - low) / (high - low) * (width - left - 40)
    y = lambda cost: height - 40 - cost / most * (height - 60)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">']
    for part in range(5):
        cost = most * part / 4
        out.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(cost):.0f}" y2="{y(cost):.0f}" stroke="#ddd"/>')
        out.append(f'<text x="8" y="{y(cost) + 4:.0f}">{cost:.0f} ns</text>')
    for row in rows:
        out.append(f'<text x="{x(row["series"]) - 15:.0f}" y="{height - 20}">{row["series"] // 1000} k</text>')
    points = " ".join(f"{x(row['series']):.0f},{y(row['rate_cpu_ns_a_sample']):.0f}" for row in rows)
    out.append(f'<polyline points="{points}" fill="none" stroke="#1f6f8b" stroke-width="2"/>')
    out.append(f'<text x="{left}" y="14">CPU a sample: sum by (job) (rate(requests_total[5m])) over an hour, by series</text>')
    return "\n".join([*out, "</svg>"])


def day(given):
    series = int(given.series.split(",")[-1])
    start_ms = (int(time.time()) // 3600 - 25) * 3_600_000
    server = start_isinglass(given, "--memory", given.memory)
    try:
        began, sent = time.time(), 0
        for hour in range(0, 24, 2):
            sent += fill(server.url, "/api/v1/write", range(series), start_ms + hour * 3_600_000, 120)
            print(f"{hour + 2} h, {sent / 1e6:.0f} M samples, {time.time() - began:.0f} s, peak {server.peak_mib():.0f} MiB", flush=True)
        settle(server)
        print(f"intake, flush and merge: peak {server.peak_mib():.0f} MiB, {server.cpu_s():.0f} CPU-s")
        server.reset_peak()
        for query in ("sum(rate(requests_total[5m]))", "sum by (job) (rate(requests_total[5m]))"):
            took, cpu, body = server.timed(
                1, "/api/v1/query_range", query=query, start=start_ms / 1e3, end=start_ms / 1e3 + 86_400, step=60, nocache=1, timeout="300s"
            )
            found = json.loads(body)["data"]["result"]
            print(f"{query}: {took / 1e3:.1f} s, {cpu / 1e3:.1f} CPU-s, {len(found)} series of {len(found[0]['values'])} points, peak {server.peak_mib():.0f} MiB")
    finally:
        server.stop()


def few(given):
    end = json.load(open(Path(given.load) / "metrics.meta.json"))["end_ms"] // 1000
    hosts = "|".join(f"host_{number}" for number in range(20))
    query = f'cpu_usage_user{{hostname=~"{hosts}"}}'
    path = "/api/v1/query_range?" + urllib.parse.urlencode(
        {"query": query, "start": end - 3600, "end": end, "step": 15, "nocache": 1}
    )
    connection, took = http.client.HTTPConnection(given.url), []
    for _ in range(given.runs + 20):
        start = time.perf_counter()
        connection.request("GET", path)
        body = connection.getresponse().read()
        took.append((time.perf_counter() - start) * 1e3)
    series = len(json.loads(body)["data"]["result"])
    took = sorted(took[20:])
    print(f"{series} series: median {took[len(took) // 2]:.2f} ms, p99 {took[len(took) * 99 // 100]:.2f} ms, worst {took[-1]:.2f} ms")


def table(paths):
    results = [json.load(open(path)) for path in paths]
    names = [result["peer"] for result in results]
    print("| question | " + " | ".join(f"{name}, ms | CPU-ms" for name in names) + " |\n|---|" + "---|---|" * len(names))
    by_name = [{query["name"]: query for query in result["queries"]} for result in results]
    for name in by_name[0]:
        cells = []
        for queries in by_name:
            query = queries.get(name)
            cells.append(f"{query['median_ms']:.1f} | {query['cpu_ms']:.0f}" if query and query["status"] == 200 else "failed | ")
        print(f"| {name} | " + " | ".join(cells) + " |")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("what", choices=["scale", "day", "few", "table"])
    options.add_argument("results", nargs="*")
    options.add_argument("--bin")
    options.add_argument("--victoria")
    options.add_argument("--data")
    options.add_argument("--series", default="10000,100000,1000000")
    options.add_argument("--memory", default="512MiB")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--svg")
    options.add_argument("--url")
    options.add_argument("--load")
    given = options.parse_args()
    if given.what == "table":
        return table(given.results)
    {"scale": scale, "day": day, "few": few}[given.what](given)


if __name__ == "__main__":
    main()
