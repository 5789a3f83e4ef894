# shellcheck shell=bash
# What the cluster needs of the machine, said in one line where it is missing.

readonly NEEDED="containerd ctr runc ip nft iptables busybox dig host nslookup getent openssl gcc musl-gcc nsenter unshare findmnt pgrep sysctl xz tar"
readonly CNI_PLUGINS=/usr/lib/cni
# Of the state folder's file system and of memory, in MB: the cluster takes half of each.
readonly DISK_NEEDED=1000 MEMORY_NEEDED=1000

missing_commands() {
    local command missing=()
    for command in $NEEDED; do command -v "$command" >/dev/null || missing+=("$command"); done
    [[ -x $CNI_PLUGINS/bridge ]] || missing+=("$CNI_PLUGINS/bridge")
    echo "${missing[*]}"
}

check_needs() {
    [[ $(uname -sm) == "Linux x86_64" ]] || fail "the images are for Linux on x86-64, and this is $(uname -sm)"
    [[ $PROXY_MODE == iptables || $PROXY_MODE == nftables ]] || fail "PROXY_MODE is iptables or nftables, not $PROXY_MODE"
    refuse_hidden "$ROOT" "$STATE"
    if [[ -n $(missing_commands) ]]; then
        say "installing what is missing: $(missing_commands)"
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

# refuse_hidden PATH...: the node has these folders for itself, so what lies there is not seen inside.
refuse_hidden() {
    local path
    for path; do
        case $(realpath -m "$path")/ in
        /run/* | /var/lib/* | /var/log/* | /sys/* | /proc/*) fail "$path lies where the node has folders of its own: it must be elsewhere" ;;
        esac
    done
}

check_kernel() {
    local missing problem
    missing=$(missing_controllers | paste -sd' ')
    [[ -z $missing ]] || fail "control groups of version $CGROUP_VERSION at $CGROUPS lack: $missing"
    problem=$(unshare --mount --net --uts --ipc --pid --cgroup --fork true 2>&1) || fail "no namespaces: $problem"
    if [[ ! -e /proc/sys/net/bridge ]] && modprobe br_netfilter 2>/dev/null; then
        say "kernel module br_netfilter loaded; it stays"
    fi
    missing=$(unshare --mount --net "$ROOT/scripts/cluster" .kernel)
    [[ -z $missing ]] || fail "the kernel, or our rights, lack ${missing//$'\n'/, }"
}

check_room() {
    local disk memory
    disk=$(df --output=avail -m "$STATE" | tail -n 1)
    ((disk >= DISK_NEEDED)) || fail "$STATE has $disk MB left, and the cluster wants $DISK_NEEDED: set STATE"
    memory=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo) / 1000))
    ((memory >= MEMORY_NEEDED)) || fail "$memory MB of memory are available, and the cluster wants $MEMORY_NEEDED"
    mkdir "$STATE/probe" "$STATE/probe"/{lower,upper,work,merged}
    unshare --mount mount -t overlay -o "lowerdir=$STATE/probe/lower,upperdir=$STATE/probe/upper,workdir=$STATE/probe/work" \
        overlay "$STATE/probe/merged" 2>/dev/null || fail "no overlay file system can lie in $STATE ($(stat -f -c %T "$STATE")): set STATE"
    rm -rf "$STATE/probe"
}

# In a network namespace of its own: prints what pods, kube-proxy and our rules could not do with this kernel.
probe_kernel() {
    # lacks WHAT COMMAND...
    lacks() { "${@:2}" >/dev/null 2>&1 || echo "$1"; }
    lacks "links of type veth" ip link add probe0 type veth peer name probe1
    lacks "links of type bridge" ip link add probe2 type bridge
    lacks "br_netfilter" test -e /proc/sys/net/bridge/bridge-nf-call-iptables
    lacks "nf_tables" nft add table inet probe
    lacks "notrack in nf_tables" nft 'add chain inet probe raw { type filter hook prerouting priority raw; }; add rule inet probe raw notrack'
    lacks "masquerading in nf_tables" nft 'add chain inet probe nat { type nat hook postrouting priority srcnat; }; add rule inet probe nat masquerade'
    lacks "iptables with nat, comment and MASQUERADE" iptables -w -t nat -A POSTROUTING -m comment --comment probe -j MASQUERADE
    lacks "iptables with conntrack" iptables -w -A INPUT -m conntrack --ctstate NEW -j ACCEPT
    lacks "iptables with statistic" iptables -w -A INPUT -m statistic --mode random --probability 0.5 -j ACCEPT
}
