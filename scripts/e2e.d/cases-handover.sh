# shellcheck shell=bash
# One instance after another on the node, and what others take away meanwhile.

upgrades_under_load_lose_no_query_and_the_node_keeps_link_and_rules() {
    local before running same
    before=$(node_state)
    serve_first || return 0
    running=$(node_state) same=$(identity)
    start_load 500 h%d.fresh.default.svc.cluster.local
    load_goes_on
    for _ in 1 2; do
        upgrade || return 0
        load_goes_on
        dismiss_former
        load_goes_on
    done
    expect_no_loss
    expect "link and table" "$same" "$(identity)"
    expect_node "the node after two upgrades" "$running"
    stop TERM
    expect "exit code of the last" 0 "$daemon_status"
    expect_node "the node after the last" "$before"
    expect "files of the hand-over" "" "$(ls -A "$WORK/handover")"
}

when_a_successor_is_killed_the_one_before_serves_and_repairs() {
    local before running
    before=$(node_state)
    serve_first || return 0
    running=$(node_state)
    start_load 500 h%d.fresh.default.svc.cluster.local
    upgrade || return 0
    load_goes_on
    kill_daemon
    daemon_pid=$former_pid daemon_log=$former_log former_pid=
    eventually 5 grep -q 'in service again' "$daemon_log" || complain "the log of the one before" "in service again" "$(tail -3 "$daemon_log")"
    load_goes_on
    # What it had read and not answered goes with it, and nothing else.
    expect_loss_below 10
    ip -n "node-$RUN_ID" link delete nodelocaldns
    eventually 5 node_state_is "$running" || expect_node "the node after its link was deleted" "$running"
    stop TERM
    expect_node "the node after the last" "$before"
}

addresses_that_only_former_instances_had_leave_with_them() {
    local before first
    before=$(node_state)
    serve_first -localip "$LOCAL_IP,169.254.25.11" || return 0
    upgrade -localip "$LOCAL_IP,169.254.25.12" || return 0
    expect "addresses beside each other" "$LOCAL_IP/32 169.254.25.11/32 169.254.25.12/32" "$(addresses_of nodelocaldns)"
    first=$former_pid
    upgrade -localip "$LOCAL_IP,169.254.25.13" || return 0
    dismiss_former
    former_pid=$first
    dismiss_former
    eventually 5 has_addresses "$LOCAL_IP/32 169.254.25.13/32" ||
        complain "addresses in the end" "$LOCAL_IP/32 169.254.25.13/32" "$(addresses_of nodelocaldns)"
    stop TERM
    expect_node "the node after the last" "$before"
}

a_successor_that_gives_back_takes_its_addresses_along() {
    local before
    before=$(node_state)
    serve_first || return 0
    # The one that goes on has adopted the link: it removes it only if nobody else's address is on it.
    kill_daemon
    serve -handover-dir "$WORK/handover" || return 0
    upgrade -localip "$LOCAL_IP,169.254.25.12" || return 0
    stop TERM
    expect "exit code of the one that gives back" 0 "$daemon_status"
    expect "addresses afterwards" "$LOCAL_IP/32" "$(addresses_of nodelocaldns)"
    daemon_pid=$former_pid former_pid=
    expect "an answer" "myweb-svc.default.svc.cluster.local. A 10.233.18.231" "$(answers pod1 +search myweb-svc)"
    stop TERM
    expect_node "the node after the last" "$before"
}

each_removes_what_the_other_does_not_look_after() {
    local before
    before=$(node_state)
    serve_first || return 0
    start_load 500 h%d.fresh.default.svc.cluster.local
    upgrade -interfacename nodelocaldns2 || return 0
    load_goes_on
    dismiss_former
    load_goes_on
    expect_no_loss
    ! has_link nodelocaldns || complain "the link of the one before" "to be gone" "$(addresses_of nodelocaldns)"
    expect "the other link" "$LOCAL_IP/32" "$(addresses_of nodelocaldns2)"
    stop TERM
    expect_node "the node after both" "$before"
    serve_first || return 0
    upgrade -setupinterface=false || return 0
    dismiss_former
    ! has_link nodelocaldns || complain "a link that the successor does not want" "to be gone" "$(addresses_of nodelocaldns)"
    expect_match "tables" 'inet nodelocaldns' "$(inside node nft list tables)"
    stop TERM
    expect_node "the node after the one without a link" "$before"
}

both_told_to_leave_at_once_leave_nothing() {
    local before
    before=$(node_state)
    serve_first || return 0
    upgrade || return 0
    kill -TERM "$former_pid" "$daemon_pid"
    await_end 10
    expect "exit code of the successor" 0 "$daemon_status"
    eventually 10 is_gone "$former_pid" || complain "the one before" "to end" "$(tail -3 "$former_log")"
    former_pid=
    expect_node "the node" "$before"
    expect "files of the hand-over" "" "$(ls -A "$WORK/handover")"
}

what_is_deleted_under_load_is_back_within_a_second() {
    local running
    serve_first || return 0
    expect_match "an answer to be kept" ' A ' "$(answers pod1 kept.fresh.default.svc.cluster.local)"
    running=$(node_state)
    start_load 500 kept.fresh.default.svc.cluster.local
    load_goes_on
    is_back_in_time "the link" "$running" ip -n "node-$RUN_ID" link delete nodelocaldns
    running=$(inside node nft list table inet nodelocaldns)
    is_back_in_time "the ruleset" "$running" inside node nft flush ruleset
    play_kube_proxy
    load_goes_on
    stop_load
    expect_between "questions lost or refused" 0 500 "$(($(count "$summary" lost) + $(count "$summary" refused)))"
    note "meanwhile: $summary"
}

the_probe_knows_the_instance_of_its_own_pod() {
    local inner
    expect_probe 1 "absent is not there: mount it" "$NODELOCALDNS" -probe -handover-dir "$WORK/absent"
    rm -rf "$WORK/handover"
    mkdir "$WORK/handover"
    expect_probe 1 "no instance is in service yet" "$NODELOCALDNS" -probe -handover-dir "$WORK/handover"
    write_corefile
    arguments -localip "$LOCAL_IP,$LOCAL_IP6" -handover-dir "$WORK/handover"
    starts=$((starts + 1)) daemon_log=$WORK/daemon-$starts.log
    start node "$daemon_log" env -i "COREDNS_SERVICE_HOST=$COREDNS_SERVICE" "COREDNS_SERVICE_PORT=53" \
        unshare --pid --fork --mount-proc "$NODELOCALDNS" "${daemon_arguments[@]}"
    former_pid=$!
    eventually 5 pgrep -P "$former_pid" || return 1
    inner=$(pgrep -P "$former_pid")
    daemon_pid=$inner
    await_answers || return 0
    eventually 5 own_probe "$inner" || complain "the probe in the pod" "exit code 0" "$(own_probe "$inner" 2>&1)"
    expect_probe 1 "the instance of another pod is still in service" \
        unshare --pid --fork --mount-proc "$NODELOCALDNS" -probe -handover-dir "$WORK/handover"
    node_setting ipv6/conf/nodelocaldns/disable_ipv6 1
    eventually 5 probe_says "$inner" "not in place yet: link" ||
        complain "the probe without the IPv6 address" "not in place yet: link" "$(own_probe "$inner" 2>&1)"
    node_setting ipv6/conf/nodelocaldns/disable_ipv6 0
    eventually 5 own_probe "$inner" || complain "the probe with it again" "exit code 0" "$(own_probe "$inner" 2>&1)"
    kill -TERM "$inner"
    eventually 10 is_gone "$former_pid" || complain "the pod" "to end" "$(tail -3 "$daemon_log")"
    daemon_pid='' former_pid=
}
