# shellcheck shell=bash
# Queries as seen by CoreDNS, and failures of CoreDNS as seen by pods.

misses_reach_coredns_over_tcp_only_and_from_the_node() {
    local from transport seen
    write_corefile
    from=$(wc -l <"$UPSTREAM_LOG")
    start_daemon || return 0
    for transport in +notcp +tcp; do
        expect "a Service" NOERROR "$(rcode pod1 $transport "by$transport.fresh.default.svc.cluster.local")"
        expect "an absent name" NXDOMAIN "$(rcode pod1 $transport "by$transport.absent.cluster.local")"
        expect "an address" NXDOMAIN "$(rcode pod1 $transport -x "10.233.1${#transport}.1")"
        expect "an IPv6 address" NXDOMAIN "$(rcode pod1 $transport -x "fd00::${#transport}")"
    done
    sync_query_log coredns 127.0.0.1 "$UPSTREAM_LOG"
    # sync_query_log's markers come from 127.0.0.1; the readiness query counts like any other.
    seen=$(tail -n "+$((from + 1))" "$UPSTREAM_LOG" | grep -E '^\[INFO\] [0-9.]+:[0-9]+ - ' | grep -vF ' 127.0.0.1:')
    expect "protocols" tcp "$(awk '{ print $8 }' <<<"$seen" | sort -u | xargs)"
    expect "clients" "$NODE_IP" "$(awk '{ sub(/:.*/, "", $2); print $2 }' <<<"$seen" | sort -u | xargs)"
    expect "queries for the eight names" 8 "$(count_lines "$(grep -E '(by\+|0\.0\.d\.f\.ip6|1\.1[0-9]\.233\.10\.in)' <<<"$seen")")"
}

sixty_identical_misses_are_coalesced_into_one_upstream_query() {
    local name=n7.after300ms.slow.svc.cluster.local summary
    write_corefile
    start_daemon || return 0
    summary=$(netns_exec pod1 "$DNSTOOL" burst "$LOCAL_IP" 60 "$name")
    expect "clients that got a response" 60 "$(summary_field "$summary" answered)"
    expect_between "the slowest, in ms" 300 2000 "$(summary_field "$summary" slowest_ms)"
    # It is slow enough for one hedge on another connection.
    expect_between "queries that CoreDNS saw" 1 2 "$(count_lines "$(queries_at_coredns "$name")")"
}

concurrent_distinct_misses_use_at_most_16_connections_per_worker() {
    local summary connections
    write_corefile
    start_daemon -workers 2 || return 0
    summary=$(netns_exec pod1 "$DNSTOOL" burst "$LOCAL_IP" 256 n%d.after40ms.slow.svc.cluster.local)
    expect "queries answered" 256 "$(summary_field "$summary" answered)"
    expect "SERVFAIL" 0 "$(summary_field "$summary" servfail)"
    connections=$(queries_at_coredns 'n[0-9]+\.after40ms\.slow\.svc\.cluster\.local' A)
    # One in ten may be hedged, and a few more at the start.
    expect_between "queries that CoreDNS saw" 256 310 "$(count_lines "$connections")"
    connections=$(awk '{ print $2 }' <<<"$connections" | sort -u)
    expect_between "connections used" 2 32 "$(count_lines "$connections")"
    # Idle ones may have been closed by now.
    expect_between "connections open" 0 32 \
        "$(netns_exec node ss -Htn state established dst "$COREDNS_SERVICE" | wc -l)"
    note "256 distinct misses of 40 ms: $(count_lines "$connections") connections, slowest response $(summary_field "$summary" slowest_ms) ms"
}

a_slow_upstream_name_does_not_delay_others() {
    local slow=n4.after900ms.slow.svc.cluster.local client quick
    write_corefile
    start_daemon -workers 1 || return 0
    start pod1 "$WORK/slow-client.log" "$DNSTOOL" burst "$LOCAL_IP" 1 "$slow"
    client=$!
    eventually 3 grep -q "query $slow" "$WORK/slow.log" || fail_case "the upstream" "to receive a query for $slow" "$(tail -1 "$WORK/slow.log")"
    # A connection takes more queries while its oldest one is younger than a few tens of ms.
    sleep 0.1
    quick=$(dig_from pod2 held-up.fresh.default.svc.cluster.local)
    expect_match "another miss" 'status: NOERROR' "$quick"
    expect_between "response time in ms" 0 400 "$(sed -nE 's/^;; Query time: ([0-9]+) msec/\1/p' <<<"$quick")"
    wait "$client" || true
    expect_match "the slow name" 'answered=1 ' "$(cat "$WORK/slow-client.log")"
}

while_coredns_is_down_misses_servfail_and_hits_are_served() {
    local name=outage.fresh.default.svc.cluster.local failure
    write_corefile
    start_daemon || return 0
    dig_from pod1 "cached-$name" >/dev/null
    kill_coredns
    failure=$(dig_from pod1 "$name")
    expect_match "a miss" 'status: SERVFAIL' "$failure"
    expect_between "response time in ms" 0 5000 "$(sed -nE 's/^;; Query time: ([0-9]+) msec/\1/p' <<<"$failure")"
    expect "a hit" NOERROR "$(rcode pod1 "cached-$name")"
    eventually 2 grep -qE "^\[ERROR\] plugin/errors: 2 $name\. A: ." "$daemon_log" ||
        fail_case "the daemon's log" "[ERROR] plugin/errors: 2 $name. A: REASON" "$(grep ERROR "$daemon_log")"
    start_coredns
    eventually 8 resolves pod1 "again-$name" || fail_case "after CoreDNS is back" NOERROR "$(rcode pod1 "again-$name")"
    # A failure is cached for at most 5 s.
    eventually 8 resolves pod1 "$name" || fail_case "the name that failed" NOERROR "$(rcode pod1 "$name")"
}

while_coredns_hangs_a_miss_fails_within_five_seconds() {
    local name=hang.fresh.default.svc.cluster.local failure
    write_corefile
    start_daemon || return 0
    dig_from pod1 "before-$name" >/dev/null
    kill -STOP "$coredns_pid"
    failure=$(dig_from pod1 "$name")
    kill -CONT "$coredns_pid"
    expect_match "a miss" 'status: SERVFAIL' "$failure"
    expect_between "response time in ms" 1000 5000 "$(sed -nE 's/^;; Query time: ([0-9]+) msec/\1/p' <<<"$failure")"
    expect_match "the daemon's log" "^\[ERROR\] plugin/errors: 2 $name\. A: ." "$(cat "$daemon_log")"
    eventually 8 resolves pod1 "after-$name" || fail_case "after CoreDNS resumes" NOERROR "$(rcode pod1 "after-$name")"
}

a_coredns_restart_loses_no_query() {
    local name=replaced.fresh.default.svc.cluster.local
    write_corefile
    start_daemon || return 0
    expect "the old CoreDNS" NOERROR "$(rcode pod1 "old-$name")"
    kill_coredns
    start_coredns
    expect "the new CoreDNS" NOERROR "$(rcode pod1 "new-$name")"
}

a_forwarding_loop_exits_with_the_loop_message() {
    local before
    before=$(node_state)
    SERVICE=$LOCAL_IP write_corefile
    set_arguments
    launch_daemon "${daemon_arguments[@]}"
    await_end 20
    expect "exit code" 1 "$daemon_status"
    expect_match "the message" '\[FATAL\] plugin/loop: Loop \(.* -> .*\) detected for zone ' "$(cat "$daemon_log")"
    expect_node "the node afterwards" "$before"
}

names_of_search_paths_are_answered_on_the_node() {
    local search_number=0
    write_corefile_with_cuts
    start_daemon || return 0
    expect "the first name" "www.example.test. A 198.51.100.80" "$(answer_section pod1 +search www.example.test)"
    # test.default.svc, test.svc and test do not exist in the zone of the cluster.
    eventually 5 search_path_costs_nothing || fail_case "a new name" "no query below the zone of the cluster at CoreDNS" "$(metrics | grep nxdomain_cut)"
    expect "a Service" "myweb-svc.default.svc.cluster.local. A 10.233.18.231" "$(answer_section pod1 +search myweb-svc)"
    expect "an SRV record, whose parents CoreDNS denies" "_http._tcp.myweb-svc.default.svc.cluster.local. SRV 0 100 80 myweb-svc.default.svc.cluster.local." \
        "$(answer_section pod1 _http._tcp.myweb-svc.default.svc.cluster.local SRV)"
}

names_that_coredns_has_below_a_missing_one_end_its_cut() {
    local name
    write_corefile_with_cuts
    start_daemon || return 0
    # Only A below own.cluster.local: AAAA of the same names is NXDOMAIN.
    expect "AAAA of the first name" NXDOMAIN "$(rcode pod1 one.own.cluster.local AAAA)"
    eventually 3 has_cuts 1 || fail_case "the cut" 1 "$(metrics | grep nxdomain_cut_changes)"
    expect "a name below the cut" NXDOMAIN "$(rcode pod1 two.own.cluster.local)"
    # A client that wants proof is not answered from it; the answer ends the cut.
    expect "with DO" NOERROR "$(rcode pod1 +dnssec three.own.cluster.local)"
    for name in four two five; do
        expect "$name.own" "$name.own.cluster.local. A 10.233.20.1" "$(answer_section pod1 $name.own.cluster.local)"
    done
    expect "AAAA of another name" NXDOMAIN "$(rcode pod1 six.own.cluster.local AAAA)"
    expect "a name after it" "seven.own.cluster.local. A 10.233.20.1" "$(answer_section pod1 seven.own.cluster.local)"
}
