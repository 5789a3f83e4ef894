# shellcheck shell=bash
# Queries from pods, responses in a comparable form, metrics, state of the node.

dig_from() { # dig_from NAMESPACE DIG_ARGUMENT...
    local from=$1
    shift
    netns_exec "$from" dig +time=6 +tries=1 "$@" || true
}

# The answer section without TTLs and classes: NAME TYPE DATA, sorted.
answer_section() { # answer_section NAMESPACE DIG_ARGUMENT...
    dig_from "$@" +noall +answer +nottlid +noclass | tr -s '\t ' ' ' | LC_ALL=C sort
}

ttl() { # ttl NAMESPACE DIG_ARGUMENT...: of the first record
    dig_from "$@" +noall +answer | awk 'NR == 1 { print $2 }'
}

# The RCODE, or the error that dig prints.
rcode() { # rcode NAMESPACE DIG_ARGUMENT...
    dig_from "$@" | sed -nE 's/.*status: ([A-Z]+),.*/\1/p; s/^;; (.*(timed out|refused|reset|unreachable|no servers).*)/\1/p' | head -1
}

http_get() { # http_get NAMESPACE URL
    netns_exec "$1" timeout 3 busybox wget -q -O - "$2" || true
}

metrics() {
    http_get outside "http://$NODE_IP:9253/metrics"
}

# Sum of a family's samples whose labels contain all LABELs; 0 without any.
metric_sum() { # metric_sum PAGE FAMILY LABEL...
    local page=$1 family=$2 label
    shift 2
    page=$(grep -E "^$family(\{| )" <<<"$page" || true)
    for label in "$@"; do page=$(grep -F -- "$label" <<<"$page" || true); done
    awk '{ sum += $NF } END { print sum + 0 }' <<<"$page"
}

# A field of a dnstool summary: answered=60 servfail=0 ...
summary_field() { # summary_field SUMMARY WORD
    sed -nE "s/.*\b$2=([0-9]+).*/\1/p" <<<"$1"
}

metric_increased() { # metric_increased FAMILY RISE BEFORE LABEL...
    local family=$1 rise=$2 before=$3
    shift 3
    (($(metric_sum "$(metrics)" "$family" "$@") >= $(metric_sum "$before" "$family" "$@") + rise))
}

tracked_protocols() {
    netns_exec node conntrack -L 2>/dev/null | grep -E "(src|dst)=$LOCAL_IP .*port=53 " | awk '{ print $1 }' | sort -u | xargs
}

is_ready() {
    [[ $(http_get node "http://$LOCAL_IP:8181/ready") == OK ]]
}

is_withdrawn() {
    ! is_ready && ! has_exited "$daemon_pid"
}

resolves() { # resolves NAMESPACE NAME
    [[ $(rcode "$@") == NOERROR ]]
}

fresh_ttl_is() { # fresh_ttl_is SECONDS: the TTL of a name that is not cached
    [[ $(ttl pod1 "ttl-$RANDOM$RANDOM.fresh.default.svc.cluster.local") == "$1" ]]
}

node_state_is() {
    [[ $(node_state) == "$1" ]]
}

expect_node() { # expect_node WHAT STATE: prints the difference as a diff
    local now
    now=$(node_state)
    [[ $2 == "$now" ]] || fail_case "$1" "as before" "$(diff <(echo "$2") <(echo "$now") | grep '^[<>]')"
}

node_is_settled() { # the kernel has finished its work after a link came up
    local first
    first=$(node_state)
    sleep 0.2
    node_state_is "$first"
}

expect_startup_error() { # expect_startup_error WHAT MESSAGE_REGEX NODE_STATE_BEFORE: for the command of run_to_end
    expect "$1: exit code" 1 "$daemon_status"
    expect_match "$1: the message" "$2" "$(cat "$daemon_log")"
    # Besides [INFO] lines, the warning about the bridge, and indented lines of the Corefile.
    expect "$1: log lines" 1 "$(grep -cvE '^(\[INFO\] |\[WARNING\] link .* -link-kind bridge|    )' "$daemon_log")"
    expect_node "$1: the node" "$3"
}
