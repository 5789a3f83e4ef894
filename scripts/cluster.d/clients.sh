# shellcheck shell=bash
# Every kind of client in a pod with the kubelet's resolv.conf; responses are compared with the API.

readonly RESOLVERS="getent glibc musl go busybox"

make_clients() {
    local work=$STATE/clients
    command -v go >/dev/null || fail "go is missing: install Go 1.25 or later, https://go.dev/doc/install"
    mkdir -p "$work"
    gcc -o "$work/getaddrinfo-glibc" "$ROOT/scripts/e2e.d/getaddrinfo.c"
    musl-gcc -static -o "$work/getaddrinfo-musl" "$ROOT/scripts/e2e.d/getaddrinfo.c"
    (cd "$HERE/clients" && CGO_ENABLED=0 go build -trimpath -o "$work/lookup" .)
    (cd "$HERE/loadgen" && CGO_ENABLED=0 go build -trimpath -o "$work/loadgen" .)
    make_image clients "$(command -v busybox):/bin/busybox" "$work/getaddrinfo-glibc:/bin/getaddrinfo-glibc" \
        "$work/getaddrinfo-musl:/bin/getaddrinfo-musl" "$work/lookup:/bin/lookup" "$work/loadgen:/bin/loadgen" \
        "$(command -v getent):/bin/getent" "$(command -v dig):/bin/dig" "$(command -v host):/bin/host" \
        "$(command -v nslookup):/bin/nslookup" "$(libraries_of_glibc)/libnss_dns.so.2" "$(libraries_of_glibc)/libnss_files.so.2" >/dev/null
}

start_clients() {
    start_web
    make_clients
    in_cluster kubectl apply -f "$HERE/manifests/clients.yaml" >/dev/null
    in_cluster kubectl rollout status statefulset/web --timeout=60s >/dev/null || fail_with_log "the StatefulSet is not rolled out"
    in_cluster kubectl wait --for=condition=Ready pod/clients --timeout=60s >/dev/null || fail_with_log "the pod of the clients does not start"
    log "a StatefulSet, a headless Service, an ExternalName, and a pod with $RESOLVERS, dig, host and nslookup"
}

in_clients() { in_cluster kubectl exec clients -- "$@" 2>/dev/null; }

sorted() { sort -u | paste -sd' '; }

api() { # api JSONPATH KIND [NAME...]: a value from the API
    in_cluster kubectl get "${@:2}" -o "jsonpath=$1"
}

# addresses RESOLVER NAME: the addresses that the resolver finds, in one line; may be empty.
addresses() {
    case $1 in
    getent) in_clients getent ahosts "$2" | cut -d' ' -f1 | sorted ;;
    glibc | musl) in_clients "getaddrinfo-$1" "$2" | sorted ;;
    go) in_clients lookup host "$2" | sorted ;;
    busybox) in_clients busybox nslookup "$2" | awk '/^Name:/ { named = 1 } named && /^Address/ { print $2 }' | sorted ;;
    esac || true
}

check_addresses() { # check_addresses NAME EXPECTED [RESOLVERS]: by all resolvers, or by RESOLVERS
    local resolver
    for resolver in ${3:-$RESOLVERS}; do
        expect "$resolver finds $1: ${2:-nothing}" "$2" "$(addresses "$resolver" "$1")"
    done
}

# Expected values from the API server and from the external resolver, without the cache.
read_expected_values() {
    service=$(api '{.spec.clusterIP}' service myweb-svc)
    pods=$(api '{range .items[*].endpoints[*]}{.addresses[0]}{"\n"}{end}' endpointslices -l kubernetes.io/service-name=web-headless | sorted)
    pod=$(api '{.status.podIP}' pod web-0)
    external=$(api '{.spec.externalName}' service external-svc)
    outside=$(in_cluster dig +short "@$EXTERNAL_DNS_IP" "$external")
    port=$(api '{.spec.ports[0].port}' service myweb-svc)
    pod_port=$(api '{.spec.ports[0].port}' service web-headless)
    [[ -n $service && $pods == *" "* && -n $pod && -n $outside ]] || fail "the API has no Service, no pods or no external address"
    ! in_cluster kubectl get service absent-svc >/dev/null 2>&1 || fail "absent-svc exists"
}

check_resolvers() {
    check_addresses myweb-svc "$service"
    check_addresses myweb-svc.default.svc.cluster.local "$service"
    # nslookup of busybox uses the search list only for names without a dot.
    check_addresses myweb-svc.default "$service" "getent glibc musl go"
    check_addresses web-headless "$pods"
    check_addresses web-0.web-headless.default.svc.cluster.local "$pod"
    check_addresses external-svc "$outside"
    check_addresses "$external" "$outside"
    check_addresses absent-svc ""
    check_addresses absent.test ""
}

dig_short() { in_clients dig +short "$@" | sorted; }

# RCODE of the last response, its server and protocol.
dig_status() { in_clients dig "$@" | sed -nE 's/.*status: ([A-Z]+),.*/\1/p; s/^;; SERVER: ([^#]*)#.*\((UDP|TCP)\)$/\1 \2/p' | paste -sd' '; }

check_tools() {
    local full=myweb-svc.default.svc.cluster.local output
    output=$(in_clients host -v myweb-svc)
    expect "host -v myweb-svc: the address" "$full has address $service" \
        "$(awk '$1 == "'"$full"'." && $4 == "A" { print "'"$full"' has address " $5 }' <<<"$output")"
    expect "host -v myweb-svc: from $CLUSTER_DNS" "$CLUSTER_DNS#53" "$(sed -nE 's/^Received .* from ([^ ]*) in .*/\1/p' <<<"$output" | sorted)"
    output=$(in_clients nslookup myweb-svc)
    expect "nslookup myweb-svc" "Server: $CLUSTER_DNS Name: $full Address: $service" \
        "$(grep -vF '#' <<<"$output" | tr -s '\t' ' ' | sed '/^$/d' | paste -sd' ')"
    expect "dig +search myweb-svc" "$service" "$(dig_short +search myweb-svc)"
    expect "dig $full" "$service" "$(dig_short "$full")"
    expect "dig +tcp $full" "$service" "$(dig_short +tcp "$full")"
    expect "dig +tcp $full: over TCP, from $CLUSTER_DNS" "NOERROR $CLUSTER_DNS TCP" "$(dig_status +tcp "$full")"
    expect "dig myweb-svc without the search list" "NXDOMAIN $CLUSTER_DNS UDP" "$(dig_status myweb-svc)"
    expect "dig AAAA $full: no such record" "NOERROR $CLUSTER_DNS UDP" "$(dig_status "$full" AAAA)"
    expect "dig absent-svc.default.svc.cluster.local" "NXDOMAIN $CLUSTER_DNS UDP" "$(dig_status absent-svc.default.svc.cluster.local)"
    expect "dig absent.test" "NXDOMAIN $CLUSTER_DNS UDP" "$(dig_status absent.test)"
}

check_other_records() {
    local full=myweb-svc.default.svc.cluster.local set=web-headless.default.svc.cluster.local
    expect "dig SRV of the Service" "0 100 $port $full." "$(dig_short SRV "_http._tcp.$full")"
    expect "Go's SRV of the Service" "$port $full." "$(in_clients lookup srv "_http._tcp.$full")"
    expect "Go's SRV of the headless Service, a pod each" "$pod_port web-0.$set. $pod_port web-1.$set." \
        "$(in_clients lookup srv "_http._tcp.$set" | sorted)"
    expect "dig PTR of the Service's address" "$full." "$(dig_short -x "$service")"
    expect "Go's PTR of the Service's address" "$full." "$(in_clients lookup ptr "$service")"
    expect "getent's PTR of the Service's address" "$full" "$(in_clients getent hosts "$service" | awk '{ print $2 }')"
    expect "dig PTR of a pod's address" "web-0.$set." "$(dig_short -x "$pod")"
    expect "dig CNAME of the ExternalName" "$external." "$(dig_short CNAME external-svc.default.svc.cluster.local)"
    expect "dig of the ExternalName: name and address" "$(printf '%s\n' "$external." "$outside" | sorted)" \
        "$(dig_short external-svc.default.svc.cluster.local)"
}

scale_coredns() { # scale_coredns REPLICAS: waits until exactly so many pods run
    in_cluster kubectl -n kube-system scale deployment/coredns --replicas="$1" >/dev/null
    in_cluster kubectl -n kube-system rollout status deployment/coredns --timeout=60s >/dev/null
    wait_for 60 coredns_pods_are "$1"
    log "CoreDNS runs in $1 pods"
}

coredns_pods_are() { (($(in_cluster kubectl -n kube-system get pods -l k8s-app=kube-dns -o name | wc -l) == $1)); }

# sum_of FIELD [WINDOW]: sum of a loadgen field over both transports and all windows, or one.
sum_of() {
    grep -F '"names":"all"' "$STATE/load" | grep -F "\"window\":\"${2:-}" | grep -oE "\"$1\":[0-9]+" |
        awk -F: '{ sum += $2 } END { print sum + 0 }'
}

# Each mark ends a window, which is reported.
load_has_begun() { echo beginning >&"$marks" && (($(sum_of sent) > 0)); }

# Steady load from the pod while CoreDNS is scaled up and down; each query is sent once.
check_scaling() {
    local marks load sent
    mkfifo "$STATE/marks"
    in_cluster kubectl exec -i clients -- loadgen -json -marks -udp 200 -tcp 20 -warm 1s <"$STATE/marks" >"$STATE/load" &
    load=$!
    exec {marks}>"$STATE/marks"
    wait_for 30 load_has_begun
    echo growing >&"$marks"
    scale_coredns 3
    echo shrinking >&"$marks"
    scale_coredns 1
    exec {marks}>&-
    wait "$load" || fail "the load generator has failed"
    rm "$STATE/marks"
    sent=$(sum_of sent)
    # A window without queries would prove nothing.
    expect "queries were sent while CoreDNS was scaled to 3 pods and to 1" yes \
        "$( (($(sum_of sent growing) > 0 && $(sum_of sent shrinking) > 0)) && echo yes || echo no)"
    expect "of $sent queries lost, refused, with an error response: 0 0 0" "0 0 0" "$(sum_of lost) $(sum_of refused) $(sum_of errors)"
    expect "answered: $sent" "$sent" "$(sum_of answered)"
}

test_clients() {
    local service pods pod external outside port pod_port
    require_cache
    start_clients
    read_expected_values
    expect "the pod's resolv.conf names $CLUSTER_DNS" "nameserver $CLUSTER_DNS" "$(in_clients busybox grep ^nameserver /etc/resolv.conf)"
    check_resolvers
    check_tools
    check_other_records
    log "all names resolved"
    check_scaling
}
