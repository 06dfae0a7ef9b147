#!/usr/bin/env bash
# Bytes an item in the tables' live files once every day is over: gives the
# payloads of benches/run.sh to one server after the other, flushes, merges, and
# reads the Delta tables. Log lines twice: as they came, and with logs.parse_json.
#
#   BENCH_DIR=FOLDER benches/compaction.sh [metrics|logs|logs-parsed|spans]...
#
# Variables as in benches/run.sh; PYTHON needs deltalake as well. VictoriaMetrics
# takes its turn with the metrics if it is there, after a forced merge.
set -euo pipefail
cd "$(dirname "$0")/.."

bench=$(cd "${BENCH_DIR:?the folder of bench.py}" && pwd)
work=$(mkdir -p "${WORK:-load}" && cd "${WORK:-load}" && pwd)
python=${PYTHON:-python3}
peers=${PEERS:-$work/peers}
isinglass=$(realpath "${ISINGLASS:-target/release/isinglass}")
runs=${*:-metrics logs logs-parsed spans}

mkdir -p "$work/results" "$work/data"
cp "$bench"/*.py "$work"
cd "$work"
for signal in metrics logs spans; do
    if [ -z "$(find . -maxdepth 1 -name "$signal.meta.json" -mmin -150)" ]; then
        "$python" "gen_$signal.py"
    fi
done
"$python" mkpeers.py

# The peer's description, with merging after the flush.
describe() {
    "$python" - "$1" "$2" <<'PYTHON'
import json
import sys

name, config = sys.argv[1:]
peer = json.load(open(f"peers/{name}.json"))
peer["flush"].append("POST http://127.0.0.1:27319/api/admin/compact")
peer["cmd"] = [part if part != "@here/isinglass.toml" else "@here/" + config for part in peer["cmd"]]
json.dump(peer, open("peers/compaction.json", "w"))
PYTHON
}

# $1 entry of peers/, $2 payload, $3 table, $4 configuration, $5 name of the run
measure() {
    echo "== $5"
    echo "$4" >peers/compaction.toml
    describe "$1" compaction.toml
    "$python" bench.py peers/compaction.json --load "$2" --bin "$isinglass" --data "data/$5" --out "results/$5.json" --skip-queries --no-cold >/dev/null
    "$python" - "data/$5/tables/default/$3" "results/$5.json" "$5" <<'PYTHON'
import json
import sys

import deltalake

table, result, name = sys.argv[1:]
files = deltalake.DeltaTable(table).get_add_actions(flatten=True)
column = lambda name: sum(value.as_py() for value in files.column(name))
ingest = json.load(open(result))["ingest"]
rows = column("num_records")
print(f"| {name} | {rows:,} rows in {files.num_rows} files | {column('size_bytes') / rows:.2f} bytes an item | "
      f"{ingest['cpu_s_per_million_with_flush']:.2f} CPU-s per million, merge included | peak {ingest['peak_rss'] / 2**20:.0f} MiB |")
PYTHON
    [ -n "${KEEP:-}" ] || rm -rf "data/$5"
}

for run in $runs; do
    case $run in
        metrics)
            measure isinglass-metrics metrics samples "" compaction-metrics
            if [ -x "$peers/usr/bin/victoria-metrics" ]; then
                "$python" bench.py peers/victoriametrics.json --load metrics --bin "$peers/usr/bin/victoria-metrics" --data data/vm --out results/compaction-vm.json --skip-queries --no-cold >/dev/null
                "$python" -c 'import json; i = json.load(open("results/compaction-vm.json"))["ingest"]; print("| victoriametrics | {:.2f} bytes an item | {:.2f} CPU-s per million |".format(sum(p["apparent"] for p in i["disk_parts"].values()) / i["items"], i["cpu_s_per_million_with_flush"]))'
                rm -rf data/vm
            fi
            ;;
        logs) measure isinglass-logs logs logs "" compaction-logs ;;
        logs-parsed) measure isinglass-logs logs logs $'[logs]\nparse_json = true' compaction-logs-parsed ;;
        spans) measure isinglass-spans spans spans "" compaction-spans ;;
        *) echo "no such run: $run" >&2; exit 1 ;;
    esac
done
