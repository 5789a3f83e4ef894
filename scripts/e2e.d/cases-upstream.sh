# shellcheck shell=bash
# What CoreDNS gets to see, and what pods see of its troubles.

misses_reach_coredns_over_tcp_only_and_from_the_node() {
    local from transport seen
    write_corefile
    from=$(wc -l <"$UPSTREAM_LOG")
    serve || return 0
    for transport in +notcp +tcp; do
        expect "a Service" NOERROR "$(rcode pod1 $transport "by$transport.fresh.default.svc.cluster.local")"
        expect "an absent name" NXDOMAIN "$(rcode pod1 $transport "by$transport.absent.cluster.local")"
        expect "an address" NXDOMAIN "$(rcode pod1 $transport -x "10.233.1${#transport}.1")"
        expect "an IPv6 address" NXDOMAIN "$(rcode pod1 $transport -x "fd00::${#transport}")"
    done
    settle coredns 127.0.0.1 "$UPSTREAM_LOG"
    # Our own markers come from 127.0.0.1 and the readiness question counts like any other.
    seen=$(tail -n "+$((from + 1))" "$UPSTREAM_LOG" | grep -E '^\[INFO\] [0-9.]+:[0-9]+ - ' | grep -vF ' 127.0.0.1:')
    expect "protocols" tcp "$(awk '{ print $8 }' <<<"$seen" | sort -u | xargs)"
    expect "clients" "$NODE_IP" "$(awk '{ sub(/:.*/, "", $2); print $2 }' <<<"$seen" | sort -u | xargs)"
    expect "queries for the eight names" 8 "$(lines "$(grep -E '(by\+|0\.0\.d\.f\.ip6|1\.1[0-9]\.233\.10\.in)' <<<"$seen")")"
}

sixty_identical_misses_at_once_are_one_upstream_query() {
    local name=n7.after300ms.slow.svc.cluster.local summary
    write_corefile
    serve || return 0
    summary=$(inside pod1 "$ACTORS" burst "$LOCAL_IP" 60 "$name")
    expect "clients answered" 60 "$(count "$summary" answered)"
    expect_between "the slowest, in ms" 300 2000 "$(count "$summary" slowest_ms)"
    # It is slow enough to be asked once more, early and on another connection.
    expect_between "queries that CoreDNS saw" 1 2 "$(lines "$(seen_by_coredns "$name")")"
}

distinct_misses_at_once_share_at_most_16_connections_per_worker() {
    local summary connections
    write_corefile
    serve -workers 2 || return 0
    summary=$(inside pod1 "$ACTORS" burst "$LOCAL_IP" 256 n%d.after40ms.slow.svc.cluster.local)
    expect "questions answered" 256 "$(count "$summary" answered)"
    expect "SERVFAIL" 0 "$(count "$summary" servfail)"
    connections=$(seen_by_coredns 'n[0-9]+\.after40ms\.slow\.svc\.cluster\.local' A)
    # One in ten may be asked again early, and a few more at first.
    expect_between "queries that CoreDNS saw" 256 310 "$(lines "$connections")"
    connections=$(awk '{ print $2 }' <<<"$connections" | sort -u)
    expect_between "connections that carried them" 2 32 "$(lines "$connections")"
    expect_between "connections open" 1 32 \
        "$(inside node ss -Htn state established dst "$COREDNS_SERVICE" | wc -l)"
    note "256 distinct misses of 40 ms: $(lines "$connections") connections, slowest answer $(count "$summary" slowest_ms) ms"
}

a_name_that_is_slow_upstream_does_not_hold_up_others() {
    local slow=n4.after900ms.slow.svc.cluster.local client quick
    write_corefile
    serve -workers 1 || return 0
    start pod1 "$WORK/slow-client.log" "$ACTORS" burst "$LOCAL_IP" 1 "$slow"
    client=$!
    eventually 3 grep -q "asked $slow" "$WORK/slow.log" || complain "the upstream" "to be asked for $slow" "$(tail -1 "$WORK/slow.log")"
    # A question still joins a connection whose oldest question is younger than some tens of milliseconds.
    sleep 0.1
    quick=$(ask pod2 held-up.fresh.default.svc.cluster.local)
    expect_match "another miss" 'status: NOERROR' "$quick"
    expect_between "answered after, in ms" 0 400 "$(sed -nE 's/^;; Query time: ([0-9]+) msec/\1/p' <<<"$quick")"
    wait "$client" || true
    expect_match "the slow name" 'answered=1 ' "$(cat "$WORK/slow-client.log")"
}

while_coredns_is_down_misses_fail_and_the_cache_serves() {
    local name=outage.fresh.default.svc.cluster.local failure
    write_corefile
    serve || return 0
    ask pod1 "cached-$name" >/dev/null
    kill_coredns
    failure=$(ask pod1 "$name")
    expect_match "a miss" 'status: SERVFAIL' "$failure"
    expect_between "answered after, in ms" 0 5000 "$(sed -nE 's/^;; Query time: ([0-9]+) msec/\1/p' <<<"$failure")"
    expect "a hit" NOERROR "$(rcode pod1 "cached-$name")"
    eventually 2 grep -qE "^\[ERROR\] plugin/errors: 2 $name\. A: ." "$daemon_log" ||
        complain "the daemon's log" "[ERROR] plugin/errors: 2 $name. A: REASON" "$(grep ERROR "$daemon_log")"
    start_coredns
    eventually 8 finds pod1 "again-$name" || complain "once CoreDNS is back" NOERROR "$(rcode pod1 "again-$name")"
    # A failure is remembered for 5 s at most.
    eventually 8 finds pod1 "$name" || complain "the name that failed" NOERROR "$(rcode pod1 "$name")"
}

while_coredns_hangs_a_miss_fails_within_five_seconds() {
    local name=hang.fresh.default.svc.cluster.local failure
    write_corefile
    serve || return 0
    ask pod1 "before-$name" >/dev/null
    kill -STOP "$coredns_pid"
    failure=$(ask pod1 "$name")
    kill -CONT "$coredns_pid"
    expect_match "a miss" 'status: SERVFAIL' "$failure"
    expect_between "answered after, in ms" 1000 5000 "$(sed -nE 's/^;; Query time: ([0-9]+) msec/\1/p' <<<"$failure")"
    expect_match "the daemon's log" "^\[ERROR\] plugin/errors: 2 $name\. A: ." "$(cat "$daemon_log")"
    eventually 8 finds pod1 "after-$name" || complain "once CoreDNS goes on" NOERROR "$(rcode pod1 "after-$name")"
}

connections_that_ended_with_a_coredns_cost_no_answer() {
    local name=replaced.fresh.default.svc.cluster.local
    write_corefile
    serve || return 0
    expect "the old CoreDNS" NOERROR "$(rcode pod1 "old-$name")"
    kill_coredns
    start_coredns
    expect "the new CoreDNS" NOERROR "$(rcode pod1 "new-$name")"
}

a_daemon_that_forwards_to_itself_ends_with_the_loop_message() {
    local before
    before=$(node_state)
    SERVICE=$LOCAL_IP write_corefile
    arguments
    launch "${daemon_arguments[@]}"
    await_end 20
    expect "exit code" 1 "$daemon_status"
    expect_match "the message" '\[FATAL\] plugin/loop: Loop \(.* -> .*\) detected for zone ' "$(cat "$daemon_log")"
    expect_node "the node afterwards" "$before"
}
