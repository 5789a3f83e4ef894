# shellcheck shell=bash
# Starts upstream, daemon and peer, and runs both parts of scripts/answers.

corefile() { # corefile ADDRESS
    cat <<EOT
.:53 {
    bind $1
    errors
    cache 30
    forward . $UPSTREAM {
        force_tcp
    }
}
EOT
}

await_answer() { # await_answer ADDRESS LOG
    local tries
    for tries in {1..50}; do
        ! dig +time=1 +tries=1 "@$1" first.types.test A | grep -q 'ANSWER: 2' || return 0
        sleep 0.1
    done
    echo "answers: $1 does not answer after $tries tries:" >&2
    tail -5 "$2" >&2
    return 1
}

run_all() {
    local flags=(-setupinterface=false -setupiptables=false -metrics-listen-address) failed=0
    ip link set lo up
    "$PYTHON" scripts/answers.d/upstream.py "$UPSTREAM" "$count" "$seed" >"$work/upstream.log" 2>&1 &
    corefile "$DAEMON" >"$work/daemon.Corefile"
    corefile "$PEER" >"$work/peer.Corefile"
    "$NODELOCALDNS" "${flags[@]}" 127.0.0.1:9401 -localip "$DAEMON" -conf "$work/daemon.Corefile" >"$work/daemon.log" 2>&1 &
    if [[ ${NODE_CACHE:-} ]]; then
        "$NODE_CACHE" "${flags[@]}" 127.0.0.1:9402 -localip "$PEER" -conf "$work/peer.Corefile" >"$work/peer.log" 2>&1 &
    else
        "$COREDNS" -conf "$work/peer.Corefile" >"$work/peer.log" 2>&1 &
    fi
    await_answer "$UPSTREAM" "$work/upstream.log"
    await_answer "$DAEMON" "$work/daemon.log"
    await_answer "$PEER" "$work/peer.log"
    "$PYTHON" scripts/answers.d/resolvers.py "$DAEMON" "$work/glibc" "$work/lookup" || failed=1
    "$PYTHON" scripts/answers.d/mutations.py "$DAEMON" "$PEER" "$count" "$seed" || failed=1
    return "$failed"
}
