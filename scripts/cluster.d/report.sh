# shellcheck shell=bash
# Where the time goes, what fails, and waiting with a bound.

BEGAN=${EPOCHREALTIME//[!0-9]/}

say() { # say WHAT: with the seconds since the start
    local tenths=$(((${EPOCHREALTIME//[!0-9]/} - BEGAN) / 100000))
    printf '%4d.%d s  %s\n' $((tenths / 10)) $((tenths % 10)) "$*"
}

fail() {
    echo "cluster: $*" >&2
    exit 1
}

# wait_for SECONDS COMMAND...: until it succeeds; gives up at once when the cluster's first process is gone.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        is_running || fail_with_log "the cluster has ended while waiting for: $*"
        ((SECONDS < deadline)) || fail_with_log "gave up waiting for: $*"
        sleep 0.1
    done
}

# The logs go with the state folder, so their ends are shown before.
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

# expect WHAT EXPECTED RECEIVED: one line, and the difference when there is one.
expect() {
    if [[ $2 == "$3" ]]; then
        passed=$((passed + 1))
        echo "ok    $1"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s\n      expected: %s\n      received: %s\n' "$1" "${2//$'\n'/$'\n'                }" "${3//$'\n'/$'\n'                }"
    fi
}

# show COMMAND...: as typed in the client pod, with what it says.
show() {
    echo "client\$ $*"
    in_client "$@" 2>&1 | sed 's/^/    /' || true
}

in_client() { inside kubectl exec client -- "$@"; }
