# shellcheck shell=bash
# Fail-open: CoreDNS answers while the daemon is gone or hangs.

after_sigkill_coredns_answers_pods_and_the_node() {
    start_both_families || return 0
    start_clients
    await_client_progress
    kill_daemon
    eventually 5 has_fallback_packets 200 || fail_case "packets to the fallback" "200 at least" "$(fallback_packets)"
    start_daemon -localip "$LOCAL_IP,$LOCAL_IP6" || return 0
    await_client_progress
    stop_clients
    # A client on the node is refused once over UDP; its SYN is dropped and sent again after a second.
    expect_outage 5 1100
    expect "clients by the fallback in the metrics" "$(fallback_packets)" \
        "$(metric_sum "$(metrics)" nodelocaldns_fail_open_total)"
    expect "addresses with a fallback" 2 "$(metric_sum "$(metrics)" nodelocaldns_fail_open_available)"
}

a_process_that_hangs_is_replaced_by_coredns_until_it_goes_on() {
    local before
    start_both_families || return 0
    start_clients
    await_client_progress
    kill -STOP "$daemon_pid"
    eventually 5 has_fallback_packets 200 || fail_case "packets to the fallback" "200 at least" "$(fallback_packets)"
    kill -CONT "$daemon_pid"
    eventually 5 serves_locally || fail_case "the daemon" "to serve again" "$(fallback_packets) packets to the fallback"
    before=$(fallback_packets)
    await_client_progress
    expect "packets to the fallback while it serves" "$before" "$(fallback_packets)"
    stop_clients
    # Those in the socket's queue are answered late.
    expect_outage 0 1300
}

a_service_address_on_the_link_falls_back_to_its_service() {
    BIND="$LOCAL_IP $DNS_SERVICE" write_corefile
    set_arguments -localip "$LOCAL_IP,$DNS_SERVICE"
    SERVICES="KUBE_DNS_SERVICE_HOST=$DNS_SERVICE" launch_daemon "${daemon_arguments[@]}"
    await_answers || return 0
    start_clients "$DNS_SERVICE" ''
    await_client_progress
    kill_daemon
    eventually 5 has_fallback_packets 100 || fail_case "packets to the fallback" "100 at least" "$(fallback_packets)"
    SERVICES="KUBE_DNS_SERVICE_HOST=$DNS_SERVICE" launch_daemon "${daemon_arguments[@]}"
    await_answers || return 0
    await_client_progress
    stop_clients
    expect_outage 5 1100
    stop_daemon TERM
    expect "the exit code" 0 "$daemon_status"
}

marks_do_for_zones_on_a_kernel_without_them() {
    local rules
    start_both_families -fail-open-zone 0 || return 0
    rules=$(our_table)
    expect_no_match "the rules" 'ct original zone' "$rules"
    expect_match "the rules" 'ct mark' "$rules"
    start_clients
    await_client_progress
    kill_daemon
    eventually 5 has_fallback_packets 200 || fail_case "packets to the fallback" "200 at least" "$(fallback_packets)"
    start_daemon -localip "$LOCAL_IP,$LOCAL_IP6" -fail-open-zone 0 || return 0
    await_client_progress
    stop_clients
    expect_outage 5 1100
}

# The pod asks the Service from the port that asks the cache: musl does.
one_source_port_may_query_the_cache_and_the_service() {
    local server name=myweb-svc.default.svc.cluster.local
    write_corefile
    start_daemon || return 0
    kill_daemon
    # dig ignores a response from another address.
    for server in "$LOCAL_IP" "$COREDNS_SERVICE" "$LOCAL_IP"; do
        expect "the answer of $server" "$name. A 10.233.18.231" "$(answer_section pod1 -b 0.0.0.0#4242 "@$server" "$name")"
    done
}

an_orderly_end_takes_fail_open_away() {
    local before
    write_corefile
    before=$(node_state)
    start_daemon || return 0
    stop_daemon TERM
    expect_node "the node afterwards" "$before"
    start_daemon -fail-open=false || return 0
    expect_no_match "rules without fail-open" 'goto|alive' "$(our_table)"
    expect_match "rules without fail-open" "ip daddr $LOCAL_IP udp dport 53 notrack" "$(our_table)"
}

conntrack_has_no_entry_after_100000_queries_but_while_the_daemon_is_gone() {
    netns_exec node conntrack -F 2>/dev/null
    start_both_families || return 0
    send_100000_queries
    expect "entries for our addresses" "" "$(entries_of_our_addresses)"
    kill_daemon
    eventually 3 answers_by_fallback || fail_case "pods" "to be answered by CoreDNS" "$(fallback_packets) packets to the fallback"
    expect_match "IPv4 entries while it is gone" "dst=$COREDNS_SERVICE .*dport=53 .*zone-orig=53053" "$(conntrack_entries)"
    expect_match "IPv6 entries while it is gone" "dst=$COREDNS_SERVICE6 .*dport=53 .*zone-orig=53054" "$(conntrack_entries)"
    start_daemon -localip "$LOCAL_IP,$LOCAL_IP6" || return 0
    netns_exec node conntrack -F 2>/dev/null
    eventually 3 answers_without_fallback || fail_case "pods" "to be answered by the daemon" "$(fallback_packets) packets to the fallback"
    expect "entries when it is back" "" "$(entries_of_our_addresses)"
}

a_coredns_in_the_host_network_answers_pods_and_the_node() {
    local bind
    ip -n "node-$RUN_ID" address add "$NODE_IP6/64" dev eth0 nodad
    # With all addresses, it has a socket for ours, too.
    for bind in "$NODE_IP $NODE_IP6" '0.0.0.0 ::'; do
        start_host_network_coredns "$bind"
        emulate_kube_proxy "$NODE_IP" "$NODE_IP6"
        start_both_families || break
        kill_daemon
        eventually 3 answers_by_fallback || fail_case "pods" "to be answered by CoreDNS on $bind" "$(fallback_packets) packets to the fallback"
        expect_answers "CoreDNS on $bind"
        start_streams
        start_daemon -localip "$LOCAL_IP,$LOCAL_IP6" || break
        eventually 3 answers_without_fallback || fail_case "pods" "to be answered by the daemon" "$(fallback_packets) packets to the fallback"
        expect_answers "the daemon beside CoreDNS on $bind"
        await_streams
        stop_streams
        expect_streams open 1100 1000
        clean_node
        stop_host_network_coredns
    done
    stop_host_network_coredns
    emulate_kube_proxy
    ip -n "node-$RUN_ID" address delete "$NODE_IP6/64" dev eth0
}

# In a PID namespace of its own, as in a container: the first process supervises the daemon.
a_hung_process_is_killed_by_its_parent() {
    local began child
    BIND="$LOCAL_IP $LOCAL_IP6" SERVICE="$COREDNS_SERVICE $COREDNS_SERVICE6" write_corefile
    set_arguments -localip "$LOCAL_IP,$LOCAL_IP6"
    launch_in_pid_namespace "${daemon_arguments[@]}"
    await_answers || return 0
    child=$(pgrep -P "$(pgrep -P "$daemon_pid")")
    start_streams
    kill -STOP "$child"
    began=${EPOCHREALTIME//[!0-9]/}
    await_end 8
    expect "exit code" 137 "$daemon_status"
    expect_between "milliseconds until it was killed" 2000 5000 "$(((${EPOCHREALTIME//[!0-9]/} - began) / 1000))"
    expect_match "its last line" 'made no progress for 4 s and was killed' "$(tail -1 "$daemon_log")"
    eventually 2 streams_have_ended || fail_case "TCP connections to it" "to end" "open after 2 s"
    stop_streams
    expect_streams closed 1000 5000
}

# A signal to the first process reaches the daemon, and its exit code is the daemon's.
the_supervising_process_passes_signals_and_exit_codes_on() {
    local before
    write_corefile
    before=$(node_state)
    set_arguments -reloadwithsignal
    launch_in_pid_namespace "${daemon_arguments[@]}"
    await_answers || return 0
    sed -i 's/success 9984 30/success 9984 7/' "$WORK/Corefile"
    kill -USR1 "$(pgrep -P "$daemon_pid")"
    eventually 3 fresh_ttl_is 7 || fail_case "the TTL after SIGUSR1" 7 "$(ttl pod1 "last-$RANDOM.fresh.default.svc.cluster.local")"
    kill -TERM "$(pgrep -P "$daemon_pid")"
    await_end 10
    expect "exit code on SIGTERM" 0 "$daemon_status"
    expect_node "the node afterwards" "$before"
    sed -i '0,/^    loop$/s//    wibble/' "$WORK/Corefile"
    launch_in_pid_namespace "${daemon_arguments[@]}"
    await_end 10
    expect "exit code of an invalid Corefile" 1 "$daemon_status"
    # The daemon does not outlive its parent.
    sed -i 's/^    wibble$/    loop/' "$WORK/Corefile"
    launch_in_pid_namespace "${daemon_arguments[@]}"
    await_answers || return 0
    kill -KILL "$(pgrep -P "$daemon_pid")"
    await_end 10
    eventually 3 is_closed || fail_case "the port" "to be closed" "open"
}

another_host_gets_nothing_and_pods_and_the_node_do() {
    local guard answer name=myweb-svc.default.svc.cluster.local
    netns_exec outside ip route add "$LOCAL_IP" via "$NODE_IP"
    for guard in true false; do
        write_corefile
        start_daemon "-guard=$guard" || break
        expect "the answer to a pod" "$name. A 10.233.18.231" "$(answer_section pod1 "@$LOCAL_IP" "$name")"
        expect "the answer to the node" "$name. A 10.233.18.231" "$(answer_section node "@$LOCAL_IP" "$name")"
        answer=$(netns_exec outside dig +time=1 +tries=1 +short "@$LOCAL_IP" "$name" 2>&1 || true)
        if [[ $guard == true ]]; then
            expect_match "the answer to another host" 'timed out' "$answer"
            expect "packets dropped" 1 "$(metric_sum "$(metrics)" nodelocaldns_guarded_packets_total)"
            kill_daemon
            answer=$(netns_exec outside dig +time=1 +tries=1 +short "@$LOCAL_IP" "$name" 2>&1 || true)
            expect_match "the answer to another host while the daemon is gone" 'timed out' "$answer"
        else
            expect "the answer to another host without guard" 10.233.18.231 "$answer"
        fi
        clean_node
    done
    netns_exec outside ip route delete "$LOCAL_IP"
}
