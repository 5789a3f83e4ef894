# shellcheck shell=bash
# TCP connections that are open when the daemon is killed, hangs, or returns.

tcp_connections_end_with_a_killed_daemon() {
    start_both_families || return 0
    start_streams
    kill_daemon
    eventually 2 streams_have_ended || fail_case "TCP connections to the daemon" "to end" "open after 2 s"
    stop_streams
    expect_streams closed 1000 500
}

# The second time the connections are older than the rules' view of the daemon.
tcp_connections_to_coredns_live_on_when_the_daemon_returns() {
    local round
    start_both_families || return 0
    kill_daemon
    start_streams
    for round in 1 2; do
        start_daemon -localip "$LOCAL_IP,$LOCAL_IP6" || return 0
        eventually 3 answers_without_fallback || fail_case "round $round: new clients" "to be served" "$(fallback_packets) packets to the fallback"
        await_streams
        expect_streams_at_coredns
        kill_daemon
        await_streams
    done
    start_daemon -localip "$LOCAL_IP,$LOCAL_IP6" || return 0
    await_streams
    stop_streams
    expect_streams open 1100 1000
}

tcp_connections_to_the_service_of_an_address_live_on_when_the_daemon_returns() {
    BIND="$LOCAL_IP $DNS_SERVICE" write_corefile
    set_arguments -localip "$LOCAL_IP,$DNS_SERVICE"
    SERVICES="KUBE_DNS_SERVICE_HOST=$DNS_SERVICE" launch_daemon "${daemon_arguments[@]}"
    await_answers || return 0
    start_streams "$DNS_SERVICE" ''
    kill_daemon
    eventually 2 streams_have_ended || fail_case "TCP connections to the daemon" "to end" "open after 2 s"
    stop_streams
    expect_streams closed 1000 500
    start_streams "$DNS_SERVICE" ''
    SERVICES="KUBE_DNS_SERVICE_HOST=$DNS_SERVICE" launch_daemon "${daemon_arguments[@]}"
    await_answers || return 0
    await_streams
    expect_streams_at_coredns
    stop_streams
    expect_streams open 1100 1000
}

tcp_connections_to_a_process_that_hangs_go_on_with_it() {
    local round
    start_both_families || return 0
    # Many, each with an unanswered query: the answers are acknowledged when the process goes on.
    for _ in {1..3}; do start_streams; done
    # Repeated: which of its threads goes on first differs.
    for round in 1 2 3; do
        start_writers
        kill -STOP "$daemon_pid"
        eventually 3 answers_by_fallback || fail_case "round $round: new clients" "to be answered by CoreDNS" "$(fallback_packets) packets to the fallback"
        # Their next query is of no use: a reset has the client open another connection.
        expect_writers_reset
        kill -CONT "$daemon_pid"
        await_streams
    done
    stop_streams
    expect_streams open 4000 1000
}
