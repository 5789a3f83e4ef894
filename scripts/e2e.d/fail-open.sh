# shellcheck shell=bash
# Clients over both transports, of a pod and of the node, while the daemon is killed or stopped.

clients=()
# Each client sends 50 queries a second, over both transports and families, from pods and from the
# node.
readonly CLIENT_RATE=50
readonly FRESH_NAME=n%d-$RUN_ID.fresh.default.svc.cluster.local
# A load of 1,000 queries a second over UDP, answered from the cache.
readonly CACHED_RATE=250 CACHED_NAME=cached.fresh.default.svc.cluster.local
started_clients=0

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

start_cached_load() {
    clients=()
    start_client pod1 "$LOCAL_IP" udp $CACHED_RATE $CACHED_NAME
    start_client node "$LOCAL_IP" udp $CACHED_RATE $CACHED_NAME
    start_client pod6 "$LOCAL_IP6" udp $CACHED_RATE $CACHED_NAME
    start_client node "$LOCAL_IP6" udp $CACHED_RATE $CACHED_NAME
}

start_client() { # start_client NAMESPACE ADDRESS udp|tcp [RATE NAME]
    local log
    started_clients=$((started_clients + 1))
    log=$WORK/client-$started_clients.log
    start "$1" "$log" "$DNSTOOL" load "$2" "${4:-$CLIENT_RATE}" "${5:-$started_clients-$FRESH_NAME}" "$3"
    clients+=("$! $log $1 $2 $3")
}

end_clients() { # which then wait for outstanding answers
    local client
    for client in "${clients[@]}"; do kill -TERM "${client%% *}" 2>/dev/null || true; done
}

# Ends the clients; each summary is a line CLIENT ADDRESS TRANSPORT SUMMARY in $summaries.
stop_clients() {
    collect_summaries "${clients[@]}"
    clients=()
}

collect_summaries() { # collect_summaries "PID LOG NAME"...: ends these processes; sets summaries
    local client pid log name line
    summaries=
    # They may have ended.
    for client in "$@"; do kill -TERM "${client%% *}" 2>/dev/null || true; done
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

start_both_families() { # start_both_families [ARGUMENT...]
    BIND="$LOCAL_IP $LOCAL_IP6" SERVICE="$COREDNS_SERVICE $COREDNS_SERVICE6" write_corefile
    start_daemon -localip "$LOCAL_IP,$LOCAL_IP6" "$@"
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

# Queries to them in conntrack's table, in either direction. The daemon's own may have them as source.
entries_of_our_addresses() {
    local ours="($LOCAL_IP|$LOCAL_IP6)"
    conntrack_entries | grep -E "dst=$ours sport=[0-9]+ dport=53 |src=$ours dst=[^ ]+ sport=53 " || true
}

send_100000_queries() { # of pods and of the node, over both families and transports
    local client pid log name address transport
    clients=()
    printf "$CACHED_NAME A\n%.0s" {1..100} >"$WORK/queries"
    for client in "pod1 $LOCAL_IP udp" "node $LOCAL_IP tcp" "node $LOCAL_IP6 udp" "pod6 $LOCAL_IP6 tcp"; do
        read -r name address transport <<<"$client"
        log=$WORK/dnsperf-$name-$transport.log
        start "$name" "$log" dnsperf -s "$address" -m "$transport" -d "$WORK/queries" -n 250 -c 10
        clients+=("$! $log $client")
    done
    for client in "${clients[@]}"; do
        read -r pid log name <<<"$client"
        wait "$pid" || true
        expect_match "queries of $name" 'Queries completed: +25000 \(100.00%\)' "$(cat "$log")"
    done
    clients=()
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

expect_answers() { # expect_answers WHAT: to pods and to the node
    local client name=myweb-svc.default.svc.cluster.local transport
    for client in "pod1 $LOCAL_IP" "node $LOCAL_IP" "pod6 $LOCAL_IP6" "node $LOCAL_IP6"; do
        for transport in +notcp +tcp; do
            expect "the answer of $1 to $client $transport" "$name. A 10.233.18.231" \
                "$(answer_section "${client% *}" $transport "@${client#* }" "$name")"
        done
    done
}

both_families_are_answered() {
    upstream_answers pod1 "$LOCAL_IP" && upstream_answers pod6 "$LOCAL_IP6"
}
