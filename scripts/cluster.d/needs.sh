# shellcheck shell=bash
# What the cluster needs of the machine, said in one line where it is missing.

readonly NEEDED="containerd ctr runc ip nft iptables busybox dig host nslookup getent openssl gcc musl-gcc nsenter unshare findmnt pgrep sysctl xz tar"
CNI_PLUGINS=/usr/lib/cni

missing_commands() {
    local command missing=()
    for command in $NEEDED; do command -v "$command" >/dev/null || missing+=("$command"); done
    [[ -x $CNI_PLUGINS/bridge ]] || missing+=("$CNI_PLUGINS/bridge")
    echo "${missing[*]}"
}

check_needs() {
    [[ $(uname -sm) == "Linux x86_64" ]] || fail "the images are for Linux on x86-64, and this is $(uname -sm)"
    ((EUID == 0)) || fail "namespaces with real control groups need root"
    [[ $PROXY_MODE == iptables || $PROXY_MODE == nftables ]] || fail "PROXY_MODE is iptables or nftables, not $PROXY_MODE"
    if [[ -n $(missing_commands) ]]; then
        say "installing what is missing: $(missing_commands)"
        "$ROOT/scripts/install-tools"
        [[ -z $(missing_commands) ]] || fail "missing: $(missing_commands)"
    fi
    check_kernel
}

check_kernel() {
    local missing
    missing=$(missing_controllers | paste -sd' ')
    [[ -z $missing ]] || fail "control groups lack $missing (version $(cgroup_version) below $CGROUPS)"
    missing=$(unshare --mount --net --uts --ipc --pid --cgroup --fork true 2>&1) || fail "no namespaces: $missing"
}
