# shellcheck shell=bash
# Start and stop of a cluster: killing the first process of its namespaces kills everything in them.

# process_identity PID: PID, start time and boot ID: unique even if the PID is reused.
process_identity() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The name, in parentheses, may contain blanks; the start time is 20 fields behind it.
    stat=${stat##*) }
    [[ $stat != Z* ]] || return 1
    echo "$1 $(cut -d' ' -f20 <<<"$stat") $(</proc/sys/kernel/random/boot_id)"
}

# is_alive FILE: the process whose identity is in the file still runs.
is_alive() {
    [[ -s $1 ]] && [[ $(process_identity "$(cut -d' ' -f1 "$1")") == "$(<"$1")" ]]
}

is_running() { is_alive "$STATE/pid"; }

require_running() { is_running || fail "no cluster runs in $STATE; start one with: scripts/cluster up"; }

in_cluster() { # in_cluster COMMAND...: runs a command in the cluster's namespaces
    (($# > 0)) || usage
    require_running
    KUBECONFIG=$STATE/admin.conf PATH=$BIN:$PATH nsenter -a -t "$(cut -d' ' -f1 "$STATE/pid")" env -C "$PWD" "$@"
}

# Only a folder of a cluster, or an empty one, may be removed.
is_state_folder() { [[ -e $STATE/.cluster || ! -e $STATE || (-d $STATE && -z $(ls -A "$STATE")) ]]; }

# A cluster left running on purpose is kept; one whose starter was killed is removed.
reject_or_clean_up() {
    if is_alive "$STATE/owner"; then
        fail "process $(cut -d' ' -f1 "$STATE/owner") is using $STATE; CLUSTER_NAME=another starts one beside it"
    elif is_running && [[ ! -e $STATE/owner ]]; then
        fail "a cluster runs in $STATE already; end it with: scripts/cluster down"
    fi
    [[ ! -e $STATE ]] || log "removing the remains of a killed run"
    end_cluster
}

# Until keep_running, the cluster is stopped when this script exits.
acquire_state() {
    check_requirements
    reject_or_clean_up
    mkdir -p "$STATE"
    touch "$STATE/.cluster"
    mkdir "$STATE"/{pki,log,lib,cni,bin}
    process_identity $$ >"$STATE/owner"
    trap end_cluster EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    check_capacity
}

# From here on the cluster keeps running after this script.
keep_running() {
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
        process_identity "$starter" >/dev/null || fail_with_log "the namespaces cannot be created"
        sleep 0.02
    done
    process_identity "$first" >"$STATE/pid"
    join_leaf "$starter" "$first"
}

start_cluster() {
    write_certificates
    write_container_configuration
    write_node_configuration
    make_cgroups
    start_namespaces
    log "namespaces, certificates and configuration"
    wait_for 60 in_cluster ctr version
    make_base_images
    log "images of CoreDNS and a client built and imported"
    wait_for 120 in_cluster kubectl get node node1
    log "API server responds, node registered"
    wait_for 120 in_cluster kubectl wait --for=condition=Ready node/node1 --timeout=1s
    log "node Ready"
    wait_for 60 in_cluster kubectl apply -f "$HERE/manifests/coredns.yaml"
    in_cluster kubectl -n kube-system rollout status deployment/coredns --timeout=120s >/dev/null ||
        fail_with_log "CoreDNS does not become ready"
    log "CoreDNS ready"
}

# end_cluster: stops the cluster if it runs, and removes everything of this name and state folder.
end_cluster() {
    local first
    is_state_folder || fail "$STATE is not the state folder of a cluster: set STATE to another"
    trap '' INT TERM HUP
    if is_running; then
        first=$(cut -d' ' -f1 "$STATE/pid")
        kill -KILL "$first"
        while process_identity "$first" >/dev/null; do sleep 0.02; done
    fi
    rm -rf "$STATE"
    rmdir "$ROOT/target/cluster" 2>/dev/null || true
    remove_cgroups
}
