# shellcheck shell=bash
# Progress output, failures, bounded waiting, and expectations.

BEGAN=${EPOCHREALTIME//[!0-9]/}

log() { # log WHAT: with the seconds since start
    local tenths=$(((${EPOCHREALTIME//[!0-9]/} - BEGAN) / 100000))
    printf '%4d.%d s  %s\n' $((tenths / 10)) $((tenths % 10)) "$*"
}

fail() {
    echo "cluster: $*" >&2
    exit 1
}

# wait_for SECONDS COMMAND...: retries until it succeeds; fails at once when the cluster has
# stopped.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        is_running || fail_with_log "the cluster has stopped while waiting for: $*"
        ((SECONDS < deadline)) || fail_with_log "timed out waiting for: $*"
        sleep 0.1
    done
}

# The logs are removed with the state folder, so their last lines are printed.
fail_with_log() {
    local log
    for log in "$LOG"/*.log; do
        [[ -s $log ]] || continue
        echo "--- ${log##*/}"
        tail -n 6 "$log" | cut -c1-300
    done >&2
    fail "$*"
}

passed=0
failed=0

# expect WHAT EXPECTED RECEIVED: prints one line, and both values if they differ.
expect() {
    if [[ $2 == "$3" ]]; then
        passed=$((passed + 1))
        echo "ok    $1"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s\n      expected: %s\n      received: %s\n' "$1" "${2//$'\n'/$'\n'                }" "${3//$'\n'/$'\n'                }"
    fi
}

# show COMMAND...: runs it in the client pod and prints command and output.
show() {
    echo "client\$ $*"
    in_client "$@" 2>&1 | sed 's/^/    /' || true
}

in_client() { in_cluster kubectl exec client -- "$@"; }
