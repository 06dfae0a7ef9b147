"""What the chain of plugins costs intake: the same payload with the default chain and without it.

    chain.py --bin BINARY --load FOLDER --data FOLDER [--rounds 5] [--config FILE] [--warm 0.5]

Each round starts a server on a new folder for each signal and each of the two, the order
turned round every time. A line of the table has the medians over the rounds: seconds from the
first request to the last acknowledgement, and CPU-seconds of the server until all is flushed.
What is left of the throughput with the chain is told by the clock and by CPU, each as the median
over the rounds, of which each compares two runs that are seconds apart, and of the best runs.
For a longer run make larger payloads: a request that comes again is acknowledged and not stored.

A server that has just started has files of its log to make and memory that the system gives it
for the first time, which a virtual machine may have to ask its host for; it also has its first
series and tables. With --warm that share of each payload is sent, and flushed, before the clock
is started, so that what is told is a server that has been up.
"""
import argparse
import os
import shutil
import signal
import statistics
import tempfile
import time
from pathlib import Path

import feed

# Which files are merged when is another in each run, and costs more than the chain does.
ON = "[store.compaction]\nenabled = false\n"
OFF = ON + "[plugins]\nbindings = []\n"
SIGNALS = {
    "metrics": ("http", "/api/v1/write", feed.REMOTE_WRITE, "metrics.prw1"),
    "logs": ("http", "/loki/api/v1/push", feed.LOKI, "logs.loki"),
    "spans": ("otlp_http", "/v1/traces", feed.OTLP, "spans.otlp"),
}


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(given, name, config):
    """Items, seconds until the last acknowledgement, CPU-seconds until all is flushed."""
    port, path, headers, payload = SIGNALS[name]
    warm, measured = cut(feed.lanes(Path(given.load) / payload), given.warm)
    data = Path(tempfile.mkdtemp(prefix="chain-", dir=given.data))
    process, addresses = feed.start(given.bin, data, config)
    try:
        feed.feed_lanes(addresses[port], path, headers, warm)
        feed.post(addresses["http"], "/api/admin/flush")
        began, before = time.time(), cpu_s(process.pid)
        items = feed.feed_lanes(addresses[port], path, headers, measured)
        took = time.time() - began
        feed.post(addresses["http"], "/api/admin/flush")
        return items, took, cpu_s(process.pid) - before
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(data)
        os.remove(f"{data}.log")


def cut(lanes, share):
    """The first requests of each lane, and the others; of lanes of one request the first lanes."""
    if max(map(len, lanes)) == 1:
        at = round(len(lanes) * share)
        return lanes[:at], lanes[at:]
    at = [round(len(lane) * share) for lane in lanes]
    return [lane[:n] for lane, n in zip(lanes, at)], [lane[n:] for lane, n in zip(lanes, at)]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--bin", required=True)
    options.add_argument("--load", required=True)
    options.add_argument("--data", required=True)
    options.add_argument("--config", help="with the chain; default: the default chain, and nothing is merged")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--warm", type=float, default=0, help="share of each payload that is not measured")
    options.add_argument("--signals", default=",".join(SIGNALS))
    given = options.parse_args()
    os.makedirs(given.data, exist_ok=True)
    off, on = Path(given.data) / "off.toml", Path(given.data) / "on.toml"
    off.write_text(OFF)
    on.write_text(ON)
    given.config = given.config or on
    print("| signal | items | s, chain | s, none | throughput | of the best | CPU-s, chain | CPU-s, none | by CPU | of the best |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in given.signals.split(","):
        rounds = []
        for round_ in range(given.rounds):
            order = ("on", "off") if round_ % 2 == 0 else ("off", "on")
            rounds.append({kind: measure(given, name, given.config if kind == "on" else off) for kind in order})
        print(line(name, rounds), flush=True)


def line(name, rounds):
    cells = [name, str(rounds[0]["on"][0])]
    for at in (1, 2):
        on, off = ([run[kind][at] for run in rounds] for kind in ("on", "off"))
        ratio = statistics.median(without / with_ for with_, without in zip(on, off))
        cells += [f"{statistics.median(on):.2f}", f"{statistics.median(off):.2f}", f"{ratio:.3f}", f"{min(off) / min(on):.3f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
