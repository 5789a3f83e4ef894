# shellcheck shell=bash
# Clients over both transports, of a pod and of the node, while the daemon is killed or stopped.

clients=()
# A load of 50 queries a second over both transports and families, from pods and from the node.
readonly CLIENT_RATE=50

start_clients() { # start_clients [ADDRESS4 [ADDRESS6]]
    local address4=${1:-$LOCAL_IP} address6=${2-$LOCAL_IP6} transport
    clients=()
    for transport in udp tcp; do
        start_client pod1 "$address4" "$transport"
        start_client node "$address4" "$transport"
        [[ -n $address6 ]] || continue
        start_client pod6 "$address6" "$transport"
        start_client node "$address6" "$transport"
    done
}

start_client() { # start_client NAMESPACE ADDRESS udp|tcp
    local log=$WORK/client-$1-${2//:/-}-$3.log
    rm -f "$log"
    start "$1" "$log" "$DNSTOOL" load "$2" "$CLIENT_RATE" "n%d-$RANDOM.fresh.default.svc.cluster.local" "$3"
    clients+=("$! $log $1 $2 $3")
}

# Ends the clients; each summary is a line CLIENT ADDRESS TRANSPORT SUMMARY in $summaries.
stop_clients() {
    collect_summaries "${clients[@]}"
    clients=()
}

collect_summaries() { # collect_summaries "PID LOG NAME"...: ends these processes; sets summaries
    local client pid log name line
    summaries=
    for client in "$@"; do
        kill -TERM "${client%% *}" 2>/dev/null || true
    done
    for client in "$@"; do
        read -r pid log name <<<"$client"
        wait "$pid" || true
        summaries+="$name $(tail -1 "$log")"$'\n'
    done
    while IFS= read -r line; do [[ -z $line ]] || note "$line"; done <<<"$summaries"
}

# expect_outage LOST GAP_MS [REFUSED]: of each client at most; none has a wrong answer.
expect_outage() {
    local line name
    while IFS= read -r line; do
        [[ -n $line ]] || continue
        name=${line%% sent=*}
        expect_between "queries of $name" 50 1000000 "$(summary_field "$line" answered)"
        expect_between "lost queries of $name" 0 "$1" "$(summary_field "$line" lost)"
        expect_between "refused queries of $name" 0 "${3:-$1}" "$(summary_field "$line" refused)"
        expect_between "milliseconds without an answer for $name" 0 "$2" "$(summary_field "$line" gap_ms)"
        expect "failures of $name" "0 0 0" "$(summary_field "$line" servfail) $(summary_field "$line" other_rcode) $(summary_field "$line" wrong)"
    done <<<"$summaries"
}

start_both_families() {
    BIND="$LOCAL_IP $LOCAL_IP6" SERVICE="$COREDNS_SERVICE $COREDNS_SERVICE6" write_corefile
    start_daemon -localip "$LOCAL_IP,$LOCAL_IP6"
}

fallback_packets() { # those that the rules counted
    netns_exec node nft list table inet nodelocaldns 2>/dev/null |
        sed -nE 's/.*counter packets ([0-9]+).*comment "fail-open.*/\1/p' | awk '{ sum += $1 } END { print sum + 0 }'
}

has_fallback_packets() { # has_fallback_packets LEAST
    (($(fallback_packets) >= $1))
}

# No packet goes to the fallback while 100 queries are answered.
serves_locally() {
    local before page
    before=$(fallback_packets) page=$(metrics)
    eventually 3 metric_increased coredns_dns_requests_total 100 "$page" && [[ $(fallback_packets) == "$before" ]]
}

conntrack_entries() {
    netns_exec node conntrack -L -f ipv4 2>/dev/null
    netns_exec node conntrack -L -f ipv6 2>/dev/null
}

await_client_progress() { # returns after 200 more queries
    local before
    before=$(metrics)
    eventually 10 metric_increased coredns_dns_requests_total 200 "$before" ||
        fail_case "the clients" "to make progress" "$(metric_sum "$(metrics)" coredns_dns_requests_total) queries in all"
}

# The daemon as the first process of a PID namespace; unshare is its parent, with the PID $daemon_pid.
launch_in_pid_namespace() { # launch_in_pid_namespace ARGUMENT...
    starts=$((starts + 1))
    daemon_log=$WORK/daemon-$starts.log
    start node "$daemon_log" env -i "COREDNS_SERVICE_HOST=$COREDNS_SERVICE" \
        unshare --pid --fork --kill-child --mount-proc "$NODELOCALDNS" "$@"
    daemon_pid=$!
}

is_closed() {
    [[ -z $(netns_exec node ss -Hln "src $LOCAL_IP:53") ]]
}

# TCP connections that are held open, each with one query after the other.
streams=()

start_streams() { # start_streams [ADDRESS4 [ADDRESS6]]: of pods and of the node; returns when all are answered
    local address4=${1:-$LOCAL_IP} address6=${2-$LOCAL_IP6}
    start_stream pod1 "$address4"
    start_stream node "$address4"
    if [[ -n $address6 ]]; then
        start_stream pod6 "$address6"
        start_stream node "$address6"
    fi
    await_streams
}

start_stream() { # start_stream NAMESPACE ADDRESS
    local log=$WORK/stream-$starts-${#streams[@]}.log
    rm -f "$log"
    start "$1" "$log" "$DNSTOOL" hold-stream "$2" "s%d-$RANDOM.fresh.default.svc.cluster.local"
    streams+=("$! $log $1 $2")
}

await_streams() { # returns after five more answers on each connection
    local held pid log name number least=()
    for held in "${streams[@]}"; do
        read -r pid log name <<<"$held"
        least+=("$(($(stream_answers "$log") + 5)) $log $name")
    done
    for held in "${least[@]}"; do
        read -r number log name <<<"$held"
        eventually 8 has_stream_answers "$log" "$number" ||
            fail_case "the TCP connection of $name" "five more answers" "$(tail -1 "$log")"
    done
}

stream_answers() { # stream_answers LOG
    grep -c '^answered' "$1" 2>/dev/null || true
}

has_stream_answers() { # has_stream_answers LOG LEAST
    (($(stream_answers "$1") >= $2))
}

# Ends the connections; sets summaries.
stop_streams() {
    collect_summaries "${streams[@]}"
    streams=()
}

streams_have_ended() {
    have_ended "${streams[@]}"
}

have_ended() { # have_ended "PID ..."...
    local held
    for held in "$@"; do has_exited "${held%% *}" || return 1; done
}

# TCP connections with queries whose answers are not awaited.
writers=()

start_writers() { # of pods and of the node; returns when all have sent a query
    local name number=0 log
    writers=()
    for name in "pod1 $LOCAL_IP" "node $LOCAL_IP" "pod6 $LOCAL_IP6" "node $LOCAL_IP6"; do
        number=$((number + 1))
        log=$WORK/writer-$starts-$number.log
        start "${name% *}" "$log" "$DNSTOOL" write-stream "${name#* }" myweb-svc.default.svc.cluster.local
        writers+=("$! $log $name")
        eventually 3 grep -q sent "$log" || fail_case "the TCP connection of $name" "a query" "$(tail -1 "$log")"
    done
}

expect_writers_reset() {
    local writer pid log name
    eventually 3 have_ended "${writers[@]}" || fail_case "connections with more queries" "to be reset" "open after 3 s"
    for writer in "${writers[@]}"; do
        read -r pid log name <<<"$writer"
        kill -TERM "$pid" 2>/dev/null || true
        expect_match "the connection of $name with more queries" 'connection reset|broken pipe' "$(tail -1 "$log")"
    done
}

expect_streams() { # expect_streams open|closed SLOWEST_MS WAITED_MS: in summaries
    local line name
    while IFS= read -r line; do
        [[ -n $line ]] || continue
        name="the TCP connection of ${line%% answered=*}"
        expect_match "$name" "^[^ ]+ [^ ]+ $1 " "$line"
        expect_between "milliseconds until an answer on $name" 0 "$2" "$(summary_field "$line" slowest_ms)"
        expect_between "milliseconds that it waited at last on $name" 0 "$3" "$(summary_field "$line" waited_ms)"
    done <<<"$summaries"
}

# New clients of both families, over UDP, are answered without, or with packets to the fallback.
answers_without_fallback() {
    local before
    before=$(fallback_packets)
    both_families_are_answered && [[ $(fallback_packets) == "$before" ]]
}

answers_by_fallback() {
    local before
    before=$(fallback_packets)
    both_families_are_answered && (($(fallback_packets) >= before + 2))
}

both_families_are_answered() {
    upstream_answers pod1 "$LOCAL_IP" && upstream_answers pod6 "$LOCAL_IP6"
}

# What pods asked last on their held connections came to CoreDNS from them, not from the daemon.
expect_streams_at_coredns() {
    local held pid log name address
    for held in "${streams[@]}"; do
        read -r pid log name <<<"$held"
        [[ $name == pod* ]] || continue
        address=${name#* }
        address=$(ip -n "${name%% *}-$RUN_ID" route get "$address" | sed -nE 's/.* src ([^ ]+).*/\1/p')
        name=$(awk '/^answered/ { name = $2 } END { print name }' "$log")
        expect "queries of $address for $name that CoreDNS saw" 1 \
            "$(count_lines "$(queries_at_coredns "$name" A | grep -E " \[?$address\]?:[0-9]+ ")")"
    done
}
