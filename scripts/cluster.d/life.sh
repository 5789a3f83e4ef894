# shellcheck shell=bash
# Start and end of a cluster: one process is the first of all its namespaces, and its end is the end of everything in them.

# identity PID: a number is given again, but not together with its start time in the same boot.
identity() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The name, in brackets, may hold blanks. Then 20 fields on, in clock ticks since boot.
    stat=${stat##*) }
    [[ $stat != Z* ]] || return 1
    echo "$1 $(cut -d' ' -f20 <<<"$stat") $(</proc/sys/kernel/random/boot_id)"
}

# is_alive FILE: the process that wrote its identity there still runs.
is_alive() {
    [[ -s $1 ]] && [[ $(identity "$(cut -d' ' -f1 "$1")") == "$(<"$1")" ]]
}

is_running() { is_alive "$STATE/pid"; }

need_running() { is_running || fail "no cluster runs in $STATE; start one with: scripts/cluster up"; }

inside() { # inside COMMAND...: in all of the cluster's namespaces
    (($# > 0)) || usage
    need_running
    KUBECONFIG=$STATE/admin.conf PATH=$BIN:$PATH nsenter -a -t "$(cut -d' ' -f1 "$STATE/pid")" env -C "$PWD" "$@"
}

# A folder with anything else in it is not ours to remove.
is_ours() { [[ -e $STATE/.cluster || ! -e $STATE || (-d $STATE && -z $(ls -A "$STATE")) ]]; }

# A cluster that someone left running on purpose is not ours to end; one whose starter was killed is.
refuse_or_clean() {
    if is_alive "$STATE/owner"; then
        fail "process $(cut -d' ' -f1 "$STATE/owner") is using $STATE; CLUSTER_NAME=another starts one beside it"
    elif is_running && [[ ! -e $STATE/owner ]]; then
        fail "a cluster runs in $STATE already; end it with: scripts/cluster down"
    fi
    [[ ! -e $STATE ]] || say "a killed run has left things behind: cleaning up"
    end_cluster
}

# Whatever happens before the cluster is handed over, it is ended with us.
take_state() {
    check_needs
    refuse_or_clean
    mkdir -p "$STATE"
    touch "$STATE/.cluster"
    mkdir "$STATE"/{pki,log,lib,cni,bin}
    identity $$ >"$STATE/owner"
    trap end_cluster EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    check_room
}

# From here on the cluster outlives this script.
leave_running() {
    rm "$STATE/owner"
    trap - EXIT INT TERM HUP
}

start_namespaces() {
    local starter first
    (
        join_cgroups "$BASHPID"
        exec setsid unshare --mount --net --uts --ipc --pid --cgroup --fork --mount-proc --kill-child \
            "$ROOT/scripts/cluster" .node </dev/null >"$LOG/node.log" 2>&1
    ) &
    starter=$!
    until first=$(pgrep -P "$starter" -f '/scripts/cluster .node'); do
        identity "$starter" >/dev/null || fail_with_log "the namespaces cannot be made"
        sleep 0.02
    done
    identity "$first" >"$STATE/pid"
    join_leaf "$starter" "$first"
}

start_cluster() {
    write_certificates
    write_container_configuration
    write_node_configuration
    make_cgroups
    start_namespaces
    say "namespaces, certificates and configuration"
    wait_for 60 inside ctr version
    make_base_images
    say "images of CoreDNS and a client built and imported"
    wait_for 120 inside kubectl get node node1
    say "API server answers, node registered"
    wait_for 120 inside kubectl wait --for=condition=Ready node/node1 --timeout=1s
    say "node Ready"
    wait_for 60 inside kubectl apply -f "$HERE/manifests/coredns.yaml"
    inside kubectl -n kube-system rollout status deployment/coredns --timeout=120s >/dev/null ||
        fail_with_log "CoreDNS does not become ready"
    say "CoreDNS ready"
}

# end_cluster: ends it if it runs, and removes whatever one of this name and state folder can have left.
end_cluster() {
    local first
    is_ours || fail "$STATE is not the state folder of a cluster: set STATE to another"
    trap '' INT TERM HUP
    if is_running; then
        first=$(cut -d' ' -f1 "$STATE/pid")
        kill -KILL "$first"
        while identity "$first" >/dev/null; do sleep 0.02; done
    fi
    rm -rf "$STATE"
    rmdir "$ROOT/target/cluster" 2>/dev/null || true
    remove_cgroups
}
