"""Starts a server on a new folder and gives it the payloads of the load generators.

    feed.py --bin BINARY --data FOLDER --load FOLDER [--config FILE] [--keep-running]

Prints one line of JSON: the addresses, and what was sent. With --keep-running the server
goes on until this process is ended; otherwise it stops once everything is flushed and merged.
"""
import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

REMOTE_WRITE = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
LOKI = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
OTLP = {"Content-Type": "application/x-protobuf"}


def lanes(path):
    """Requests of a payload file by lane; those of one lane keep their order."""
    import struct

    found = {}
    with open(path, "rb") as file:
        while head := file.read(12):
            size, items, lane = struct.unpack("<III", head)
            found.setdefault(lane, []).append((file.read(size), items))
    return list(found.values())


def send(address, path, headers, requests, sent):
    connection = http.client.HTTPConnection(address, timeout=120)
    for body, items in requests:
        while True:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status in (429, 503):
                time.sleep(0.2)
                continue
            if answer.status not in (200, 204):
                sys.exit(f"{path}: {answer.status} {text[:300]}")
            break
        sent.append(items)


def feed(address, path, headers, payload, connections=2):
    """Sends a payload over some connections; the number of items."""
    return feed_lanes(address, path, headers, lanes(payload), connections)


def feed_lanes(address, path, headers, work, connections=2):
    """Sends the requests of lanes over some connections; the number of items."""
    groups = [sum(work[at::connections], []) for at in range(connections)]
    sent = []
    threads = [threading.Thread(target=send, args=(address, path, headers, group, sent)) for group in groups if group]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(sent)


def post(address, path, timeout=1800):
    connection = http.client.HTTPConnection(address, timeout=timeout)
    connection.request("POST", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        sys.exit(f"{path}: {answer.status} {body[:300]}")
    return body


def start(binary, data, config=None, arguments=()):
    """A server on free ports; the process and its addresses."""
    command = [binary, "serve", "--data-dir", str(data)]
    for flag in ("--listen", "--otlp-grpc", "--otlp-http"):
        command += [flag, "127.0.0.1:0"]
    if config:
        command += ["--config", str(config)]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, stderr=open(f"{data}.log", "ab"))
    file = Path(data) / "addresses.json"
    until = time.time() + 120
    while not file.exists():
        if process.poll() is not None or time.time() > until:
            sys.exit(f"the server did not start: {data}.log")
        time.sleep(0.05)
    time.sleep(0.05)
    return process, json.loads(file.read_text())


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--bin", required=True)
    options.add_argument("--data", required=True)
    options.add_argument("--load", required=True)
    options.add_argument("--config")
    options.add_argument("--no-merge", action="store_true")
    options.add_argument("--keep-running", action="store_true")
    given = options.parse_args()
    os.makedirs(given.data, exist_ok=True)
    process, addresses = start(given.bin, given.data, given.config)
    load = Path(given.load)
    sent = {
        "samples": feed(addresses["http"], "/api/v1/write", REMOTE_WRITE, load / "metrics.prw1"),
        "lines": feed(addresses["http"], "/loki/api/v1/push", LOKI, load / "logs.loki"),
        "spans": feed(addresses["otlp_http"], "/v1/traces", OTLP, load / "spans.otlp"),
    }
    post(addresses["http"], "/api/admin/flush")
    if not given.no_merge:
        post(addresses["http"], "/api/admin/compact")
    print(json.dumps({"pid": process.pid, "addresses": addresses, "sent": sent}), flush=True)
    if given.keep_running:
        process.wait()
    else:
        process.send_signal(signal.SIGTERM)
        process.wait()


if __name__ == "__main__":
    main()
