# shellcheck shell=bash
# The demonstration: a pod resolves a Service name and fetches a page; counters show hits and
# misses.

# counter NAME: its sum over all labels in our /metrics; 0 without series.
counter() {
    in_cluster busybox wget -qO- "http://$NODE_IP:9253/metrics" |
        awk -v name="$1" 'index($1, name "{") == 1 || $1 == name { sum += $NF } END { printf "%d\n", sum }'
}

require_cache() {
    require_running
    [[ -n $(in_cluster kubectl -n kube-system get daemonsets -l k8s-app=node-local-dns -o name) ]] ||
        fail "no node-local cache is installed; install ours with: scripts/cluster apply"
}

start_web() {
    in_cluster kubectl apply -f "$HERE/manifests/web.yaml" >/dev/null
    in_cluster kubectl rollout status deployment/web --timeout=60s >/dev/null || fail_with_log "the web server is not rolled out"
    in_cluster kubectl wait --for=condition=Ready pod/client --timeout=60s >/dev/null || fail_with_log "the client pod does not start"
    log "a web server in two pods behind the Service myweb-svc, and a client pod"
}

demonstrate_names() {
    local service server
    service=$(in_cluster kubectl get service myweb-svc -o 'jsonpath={.spec.clusterIP}')
    show cat /etc/resolv.conf
    expect "the pod's resolv.conf names $CLUSTER_DNS" "nameserver $CLUSTER_DNS" "$(in_client grep ^nameserver /etc/resolv.conf)"
    show host myweb-svc
    expect "myweb-svc has the address of the Service" \
        "myweb-svc.default.svc.cluster.local has address $service" "$(in_client host -t A myweb-svc)"
    show dig +search +noall +answer +stats myweb-svc
    server=$(in_client dig +search myweb-svc | sed -n 's/^;; SERVER: \([^#]*\)#.*/\1/p')
    expect "the response came from $CLUSTER_DNS" "$CLUSTER_DNS" "$server"
    show wget -qO- http://myweb-svc/
    expect "a page is fetched by name" "Served by a pod behind myweb-svc." "$(in_client wget -qO- http://myweb-svc/)"
    show host www.example.test
    expect "a name outside the cluster has its address" "www.example.test has address 192.0.2.80" "$(in_client host -t A www.example.test)"
}

# On a new cluster the first query of each name is a miss, each later one a hit.
demonstrate_counters() { # demonstrate_counters HITS MISSES: values before
    local hits misses again
    hits=$(counter coredns_cache_hits_total)
    misses=$(counter coredns_cache_misses_total)
    echo "http://$NODE_IP:9253/metrics: hits $1 before, $hits after; misses $2 before, $misses after"
    expect "repeated queries were cache hits" yes "$( ((hits > $1)) && echo yes || echo "hits $1, then $hits")"
    in_client host -t A myweb-svc >/dev/null || true
    again=$(counter coredns_cache_misses_total)
    expect "one more query for myweb-svc is not a miss" "$misses" "$again"
}

demonstrate() {
    local hits misses
    require_cache
    start_web
    hits=$(counter coredns_cache_hits_total)
    misses=$(counter coredns_cache_misses_total)
    demonstrate_names
    demonstrate_counters "$hits" "$misses"
    ((failed > 0)) || log "a pod resolved myweb-svc through $CLUSTER_DNS"
}

# The last line of the demonstration and of the clients.
print_result() {
    echo "$passed checks passed, $failed failed"
    ((failed == 0 && passed > 0))
}
