# shellcheck shell=bash
# Start, reload, signals, exit, and the state of the node afterwards.

sigterm_and_sigint_exit_0_and_restore_the_node() {
    local signal before
    write_corefile
    before=$(node_state)
    for signal in TERM INT; do
        start_daemon || return 0
        expect_match "tables while it runs" 'inet nodelocaldns' "$(netns_exec node nft list tables)"
        stop_daemon "$signal"
        expect "exit code on SIG$signal" 0 "$daemon_status"
        expect_node "the node after SIG$signal" "$before"
    done
}

sigterm_withdraws_readiness_and_drains_queries_in_flight() {
    local name=n9.after800ms.slow.svc.cluster.local client
    write_corefile
    sed -i "0,/^    errors$/s//    errors\n    ready $LOCAL_IP:8181/" "$WORK/Corefile"
    start_daemon || return 0
    eventually 3 is_ready || fail_case "/ready" OK "$(http_get node "http://$LOCAL_IP:8181/ready")"
    start pod1 "$WORK/in-flight.log" "$DNSTOOL" burst "$LOCAL_IP" 20 "$name"
    client=$!
    eventually 3 grep -q "query $name" "$WORK/slow.log" || fail_case "the upstream" "to receive a query for $name" "$(tail -1 "$WORK/slow.log")"
    kill -TERM "$daemon_pid"
    eventually 2 is_withdrawn || fail_case "/ready while it drains" "no OK" "$(http_get node "http://$LOCAL_IP:8181/ready")"
    await_end 10
    expect "exit code" 0 "$daemon_status"
    wait "$client" || true
    expect_match "the clients" 'sent=20 answered=20 ' "$(cat "$WORK/in-flight.log")"
}

the_next_start_adopts_and_removes_what_sigkill_left() {
    local before left
    write_corefile
    before=$(node_state)
    start_daemon || return 0
    kill_daemon
    left=$(node_state)
    expect_match "the address after SIGKILL" "address nodelocaldns $LOCAL_IP/32" "$left"
    start_daemon || return 0
    expect_match "the daemon's log" 'adopted' "$(cat "$daemon_log")"
    expect_node "the node while it serves again" "$left"
    expect "an answer" "myweb-svc.default.svc.cluster.local. A 10.233.18.231" "$(answer_section pod1 +search myweb-svc)"
    stop_daemon TERM
    expect "exit code" 0 "$daemon_status"
    expect_node "the node afterwards" "$before"
}

an_edited_corefile_takes_effect_and_loses_no_query() {
    local client summary
    RELOAD='2s 1s' write_corefile
    start_daemon || return 0
    start pod1 "$WORK/load.log" "$DNSTOOL" load "$LOCAL_IP" 100 load%d.fresh.default.svc.cluster.local
    client=$!
    sed -i 's/success 9984 30/success 9984 7/' "$WORK/Corefile"
    eventually 6 fresh_ttl_is 7 || fail_case "the TTL after the edit" 7 "$(ttl pod1 "last-$RANDOM.fresh.default.svc.cluster.local")"
    sed -i 's/success 9984 7/success 9984 9/; 0,/^    loop$/s//    wibble/' "$WORK/Corefile"
    eventually 6 grep -q "Corefile:8 - .*wibble" "$daemon_log" ||
        fail_case "the log after an invalid edit" "Corefile:8 - ... wibble" "$(tail -3 "$daemon_log")"
    expect "the TTL after the invalid edit" 7 "$(ttl pod1 still.fresh.default.svc.cluster.local)"
    sed -i 's/^    wibble$/    loop/' "$WORK/Corefile"
    eventually 6 fresh_ttl_is 9 || fail_case "the TTL after the correction" 9 "$(ttl pod1 "last-$RANDOM.fresh.default.svc.cluster.local")"
    kill -TERM "$client"
    wait "$client" || true
    summary=$(cat "$WORK/load.log")
    expect "queries answered meanwhile" "$(summary_field "$summary" sent)" "$(summary_field "$summary" answered)"
    expect_between "queries sent meanwhile" 200 100000 "$(summary_field "$summary" sent)"
    note "during three edits: $summary"
}

sigusr1_reloads_with_reloadwithsignal() {
    write_corefile
    start_daemon -reloadwithsignal || return 0
    expect "the TTL before" 30 "$(ttl pod1 usr1.fresh.default.svc.cluster.local)"
    sed -i 's/success 9984 30/success 9984 7/' "$WORK/Corefile"
    kill -USR1 "$daemon_pid"
    eventually 3 fresh_ttl_is 7 || fail_case "the TTL after SIGUSR1" 7 "$(ttl pod1 "last-$RANDOM.fresh.default.svc.cluster.local")"
}

a_deleted_link_and_table_are_restored() {
    local before
    write_corefile
    start_daemon -syncinterval 1 || return 0
    before=$(node_state)
    ip -n "node-$RUN_ID" link delete nodelocaldns
    netns_exec node nft delete table inet nodelocaldns
    eventually 5 node_state_is "$before" || expect_node "the node" "$before"
    expect "an answer" "myweb-svc.default.svc.cluster.local. A 10.233.18.231" "$(answer_section pod1 +search myweb-svc)"
}

a_link_set_up_by_others_is_used_and_kept() {
    local before
    write_corefile
    ip -n "node-$RUN_ID" link add nodelocaldns type "$link_kind"
    ip -n "node-$RUN_ID" address add "$LOCAL_IP/32" dev nodelocaldns
    ip -n "node-$RUN_ID" link set nodelocaldns up
    eventually 3 node_is_settled
    before=$(node_state)
    start_daemon -setupinterface=false || return 0
    expect "an answer" "myweb-svc.default.svc.cluster.local. A 10.233.18.231" "$(answer_section pod1 +search myweb-svc)"
    stop_daemon TERM
    expect "exit code" 0 "$daemon_status"
    expect_node "the node afterwards" "$before"
}

skipteardown_keeps_link_and_rules() {
    local before running
    write_corefile
    before=$(node_state)
    start_daemon -skipteardown || return 0
    running=$(node_state)
    stop_daemon TERM
    expect "exit code" 0 "$daemon_status"
    expect_node "the node with -skipteardown" "$running"
    start_daemon || return 0
    stop_daemon TERM
    expect_node "the node after a start without it" "$before"
}
