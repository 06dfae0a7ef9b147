#!/usr/bin/env bash
# What becomes of acknowledged samples when the server is killed, when its disk
# fills up, and what the sender of broken requests is told: Isinglass, and where
# they are there, Prometheus and VictoriaMetrics, with their defaults, one after
# the other on this machine. Prints the tables of docs/durability.md.
#
#   benches/crash.sh [kill|disk|silent]...
#
# ISINGLASS   the binary                            (default: target/release/isinglass)
# PEERS       folder filled by benches/peers.sh     (default: load/peers)
# RUNS        SIGKILLs of each server and length    (default: 3)
# LENGTHS     seconds of load before the SIGKILL    (default: "5 30")
#
# The table of full disks mounts tmpfs in a mount namespace of its own: root only.
set -euo pipefail
cd "$(dirname "$0")/.."

peers=${PEERS:-load/peers}
export ISINGLASS=${ISINGLASS:-target/release/isinglass}
export PROMETHEUS=$peers/usr/bin/prometheus VICTORIA=$peers/usr/bin/victoria-metrics
export RUNS=${RUNS:-3} LENGTHS=${LENGTHS:-5 30}
[ -x "$ISINGLASS" ] || { echo "$ISINGLASS is not there: cargo build --release" >&2; exit 1; }
for peer in "$PROMETHEUS" "$VICTORIA"; do
    [ -x "$peer" ] || echo "without $peer: run benches/peers.sh $peers" >&2
done

for table in ${*:-kill disk silent}; do
    case $table in
        kill | silent) python3 benches/crash.py "$table" ;;
        disk)
            if [ "$(id -u)" = 0 ]; then
                unshare -m python3 benches/crash.py disk
            else
                echo "the table of full disks needs root: not run" >&2
            fi
            ;;
        *) echo "no such table: $table" >&2; exit 1 ;;
    esac
done
