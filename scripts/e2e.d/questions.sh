# shellcheck shell=bash
# What pods ask and what comes back, in a form that can be compared.

ask() { # ask NAMESPACE DIG_ARGUMENT...
    local from=$1
    shift
    inside "$from" dig +time=6 +tries=1 "$@" || true
}

# The answer section without TTLs and classes: NAME TYPE DATA, sorted.
answers() { # answers NAMESPACE DIG_ARGUMENT...
    ask "$@" +noall +answer +nottlid +noclass | tr -s '\t ' ' ' | LC_ALL=C sort
}

ttl() { # ttl NAMESPACE DIG_ARGUMENT...: of the first record
    ask "$@" +noall +answer | awk 'NR == 1 { print $2 }'
}

# The response code, or what dig says instead of one.
rcode() { # rcode NAMESPACE DIG_ARGUMENT...
    ask "$@" | sed -nE 's/.*status: ([A-Z]+),.*/\1/p; s/^;; (.*(timed out|refused|reset|unreachable|no servers).*)/\1/p' | head -1
}

page() { # page NAMESPACE URL
    inside "$1" timeout 3 busybox wget -q -O - "$2" || true
}

metrics() {
    page outside "http://$NODE_IP:9253/metrics"
}

# The sum of a family's samples whose labels match all the words; 0 without any.
sample() { # sample PAGE FAMILY LABEL...
    local page=$1 family=$2 label
    shift 2
    page=$(grep -E "^$family(\{| )" <<<"$page" || true)
    for label in "$@"; do page=$(grep -F -- "$label" <<<"$page" || true); done
    awk '{ sum += $NF } END { print sum + 0 }' <<<"$page"
}

# A word of the actors' summary: answered=60 servfail=0 ...
count() { # count SUMMARY WORD
    sed -nE "s/.*\b$2=([0-9]+).*/\1/p" <<<"$1"
}

metrics_show() { # metrics_show FAMILY RISE BEFORE LABEL...
    local family=$1 rise=$2 before=$3
    shift 3
    (($(sample "$(metrics)" "$family" "$@") >= $(sample "$before" "$family" "$@") + rise))
}

tracked_protocols() {
    inside node conntrack -L 2>/dev/null | grep -E "(src|dst)=$LOCAL_IP .*port=53 " | awk '{ print $1 }' | sort -u | xargs
}

is_ready() {
    [[ $(page node "http://$LOCAL_IP:8181/ready") == OK ]]
}

is_withdrawn() {
    ! is_ready && ! is_gone "$daemon_pid"
}

finds() { # finds NAMESPACE NAME
    [[ $(rcode "$@") == NOERROR ]]
}

fresh_ttl_is() { # fresh_ttl_is SECONDS: the TTL of a name that nobody has asked for
    [[ $(ttl pod1 "ttl-$RANDOM$RANDOM.fresh.default.svc.cluster.local") == "$1" ]]
}

node_state_is() {
    [[ $(node_state) == "$1" ]]
}

expect_node() { # expect_node WHAT STATE: what the node has too much or too little is shown with > and <
    local now
    now=$(node_state)
    [[ $2 == "$now" ]] || complain "$1" "as before" "$(diff <(echo "$2") <(echo "$now") | grep '^[<>]')"
}

node_is_settled() { # The kernel's own work after a link came up is done.
    local first
    first=$(node_state)
    sleep 0.2
    node_state_is "$first"
}

expect_refusal() { # expect_refusal WHAT MESSAGE_REGEX NODE_STATE_BEFORE: of the start that run_to_end has run
    expect "$1: exit code" 1 "$daemon_status"
    expect_match "$1: the message" "$2" "$(cat "$daemon_log")"
    # Beside what went well until then, the link being a bridge among it, and indented words of the Corefile.
    expect "$1: lines about it" 1 "$(grep -cvE '^(\[INFO\] |\[WARNING\] link .* -link-kind bridge|    )' "$daemon_log")"
    expect_node "$1: the node" "$3"
}
