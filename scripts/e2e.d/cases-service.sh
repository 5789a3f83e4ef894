# shellcheck shell=bash
# Service to pods and operators with kubespray's arguments and Corefile.

the_link_has_the_address_and_dns_is_untracked() {
    local address rules
    write_corefile
    start_daemon || return 0
    address=$(netns_exec node ip -oneline address show dev nodelocaldns)
    expect_match "the address on the link" "inet $LOCAL_IP/32 scope host nodelocaldns" "$address"
    expect_match "the link" '<.*UP.*>' "$(netns_exec node ip -oneline link show nodelocaldns)"
    expect_match "the link's kind" "$link_kind" "$(netns_exec node ip -details link show nodelocaldns)"
    [[ $link_kind == dummy ]] ||
        expect "lines about the missing driver" 1 "$(grep -c '^\[WARNING\] .*no driver .*-link-kind bridge' "$daemon_log")"
    rules=$(netns_exec node nft list table inet nodelocaldns 2>&1)
    expect_match "prerouting" 'hook prerouting priority raw' "$rules"
    expect_match "output" 'hook output priority raw' "$rules"
    expect_match "UDP rule" "udp dport 53 goto query_0" "$rules"
    expect_match "TCP rule" "tcp dport 53 goto query_0" "$rules"
    expect_match "while it is served" "ip daddr @alive4 socket transparent 0 notrack accept" "$rules"
    expect_match "replies" "udp sport 53 notrack" "$rules"
}

pods_resolve_services_through_their_search_list() {
    local name=myweb-svc.default.svc.cluster.local form transport
    write_corefile
    start_daemon || return 0
    for transport in +notcp +tcp; do
        for form in myweb-svc myweb-svc.default myweb-svc.default.svc "$name"; do
            expect "pod1 $form $transport" "$name. A 10.233.18.231" "$(answer_section pod1 +search "$transport" "$form")"
        done
        # The namespace of this pod has no such Service; the last one of its search list has.
        expect "pod2 myweb-svc $transport" "$name. A 10.233.18.231" "$(answer_section pod2 +search "$transport" myweb-svc)"
        expect "pod2 myweb-svc.dev $transport" NXDOMAIN "$(rcode pod2 "$transport" myweb-svc.dev.svc.cluster.local)"
        expect "the node $transport" "$name. A 10.233.18.231" "$(answer_section node "$transport" "@$LOCAL_IP" "$name")"
    done
}

all_record_types_are_answered_as_in_the_zone() {
    local domain=default.svc.cluster.local soa
    write_corefile
    start_daemon || return 0
    expect "headless" "$(printf "myweb-headless.$domain. A 10.233.90.%d\n" 11 12 13)" "$(answer_section pod1 "myweb-headless.$domain")"
    expect "a pod of the headless Service" "myweb-1.myweb-headless.$domain. A 10.233.90.12" \
        "$(answer_section pod1 "myweb-1.myweb-headless.$domain")"
    expect "SRV" "_http._tcp.myweb-svc.$domain. SRV 0 100 80 myweb-svc.$domain." "$(answer_section pod1 SRV "_http._tcp.myweb-svc.$domain")"
    expect "SRV of the headless Service" 3 "$(count_lines "$(answer_section pod1 SRV "_http._tcp.myweb-headless.$domain")")"
    expect "PTR" "231.18.233.10.in-addr.arpa. PTR myweb-svc.$domain." "$(answer_section pod1 -x 10.233.18.231)"
    expect "ExternalName" "$(printf '%s\n' "shop.$domain. CNAME www.example.test." 'www.example.test. A 198.51.100.80')" \
        "$(answer_section pod1 "shop.$domain")"
    expect "outside the cluster" "www.example.test. A 198.51.100.80" "$(answer_section pod1 www.example.test)"
    soa=$(dig_from pod1 AAAA "myweb-svc.$domain")
    expect_match "no such type" 'status: NOERROR' "$soa"
    expect_match "the SOA with it" 'cluster\.local\..*SOA.ns\.dns\.cluster\.local\. hostmaster\.cluster\.local\. 1653013606' "$soa"
    soa=$(dig_from pod1 "nothing.$domain")
    expect_match "no such name" 'status: NXDOMAIN' "$soa"
    expect_match "the SOA with it" 'cluster\.local\..*SOA.ns\.dns\.cluster\.local\. hostmaster\.cluster\.local\. 1653013606' "$soa"
    expect_match "the question keeps its case" "^;MyWeb-SVC\.$domain\." "$(dig_from pod1 "MyWeb-SVC.$domain")"
}

host_prints_the_documented_output() {
    local output
    write_corefile
    start_daemon || return 0
    output=$(netns_exec pod1 host -v myweb-svc)
    expect "names tried" 3 "$(grep -c '^Trying "myweb-svc.default.svc.cluster.local"$' <<<"$output")"
    expect_match "the address" '^myweb-svc\.default\.svc\.cluster\.local\.[[:space:]]+[0-9]+[[:space:]]IN[[:space:]]A[[:space:]]10\.233\.18\.231$' "$output"
    expect "SOA for AAAA and MX" 2 "$(grep -c 'SOA.*1653013606 7200 1800 86400 5$' <<<"$output")"
    expect "server of the responses" 3 "$(grep -c "^Received [0-9]* bytes from $LOCAL_IP#53 in" <<<"$output")"
    expect "the flags" "qr aa rd" "$(sed -nE 's/^;; flags: ([a-z ]*aa[a-z ]*);.*/\1/p' <<<"$output" | sed 's/ ra//' | sort -u)"
    expect "host without -v" 'myweb-svc.default.svc.cluster.local has address 10.233.18.231' "$(netns_exec pod1 host myweb-svc)"
}

a_repeated_query_is_a_cache_hit_with_an_aged_ttl() {
    local name=second.fresh.default.svc.cluster.local first later transport
    write_corefile
    start_daemon || return 0
    first=$(ttl pod1 "$name")
    expect "the first TTL" 30 "$first"
    sleep 1.1
    for transport in +notcp +tcp; do
        later=$(ttl pod2 "$transport" "$name")
        expect_between "the TTL after a second, $transport" $((first - 4)) $((first - 1)) "$later"
    done
    expect "queries that CoreDNS saw" 1 "$(count_lines "$(queries_at_coredns "$name" A)")"
    expect "NXDOMAIN" NXDOMAIN "$(rcode pod1 absent-twice.cluster.local)"
    expect "NXDOMAIN again" NXDOMAIN "$(rcode pod2 +tcp absent-twice.cluster.local)"
    expect "queries for the absent name" 1 "$(count_lines "$(queries_at_coredns absent-twice.cluster.local)")"
    expect "outside" "once.fresh.example.test. A 198.51.100.81" "$(answer_section pod1 once.fresh.example.test)"
    expect "outside again" "once.fresh.example.test. A 198.51.100.81" "$(answer_section pod2 once.fresh.example.test)"
    expect "queries that the outside saw" 1 "$(count_lines "$(queries_outside once.fresh.example.test)")"
}

glibc_musl_go_and_busybox_resolve_alike() {
    local name address
    write_corefile
    start_daemon || return 0
    for name in myweb-svc=10.233.18.231 kubernetes=10.233.0.1 shop=198.51.100.80 www.example.test=198.51.100.80; do
        address=${name#*=} name=${name%=*}
        expect "glibc $name" "$address" "$(netns_exec pod1 getent ahosts "$name" | awk '$2 == "STREAM" { print $1 }')"
        expect "musl $name" "$address" "$(netns_exec pod1 "$MUSL_GETADDRINFO" "$name" 2>&1)"
        expect "Go $name" "$address" "$(netns_exec pod1 "$DNSTOOL" resolve "$name" 2>&1)"
    done
    expect "musl, from the other namespace" 10.233.18.231 "$(netns_exec pod2 "$MUSL_GETADDRINFO" myweb-svc 2>&1)"
    expect "glibc, an absent name" 2 "$(netns_exec pod1 getent ahosts absent >/dev/null; echo $?)"
    expect_match "musl, an absent name" 'does not resolve' "$(netns_exec pod1 "$MUSL_GETADDRINFO" absent 2>&1)"
    expect_match "Go, an absent name" 'no such host' "$(netns_exec pod1 "$DNSTOOL" resolve absent 2>&1)"
    expect_match "busybox" '^Address: *10\.233\.18\.231$' "$(netns_exec pod1 busybox nslookup myweb-svc.default.svc.cluster.local 2>&1)"
    expect_match "nslookup" '^Address: 10\.233\.18\.231$' "$(netns_exec pod1 nslookup myweb-svc 2>&1)"
    expect "glibc by TCP" 10.233.18.231 \
        "$(netns_exec pod1 env RES_OPTIONS='use-vc ndots:5' getent ahosts myweb-svc | awk '$2 == "STREAM" { print $1 }')"
}

truncated_responses_are_retried_over_tcp() {
    local name=large.default.svc.cluster.local
    write_corefile
    start_daemon || return 0
    expect_match "flags of the datagram" '^;; flags: [a-z ]*\btc\b' "$(dig_from pod1 +noedns +ignore "$name")"
    expect_match "output of dig" 'Truncated, retrying in TCP mode' "$(dig_from pod1 +noedns "$name")"
    expect "addresses by TCP" 60 "$(count_lines "$(answer_section pod1 +noedns "$name")")"
    expect "addresses in a larger datagram" 60 "$(count_lines "$(answer_section pod1 +bufsize=4096 +ignore "$name")")"
    expect "queries that CoreDNS saw" 1 "$(count_lines "$(queries_at_coredns "$name")")"
}

# musl before 1.2.4 never retries over TCP and sends no OPT: its programs see what fits into 512
# octets (header, question, 16 octets per address). Later versions retry and return 48 addresses.
responses_above_1232_octets_reach_old_musl_truncated_and_glibc_whole() {
    local name=larger.default.svc.cluster.local version before by_tcp fit expected
    fit=$(((512 - 12 - (${#name} + 2) - 4) / 16))
    version=$(dpkg-query --show --showformat '${Version}' musl-tools)
    expected=$fit by_tcp=0
    ! dpkg --compare-versions "$version" ge 1.2.4 || expected=48 by_tcp=1
    write_corefile
    start_daemon || return 0
    expect_match "the whole answer" 'MSG SIZE +rcvd: (19[0-9][0-9]|[2-9][0-9]{3})' "$(dig_from pod1 +tcp "$name")"
    before=$(metrics)
    expect "addresses that musl $version finds" "$expected" \
        "$(count_lines "$(netns_exec pod1 "$MUSL_GETADDRINFO" "$name." 2>&1 | grep -x '10\.233\.22\.[0-9]*' | sort -u)")"
    expect "queries by TCP of musl" "$by_tcp" \
        "$(($(metric_sum "$(metrics)" coredns_dns_requests_total 'proto="tcp"') - $(metric_sum "$before" coredns_dns_requests_total 'proto="tcp"')))"
    expect "addresses that glibc finds" 120 \
        "$(count_lines "$(netns_exec pod1 getent ahosts "$name." | awk '$2 == "STREAM" { print $1 }' | sort -u)")"
    expect "addresses in a datagram of 4096 octets" 73 "$(count_lines "$(answer_section pod1 +notcp +bufsize=4096 +ignore "$name")")"
}

on_one_tcp_connection_a_hit_is_answered_before_a_slow_miss() {
    local slow=n3.after500ms.slow.svc.cluster.local quick=myweb-svc.default.svc.cluster.local
    write_corefile
    start_daemon || return 0
    dig_from pod2 "$quick" >/dev/null
    expect "order of the responses" "$quick $slow" "$(netns_exec pod1 "$DNSTOOL" pipeline "$LOCAL_IP" "$slow" "$quick" 2>&1)"
}

health_and_metrics_are_where_kubespray_expects_them() {
    local before after family
    local cluster=("server=\"dns://$LOCAL_IP:53\"" 'zone="cluster.local."') cache=("server=\"dns://$LOCAL_IP:53\"" 'zones="cluster.local."')
    write_corefile
    start_daemon || return 0
    expect "/health" OK "$(http_get node "http://$LOCAL_IP:9254/health")"
    before=$(metrics)
    dig_from pod1 metered.fresh.default.svc.cluster.local >/dev/null
    dig_from pod1 metered.fresh.default.svc.cluster.local >/dev/null
    dig_from pod1 +tcp metered.fresh.default.svc.cluster.local >/dev/null
    dig_from pod1 metered.cluster.local >/dev/null
    # Counters may be updated shortly after the response is sent.
    eventually 3 metric_increased coredns_dns_responses_total 4 "$before" "${cluster[@]}"
    after=$(metrics)
    increase() { echo $(($(metric_sum "$after" "$@") - $(metric_sum "$before" "$@"))); }
    expect "UDP requests" 3 "$(increase coredns_dns_requests_total "${cluster[@]}" 'proto="udp"' 'family="1"' 'type="A"')"
    expect "TCP requests" 1 "$(increase coredns_dns_requests_total "${cluster[@]}" 'proto="tcp"' 'family="1"' 'type="A"')"
    expect "NOERROR" 3 "$(increase coredns_dns_responses_total "${cluster[@]}" 'rcode="NOERROR"')"
    expect "NXDOMAIN" 1 "$(increase coredns_dns_responses_total "${cluster[@]}" 'rcode="NXDOMAIN"')"
    expect "durations" 4 "$(increase coredns_dns_request_duration_seconds_count "${cluster[@]}")"
    expect "cache requests" 4 "$(increase coredns_cache_requests_total "${cache[@]}")"
    expect "hits" 2 "$(increase coredns_cache_hits_total "${cache[@]}" 'type="success"')"
    expect "misses" 2 "$(increase coredns_cache_misses_total "${cache[@]}")"
    expect "upstream queries to CoreDNS" 2 \
        "$(increase coredns_proxy_request_duration_seconds_count "to=\"$COREDNS_SERVICE:53\"")"
    for family in coredns_build_info coredns_plugin_enabled coredns_panics_total coredns_dns_request_size_bytes_bucket \
        coredns_dns_response_size_bytes_bucket coredns_cache_entries coredns_forward_healthcheck_broken_total \
        coredns_forward_max_concurrent_rejects_total coredns_proxy_conn_cache_hits_total coredns_proxy_conn_cache_misses_total \
        coredns_health_request_duration_seconds_bucket coredns_health_request_failures_total coredns_reload_failed_total \
        coredns_nodecache_setup_errors_total process_resident_memory_bytes; do
        expect_match "a metric family" "^$family(\{| )" "$after"
    done
    expect_match "the second endpoint" '^coredns_nodecache_setup_errors_total' "$(http_get outside "http://$NODE_IP:9353/metrics")"
}

dns_creates_no_conntrack_entries() {
    local setting
    write_corefile
    # The control: without rules the same traffic is tracked.
    for setting in true false; do
        start_daemon -setupiptables=$setting || return 0
        # Entries from before the daemon was ready.
        netns_exec node conntrack -D --orig-dst "$LOCAL_IP" >/dev/null 2>&1 || true
        dig_from pod1 "tracked-$setting.fresh.default.svc.cluster.local" >/dev/null
        dig_from pod1 +tcp "tracked-$setting.fresh.default.svc.cluster.local" >/dev/null
        dig_from node "@$LOCAL_IP" "tracked-$setting.fresh.default.svc.cluster.local" >/dev/null
        expect "protocols tracked with -setupiptables=$setting" "$([[ $setting == true ]] || echo tcp udp)" "$(tracked_protocols)"
        # Nor did its own queries at the start go to CoreDNS, where nothing is served yet.
        expect "queries that failed open" 0 "$(metric_sum "$(metrics)" nodelocaldns_fail_open_total)"
        clean_node
    done
}

ipv4_and_ipv6_are_served_on_one_link() {
    local name=myweb-svc.default.svc.cluster.local address
    BIND="$LOCAL_IP $LOCAL_IP6" write_corefile
    start_daemon -localip "$LOCAL_IP,$LOCAL_IP6" || return 0
    address=$(netns_exec node ip -oneline address show dev nodelocaldns)
    expect_match "the IPv4 address" "inet $LOCAL_IP/32 scope host" "$address"
    expect_match "the IPv6 address" "inet6 $LOCAL_IP6/128 .*deprecated" "$address"
    expect "by UDP over IPv6" "$name. A 10.233.18.231" "$(answer_section pod6 +search myweb-svc)"
    expect "by TCP over IPv6" "$name. A 10.233.18.231" "$(answer_section pod6 +search +tcp myweb-svc)"
    expect "by UDP over IPv4" "$name. A 10.233.18.231" "$(answer_section pod1 +search myweb-svc)"
    expect "musl over IPv6" 10.233.18.231 "$(netns_exec pod6 "$MUSL_GETADDRINFO" myweb-svc 2>&1)"
    expect "the node itself over IPv6" "$name. A 10.233.18.231" "$(answer_section node "@$LOCAL_IP6" "$name")"
    expect_match "the rules for IPv6" "ip6 saddr $LOCAL_IP6 udp sport 53 notrack" "$(netns_exec node nft list table inet nodelocaldns)"
    expect_match "requests by family" '^coredns_dns_requests_total\{.*family="2".*server="dns://\[fd00:25::10\]:53"' "$(metrics)"
}

a_service_address_is_served_locally_and_by_coredns_after_exit() {
    local name=stands-in.fresh.default.svc.cluster.local
    BIND="$LOCAL_IP $DNS_SERVICE" write_corefile
    start_daemon -localip "$LOCAL_IP,$DNS_SERVICE" || return 0
    expect "the first response" "$name. A 10.233.19.1" "$(answer_section pod1 "@$DNS_SERVICE" "$name")"
    expect "the second response" "$name. A 10.233.19.1" "$(answer_section pod1 +tcp "@$DNS_SERVICE" "$name")"
    expect "what CoreDNS saw" "1 tcp" "$(queries_at_coredns "$name" A | awk '{ count++; proto = $8 } END { print count, proto }')"
    stop_daemon TERM
    expect "the response after exit" "$name. A 10.233.19.1" "$(answer_section pod1 "@$DNS_SERVICE" "$name")"
    expect "CoreDNS saw it from the pod" 1 "$(count_lines "$(queries_at_coredns "$name" A | grep -F ' 10.233.64.11:')")"
}

the_upstream_service_is_read_from_the_environment() {
    local name=myweb-svc.default.svc.cluster.local source
    local -A corefile=([none]='' [template]=__PILLAR__CLUSTER__DNS__ [variable]="{\$COREDNS_SERVICE_HOST}")
    for source in none template variable; do
        SERVICE=${corefile[$source]} write_corefile
        case $source in
            none) launch_daemon -localip "$LOCAL_IP" -upstreamsvc coredns ;;
            template) launch_daemon -localip "$LOCAL_IP" -upstreamsvc coredns -basecorefile "$WORK/Corefile" -conf "$WORK/rendered" ;;
            variable) set_arguments && launch_daemon "${daemon_arguments[@]}" ;;
        esac
        await_answers || { clean_node && continue; }
        expect "with $source" "$name. A 10.233.18.231" "$(answer_section pod1 +search myweb-svc)"
        expect "outside with $source" "www.example.test. A 198.51.100.80" "$(answer_section pod1 www.example.test)"
        clean_node
    done
}

the_kubespray_manifests_serve() {
    local words
    cp "$ROOT/daemonset/overlays/kubespray/Corefile" "$WORK/Corefile"
    # The container's arguments in their order; only the path of the Corefile differs.
    mapfile -t words < <(sed -n '/^ *args:/,/^ *[a-z]*:$/s/^ *- //p' "$ROOT/daemonset/overlays/kubespray/daemonset.yaml" |
        sed "s|^/etc/coredns/Corefile$|$WORK/Corefile|")
    expect "the arguments" "-localip $LOCAL_IP -conf $WORK/Corefile -upstreamsvc coredns" "${words[*]}"
    launch_daemon "${words[@]}"
    await_answers || return 0
    eventually 3 is_ready || fail_case "/ready" OK "$(http_get node "http://$LOCAL_IP:8181/ready")"
    expect "/health" OK "$(http_get node "http://$LOCAL_IP:9254/health")"
    expect "a Service" "myweb-svc.default.svc.cluster.local. A 10.233.18.231" "$(answer_section pod1 +search myweb-svc)"
}
