# shellcheck shell=bash
# What pods and operators get from a daemon that runs on kubespray's arguments and Corefile.

the_link_carries_the_address_and_dns_is_not_tracked() {
    local address rules
    write_corefile
    serve || return 0
    address=$(inside node ip -oneline address show dev nodelocaldns)
    expect_match "the address on the link" "inet $LOCAL_IP/32 scope host nodelocaldns" "$address"
    expect_match "the link" '<.*UP.*>' "$(inside node ip -oneline link show nodelocaldns)"
    expect_match "the link's kind" "$link_kind" "$(inside node ip -details link show nodelocaldns)"
    [[ $link_kind == dummy ]] ||
        expect "lines about the missing driver" 1 "$(grep -c '^\[WARNING\] .*no driver .*-link-kind bridge' "$daemon_log")"
    rules=$(inside node nft list table inet nodelocaldns 2>&1)
    expect_match "prerouting" 'hook prerouting priority raw' "$rules"
    expect_match "output" 'hook output priority raw' "$rules"
    expect_match "UDP rule" "ip daddr $LOCAL_IP udp dport 53 .*notrack" "$rules"
    expect_match "TCP rule" "ip daddr $LOCAL_IP tcp dport 53 .*notrack" "$rules"
    expect_match "replies" "ip saddr $LOCAL_IP udp sport 53 .*notrack" "$rules"
}

a_pod_finds_a_service_through_its_search_list() {
    local name=myweb-svc.default.svc.cluster.local form transport
    write_corefile
    serve || return 0
    for transport in +notcp +tcp; do
        for form in myweb-svc myweb-svc.default myweb-svc.default.svc "$name"; do
            expect "pod1 $form $transport" "$name. A 10.233.18.231" "$(answers pod1 +search "$transport" "$form")"
        done
        # This pod's own namespace has no such Service; the last name of its search list does.
        expect "pod2 myweb-svc $transport" "$name. A 10.233.18.231" "$(answers pod2 +search "$transport" myweb-svc)"
        expect "pod2 myweb-svc.dev $transport" NXDOMAIN "$(rcode pod2 "$transport" myweb-svc.dev.svc.cluster.local)"
        expect "the node $transport" "$name. A 10.233.18.231" "$(answers node "$transport" "@$LOCAL_IP" "$name")"
    done
}

every_kind_of_record_comes_as_the_zone_has_it() {
    local domain=default.svc.cluster.local soa
    write_corefile
    serve || return 0
    expect "headless" "$(printf "myweb-headless.$domain. A 10.233.90.%d\n" 11 12 13)" "$(answers pod1 "myweb-headless.$domain")"
    expect "a pod of the headless Service" "myweb-1.myweb-headless.$domain. A 10.233.90.12" \
        "$(answers pod1 "myweb-1.myweb-headless.$domain")"
    expect "SRV" "_http._tcp.myweb-svc.$domain. SRV 0 100 80 myweb-svc.$domain." "$(answers pod1 SRV "_http._tcp.myweb-svc.$domain")"
    expect "SRV of the headless Service" 3 "$(lines "$(answers pod1 SRV "_http._tcp.myweb-headless.$domain")")"
    expect "PTR" "231.18.233.10.in-addr.arpa. PTR myweb-svc.$domain." "$(answers pod1 -x 10.233.18.231)"
    expect "ExternalName" "$(printf '%s\n' "shop.$domain. CNAME www.example.test." 'www.example.test. A 198.51.100.80')" \
        "$(answers pod1 "shop.$domain")"
    expect "outside the cluster" "www.example.test. A 198.51.100.80" "$(answers pod1 www.example.test)"
    soa=$(ask pod1 AAAA "myweb-svc.$domain")
    expect_match "no such type" 'status: NOERROR' "$soa"
    expect_match "the SOA with it" 'cluster\.local\..*SOA.ns\.dns\.cluster\.local\. hostmaster\.cluster\.local\. 1653013606' "$soa"
    soa=$(ask pod1 "nothing.$domain")
    expect_match "no such name" 'status: NXDOMAIN' "$soa"
    expect_match "the SOA with it" 'cluster\.local\..*SOA.ns\.dns\.cluster\.local\. hostmaster\.cluster\.local\. 1653013606' "$soa"
    expect_match "the question comes back as written" "^;MyWeb-SVC\.$domain\." "$(ask pod1 "MyWeb-SVC.$domain")"
}

host_shows_the_dialogue_of_the_handbook() {
    local dialogue
    write_corefile
    serve || return 0
    dialogue=$(inside pod1 host -v myweb-svc)
    expect "names tried" 3 "$(grep -c '^Trying "myweb-svc.default.svc.cluster.local"$' <<<"$dialogue")"
    expect_match "the address" '^myweb-svc\.default\.svc\.cluster\.local\.[[:space:]]+[0-9]+[[:space:]]IN[[:space:]]A[[:space:]]10\.233\.18\.231$' "$dialogue"
    expect "SOA for AAAA and MX" 2 "$(grep -c 'SOA.*1653013606 7200 1800 86400 5$' <<<"$dialogue")"
    expect "who answered" 3 "$(grep -c "^Received [0-9]* bytes from $LOCAL_IP#53 in" <<<"$dialogue")"
    expect "the flags" "qr aa rd" "$(sed -nE 's/^;; flags: ([a-z ]*aa[a-z ]*);.*/\1/p' <<<"$dialogue" | sed 's/ ra//' | sort -u)"
    expect "host without -v" 'myweb-svc.default.svc.cluster.local has address 10.233.18.231' "$(inside pod1 host myweb-svc)"
}

the_second_answer_comes_from_the_cache_and_is_older() {
    local name=second.fresh.default.svc.cluster.local first later transport
    write_corefile
    serve || return 0
    first=$(ttl pod1 "$name")
    expect "the first TTL" 30 "$first"
    sleep 1.1
    for transport in +notcp +tcp; do
        later=$(ttl pod2 "$transport" "$name")
        expect_between "the TTL after a second, $transport" $((first - 4)) $((first - 1)) "$later"
    done
    expect "queries that CoreDNS saw" 1 "$(lines "$(seen_by_coredns "$name" A)")"
    expect "NXDOMAIN" NXDOMAIN "$(rcode pod1 absent-twice.cluster.local)"
    expect "NXDOMAIN again" NXDOMAIN "$(rcode pod2 +tcp absent-twice.cluster.local)"
    expect "queries for the absent name" 1 "$(lines "$(seen_by_coredns absent-twice.cluster.local)")"
    expect "outside" "once.fresh.example.test. A 198.51.100.81" "$(answers pod1 once.fresh.example.test)"
    expect "outside again" "once.fresh.example.test. A 198.51.100.81" "$(answers pod2 once.fresh.example.test)"
    expect "queries that the outside saw" 1 "$(lines "$(seen_outside once.fresh.example.test)")"
}

resolvers_of_glibc_musl_go_and_busybox_find_the_same() {
    local name address
    write_corefile
    serve || return 0
    for name in myweb-svc=10.233.18.231 kubernetes=10.233.0.1 shop=198.51.100.80 www.example.test=198.51.100.80; do
        address=${name#*=} name=${name%=*}
        expect "glibc $name" "$address" "$(inside pod1 getent ahosts "$name" | awk '$2 == "STREAM" { print $1 }')"
        expect "musl $name" "$address" "$(inside pod1 "$MUSL_GETADDRINFO" "$name" 2>&1)"
        expect "Go $name" "$address" "$(inside pod1 "$ACTORS" resolve "$name" 2>&1)"
    done
    expect "musl, from the other namespace" 10.233.18.231 "$(inside pod2 "$MUSL_GETADDRINFO" myweb-svc 2>&1)"
    expect "glibc, an absent name" 2 "$(inside pod1 getent ahosts absent >/dev/null; echo $?)"
    expect_match "musl, an absent name" 'does not resolve' "$(inside pod1 "$MUSL_GETADDRINFO" absent 2>&1)"
    expect_match "Go, an absent name" 'no such host' "$(inside pod1 "$ACTORS" resolve absent 2>&1)"
    expect_match "busybox" '^Address: *10\.233\.18\.231$' "$(inside pod1 busybox nslookup myweb-svc.default.svc.cluster.local 2>&1)"
    expect_match "nslookup" '^Address: 10\.233\.18\.231$' "$(inside pod1 nslookup myweb-svc 2>&1)"
    expect "glibc by TCP" 10.233.18.231 \
        "$(inside pod1 env RES_OPTIONS='use-vc ndots:5' getent ahosts myweb-svc | awk '$2 == "STREAM" { print $1 }')"
}

an_answer_too_large_for_a_datagram_is_fetched_by_tcp() {
    local name=large.default.svc.cluster.local
    write_corefile
    serve || return 0
    expect_match "flags of the datagram" '^;; flags: [a-z ]*\btc\b' "$(ask pod1 +noedns +ignore "$name")"
    expect_match "what dig does" 'Truncated, retrying in TCP mode' "$(ask pod1 +noedns "$name")"
    expect "addresses by TCP" 60 "$(lines "$(answers pod1 +noedns "$name")")"
    expect "addresses in a larger datagram" 60 "$(lines "$(answers pod1 +bufsize=4096 +ignore "$name")")"
    expect "queries that CoreDNS saw" 1 "$(lines "$(seen_by_coredns "$name")")"
}

# musl before 1.2.4 never asks by TCP: what is not in the datagram does not exist for its programs. It sends no OPT, so that
# it gets 512 octets: header, question, and 16 octets for each address. Later ones fetch the rest and keep 48 of it.
an_answer_above_1232_octets_reaches_old_musl_as_far_as_it_fits_and_glibc_whole() {
    local name=larger.default.svc.cluster.local version before by_tcp fit wanted
    fit=$(((512 - 12 - (${#name} + 2) - 4) / 16))
    version=$(dpkg-query --show --showformat '${Version}' musl-tools)
    wanted=$fit by_tcp=0
    ! dpkg --compare-versions "$version" ge 1.2.4 || wanted=48 by_tcp=1
    write_corefile
    serve || return 0
    expect_match "the whole answer" 'MSG SIZE +rcvd: (19[0-9][0-9]|[2-9][0-9]{3})' "$(ask pod1 +tcp "$name")"
    before=$(metrics)
    expect "addresses that musl $version finds" "$wanted" \
        "$(lines "$(inside pod1 "$MUSL_GETADDRINFO" "$name." 2>&1 | grep -x '10\.233\.22\.[0-9]*' | sort -u)")"
    expect "queries by TCP of musl" "$by_tcp" \
        "$(($(sample "$(metrics)" coredns_dns_requests_total 'proto="tcp"') - $(sample "$before" coredns_dns_requests_total 'proto="tcp"')))"
    expect "addresses that glibc finds" 120 \
        "$(lines "$(inside pod1 getent ahosts "$name." | awk '$2 == "STREAM" { print $1 }' | sort -u)")"
    expect "addresses in a datagram for who takes more" 73 "$(lines "$(answers pod1 +notcp +bufsize=4096 +ignore "$name")")"
}

on_one_connection_a_hit_overtakes_a_miss() {
    local slow=n3.after500ms.slow.svc.cluster.local quick=myweb-svc.default.svc.cluster.local
    write_corefile
    serve || return 0
    ask pod2 "$quick" >/dev/null
    expect "order of the answers" "$quick $slow" "$(inside pod1 "$ACTORS" pipeline "$LOCAL_IP" "$slow" "$quick" 2>&1)"
}

health_and_metrics_are_where_kubespray_expects_them() {
    local before after family
    local cluster=("server=\"dns://$LOCAL_IP:53\"" 'zone="cluster.local."') cache=("server=\"dns://$LOCAL_IP:53\"" 'zones="cluster.local."')
    write_corefile
    serve || return 0
    expect "/health" OK "$(page node "http://$LOCAL_IP:9254/health")"
    before=$(metrics)
    ask pod1 metered.fresh.default.svc.cluster.local >/dev/null
    ask pod1 metered.fresh.default.svc.cluster.local >/dev/null
    ask pod1 +tcp metered.fresh.default.svc.cluster.local >/dev/null
    ask pod1 metered.cluster.local >/dev/null
    # Counts may reach the page a little later than answers their clients.
    eventually 3 metrics_show coredns_dns_responses_total 4 "$before" "${cluster[@]}"
    after=$(metrics)
    rose() { echo $(($(sample "$after" "$@") - $(sample "$before" "$@"))); }
    expect "UDP requests" 3 "$(rose coredns_dns_requests_total "${cluster[@]}" 'proto="udp"' 'family="1"' 'type="A"')"
    expect "TCP requests" 1 "$(rose coredns_dns_requests_total "${cluster[@]}" 'proto="tcp"' 'family="1"' 'type="A"')"
    expect "NOERROR" 3 "$(rose coredns_dns_responses_total "${cluster[@]}" 'rcode="NOERROR"')"
    expect "NXDOMAIN" 1 "$(rose coredns_dns_responses_total "${cluster[@]}" 'rcode="NXDOMAIN"')"
    expect "durations" 4 "$(rose coredns_dns_request_duration_seconds_count "${cluster[@]}")"
    expect "cache requests" 4 "$(rose coredns_cache_requests_total "${cache[@]}")"
    expect "hits" 2 "$(rose coredns_cache_hits_total "${cache[@]}" 'type="success"')"
    expect "misses" 2 "$(rose coredns_cache_misses_total "${cache[@]}")"
    expect "exchanges with CoreDNS" 2 \
        "$(rose coredns_proxy_request_duration_seconds_count "to=\"$COREDNS_SERVICE:53\"")"
    for family in coredns_build_info coredns_plugin_enabled coredns_panics_total coredns_dns_request_size_bytes_bucket \
        coredns_dns_response_size_bytes_bucket coredns_cache_entries coredns_forward_healthcheck_broken_total \
        coredns_forward_max_concurrent_rejects_total coredns_proxy_conn_cache_hits_total coredns_proxy_conn_cache_misses_total \
        coredns_health_request_duration_seconds_bucket coredns_health_request_failures_total coredns_reload_failed_total \
        coredns_nodecache_setup_errors_total process_resident_memory_bytes; do
        expect_match "a family of /metrics" "^$family(\{| )" "$after"
    done
    expect_match "the second endpoint" '^coredns_nodecache_setup_errors_total' "$(page outside "http://$NODE_IP:9353/metrics")"
}

dns_leaves_nothing_in_conntrack() {
    local setting
    write_corefile
    # Without rules the same traffic is tracked, or the other half would show nothing.
    for setting in true false; do
        serve -setupiptables=$setting || return 0
        # What was asked while the daemon started.
        inside node conntrack -D --orig-dst "$LOCAL_IP" >/dev/null 2>&1 || true
        ask pod1 "tracked-$setting.fresh.default.svc.cluster.local" >/dev/null
        ask pod1 +tcp "tracked-$setting.fresh.default.svc.cluster.local" >/dev/null
        ask node "@$LOCAL_IP" "tracked-$setting.fresh.default.svc.cluster.local" >/dev/null
        expect "protocols tracked with -setupiptables=$setting" "$([[ $setting == true ]] || echo tcp udp)" "$(tracked_protocols)"
        end_daemon
    done
}

both_families_are_served_on_one_link() {
    local name=myweb-svc.default.svc.cluster.local address
    BIND="$LOCAL_IP $LOCAL_IP6" write_corefile
    serve -localip "$LOCAL_IP,$LOCAL_IP6" || return 0
    address=$(inside node ip -oneline address show dev nodelocaldns)
    expect_match "the IPv4 address" "inet $LOCAL_IP/32 scope host" "$address"
    expect_match "the IPv6 address" "inet6 $LOCAL_IP6/128 .*deprecated" "$address"
    expect "by UDP over IPv6" "$name. A 10.233.18.231" "$(answers pod6 +search myweb-svc)"
    expect "by TCP over IPv6" "$name. A 10.233.18.231" "$(answers pod6 +search +tcp myweb-svc)"
    expect "by UDP over IPv4" "$name. A 10.233.18.231" "$(answers pod1 +search myweb-svc)"
    expect "musl over IPv6" 10.233.18.231 "$(inside pod6 "$MUSL_GETADDRINFO" myweb-svc 2>&1)"
    expect "the node itself over IPv6" "$name. A 10.233.18.231" "$(answers node "@$LOCAL_IP6" "$name")"
    expect_match "the rules for IPv6" "ip6 daddr $LOCAL_IP6 udp dport 53 .*notrack" "$(inside node nft list table inet nodelocaldns)"
    expect_match "requests by family" '^coredns_dns_requests_total\{.*family="2".*server="dns://\[fd00:25::10\]:53"' "$(metrics)"
}

a_service_address_on_the_link_is_answered_here_and_by_coredns_afterwards() {
    local name=stands-in.fresh.default.svc.cluster.local
    BIND="$LOCAL_IP $DNS_SERVICE" write_corefile
    serve -localip "$LOCAL_IP,$DNS_SERVICE" || return 0
    expect "the first answer" "$name. A 10.233.19.1" "$(answers pod1 "@$DNS_SERVICE" "$name")"
    expect "the second answer" "$name. A 10.233.19.1" "$(answers pod1 +tcp "@$DNS_SERVICE" "$name")"
    expect "what CoreDNS saw" "1 tcp" "$(seen_by_coredns "$name" A | awk '{ count++; proto = $8 } END { print count, proto }')"
    stop TERM
    expect "the answer without us" "$name. A 10.233.19.1" "$(answers pod1 "@$DNS_SERVICE" "$name")"
    expect "CoreDNS saw it from the pod" 1 "$(lines "$(seen_by_coredns "$name" A | grep -F ' 10.233.64.11:')")"
}

the_service_is_found_through_the_environment() {
    local name=myweb-svc.default.svc.cluster.local source
    local -A corefile=([none]='' [template]=__PILLAR__CLUSTER__DNS__ [variable]="{\$COREDNS_SERVICE_HOST}")
    for source in none template variable; do
        SERVICE=${corefile[$source]} write_corefile
        case $source in
            none) launch -localip "$LOCAL_IP" -upstreamsvc coredns ;;
            template) launch -localip "$LOCAL_IP" -upstreamsvc coredns -basecorefile "$WORK/Corefile" -conf "$WORK/rendered" ;;
            variable) arguments && launch "${daemon_arguments[@]}" ;;
        esac
        await_answers || { end_daemon && continue; }
        expect "with $source" "$name. A 10.233.18.231" "$(answers pod1 +search myweb-svc)"
        expect "outside with $source" "www.example.test. A 198.51.100.80" "$(answers pod1 www.example.test)"
        end_daemon
    done
}

the_manifests_for_kubespray_serve() {
    local words
    cp "$ROOT/daemonset/overlays/kubespray/Corefile" "$WORK/Corefile"
    # The arguments of the container, in their order; only the Corefile's place differs.
    mapfile -t words < <(sed -n '/^ *args:/,/^ *[a-z]*:$/s/^ *- //p' "$ROOT/daemonset/overlays/kubespray/daemonset.yaml" |
        sed "s|^/etc/coredns/Corefile$|$WORK/Corefile|")
    expect "the arguments" "-localip $LOCAL_IP -conf $WORK/Corefile -upstreamsvc coredns" "${words[*]}"
    launch "${words[@]}"
    await_answers || return 0
    eventually 3 is_ready || complain "/ready" OK "$(page node "http://$LOCAL_IP:8181/ready")"
    expect "/health" OK "$(page node "http://$LOCAL_IP:9254/health")"
    expect "a Service" "myweb-svc.default.svc.cluster.local. A 10.233.18.231" "$(answers pod1 +search myweb-svc)"
}
