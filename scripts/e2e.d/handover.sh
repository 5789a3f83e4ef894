# shellcheck shell=bash
# Two instances: the active one (daemon_pid) and its predecessor on standby (predecessor_pid).

predecessor_pid=
predecessor_log=
load_pid=
summary=

start_first_instance() { # start_first_instance [ARGUMENT...]: with -handover-dir, on a clean node
    rm -rf "$WORK/handover"
    mkdir "$WORK/handover"
    write_corefile
    start_daemon -handover-dir "$WORK/handover" "$@"
}

upgrade() { # upgrade [ARGUMENT...]: starts a successor; the active instance becomes the predecessor
    predecessor_pid=$daemon_pid predecessor_log=$daemon_log
    set_arguments -handover-dir "$WORK/handover" "$@"
    launch_daemon "${daemon_arguments[@]}"
    eventually 10 grep -q 'took over' "$daemon_log" && await_answers && return
    fail_case "the successor" "to take over" "$(tail -3 "$daemon_log")"
    return 1
}

terminate_predecessor() { # sends SIGTERM, as the kubelet does
    local status=0
    kill -TERM "$predecessor_pid"
    eventually 10 has_exited "$predecessor_pid" || fail_case "the predecessor" "to end within 10 s" "$(tail -3 "$predecessor_log")"
    wait "$predecessor_pid" 2>/dev/null || status=$?
    expect "exit code of the predecessor" 0 "$status"
    predecessor_pid=
}

start_load() { # start_load RATE NAME
    start pod1 "$WORK/handover.log" "$DNSTOOL" load "$LOCAL_IP" "$1" "$2"
    load_pid=$!
}

await_load_progress() { # returns after 50 more queries
    local before
    before=$(metrics)
    eventually 10 metric_increased coredns_dns_requests_total 50 "$before" || fail_case "the load" "to make progress" "$(metric_sum "$(metrics)" coredns_dns_requests_total) queries in all"
}

stop_load() { # sets summary
    kill -TERM "$load_pid"
    wait "$load_pid" || true
    load_pid=
    summary=$(tail -1 "$WORK/handover.log")
}

expect_no_loss() {
    stop_load
    expect "responses to $(summary_field "$summary" sent) queries" "$(summary_field "$summary" sent)" "$(summary_field "$summary" answered)"
    expect_between "queries sent meanwhile" 50 100000 "$(summary_field "$summary" sent)"
    note "meanwhile: $summary"
}

expect_loss_below() { # expect_loss_below MOST
    stop_load
    expect_between "queries without a response" 0 "$(($1 - 1))" "$(($(summary_field "$summary" sent) - $(summary_field "$summary" answered)))"
    expect_between "queries sent meanwhile" 50 100000 "$(summary_field "$summary" sent)"
    note "meanwhile: $summary"
}

# Link index and table handle: unchanged unless deleted and created again.
link_and_table_ids() {
    ip -n "node-$RUN_ID" -oneline link show nodelocaldns | sed 's/:.*//'
    netns_exec node nft -a list tables | grep nodelocaldns
    netns_exec node nft -a list table inet nodelocaldns | head -1
}

addresses_of() { # addresses_of LINK: its IPv4 addresses
    ip -n "node-$RUN_ID" -oneline -4 address show dev "$1" 2>/dev/null | awk '{ print $4 }' | LC_ALL=C sort | xargs
}

has_link() { # has_link LINK
    ip -n "node-$RUN_ID" link show "$1" >/dev/null 2>&1
}

has_addresses() { # has_addresses LIST: exactly these addresses are on nodelocaldns
    [[ $(addresses_of nodelocaldns) == "$1" ]]
}

expect_restored() { # expect_restored WHAT STATE COMMAND...
    local what=$1 state=$2 began
    shift 2
    "$@"
    began=${EPOCHREALTIME//[!0-9]/}
    if [[ $what == "the link" ]]; then
        eventually 3 has_addresses "$LOCAL_IP/32" || fail_case "$what" "to be restored" nothing
    else
        eventually 3 has_table "$state" || fail_case "$what" "$state" "$(our_table 2>&1)"
    fi
    expect_between "milliseconds until $what is restored" 0 1000 "$(((${EPOCHREALTIME//[!0-9]/} - began) / 1000))"
    note "$what was restored after $(((${EPOCHREALTIME//[!0-9]/} - began) / 1000)) ms"
}

our_table() {
    netns_exec node nft --stateless --terse list table inet nodelocaldns
}

has_table() { # has_table TEXT
    [[ $(our_table 2>/dev/null) == "$1" ]]
}

probe_in_pod() { # probe_in_pod PID: runs -probe in the PID namespace of that process
    nsenter --target "$1" --pid --mount "$NODELOCALDNS" -probe -handover-dir "$WORK/handover"
}

probe_fails_with() { # probe_fails_with PID TEXT: and fails
    local output
    ! output=$(probe_in_pod "$1" 2>&1) && [[ $output == "$2" ]]
}

expect_probe() { # expect_probe STATUS TEXT COMMAND...
    local status=$1 text=$2 received=0 output
    shift 2
    output=$("$@" 2>&1) || received=$?
    expect "exit code of $*" "$status" "$received"
    expect_match "output" "$text" "$output"
}

# After a case that failed half-way.
kill_predecessor() {
    local pid
    for pid in $predecessor_pid $load_pid; do
        # The PID of a process that was waited for may have been reused.
        jobs -p | grep -qx "$pid" || continue
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    predecessor_pid='' load_pid=
}
