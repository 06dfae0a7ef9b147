"""What a row costs as a table grows: the metrics payload again and again, each time an hour later.

    scale.py --bin BINARY --data FOLDER --load FOLDER [--rows 1,4,11,32,101] [--config FILE] [--svg FILE]

At each size (millions of samples) the server flushes and merges, and is asked three questions. Prints
a table: CPU of the server for intake, flushes and merges since the size before, in microseconds a row
that came; CPU of a question over all rows, in nanoseconds a row; time and CPU of two questions over the
newest hour, which is as large whatever the table, once there is one. With --svg the same as a plot.
"""
import argparse
import http.client
import json
import os
import re
import signal
import statistics
import time
from pathlib import Path

import cramjam

import feed
from questions import Server

HOUR_MS = 3_600_000
SAMPLE = re.compile(rb"\x12\x10\x09.{8}\x10", re.DOTALL)


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class Payload:
    """Requests whose times can be moved."""

    def __init__(self, path):
        self.lanes = []
        for lane in feed.lanes(path):
            requests = [(bytearray(cramjam.snappy.decompress_raw(body)), items) for body, items in lane]
            offsets = [match.end() for match in SAMPLE.finditer(requests[0][0])]
            assert len(offsets) == requests[0][1]
            self.lanes.append((requests, offsets))

    def requests(self, shift_ms, share=1.0):
        """The first part of all requests in the order of time, each lane's in turn."""
        steps = len(self.lanes[0][0])
        for step in range(int(steps * share)):
            for requests, offsets in self.lanes:
                raw, items = requests[step]
                at = offsets[0]
                old = sum((raw[at + n] & 0x7F) << 7 * n for n in range(6))
                new = varint(old + shift_ms)
                assert len(new) == 6
                moved = bytearray(raw)
                for at in offsets:
                    moved[at : at + 6] = new
                yield bytes(cramjam.snappy.compress_raw(bytes(moved))), items


def cpu_s(server, question, runs):
    """Least CPU of a run and the median of the times."""
    cpu, took = [], []
    for _ in range(runs):
        before, start = server.cpu_s(), time.perf_counter()
        server.ask(question)
        took.append(time.perf_counter() - start)
        cpu.append(server.cpu_s() - before)
    return min(cpu), statistics.median(took), statistics.mean(cpu)


def newest_ms(server):
    """The time of the newest sample: the last repetition may not be whole."""
    answer = server.ask("SELECT (date_part('epoch', max(time)) * 1000)::bigint AS newest FROM metrics.cpu_usage_user")
    return json.loads(answer)[0]["newest"]


def measure(server, rows, came, cpu_before):
    # It was idle for long, and the server may have closed it.
    server.connection.close()
    row = {"rows": rows, "intake_us_a_row": (server.cpu_s() - cpu_before) / came * 1e6}
    end_ms = newest_ms(server)
    everything = "SELECT metric_id, max(value), count(*) FROM samples GROUP BY 1"
    hour = (
        "SELECT time, hostname, value FROM metrics.cpu_usage_user WHERE hostname IN ('host_1', 'host_2', 'host_3') "
        f"AND time > to_timestamp_millis({end_ms - HOUR_MS})"
    )
    by_minute = (
        "SELECT region, date_bin(interval '1 minute', time) m, avg(value) FROM metrics.cpu_usage_user "
        f"WHERE time > to_timestamp_millis({end_ms - HOUR_MS}) GROUP BY 1, 2"
    )
    server.ask(everything)
    row["scan_ns_a_row"] = cpu_s(server, everything, 3)[0] / rows * 1e9
    for name, question in (("series_ms", hour), ("gauges_ms", by_minute)):
        server.ask(question)
        _, took, cpu = cpu_s(server, question, 15)
        row[name], row[name.replace("ms", "cpu_ms")] = took * 1e3, cpu * 1e3
    return row


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--bin", required=True)
    options.add_argument("--data", required=True)
    options.add_argument("--load", required=True)
    options.add_argument("--config")
    options.add_argument("--rows", default="1,4,11,32,101")
    options.add_argument("--svg")
    given = options.parse_args()
    os.makedirs(given.data, exist_ok=True)
    payload = Payload(Path(given.load) / "metrics.prw1")
    meta = json.load(open(Path(given.load) / "metrics.meta.json"))
    process, addresses = feed.start(given.bin, given.data, given.config)
    server = Server(addresses["http"], process.pid)
    rows, measured, last_cpu, last_rows = 0, [], 0.0, 0
    sizes = [float(size) * 1e6 for size in given.rows.split(",")]
    # The newest repetition ends where the payload does.
    hours = int(sizes[-1] // meta["samples"]) + 1
    try:
        for hour in range(-hours, 1):
            for body, items in payload.requests(hour * HOUR_MS):
                feed.send(addresses["http"], "/api/v1/write", feed.REMOTE_WRITE, [(body, items)], [])
                rows += items
                if rows >= sizes[len(measured)]:
                    feed.post(addresses["http"], "/api/admin/flush")
                    feed.post(addresses["http"], "/api/admin/compact")
                    row = measure(server, rows, rows - last_rows, last_cpu)
                    print(json.dumps(row), flush=True)
                    measured.append(row)
                    last_cpu, last_rows = server.cpu_s(), rows
                    if len(measured) == len(sizes):
                        return
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        print(table(measured))
        if given.svg:
            Path(given.svg).write_text(plot(measured))


def table(measured):
    lines = ["| rows | intake, flush and merge, µs of CPU a row | scan, ns of CPU a row | 3 series over an hour, ms (CPU) | 500 gauges by region and minute over an hour, ms (CPU) |", "|---|---|---|---|---|"]
    for row in measured:
        lines.append(
            f"| {row['rows'] / 1e6:.1f} M | {row['intake_us_a_row']:.2f} | {row['scan_ns_a_row']:.1f} "
            f"| {row['series_ms']:.1f} ({row['series_cpu_ms']:.1f}) | {row['gauges_ms']:.1f} ({row['gauges_cpu_ms']:.1f}) |"
        )
    return "\n".join(lines)


def plot(measured):
    """Each figure as a multiple of its first, over the rows, both logarithmic."""
    from math import log10

    width, height, left, bottom = 640, 300, 60, 40
    names = {
        "intake_us_a_row": ("intake, flush, merge: CPU a row", "µs", "#1f6f8b"),
        "scan_ns_a_row": ("scan: CPU a row", "ns", "#99582a"),
        "series_ms": ("3 series over an hour: time", "ms", "#386641"),
        "gauges_ms": ("500 gauges over an hour: time", "ms", "#7b2cbf"),
    }
    low, high = log10(measured[0]["rows"]), log10(measured[-1]["rows"])
    x = lambda rows: left + (log10(rows) - low) / (high - low) * (width - left - 20)
    y = lambda ratio: height / 2 - log10(ratio) * (height / 2 - bottom)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + 90}" font-family="sans-serif" font-size="12">']
    for ratio in (0.25, 0.5, 1, 2, 4):
        out.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(ratio):.0f}" y2="{y(ratio):.0f}" stroke="#ddd"/>')
        out.append(f'<text x="10" y="{y(ratio) + 4:.0f}">× {ratio}</text>')
    for row in measured:
        out.append(f'<text x="{x(row["rows"]) - 15:.0f}" y="{height - 8}">{row["rows"] / 1e6:.0f} M</text>')
    for at, (key, (label, unit, color)) in enumerate(names.items()):
        points = " ".join(f"{x(row['rows']):.0f},{y(max(row[key], 1e-9) / max(measured[0][key], 1e-9)):.0f}" for row in measured)
        out.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        out.append(f'<text x="{left}" y="{height + 20 + 16 * at}" fill="{color}">{label}; at first {measured[0][key]:.2f} {unit}</text>')
    return "\n".join([*out, "</svg>"])


if __name__ == "__main__":
    main()
