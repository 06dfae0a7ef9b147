"""What the chain of plugins costs intake: the same payload with the default chain and without it.

    chain.py --bin BINARY --load FOLDER --data FOLDER [--rounds 5] [--config FILE]

Each round starts a server on a new folder for each signal and each of the two, the order
turned round every time. A line of the table has the medians over the rounds: seconds from the
first request to the last acknowledgement, CPU-seconds of the server until all is flushed, and
what is left of the throughput with the chain, both by the clock and by CPU.
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

OFF = "[plugins]\nbindings = []\n"
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
    data = Path(tempfile.mkdtemp(prefix="chain-", dir=given.data))
    process, addresses = feed.start(given.bin, data, config)
    try:
        began, before = time.time(), cpu_s(process.pid)
        items = feed.feed(addresses[port], path, headers, Path(given.load) / payload)
        took = time.time() - began
        feed.post(addresses["http"], "/api/admin/flush")
        return items, took, cpu_s(process.pid) - before
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(data)
        os.remove(f"{data}.log")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--bin", required=True)
    options.add_argument("--load", required=True)
    options.add_argument("--data", required=True)
    options.add_argument("--config", help="with the chain; default: the default chain")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--signals", default=",".join(SIGNALS))
    given = options.parse_args()
    os.makedirs(given.data, exist_ok=True)
    off = Path(given.data) / "off.toml"
    off.write_text(OFF)
    print("| signal | items | s, chain | s, none | throughput | CPU-s, chain | CPU-s, none | by CPU |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.signals.split(","):
        runs = {"on": [], "off": []}
        for round_ in range(given.rounds):
            for kind in ("on", "off") if round_ % 2 == 0 else ("off", "on"):
                runs[kind].append(measure(given, name, given.config if kind == "on" else off))
        median = {kind: [statistics.median(run[at] for run in all_) for at in range(3)] for kind, all_ in runs.items()}
        (items, on_s, on_cpu), (_, off_s, off_cpu) = median["on"], median["off"]
        print(
            f"| {name} | {items:.0f} | {on_s:.2f} | {off_s:.2f} | {off_s / on_s:.3f} "
            f"| {on_cpu:.2f} | {off_cpu:.2f} | {off_cpu / on_cpu:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
