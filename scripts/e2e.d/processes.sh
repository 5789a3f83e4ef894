# shellcheck shell=bash
# Processes that the run starts, all of which it ends by number, and the daemon among them.

processes=()
daemon_pid=
daemon_log=
daemon_status=
starts=0
# The kind of link that -link-kind auto makes here.
link_kind=dummy

start() { # start NAMESPACE LOG COMMAND...: in the background; its number is $!
    local name=$1-$RUN_ID log=$2
    shift 2
    ip netns exec "$name" "$@" >>"$log" 2>&1 &
    processes+=("$!")
}

is_gone() {
    [[ ! -d /proc/$1 ]] || [[ $(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null) == Z ]]
}

kill_processes() {
    local pid
    for pid in "${processes[@]}"; do
        # A number whose process we have waited for may be another's.
        ! jobs -p | grep -qx "$pid" || kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

# kubespray's Corefile. BIND, SERVICE, OUTSIDE and RELOAD stand in for what a case wants different.
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
arguments() { # arguments [ARGUMENT...]: those behind count, as a flag counts as given last
    daemon_arguments=(-localip "$LOCAL_IP" -conf "$WORK/Corefile" -upstreamsvc coredns "$@")
}

launch() { # launch ARGUMENT...: the daemon in the node, with nothing but what a pod's environment has
    starts=$((starts + 1))
    daemon_log=$WORK/daemon-$starts.log
    start node "$daemon_log" env -i "COREDNS_SERVICE_HOST=$COREDNS_SERVICE" "COREDNS_SERVICE_PORT=53" "$NODELOCALDNS" "$@"
    daemon_pid=$!
}

serve() { # serve [ARGUMENT...]: kubespray's start, and these arguments more; returns when it answers
    arguments "$@"
    launch "${daemon_arguments[@]}"
    await_answers
}

await_answers() {
    eventually 10 serves_or_gone && ! is_gone "$daemon_pid" && return
    complain "the daemon" "to answer on $LOCAL_IP within 10 s" "$(is_gone "$daemon_pid" && echo "its end" || echo nothing)"
    return 1
}

# Before the address is there, a question would leave for the default route and wait for its timeout.
serves_or_gone() {
    is_gone "$daemon_pid" || { inside node ip route get "$LOCAL_IP" | grep -q '^local' && upstream_answers node "$LOCAL_IP"; }
}

await_end() { # await_end SECONDS: sets daemon_status
    daemon_status="still running after $1 s"
    if eventually "$1" is_gone "$daemon_pid"; then
        daemon_status=0
        wait "$daemon_pid" 2>/dev/null || daemon_status=$?
        daemon_pid=
    fi
}

stop() { # stop SIGNAL: and sets daemon_status
    kill -"$1" "$daemon_pid"
    await_end 10
}

kill_daemon() {
    kill -KILL "$daemon_pid"
    wait "$daemon_pid" 2>/dev/null || true
    daemon_pid=
}

# What a case leaves, it leaves on the node: no daemon, no link, no rules.
end_daemon() {
    if [[ -n $daemon_pid ]] && ! is_gone "$daemon_pid"; then
        kill -TERM "$daemon_pid" 2>/dev/null || true
        eventually 6 is_gone "$daemon_pid" || kill -KILL "$daemon_pid"
    fi
    [[ -z $daemon_pid ]] || wait "$daemon_pid" 2>/dev/null || true
    daemon_pid=
    end_former
    ip -n "node-$RUN_ID" link delete nodelocaldns 2>/dev/null || true
    ip -n "node-$RUN_ID" link delete nodelocaldns2 2>/dev/null || true
    inside node nft delete table inet nodelocaldns 2>/dev/null || true
    [[ -z $coredns_pid ]] || ! is_gone "$coredns_pid" || start_coredns
}

run_to_end() { # run_to_end COMMAND...: in the node, at most 10 s; sets daemon_status and daemon_log
    starts=$((starts + 1))
    daemon_log=$WORK/daemon-$starts.log
    daemon_status=0
    inside node env -i "PATH=$PATH" "COREDNS_SERVICE_HOST=$COREDNS_SERVICE" timeout --kill-after=1 10 "$@" >"$daemon_log" 2>&1 || daemon_status=$?
}

show_daemon_log() {
    [[ -z $daemon_log ]] || tail -12 "$daemon_log" | sed 's/^/      | /'
}

choose_link_kind() {
    if ip -n "node-$RUN_ID" link add probe type dummy 2>/dev/null; then
        ip -n "node-$RUN_ID" link delete probe
    else
        link_kind=bridge
        echo "e2e: this kernel has no dummy driver: the link is a bridge"
    fi
}

fail_setup() { # fail_setup MESSAGE [LOG]
    echo "e2e: $1" >&2
    [[ -z ${2:-} ]] || tail -5 "$2" >&2
    exit 1
}
