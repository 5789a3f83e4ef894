# shellcheck shell=bash
# Two instances at a time: one in service, and the former one that stands by.

former_pid=
former_log=
load_pid=
summary=

serve_first() { # serve_first [ARGUMENT...]: one that can be succeeded, on a node without traces of others
    rm -rf "$WORK/handover"
    mkdir "$WORK/handover"
    write_corefile
    serve -handover-dir "$WORK/handover" "$@"
}

upgrade() { # upgrade [ARGUMENT...]: the one that serves becomes former_pid and former_log, its successor daemon_pid
    former_pid=$daemon_pid former_log=$daemon_log
    arguments -handover-dir "$WORK/handover" "$@"
    launch "${daemon_arguments[@]}"
    eventually 10 grep -q 'took over' "$daemon_log" && await_answers && return
    complain "the successor" "to take over" "$(tail -3 "$daemon_log")"
    return 1
}

dismiss_former() { # SIGTERM for the one before, as the kubelet sends it
    local status=0
    kill -TERM "$former_pid"
    eventually 10 is_gone "$former_pid" || complain "the one before" "to end within 10 s" "$(tail -3 "$former_log")"
    wait "$former_pid" 2>/dev/null || status=$?
    expect "the exit code of the one before" 0 "$status"
    former_pid=
}

start_load() { # start_load RATE NAME
    start pod1 "$WORK/handover.log" "$ACTORS" load "$LOCAL_IP" "$1" "$2"
    load_pid=$!
}

load_goes_on() { # returns when it was served for a while
    local before
    before=$(metrics)
    eventually 10 metrics_show coredns_dns_requests_total 50 "$before" || complain "the load" "to go on" "$(sample "$(metrics)" coredns_dns_requests_total) questions in all"
}

stop_load() { # sets summary
    kill -TERM "$load_pid"
    wait "$load_pid" || true
    load_pid=
    summary=$(tail -1 "$WORK/handover.log")
}

expect_no_loss() {
    stop_load
    expect "answers to $(count "$summary" sent) questions" "$(count "$summary" sent)" "$(count "$summary" answered)"
    expect_between "questions asked meanwhile" 50 100000 "$(count "$summary" sent)"
    note "meanwhile: $summary"
}

expect_loss_below() { # expect_loss_below MOST
    stop_load
    expect_between "questions without an answer" 0 "$(($1 - 1))" "$(($(count "$summary" sent) - $(count "$summary" answered)))"
    expect_between "questions asked meanwhile" 50 100000 "$(count "$summary" sent)"
    note "meanwhile: $summary"
}

# Both numbers are given once: what has the same was never away.
identity() {
    ip -n "node-$RUN_ID" -oneline link show nodelocaldns | sed 's/:.*//'
    inside node nft -a list tables | grep nodelocaldns
    inside node nft -a list table inet nodelocaldns | head -1
}

addresses_of() { # addresses_of LINK: its IPv4 addresses
    ip -n "node-$RUN_ID" -oneline -4 address show dev "$1" 2>/dev/null | awk '{ print $4 }' | LC_ALL=C sort | xargs
}

has_link() { # has_link LINK
    ip -n "node-$RUN_ID" link show "$1" >/dev/null 2>&1
}

has_addresses() { # has_addresses LIST: nodelocaldns has these and no others
    [[ $(addresses_of nodelocaldns) == "$1" ]]
}

is_back_in_time() { # is_back_in_time WHAT STATE COMMAND...
    local what=$1 state=$2 began
    shift 2
    "$@"
    began=${EPOCHREALTIME//[!0-9]/}
    if [[ $what == "the link" ]]; then
        eventually 3 has_addresses "$LOCAL_IP/32" || complain "$what" "to be back" nothing
    else
        eventually 3 has_table "$state" || complain "$what" "$state" "$(inside node nft list table inet nodelocaldns 2>&1)"
    fi
    expect_between "milliseconds until $what is back" 0 1000 "$(((${EPOCHREALTIME//[!0-9]/} - began) / 1000))"
    note "$what was back after $(((${EPOCHREALTIME//[!0-9]/} - began) / 1000)) ms"
}

has_table() { # has_table TEXT
    [[ $(inside node nft list table inet nodelocaldns 2>/dev/null) == "$1" ]]
}

own_probe() { # own_probe PID: in the pid namespace of that process
    nsenter --target "$1" --pid --mount "$NODELOCALDNS" -probe -handover-dir "$WORK/handover"
}

probe_says() { # probe_says PID TEXT: and fails
    local said
    ! said=$(own_probe "$1" 2>&1) && [[ $said == "$2" ]]
}

expect_probe() { # expect_probe STATUS TEXT COMMAND...
    local status=$1 text=$2 received=0 said
    shift 2
    said=$("$@" 2>&1) || received=$?
    expect "exit code of $*" "$status" "$received"
    expect_match "its words" "$text" "$said"
}

# What a case that failed half-way leaves.
end_former() {
    local pid
    for pid in $former_pid $load_pid; do
        # A number whose process we have waited for may be another's.
        jobs -p | grep -qx "$pid" || continue
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    former_pid='' load_pid=
}
