"""The tables of crash.sh: one sender of remote write 1.0, three servers.

Only the standard library: requests are written byte by byte, snappy as literals.
"""
import atexit
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

SERIES = 100
SENDERS = 4
VOLUME_MIB = 96


# ---- remote write -------------------------------------------------------------

def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def series(labels, samples):
    body = b"".join(field(1, field(1, name) + field(2, value)) for name, value in labels)
    return body + b"".join(
        field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(time_ms)) for time_ms, value in samples)


def request(*all_series):
    return b"".join(field(1, one) for one in all_series)


def snappy(data):
    out = bytearray(varint(len(data)))
    for at in range(0, len(data), 65536):
        part = data[at:at + 65536]
        out += b"\xf4" + struct.pack("<H", len(part) - 1) + part
    return bytes(out)


# ---- servers ------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One of the three on a data folder, with its defaults."""

    def __init__(self, kind, data):
        self.kind, self.data, self.port = kind, data, free_port()
        self.log = tempfile.NamedTemporaryFile(prefix=f"{kind}-", suffix=".log")

    def command(self):
        at = f"127.0.0.1:{self.port}"
        if self.kind == "Isinglass":
            return [os.environ["ISINGLASS"], "serve", "--data-dir", self.data, "--listen", at,
                    "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"]
        if self.kind == "Prometheus":
            config = self.data + ".yml"
            with open(config, "w") as file:
                file.write("global: {}\n")
            return [os.environ["PROMETHEUS"], f"--config.file={config}", f"--storage.tsdb.path={self.data}",
                    f"--web.listen-address={at}", "--web.enable-remote-write-receiver"]
        return [os.environ["VICTORIA"], f"-storageDataPath={self.data}", f"-httpListenAddr={at}"]

    def start(self):
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log)
        atexit.register(self.process.kill)
        path = {"Isinglass": "/-/ready", "Prometheus": "/-/ready", "VictoriaMetrics": "/health"}[self.kind]
        start = time.time()
        while time.time() - start < 120:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.kind} ended: {open(self.log.name).read()[-2000:]}")
            try:
                if urllib.request.urlopen(self.url(path), timeout=2).status == 200:
                    return time.time() - start
            except OSError:
                time.sleep(0.02)
        raise SystemExit(f"{self.kind} is not ready after two minutes")

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def write(self, body):
        """Status, or None if there was no answer; whether it says when to come again; text."""
        headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy",
                   "x-prometheus-remote-write-version": "0.1.0"}
        try:
            asked = urllib.request.Request(self.url("/api/v1/write"), snappy(body), headers)
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.status, False, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, "retry-after" in error.headers, error.read().decode(errors="replace")
        except OSError:
            return None, False, ""

    def sql(self, query):
        """The column `v`; nothing where the table does not exist."""
        body = json.dumps({"query": query, "format": "json", "consistency": "strong"}).encode()
        asked = urllib.request.Request(self.url("/api/sql"), body, {"content-type": "application/json"})
        try:
            rows = json.load(urllib.request.urlopen(asked, timeout=120))
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if error.code == 400:
                return []
            raise SystemExit(f"{query}: {text}")
        return [row["v"] for row in (rows["rows"] if isinstance(rows, dict) else rows)]

    def found(self, name, since):
        """All values of a metric, over all its series."""
        if self.kind == "Isinglass":
            greatest = self.sql(f"select max(value) as v from metrics.{name}")
            pages = range(0, int(greatest[0] or 0) + 1, 400_000) if greatest else []
            return [value for first in pages for value in self.sql(
                f"select value as v from metrics.{name} where value >= {first} and value < {first + 400_000}")]
        if self.kind == "VictoriaMetrics":
            urllib.request.urlopen(self.url("/internal/force_flush"), timeout=60).read()
            match = urllib.parse.urlencode({"match[]": selector(name)})
            lines = urllib.request.urlopen(self.url("/api/v1/export?" + match), timeout=120).read().splitlines()
            return [value for line in lines for value in json.loads(line.decode(errors="replace"))["values"]]
        span = int(time.time() - since) + 3600
        query = urllib.parse.urlencode({"query": "%s[%ds]" % (selector(name), span)})
        answer = json.load(urllib.request.urlopen(self.url("/api/v1/query?" + query), timeout=120))
        return [float(value) for one in answer["data"]["result"] for _, value in one["values"]]


def selector(name):
    """Of a metric; of the label `l` where there is no name."""
    return '{l="crash_c"}' if name == "crash_c" else '{__name__="%s"}' % name


def kinds():
    have = {"Isinglass": "ISINGLASS", "Prometheus": "PROMETHEUS", "VictoriaMetrics": "VICTORIA"}
    return [kind for kind, name in have.items() if os.access(os.environ[name], os.X_OK)]


# ---- load ---------------------------------------------------------------------

class Load:
    """Senders, each with series of its own; every sample has a number of its own."""

    def __init__(self, server):
        self.server, self.stop, self.lock = server, threading.Event(), threading.Lock()
        self.acknowledged, self.told, self.with_time, self.next = set(), {}, 0, 0
        self.last_good = None
        self.threads = [threading.Thread(target=self.run, args=(at,)) for at in range(SENDERS)]
        for thread in self.threads:
            thread.start()

    def run(self, sender):
        time_ms = 0
        while not self.stop.is_set():
            with self.lock:
                first, self.next = self.next, self.next + SERIES
            time_ms = max(time_ms + 1, int(time.time() * 1000))
            body = request(*(
                series([(b"__name__", b"crash_item"), (b"sender", b"%d" % sender), (b"series", b"%d" % at)],
                       [(time_ms, float(first + at))])
                for at in range(SERIES)))
            status, says_when, _ = self.server.write(body)
            with self.lock:
                self.told[status] = self.told.get(status, 0) + 1
                self.with_time += says_when
                if status in (200, 204):
                    self.acknowledged.update(range(first, first + SERIES))
                    self.last_good = time.time()
            if status is None or status >= 500:
                time.sleep(0.02)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def compare(load, server, since):
    found = [int(value) for value in server.found("crash_item", since)]
    lost = load.acknowledged - set(found)
    return len(lost), len(found) - len(set(found))


def kill_table(folder):
    print("| server | load before SIGKILL | runs | acknowledged samples | lost | lost, % | doubled | ready again, s |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in kinds():
        for seconds in map(int, os.environ["LENGTHS"].split()):
            acknowledged = lost = doubled = 0
            slowest = 0.0
            for run in range(int(os.environ["RUNS"])):
                since = time.time()
                server = Server(kind, f"{folder}/{kind}-{seconds}-{run}")
                server.start()
                load = Load(server)
                time.sleep(seconds)
                server.kill()
                load.end()
                slowest = max(slowest, server.start())
                of_run = compare(load, server, since)
                server.kill()
                acknowledged, lost, doubled = acknowledged + len(load.acknowledged), lost + of_run[0], doubled + of_run[1]
            print(f"| {kind} | {seconds} s | {os.environ['RUNS']} | {acknowledged:,} | {lost:,} | "
                  f"{100 * lost / max(acknowledged, 1):.1f} | {doubled:,} | {slowest:.1f} |", flush=True)


def disk_table(folder):
    print("| server | acknowledged before | answers while full | acknowledged while full | with Retry-After | "
          "writes again after | lost | doubled |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in kinds():
        volume = f"{folder}/{kind}"
        os.mkdir(volume)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={VOLUME_MIB}m", "none", volume], check=True)
        since = time.time()
        server = Server(kind, f"{volume}/data")
        server.start()
        load = Load(server)
        time.sleep(5)
        with load.lock:
            before, load.told, load.with_time = len(load.acknowledged), {}, 0
        fill(f"{volume}/filler")
        time.sleep(10)
        with load.lock:
            told, while_full, with_time = dict(load.told), len(load.acknowledged) - before, load.with_time
        os.remove(f"{volume}/filler")
        room, start = time.time(), len(load.acknowledged)
        while len(load.acknowledged) == start and time.time() - room < 60:
            time.sleep(0.05)
        again = f"{time.time() - room:.1f} s" if len(load.acknowledged) > start else "not within 60 s"
        ended = server.process.poll() is not None
        load.end()
        if ended:
            again = "the process ended"
        server.kill()
        server.start()
        lost, doubled = compare(load, server, since)
        server.kill()
        answers = ", ".join(f"{n:,} x {status or 'none'}" for status, n in sorted(told.items(), key=str))
        print(f"| {kind} | {before:,} | {answers} | {while_full:,} | {with_time:,} | {again} | {lost:,} | {doubled:,} |",
              flush=True)
        subprocess.run(["umount", "-l", volume], check=True)


def fill(path):
    """Takes all room there is."""
    block = bytes(1 << 16)
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                if file.write(block) < len(block):
                    return
        except OSError:
            return


# ---- broken requests ----------------------------------------------------------

def broken(now):
    """Name, metric, series of one request, how many of its samples cannot be kept as sent."""
    def name(text):
        return [(b"__name__", text)]
    long_value, many = b"v" * 1_000_000, [(b"l%05d" % at, b"v") for at in range(5000)]
    good = [(now, 1.0)]
    return [
        ("empty label name", "crash_a", [(name(b"crash_a") + [(b"", b"x")], good)]),
        ("the same label twice", "crash_b", [(name(b"crash_b") + [(b"l", b"1"), (b"l", b"2")], good)]),
        ("no metric name", "crash_c", [([(b"l", b"crash_c")], good)]),
        ("label value that is not UTF-8", "crash_d", [(name(b"crash_d") + [(b"l", b"\xff\xfe")], good)]),
        ("label value of 1 MB", "crash_e", [(name(b"crash_e") + [(b"l", long_value)], good)]),
        ("5,000 labels", "crash_f", [(name(b"crash_f") + many, good)]),
        ("one time, two values", "crash_g", [(name(b"crash_g"), [(now, 1.0), (now, 2.0)])]),
        ("a sample of the year 2100", "crash_h", [(name(b"crash_h"), [(4102444800000, 1.0)])]),
        ("empty body", None, []),
    ]


def silent_table(folder):
    servers = [Server(kind, f"{folder}/{kind}") for kind in kinds()]
    for server in servers:
        server.start()
    since, now = time.time(), int(time.time() * 1000)
    rows = []
    for what, metric, sent in broken(now):
        row = [what]
        for server in servers:
            status, _, _ = server.write(request(*(series(labels, samples) for labels, samples in sent)))
            row.append([status, metric, sum(len(samples) for _, samples in sent)])
        rows.append(row)
    time.sleep(3)
    print("| request | " + " | ".join(server.kind for server in servers) + " |")
    print("|---|" + "---|" * len(servers))
    silent = [0] * len(servers)
    for row in rows:
        cells = []
        for at, (server, (status, metric, sent)) in enumerate(zip(servers, row[1:])):
            kept = len(server.found(metric, since)) if metric else 0
            dropped = status in (200, 204) and kept < sent
            silent[at] += dropped
            cells.append(f"{status}, {kept} of {sent} kept" + (" **silently**" if dropped else ""))
        print(f"| {row[0]} | " + " | ".join(cells) + " |")
    print("| dropped without a word | " + " | ".join(map(str, silent)) + " |")
    for server in servers:
        server.kill()


with tempfile.TemporaryDirectory(prefix="isinglass-crash-") as scratch:
    print(f"\n{sys.argv[1]}, {time.strftime('%Y-%m-%d')}\n")
    {"kill": kill_table, "disk": disk_table, "silent": silent_table}[sys.argv[1]](scratch)
