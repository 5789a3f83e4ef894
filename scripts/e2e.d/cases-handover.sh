# shellcheck shell=bash
# Hand-over between instances on one node, repairs under load, the startup probe.

upgrades_under_load_lose_no_query_and_the_node_keeps_link_and_rules() {
    local before running same
    before=$(node_state)
    start_first_instance || return 0
    running=$(node_state) same=$(link_and_table_ids)
    start_load 500 h%d.fresh.default.svc.cluster.local
    await_load_progress
    for _ in 1 2; do
        upgrade || return 0
        await_load_progress
        terminate_predecessor
        await_load_progress
    done
    expect_no_loss
    expect "link and table" "$same" "$(link_and_table_ids)"
    expect_node "the node after two upgrades" "$running"
    stop_daemon TERM
    expect "exit code of the last instance" 0 "$daemon_status"
    expect_node "the node after the last exit" "$before"
    expect "files of the hand-over" "" "$(ls -A "$WORK/handover")"
}

the_predecessor_resumes_and_repairs_the_node_when_its_successor_is_killed() {
    local before running
    before=$(node_state)
    start_first_instance || return 0
    running=$(node_state)
    start_load 500 h%d.fresh.default.svc.cluster.local
    upgrade || return 0
    await_load_progress
    kill_daemon
    daemon_pid=$predecessor_pid daemon_log=$predecessor_log predecessor_pid=
    eventually 5 grep -q 'active again' "$daemon_log" || fail_case "the log of the predecessor" "active again" "$(tail -3 "$daemon_log")"
    await_load_progress
    # Only the queries that it had read and not answered are lost.
    expect_loss_below 10
    ip -n "node-$RUN_ID" link delete nodelocaldns
    eventually 5 node_state_is "$running" || expect_node "the node after its link was deleted" "$running"
    stop_daemon TERM
    expect_node "the node after the last exit" "$before"
}

addresses_of_former_instances_are_removed_when_they_exit() {
    local before first
    before=$(node_state)
    start_first_instance -localip "$LOCAL_IP,169.254.25.11" || return 0
    upgrade -localip "$LOCAL_IP,169.254.25.12" || return 0
    expect "addresses of two instances" "$LOCAL_IP/32 169.254.25.11/32 169.254.25.12/32" "$(addresses_of nodelocaldns)"
    first=$predecessor_pid
    upgrade -localip "$LOCAL_IP,169.254.25.13" || return 0
    terminate_predecessor
    predecessor_pid=$first
    terminate_predecessor
    eventually 5 has_addresses "$LOCAL_IP/32 169.254.25.13/32" ||
        fail_case "addresses after both exits" "$LOCAL_IP/32 169.254.25.13/32" "$(addresses_of nodelocaldns)"
    stop_daemon TERM
    expect_node "the node after the last exit" "$before"
}

a_successor_that_hands_back_removes_its_own_addresses() {
    local before
    before=$(node_state)
    start_first_instance || return 0
    # The first instance has adopted the link: it removes it only without addresses of others.
    kill_daemon
    start_daemon -handover-dir "$WORK/handover" || return 0
    upgrade -localip "$LOCAL_IP,169.254.25.12" || return 0
    stop_daemon TERM
    expect "exit code of the instance that hands back" 0 "$daemon_status"
    expect "addresses afterwards" "$LOCAL_IP/32" "$(addresses_of nodelocaldns)"
    daemon_pid=$predecessor_pid predecessor_pid=
    expect "an answer" "myweb-svc.default.svc.cluster.local. A 10.233.18.231" "$(answer_section pod1 +search myweb-svc)"
    stop_daemon TERM
    expect_node "the node after the last exit" "$before"
}

each_instance_removes_what_the_other_does_not_manage() {
    local before
    before=$(node_state)
    start_first_instance || return 0
    start_load 500 h%d.fresh.default.svc.cluster.local
    upgrade -interfacename nodelocaldns2 || return 0
    await_load_progress
    terminate_predecessor
    await_load_progress
    expect_no_loss
    ! has_link nodelocaldns || fail_case "the link of the predecessor" "to be gone" "$(addresses_of nodelocaldns)"
    expect "the other link" "$LOCAL_IP/32" "$(addresses_of nodelocaldns2)"
    stop_daemon TERM
    expect_node "the node after both exits" "$before"
    start_first_instance || return 0
    upgrade -setupinterface=false || return 0
    terminate_predecessor
    ! has_link nodelocaldns || fail_case "a link that the successor does not manage" "to be gone" "$(addresses_of nodelocaldns)"
    expect_match "tables" 'inet nodelocaldns' "$(netns_exec node nft list tables)"
    stop_daemon TERM
    expect_node "the node after an instance without a link" "$before"
}

sigterm_to_both_instances_leaves_nothing_on_the_node() {
    local before
    before=$(node_state)
    start_first_instance || return 0
    upgrade || return 0
    kill -TERM "$predecessor_pid" "$daemon_pid"
    await_end 10
    expect "exit code of the successor" 0 "$daemon_status"
    eventually 10 has_exited "$predecessor_pid" || fail_case "the predecessor" "to end" "$(tail -3 "$predecessor_log")"
    predecessor_pid=
    expect_node "the node" "$before"
    expect "files of the hand-over" "" "$(ls -A "$WORK/handover")"
}

a_deleted_link_and_ruleset_are_restored_within_a_second_under_load() {
    local running
    start_first_instance || return 0
    expect_match "an answer to be cached" ' A ' "$(answer_section pod1 cached.fresh.default.svc.cluster.local)"
    running=$(node_state)
    start_load 500 cached.fresh.default.svc.cluster.local
    await_load_progress
    expect_restored "the link" "$running" ip -n "node-$RUN_ID" link delete nodelocaldns
    running=$(our_table)
    expect_restored "the ruleset" "$running" netns_exec node nft flush ruleset
    emulate_kube_proxy
    await_load_progress
    stop_load
    expect_between "queries lost or refused" 0 500 "$(($(summary_field "$summary" lost) + $(summary_field "$summary" refused)))"
    note "meanwhile: $summary"
}

the_startup_probe_checks_the_instance_of_its_own_pod() {
    local inner
    expect_probe 1 "absent is not there: mount it" "$NODELOCALDNS" -probe -handover-dir "$WORK/absent"
    rm -rf "$WORK/handover"
    mkdir "$WORK/handover"
    expect_probe 1 "no instance is active yet" "$NODELOCALDNS" -probe -handover-dir "$WORK/handover"
    write_corefile
    set_arguments -localip "$LOCAL_IP,$LOCAL_IP6" -handover-dir "$WORK/handover"
    starts=$((starts + 1)) daemon_log=$WORK/daemon-$starts.log
    start node "$daemon_log" env -i "COREDNS_SERVICE_HOST=$COREDNS_SERVICE" "COREDNS_SERVICE_PORT=53" \
        unshare --pid --fork --mount-proc "$NODELOCALDNS" "${daemon_arguments[@]}"
    predecessor_pid=$!
    eventually 5 pgrep -P "$predecessor_pid" || return 1
    inner=$(pgrep -P "$predecessor_pid")
    daemon_pid=$inner
    await_answers || return 0
    eventually 5 probe_in_pod "$inner" || fail_case "the probe in the pod" "exit code 0" "$(probe_in_pod "$inner" 2>&1)"
    expect_probe 1 "the instance of another pod is still active" \
        unshare --pid --fork --mount-proc "$NODELOCALDNS" -probe -handover-dir "$WORK/handover"
    node_setting ipv6/conf/nodelocaldns/disable_ipv6 1
    eventually 5 probe_fails_with "$inner" "not in place yet: link" ||
        fail_case "the probe without the IPv6 address" "not in place yet: link" "$(probe_in_pod "$inner" 2>&1)"
    node_setting ipv6/conf/nodelocaldns/disable_ipv6 0
    eventually 5 probe_in_pod "$inner" || fail_case "the probe with it again" "exit code 0" "$(probe_in_pod "$inner" 2>&1)"
    kill -TERM "$inner"
    eventually 10 has_exited "$predecessor_pid" || fail_case "the pod" "to end" "$(tail -3 "$daemon_log")"
    daemon_pid='' predecessor_pid=
}
