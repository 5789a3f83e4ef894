# shellcheck shell=bash
# Starting and stopping processes: the daemon and the others, each killed by its PID.

processes=()
daemon_pid=
daemon_log=
daemon_status=
starts=0
# The link kind that -link-kind auto chooses on this kernel.
link_kind=dummy

start() { # start NAMESPACE LOG COMMAND...: in the background; its PID is $!
    local name=$1-$RUN_ID log=$2
    shift 2
    ip netns exec "$name" "$@" >>"$log" 2>&1 &
    processes+=("$!")
}

has_exited() {
    [[ ! -d /proc/$1 ]] || [[ $(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null) == Z ]]
}

kill_processes() {
    local pid
    for pid in "${processes[@]}"; do
        # The PID of a process that was waited for may have been reused.
        ! jobs -p | grep -qx "$pid" || kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

# kubespray's Corefile; BIND, SERVICE, OUTSIDE and RELOAD override parts of it.
write_corefile() {
    local bind=${BIND:-$LOCAL_IP} service=${SERVICE:-$COREDNS_SERVICE} outside=${OUTSIDE:-/etc/resolv.conf}
    local reload=reload${RELOAD:+ $RELOAD}
    cat >"$WORK/Corefile" <<EOT
cluster.local:53 {
    errors
    cache {
        success 9984 30
        denial 9984 5
    }
    $reload
    loop
    bind $bind
    forward . $service {
        force_tcp
    }
    prometheus :9253
    health $LOCAL_IP:9254
}
in-addr.arpa:53 {
    errors
    cache 30
    $reload
    loop
    bind $bind
    forward . $service {
        force_tcp
    }
    prometheus :9253
}
ip6.arpa:53 {
    errors
    cache 30
    $reload
    loop
    bind $bind
    forward . $service {
        force_tcp
    }
    prometheus :9253
}
.:53 {
    errors
    cache 30
    $reload
    loop
    bind $bind
    forward . $outside
    prometheus :9253
}
EOT
}

# kubespray's arguments.
set_arguments() { # set_arguments [ARGUMENT...]: the last occurrence of a flag counts
    daemon_arguments=(-localip "$LOCAL_IP" -conf "$WORK/Corefile" -upstreamsvc coredns "$@")
}

# launch_daemon ARGUMENT...: the daemon on the node, with a pod's environment; SERVICES has
# another variable of a Service.
launch_daemon() {
    starts=$((starts + 1))
    daemon_log=$WORK/daemon-$starts.log
    start node "$daemon_log" env -i "COREDNS_SERVICE_HOST=$COREDNS_SERVICE" "COREDNS_SERVICE_PORT=53" "${SERVICES:-NO_MORE=}" "$NODELOCALDNS" "$@"
    daemon_pid=$!
}

start_daemon() { # start_daemon [ARGUMENT...]: with kubespray's arguments and these; returns when it answers
    set_arguments "$@"
    launch_daemon "${daemon_arguments[@]}"
    await_answers
}

await_answers() {
    eventually 10 answers_or_exited && ! has_exited "$daemon_pid" && return
    fail_case "the daemon" "to answer on $LOCAL_IP within 10 s" "$(has_exited "$daemon_pid" && echo "its exit" || echo "no response")"
    return 1
}

# Before the address exists, a query would take the default route and time out.
answers_or_exited() {
    has_exited "$daemon_pid" || { netns_exec node ip route get "$LOCAL_IP" | grep -q '^local' && upstream_answers node "$LOCAL_IP"; }
}

await_end() { # await_end SECONDS: sets daemon_status
    daemon_status="still running after $1 s"
    if eventually "$1" has_exited "$daemon_pid"; then
        daemon_status=0
        wait "$daemon_pid" 2>/dev/null || daemon_status=$?
        daemon_pid=
    fi
}

stop_daemon() { # stop_daemon SIGNAL: sets daemon_status
    kill -"$1" "$daemon_pid"
    await_end 10
}

kill_daemon() {
    kill -KILL "$daemon_pid"
    wait "$daemon_pid" 2>/dev/null || true
    daemon_pid=
}

# Removes what a case has left on the node: daemon, link, rules.
clean_node() {
    if [[ -n $daemon_pid ]] && ! has_exited "$daemon_pid"; then
        kill -TERM "$daemon_pid" 2>/dev/null || true
        eventually 6 has_exited "$daemon_pid" || kill -KILL "$daemon_pid"
    fi
    [[ -z $daemon_pid ]] || wait "$daemon_pid" 2>/dev/null || true
    daemon_pid=
    kill_predecessor
    ip -n "node-$RUN_ID" link delete nodelocaldns 2>/dev/null || true
    ip -n "node-$RUN_ID" link delete nodelocaldns2 2>/dev/null || true
    netns_exec node nft delete table inet nodelocaldns 2>/dev/null || true
    [[ -z $coredns_pid ]] || ! has_exited "$coredns_pid" || start_coredns
}

run_to_end() { # run_to_end COMMAND...: on the node, at most 10 s; sets daemon_status and daemon_log
    starts=$((starts + 1))
    daemon_log=$WORK/daemon-$starts.log
    daemon_status=0
    netns_exec node env -i "PATH=$PATH" "COREDNS_SERVICE_HOST=$COREDNS_SERVICE" timeout --kill-after=1 10 "$@" >"$daemon_log" 2>&1 || daemon_status=$?
}

show_daemon_log() {
    [[ -z $daemon_log ]] || tail -12 "$daemon_log" | sed 's/^/      | /'
}

choose_link_kind() {
    if ip -n "node-$RUN_ID" link add testlink type dummy 2>/dev/null; then
        ip -n "node-$RUN_ID" link delete testlink
    else
        link_kind=bridge
        echo "e2e: this kernel has no dummy driver; the link is a bridge"
    fi
}

fail_setup() { # fail_setup MESSAGE [LOG]
    echo "e2e: $1" >&2
    [[ -z ${2:-} ]] || tail -5 "$2" >&2
    exit 1
}
