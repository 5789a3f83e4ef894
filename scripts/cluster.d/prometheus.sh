# shellcheck shell=bash
# A Prometheus in the namespaces of the cluster. Sourced by scripts with CLUSTER, eventually and die.

readonly PROMETHEUS=127.0.0.1:9099
server=''

# start_prometheus FOLDER: with the configuration FOLDER/prometheus.yml; data and log in the folder.
start_prometheus() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    "$CLUSTER" in sh -c 'echo $$ >"$1/pid"; exec prometheus --config.file="$1/prometheus.yml" --storage.tsdb.path="$1/data" --web.listen-address="$2"' \
        sh "$1" "$PROMETHEUS" >"$1/log" 2>&1 &
    server=$!
    eventually 30 promql 'vector(1)' || die "Prometheus does not answer: $(tail -n 3 "$1/log")"
}

stop_prometheus() { # stop_prometheus FOLDER
    [[ -n $server ]] || return 0
    # The file holds its PID in the cluster's PID namespace.
    [[ ! -s $1/pid ]] || "$CLUSTER" in kill "$(<"$1/pid")" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}

promql() { # promql EXPRESSION: the value of its only series; 0 without any
    series "$1" | awk 'NF > 1 { value = $(NF - 1) } END { printf "%d\n", value }'
}

# series EXPRESSION: a line for each
series() { "$CLUSTER" in promtool query instant "http://$PROMETHEUS" "$1" </dev/null; }

# await_scrape TARGETS: waits until each of them was scraped once more after this second
await_scrape() {
    local second
    second=$(($(date +%s) + 1))
    eventually 20 is_newer "$1" "$second"
}
is_newer() { (($(promql "count(timestamp(up) > $2)") == $1)); }
