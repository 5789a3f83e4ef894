# shellcheck shell=bash
# Two pods, an IPv6 pod, a node, the CoreDNS pod and the world outside, as network namespaces. Pods hang on routed veths without
# addresses at the node's end, as Calico makes them; kubespray's address ranges.

readonly LOCAL_IP=169.254.25.10 LOCAL_IP6=fd00:25::10
readonly NODE_IP=203.0.113.10 OUTSIDE_IP=203.0.113.53
# The Service that the cache asks, as kubespray names it, and the one that pods ask where the cache stands in for it.
readonly COREDNS_SERVICE=10.233.0.3 DNS_SERVICE=10.233.0.10
readonly COREDNS_POD=10.233.65.2 PODS=10.233.64.0/18
readonly SLOW_PORT=5353

readonly RUN_ID=$$
namespaces=()

# A namespace's files in /etc/netns are laid over those in /etc by ip netns exec.
make_namespace() { # make_namespace NAME RESOLV_CONF_LINE...
    local name=$1-$RUN_ID
    shift
    ip netns add "$name"
    namespaces+=("$name")
    ip -n "$name" link set lo up
    mkdir -p "/etc/netns/$name"
    printf '%s\n' "$@" >"/etc/netns/$name/resolv.conf"
    [[ ! -e /etc/nsswitch.conf ]] || echo 'hosts: files dns' >"/etc/netns/$name/nsswitch.conf"
}

inside() { # inside NAME COMMAND...
    local name=$1-$RUN_ID
    shift
    ip netns exec "$name" "$@"
}

node_setting() { # node_setting PATH VALUE
    inside node sh -c "echo $2 >/proc/sys/net/$1"
}

make_pod() { # make_pod NAME IPV4 IPV6 RESOLV_CONF_LINE...
    local name=$1 ip4=$2 ip6=$3
    shift 3
    make_namespace "$name" "$@"
    ip link add eth0 netns "$name-$RUN_ID" type veth peer name "cali-$name" netns "node-$RUN_ID"
    ip -n "$name-$RUN_ID" address add "$ip4/32" dev eth0
    ip -n "$name-$RUN_ID" address add "$ip6/128" dev eth0 nodad
    ip -n "$name-$RUN_ID" link set eth0 up
    ip -n "$name-$RUN_ID" route add 169.254.1.1 dev eth0 scope link
    ip -n "$name-$RUN_ID" route add default via 169.254.1.1 dev eth0
    ip -n "$name-$RUN_ID" route add default via fe80::1 dev eth0
    # One address of its own, as gateway; made by the kernel they would appear at a moment of its choice.
    ip -n "node-$RUN_ID" link set "cali-$name" addrgenmode none
    ip -n "node-$RUN_ID" address add fe80::1/64 dev "cali-$name" nodad
    ip -n "node-$RUN_ID" link set "cali-$name" up
    ip -n "node-$RUN_ID" route add "$ip4/32" dev "cali-$name"
    ip -n "node-$RUN_ID" route add "$ip6/128" dev "cali-$name"
    node_setting "ipv4/conf/cali-$name/proxy_arp" 1
    node_setting "ipv4/neigh/cali-$name/proxy_delay" 0
}

make_outside() {
    make_namespace outside
    ip link add eth0 netns "outside-$RUN_ID" type veth peer name eth0 netns "node-$RUN_ID"
    ip -n "outside-$RUN_ID" address add "$OUTSIDE_IP/24" dev eth0
    ip -n "outside-$RUN_ID" link set eth0 up
    ip -n "node-$RUN_ID" address add "$NODE_IP/24" dev eth0
    ip -n "node-$RUN_ID" link set eth0 addrgenmode none
    ip -n "node-$RUN_ID" link set eth0 up
    ip -n "node-$RUN_ID" route add default via "$OUTSIDE_IP"
    ip -n "outside-$RUN_ID" route add "$PODS" via "$NODE_IP"
}

# The part of kube-proxy: both Services lead to the CoreDNS pod, for pods and for the node itself.
play_kube_proxy() {
    local translate
    printf -v translate 'ip daddr %s %s dport 53 dnat to %s:53\n' \
        "$COREDNS_SERVICE" udp "$COREDNS_POD" "$COREDNS_SERVICE" tcp "$COREDNS_POD" \
        "$DNS_SERVICE" udp "$COREDNS_POD" "$DNS_SERVICE" tcp "$COREDNS_POD"
    inside node nft -f - <<EOT
table ip kubeproxy {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        $translate
    }
    chain output {
        type nat hook output priority -100;
        $translate
    }
    chain postrouting {
        type nat hook postrouting priority srcnat;
        ip saddr != $PODS ip daddr $COREDNS_POD masquerade
    }
}
EOT
}

make_topology() {
    local names=svc.cluster.local
    make_namespace node "nameserver $OUTSIDE_IP"
    node_setting ipv4/ip_forward 1
    node_setting ipv6/conf/all/forwarding 1
    make_outside
    make_pod coredns "$COREDNS_POD" fd00:244::2 "nameserver $OUTSIDE_IP"
    make_pod pod1 10.233.64.11 fd00:244::11 "search default.$names $names cluster.local" "nameserver $LOCAL_IP" 'options ndots:5'
    make_pod pod2 10.233.64.12 fd00:244::12 \
        "search dev.$names $names cluster.local default.$names" "nameserver $LOCAL_IP" 'options ndots:5'
    make_pod pod6 10.233.64.16 fd00:244::16 "search default.$names $names cluster.local" "nameserver $LOCAL_IP6" 'options ndots:5'
    play_kube_proxy
    eventually 10 carriers_are_up || fail_setup "the node's links do not come up"
}

carriers_are_up() {
    ! inside node ip -oneline link | grep -q NO-CARRIER && node_is_settled
}

remove_topology() {
    local name
    for name in "${namespaces[@]}"; do
        ip netns delete "$name" || true
        rm -rf "/etc/netns/$name"
    done
    rmdir /etc/netns 2>/dev/null || true
}

# Links, addresses, routes and packet filter rules of the node, for comparing before and after. Without what the kernel gives a
# link for IPv6 by itself: it comes when duplicate detection is through and differs with the link's random MAC address.
node_state() {
    inside node ip -oneline link | sed 's/^[0-9]*: \([^:@]*\).*<\([^>]*\)>.*/link \1 \2/'
    {
        inside node ip -oneline address | awk '{ print "address", $2, $4 }'
        inside node ip route show table all | awk '{ print "route", $0 }'
    } | grep -vE 'nodelocaldns.* fe80::| (fe80|ff00)::.* nodelocaldns'
    inside node nft list ruleset
}
