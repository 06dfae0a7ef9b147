#!/usr/bin/env bash
# Gives the same bytes to Isinglass and, where they are there, to Prometheus and
# VictoriaMetrics, one after the other on this machine, and prints the table of
# docs/performance.md.
#
#   BENCH_DIR=FOLDER benches/run.sh [metrics|logs|spans]...
#
# BENCH_DIR   folder of the load generators and the harness (bench.py)
# WORK        where payloads, data and results go       (default: ./load)
# PYTHON      a Python with numpy, cramjam, pyarrow     (default: python3)
# PEERS       folder filled by benches/peers.sh         (default: $WORK/peers)
# ISINGLASS   the binary                                (default: target/release/isinglass)
set -euo pipefail
cd "$(dirname "$0")/.."

bench=$(cd "${BENCH_DIR:?the folder of bench.py}" && pwd)
work=$(mkdir -p "${WORK:-load}" && cd "${WORK:-load}" && pwd)
python=${PYTHON:-python3}
peers=${PEERS:-$work/peers}
isinglass=$(realpath "${ISINGLASS:-target/release/isinglass}")
runs=${*:-metrics spans logs}

mkdir -p "$work/results" "$work/data"
cp "$bench"/*.py "$work"
cd "$work"

# Payload times are relative to now: an old payload is outside every window.
for signal in metrics logs spans; do
    if [ -z "$(find . -maxdepth 1 -name "$signal.meta.json" -mmin -150)" ]; then
        "$python" "gen_$signal.py"
    fi
done
"$python" mkpeers.py

# $1 entry of peers/, $2 payload, $3 binary
measure() {
    echo "== $1"
    "$python" bench.py "peers/$1.json" --load "$2" --bin "$3" --data "data/$1" --out "results/$1.json" --skip-queries --no-cold
    rm -rf "data/$1"
}

for signal in $runs; do
    case $signal in
        metrics)
            measure isinglass-metrics metrics "$isinglass"
            [ ! -x "$peers/usr/bin/victoria-metrics" ] || measure victoriametrics metrics "$peers/usr/bin/victoria-metrics"
            [ ! -x "$peers/usr/bin/prometheus" ] || measure prometheus metrics "$peers/usr/bin/prometheus"
            ;;
        logs) measure isinglass-logs logs "$isinglass" ;;
        spans) measure isinglass-spans spans "$isinglass" ;;
        *) echo "no such run: $signal" >&2; exit 1 ;;
    esac
done

"$python" - results/*.json <<'PYTHON'
import json
import sys

print("| run | CPU-s per million | with flush | items/s | peak resident MiB | bytes per item on disk | errors |")
print("|---|---|---|---|---|---|---|")
for path in sys.argv[1:]:
    result = json.load(open(path))
    ingest = result["ingest"]
    print("| {} | {:.2f} | {:.2f} | {:,.0f} | {:.0f} | {:.2f} | {} |".format(
        result["peer"], ingest["cpu_s_per_million"], ingest["cpu_s_per_million_with_flush"], ingest["per_s"],
        ingest["peak_rss"] / 2**20, ingest["disk_bytes_per_item"], ingest["errors"]))
PYTHON
