# shellcheck shell=bash
# The state of the node that a DNS cache changes, recorded and compared. Sourced by trial.sh.

readonly PARTS="links addresses routes rules nft iptables sockets files"

# Counters are removed: they are not state.
part() {
    case $1 in
    links) in_cluster ip -o link show | sed -E 's/^[0-9]+: //; s/ link-netns .*//; s/@if[0-9]+//' ;;
    addresses) in_cluster ip -o addr show | sed -E 's/^[0-9]+: //' ;;
    routes) in_cluster ip route show table all; in_cluster ip -6 route show table all ;;
    rules) in_cluster ip rule show; in_cluster ip -6 rule show ;;
    nft) in_cluster nft list ruleset 2>/dev/null | sed -E 's/packets [0-9]+ bytes [0-9]+/packets bytes/; s/expires [0-9smh]+//' ;;
    iptables) { in_cluster iptables-save; in_cluster ip6tables-save; } 2>/dev/null | sed -E '/^#/d; s/\[[0-9]+:[0-9]+\]//' ;;
    # Only listening sockets: connected ones depend on clients.
    sockets) in_cluster ss -Hlntu | awk '{ print $1, $5 }'; in_cluster ss -Hlx | awk '{ print $5 }' | grep nodelocaldns ;;
    # The kubelet creates the folder of a hostPath volume and never removes it; it must be empty.
    files) in_cluster find /run/nodelocaldns /run/xtables.lock -mindepth 1 2>/dev/null ;;
    esac | sort
}

record() { # record FOLDER
    local one
    mkdir -p "$1"
    for one in $PARTS; do part "$one" >"$1/$one" || true; done
}

# await_stable_state FOLDER: waits for kube-proxy: two records in a row must be equal.
await_stable_state() {
    record "$1"
    eventually 30 is_stable "$1" || die "the node's state keeps changing"
}
is_stable() {
    sleep 1
    rm -rf "$1.last"
    mv "$1" "$1.last"
    record "$1"
    diff -r "$1" "$1.last"
}

is_restored() { [[ $(part "$1") == "$(<"$WORK/before/$1")" ]]; }

# record_node: the node without a node-local cache, to be compared at the end.
record_node() {
    no_pods || die "pods of a node-local cache run already, which KEEP=yes would use: $(pods | paste -sd" ")"
    await_stable_state "$WORK/before"
}

# compare_node: kube-proxy removes its rules later than the API server its objects.
compare_node() {
    local one
    for one in $PARTS; do
        eventually 30 is_restored "$one" || true
        part "$one" >"$WORK/after.$one" || true
        require "$one as before" diff "$WORK/before/$one" "$WORK/after.$one"
    done
}
