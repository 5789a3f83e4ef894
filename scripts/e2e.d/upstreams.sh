# shellcheck shell=bash
# Two CoreDNS: one in its pod behind the Service, one outside, named by the node's resolv.conf.

readonly UPSTREAM_LOG=$WORK/coredns.log OUTSIDE_LOG=$WORK/outside.log
coredns_pid=
host_network_pid=

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
    template IN A cluster.local {
        match "[.]own[.]cluster[.]local[.]\$"
        answer "{{ .Name }} 5 IN A 10.233.20.1"
        fallthrough
    }
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

start_host_network_coredns() { # start_host_network_coredns "ADDRESS..."
    sed "s/^(all) {/&\n    bind $1/" "$WORK/coredns.Corefile" >"$WORK/host-network.Corefile"
    start node "$WORK/host-network.log" "$COREDNS" -conf "$WORK/host-network.Corefile"
    host_network_pid=$!
    eventually 10 upstream_answers node "$NODE_IP" || fail_case "CoreDNS in the host network" "to answer" "$(tail -3 "$WORK/host-network.log")"
}

stop_host_network_coredns() {
    [[ -n $host_network_pid ]] || return 0
    kill -KILL "$host_network_pid" 2>/dev/null || true
    wait "$host_network_pid" 2>/dev/null || true
    host_network_pid=
}

upstream_answers() { # upstream_answers NAMESPACE ADDRESS
    netns_exec "$1" dig +time=1 +tries=1 +short "@$2" ns.dns.cluster.local | grep -q .
}

start_upstreams() {
    prepare_upstreams
    start coredns "$WORK/slow.log" "$DNSTOOL" slow-upstream "127.0.0.1:$SLOW_PORT"
    start outside "$OUTSIDE_LOG" "$COREDNS" -conf "$WORK/outside.Corefile"
    start_coredns
    eventually 10 outside_answers || fail_setup "the CoreDNS outside does not answer" "$OUTSIDE_LOG"
}

outside_answers() {
    netns_exec node dig +time=1 +tries=1 +short "@$OUTSIDE_IP" ns.example.test | grep -q .
}

# CoreDNS logs a query after its response: once a marker query is in the log, all earlier ones are.
sync_query_log() { # sync_query_log NAMESPACE ADDRESS LOG
    local marker=marker-$RANDOM$RANDOM.invalid
    netns_exec "$1" dig +time=2 +tries=1 "@$2" "$marker" >/dev/null
    eventually 2 grep -q "$marker" "$3" || fail_case "the upstream's log" "to show $marker" "$(tail -3 "$3")"
}

# Lines of CoreDNS's log about a name:
# [INFO] CLIENT:PORT - ID "TYPE CLASS NAME PROTOCOL ..." RCODE ...
queries_at_coredns() { # queries_at_coredns NAME_REGEX [TYPE_REGEX]
    sync_query_log coredns 127.0.0.1 "$UPSTREAM_LOG"
    grep -E "\"${2:-[A-Z]+} IN $1\.? " "$UPSTREAM_LOG" || true
}

queries_outside() { # queries_outside NAME_REGEX [TYPE_REGEX]
    sync_query_log node "$OUTSIDE_IP" "$OUTSIDE_LOG"
    grep -E "\"${2:-[A-Z]+} IN $1\.? " "$OUTSIDE_LOG" || true
}

count_lines() { # count_lines TEXT
    grep -c . <<<"$1" || true
}

write_corefile_with_cuts() {
    write_corefile
    sed -i 's/^ *denial 9984 5$/&\n        nxdomain_cut/' "$WORK/Corefile"
}

has_cuts() { # has_cuts NUMBER
    (($(metric_sum "$(metrics)" nodelocaldns_cache_nxdomain_cut_changes_total 'change="learned"') >= $1))
}

search_path_costs_nothing() { # with a new name each time
    local name=new$((search_number += 1))
    expect "$name.example.test" NXDOMAIN "$(rcode pod1 +search "$name.example.test")"
    [[ -z $(queries_at_coredns "$name\.example\.test\.(default\.svc\.|svc\.|)cluster\.local") ]]
}
