# shellcheck shell=bash
# The two CoreDNS: the cluster's, in its pod behind the Service, and the one outside that the node's resolv.conf names.

readonly UPSTREAM_LOG=$WORK/coredns.log OUTSIDE_LOG=$WORK/outside.log
coredns_pid=

prepare_upstreams() {
    cp "$HERE"/zones/*.zone "$WORK"
    # Too large for a datagram of 512 octets.
    printf 'large.default.svc IN A 10.233.21.%d\n' {1..60} >>"$WORK/cluster.local.zone"
    # Too large for a datagram of 1232 octets.
    printf 'larger.default.svc IN A 10.233.22.%d\n' {1..120} >>"$WORK/cluster.local.zone"
    cat >"$WORK/coredns.Corefile" <<EOT
(all) {
    errors
    log
    prometheus 127.0.0.1:9153
}
slow.svc.cluster.local {
    import all
    forward . 127.0.0.1:$SLOW_PORT {
        prefer_udp
    }
}
cluster.local {
    import all
    file $WORK/cluster.local.zone
}
233.10.in-addr.arpa {
    import all
    file $WORK/233.10.in-addr.arpa.zone
}
. {
    import all
    forward . $OUTSIDE_IP
}
EOT
    cat >"$WORK/outside.Corefile" <<EOT
example.test {
    log
    file $WORK/example.test.zone
}
. {
    log
    template ANY ANY {
        rcode NXDOMAIN
    }
}
EOT
}

start_coredns() {
    start coredns "$UPSTREAM_LOG" "$COREDNS" -conf "$WORK/coredns.Corefile"
    coredns_pid=$!
    eventually 10 upstream_answers coredns 127.0.0.1 || fail_setup "CoreDNS does not answer" "$UPSTREAM_LOG"
}

kill_coredns() {
    kill -KILL "$coredns_pid"
    wait "$coredns_pid" 2>/dev/null || true
}

upstream_answers() { # upstream_answers NAMESPACE ADDRESS
    inside "$1" dig +time=1 +tries=1 +short "@$2" ns.dns.cluster.local | grep -q .
}

start_upstreams() {
    prepare_upstreams
    start coredns "$WORK/slow.log" "$ACTORS" answer-slowly "127.0.0.1:$SLOW_PORT"
    start outside "$OUTSIDE_LOG" "$COREDNS" -conf "$WORK/outside.Corefile"
    start_coredns
    eventually 10 outside_answers || fail_setup "the CoreDNS outside does not answer" "$OUTSIDE_LOG"
}

outside_answers() {
    inside node dig +time=1 +tries=1 +short "@$OUTSIDE_IP" ns.example.test | grep -q .
}

# CoreDNS logs a query after it has answered it. A question of our own, once it is in the log, stands behind all that were
# answered before it.
settle() { # settle NAMESPACE ADDRESS LOG
    local marker=marker-$RANDOM$RANDOM.invalid
    inside "$1" dig +time=2 +tries=1 "@$2" "$marker" >/dev/null
    eventually 2 grep -q "$marker" "$3" || complain "the upstream's log" "to show $marker" "$(tail -3 "$3")"
}

# The lines in CoreDNS's log about a name, of the form: [INFO] CLIENT:PORT - ID "TYPE CLASS NAME PROTOCOL ..." RCODE ...
seen_by_coredns() { # seen_by_coredns NAME_REGEX [TYPE_REGEX]
    settle coredns 127.0.0.1 "$UPSTREAM_LOG"
    grep -E "\"${2:-[A-Z]+} IN $1\.? " "$UPSTREAM_LOG" || true
}

seen_outside() { # seen_outside NAME_REGEX [TYPE_REGEX]
    settle node "$OUTSIDE_IP" "$OUTSIDE_LOG"
    grep -E "\"${2:-[A-Z]+} IN $1\.? " "$OUTSIDE_LOG" || true
}

lines() { # lines TEXT: how many
    grep -c . <<<"$1" || true
}
