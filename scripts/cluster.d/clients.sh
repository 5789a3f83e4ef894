# shellcheck shell=bash
# Every kind of client in a pod, with the resolv.conf that the kubelet wrote, and what it hears held against the API.

readonly RESOLVERS="getent glibc musl go busybox"

make_clients() {
    local work=$STATE/clients
    command -v go >/dev/null || fail "go is missing: install Go 1.25 or later, https://go.dev/doc/install"
    mkdir -p "$work"
    gcc -o "$work/getaddrinfo-glibc" "$ROOT/scripts/e2e.d/getaddrinfo.c"
    musl-gcc -static -o "$work/getaddrinfo-musl" "$ROOT/scripts/e2e.d/getaddrinfo.c"
    (cd "$HERE/clients" && CGO_ENABLED=0 go build -trimpath -o "$work/lookup" .)
    (cd "$HERE/probe" && CGO_ENABLED=0 go build -trimpath -o "$work/probe" .)
    make_image clients "$(command -v busybox):/bin/busybox" "$work/getaddrinfo-glibc:/bin/getaddrinfo-glibc" \
        "$work/getaddrinfo-musl:/bin/getaddrinfo-musl" "$work/lookup:/bin/lookup" "$work/probe:/bin/probe" \
        "$(command -v getent):/bin/getent" "$(command -v dig):/bin/dig" "$(command -v host):/bin/host" \
        "$(command -v nslookup):/bin/nslookup" "$(libraries_of_glibc)/libnss_dns.so.2" "$(libraries_of_glibc)/libnss_files.so.2" >/dev/null
}

start_clients() {
    start_web
    make_clients
    inside kubectl apply -f "$HERE/manifests/clients.yaml" >/dev/null
    inside kubectl rollout status statefulset/web --timeout=60s >/dev/null || fail_with_log "the StatefulSet is not rolled out"
    inside kubectl wait --for=condition=Ready pod/clients --timeout=60s >/dev/null || fail_with_log "the pod of the clients does not start"
    say "a StatefulSet, a headless Service, an ExternalName, and a pod with $RESOLVERS, dig, host and nslookup"
}

in_clients() { inside kubectl exec clients -- "$@" 2>/dev/null; }

sorted() { sort -u | paste -sd' '; }

api() { # api JSONPATH KIND [NAME...]: what the API says
    inside kubectl get "${@:2}" -o "jsonpath=$1"
}

# addresses RESOLVER NAME: what that resolver finds, in one line; nothing when it finds nothing.
addresses() {
    case $1 in
    getent) in_clients getent ahosts "$2" | cut -d' ' -f1 | sorted ;;
    glibc | musl) in_clients "getaddrinfo-$1" "$2" | sorted ;;
    go) in_clients lookup host "$2" | sorted ;;
    busybox) in_clients busybox nslookup "$2" | awk '/^Name:/ { named = 1 } named && /^Address/ { print $2 }' | sorted ;;
    esac || true
}

check_addresses() { # check_addresses NAME EXPECTED [RESOLVERS]: by every resolver, or by these
    local resolver
    for resolver in ${3:-$RESOLVERS}; do
        expect "$resolver finds $1: ${2:-nothing}" "$2" "$(addresses "$resolver" "$1")"
    done
}

# The truth, from the API server and from the resolver outside the cluster, asked without us.
learn_truth() {
    service=$(api '{.spec.clusterIP}' service myweb-svc)
    pods=$(api '{range .items[*].endpoints[*]}{.addresses[0]}{"\n"}{end}' endpointslices -l kubernetes.io/service-name=web-headless | sorted)
    pod=$(api '{.status.podIP}' pod web-0)
    external=$(api '{.spec.externalName}' service external-svc)
    outside=$(inside dig +short "@$WORLD_IP" "$external")
    port=$(api '{.spec.ports[0].port}' service myweb-svc)
    pod_port=$(api '{.spec.ports[0].port}' service web-headless)
    [[ -n $service && $pods == *" "* && -n $pod && -n $outside ]] || fail "the API names no Service, no pods or no outside address"
    ! inside kubectl get service absent-svc >/dev/null 2>&1 || fail "absent-svc is there"
}

check_resolvers() {
    check_addresses myweb-svc "$service"
    check_addresses myweb-svc.default.svc.cluster.local "$service"
    # busybox' nslookup takes the search list for names without a dot only.
    check_addresses myweb-svc.default "$service" "getent glibc musl go"
    check_addresses web-headless "$pods"
    check_addresses web-0.web-headless.default.svc.cluster.local "$pod"
    check_addresses external-svc "$outside"
    check_addresses "$external" "$outside"
    check_addresses absent-svc ""
    check_addresses absent.test ""
}

dig_short() { in_clients dig +short "$@" | sorted; }

# The status of the last answer, and the server and protocol it came from.
dig_status() { in_clients dig "$@" | sed -nE 's/.*status: ([A-Z]+),.*/\1/p; s/^;; SERVER: ([^#]*)#.*\((UDP|TCP)\)$/\1 \2/p' | paste -sd' '; }

check_dialogues() {
    local full=myweb-svc.default.svc.cluster.local said
    said=$(in_clients host -v myweb-svc)
    expect "host -v myweb-svc: the address" "$full has address $service" \
        "$(awk '$1 == "'"$full"'." && $4 == "A" { print "'"$full"' has address " $5 }' <<<"$said")"
    expect "host -v myweb-svc: from $CLUSTER_DNS" "$CLUSTER_DNS#53" "$(sed -nE 's/^Received .* from ([^ ]*) in .*/\1/p' <<<"$said" | sorted)"
    said=$(in_clients nslookup myweb-svc)
    expect "nslookup myweb-svc" "Server: $CLUSTER_DNS Name: $full Address: $service" \
        "$(grep -vF '#' <<<"$said" | tr -s '\t' ' ' | sed '/^$/d' | paste -sd' ')"
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

scale_coredns() { # scale_coredns REPLICAS: until so many run, and no others
    inside kubectl -n kube-system scale deployment/coredns --replicas="$1" >/dev/null
    inside kubectl -n kube-system rollout status deployment/coredns --timeout=60s >/dev/null
    wait_for 60 coredns_pods_are "$1"
    say "CoreDNS runs in $1 pods"
}

coredns_pods_are() { (($(inside kubectl -n kube-system get pods -l k8s-app=kube-dns -o name | wc -l) == $1)); }

# sum_of FIELD [WINDOW]: of the probe's figures, over both protocols and all windows or this one.
sum_of() {
    grep -F '"names":"all"' "$STATE/load" | grep -F "\"window\":\"${2:-}" | grep -oE "\"$1\":[0-9]+" |
        awk -F: '{ sum += $2 } END { print sum + 0 }'
}

# Questions from the pod without a pause, each once, while CoreDNS grows and shrinks.
check_scaling() {
    local marks load sent
    mkfifo "$STATE/marks"
    inside kubectl exec -i clients -- probe -json -marks -udp 200 -tcp 20 -warm 1s <"$STATE/marks" >"$STATE/load" &
    load=$!
    exec {marks}>"$STATE/marks"
    echo growing >&"$marks"
    scale_coredns 3
    echo shrinking >&"$marks"
    scale_coredns 1
    exec {marks}>&-
    wait "$load" || fail "the load generator has failed"
    rm "$STATE/marks"
    sent=$(sum_of sent)
    # A window without questions would have nothing to lose.
    expect "questions were asked as CoreDNS grew to 3 pods and as it shrank to 1" yes \
        "$( (($(sum_of sent growing) > 0 && $(sum_of sent shrinking) > 0)) && echo yes || echo no)"
    expect "of $sent questions lost, refused, with a wrong answer: 0 0 0" "0 0 0" "$(sum_of lost) $(sum_of refused) $(sum_of odd)"
    expect "answered: $sent" "$sent" "$(sum_of answered)"
}

ask_as_clients() {
    local service pods pod external outside port pod_port
    need_cache
    start_clients
    learn_truth
    expect "the kubelet made the pod ask $CLUSTER_DNS" "nameserver $CLUSTER_DNS" "$(in_clients busybox grep ^nameserver /etc/resolv.conf)"
    check_resolvers
    check_dialogues
    check_other_records
    say "names asked"
    check_scaling
}
