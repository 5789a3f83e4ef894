# shellcheck shell=bash
# Requirements on the machine; each missing one is reported in one line.

readonly REQUIRED_COMMANDS="containerd ctr runc ip nft iptables busybox dig host nslookup getent openssl gcc musl-gcc nsenter unshare findmnt pgrep sysctl xz tar"
readonly CNI_PLUGINS=/usr/lib/cni
# Free disk space of the state folder and free memory, in MB; the cluster uses half of each.
readonly DISK_NEEDED=1000 MEMORY_NEEDED=1000

missing_commands() {
    local command missing=()
    for command in $REQUIRED_COMMANDS; do command -v "$command" >/dev/null || missing+=("$command"); done
    [[ -x $CNI_PLUGINS/bridge ]] || missing+=("$CNI_PLUGINS/bridge")
    echo "${missing[*]}"
}

check_requirements() {
    [[ $(uname -sm) == "Linux x86_64" ]] || fail "the images are for Linux on x86-64, and this is $(uname -sm)"
    [[ $PROXY_MODE == iptables || $PROXY_MODE == nftables ]] || fail "PROXY_MODE is iptables or nftables, not $PROXY_MODE"
    reject_hidden_paths "$ROOT" "$STATE"
    if [[ -n $(missing_commands) ]]; then
        log "installing what is missing: $(missing_commands)"
        "$ROOT/scripts/install-tools" || fail "missing: $(missing_commands)"
        [[ -z $(missing_commands) ]] || fail "missing: $(missing_commands)"
    fi
    check_kernel
}

check_toolchains() {
    [[ -n $KUBERNETES && -n $COREDNS ]] || command -v go >/dev/null ||
        fail "go is missing: install Go 1.25 or later, https://go.dev/doc/install, or give KUBERNETES and COREDNS"
    [[ -n $NODELOCALDNS ]] || command -v cargo >/dev/null ||
        fail "cargo is missing: install Rust, https://rustup.rs, or give NODELOCALDNS"
}

# reject_hidden_paths PATH...: the node mounts its own folders there, so these paths are hidden.
reject_hidden_paths() {
    local path
    for path; do
        case $(realpath -m "$path")/ in
        /run/* | /var/lib/* | /var/log/* | /sys/* | /proc/*) fail "$path is hidden by a mount of the node: use another path" ;;
        esac
    done
}

check_kernel() {
    local missing problem
    missing=$(missing_controllers | paste -sd' ')
    [[ -z $missing ]] || fail "control groups of version $CGROUP_VERSION at $CGROUPS lack: $missing"
    problem=$(unshare --mount --net --uts --ipc --pid --cgroup --fork true 2>&1) || fail "no namespaces: $problem"
    if [[ ! -e /proc/sys/net/bridge ]] && modprobe br_netfilter 2>/dev/null; then
        log "kernel module br_netfilter loaded; it stays loaded"
    fi
    missing=$(unshare --mount --net "$ROOT/scripts/cluster" .kernel)
    [[ -z $missing ]] || fail "the kernel, or the permissions of this process, lack ${missing//$'\n'/, }"
}

check_capacity() {
    local disk memory
    disk=$(df --output=avail -m "$STATE" | tail -n 1)
    ((disk >= DISK_NEEDED)) || fail "$STATE has $disk MB left, and the cluster needs $DISK_NEEDED: set STATE"
    memory=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo) / 1000))
    ((memory >= MEMORY_NEEDED)) || fail "$memory MB of memory are available, and the cluster needs $MEMORY_NEEDED"
    mkdir "$STATE/overlay-test" "$STATE/overlay-test"/{lower,upper,work,merged}
    unshare --mount mount -t overlay -o "lowerdir=$STATE/overlay-test/lower,upperdir=$STATE/overlay-test/upper,workdir=$STATE/overlay-test/work" \
        overlay "$STATE/overlay-test/merged" 2>/dev/null || fail "overlayfs does not work in $STATE ($(stat -f -c %T "$STATE")): set STATE"
    rm -rf "$STATE/overlay-test"
}

# In a new network namespace: prints the features of pods, kube-proxy and our rules that are
# missing.
list_missing_kernel_features() {
    # check_feature NAME COMMAND...
    check_feature() { "${@:2}" >/dev/null 2>&1 || echo "$1"; }
    check_feature "links of type veth" ip link add test0 type veth peer name test1
    check_feature "links of type bridge" ip link add test2 type bridge
    check_feature "br_netfilter" test -e /proc/sys/net/bridge/bridge-nf-call-iptables
    check_feature "nf_tables" nft add table inet test
    check_feature "notrack in nf_tables" nft 'add chain inet test raw { type filter hook prerouting priority raw; }; add rule inet test raw notrack'
    check_feature "masquerading in nf_tables" nft 'add chain inet test nat { type nat hook postrouting priority srcnat; }; add rule inet test nat masquerade'
    check_feature "iptables with nat, comment and MASQUERADE" iptables -w -t nat -A POSTROUTING -m comment --comment test -j MASQUERADE
    check_feature "iptables with conntrack" iptables -w -A INPUT -m conntrack --ctstate NEW -j ACCEPT
    check_feature "iptables with statistic" iptables -w -A INPUT -m statistic --mode random --probability 0.5 -j ACCEPT
}
