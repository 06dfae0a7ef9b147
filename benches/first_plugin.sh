#!/usr/bin/env bash
# From nothing to the first verdict on live data, for each language: new, build, test, install
# into a running server, a log record that the plugin refuses.
#
#   first_plugin.sh BINARY [LANGUAGE...]
#
# Compilers come from an empty cache, as on a machine that has built no plugin yet; only what
# the guide asks for is there (cargo, Python, Node). A line has seconds by the clock for each
# step, and the CPU-seconds of all commands.
set -euo pipefail
binary=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- rust c javascript python
work=$(mktemp -d)
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache PATH=$work/bin:$PATH
unset CARGO_TARGET_DIR ISINGLASS_ZIG ISINGLASS_COMPONENTIZE_PY ISINGLASS_COMPONENTIZE_QJS
mkdir -p "$work/bin" "$work/cache"
ln -s "$binary" "$work/bin/isinglass"
cd "$work"

isinglass serve --data-dir "$work/data" --listen 127.0.0.1:0 --otlp-grpc 127.0.0.1:0 --otlp-http 127.0.0.1:0 > server.log 2>&1 &
server=$!
until [ -s data/addresses.json ]; do sleep 0.05; done
address() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" data/addresses.json | head -1; }
url=http://$(address http)
until curl -sf "$url/-/ready" > /dev/null; do sleep 0.05; done

# Pushes records of the service until the plugin has refused one.
refused() {
    for _ in {1..300}; do
        curl -s -o /dev/null -H 'Content-Type: application/json' "$url/loki/api/v1/push" \
            -d "{\"streams\":[{\"stream\":{\"service_name\":\"$1\"},\"values\":[[\"$(date +%s%N)\",\"hello\"]]}]}"
        curl -s --get "$url/api/sql" --data-urlencode "query=select count(*) n from rejected where rule = '$2'" |
            grep -q '"n": *[1-9]' && return
        sleep 0.1
    done
    echo "nothing was refused within 300 tries"
    return 1
}

cpu() { awk '{ print ($16 + $17) / 100 }' /proc/$$/stat; }
now() { date +%s.%N; }
printf '| language | new | build | test | install | first verdict | all, s | CPU-s |\n|---|---|---|---|---|---|---|---|\n'
for lang in "$@"; do
    name=deny-$lang
    budget='{}'
    [ "$lang" = javascript ] && budget='{"composed": true}'
    [ "$lang" = python ] && budget='{"composed": true, "component_bytes_max": 33554432, "cpu_soft_ms": 200, "cpu_hard_ms": 2000}'
    times=() cpu=$(cpu) began=$(now)
    step() {
        local from
        from=$(now)
        "$@" > step.log 2>&1 || { cat step.log >&2; exit 1; }
        times+=("$(echo "$(now) - $from" | bc)")
    }
    step isinglass plugin new "$name" --world validator --lang "$lang"
    step isinglass plugin build "$name" --fetch
    step isinglass plugin test "$name"
    step isinglass plugin install "$name" --server "$url" --config "{\"services\": [\"of-$lang\"]}" --budget "$budget"
    step refused "of-$lang" "$name"
    printf '| %s |' "$lang"
    printf ' %.1f |' "${times[@]}" "$(echo "$(now) - $began" | bc)" "$(echo "$(cpu) - $cpu" | bc)"
    echo
done
