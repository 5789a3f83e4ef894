# shellcheck shell=bash
# Test subjects: our DaemonSet as shipped, or an incumbent with the official add-on's manifest.
# Sourced by trial.sh.

# The subjects with a binary.
available_subjects() {
    echo ours
    [[ -z ${NODE_CACHE:-} ]] || echo node-cache
    [[ -z ${NODE_LOCAL_DNS:-} ]] || echo node-local-dns
}

# select_subject SUBJECT: sets daemonset and process, the process name.
select_subject() {
    subject=$1
    case $subject in
    ours) daemonset=nodelocaldns process=nodelocaldns ;;
    node-cache | node-local-dns) daemonset=node-local-dns process=$subject ;;
    *) die "no subject $subject: ours, node-cache or node-local-dns" ;;
    esac
}

incumbent_binary() { # incumbent_binary SUBJECT
    local path=${NODE_CACHE:-}
    [[ $1 == node-cache ]] || path=${NODE_LOCAL_DNS:-}
    [[ -x $path ]] || die "$1: set $([[ $1 == node-cache ]] && echo NODE_CACHE || echo NODE_LOCAL_DNS) to the path of its static binary"
    echo "$path"
}

# incumbent_image SUBJECT: with iptables and its libraries; prints its name.
incumbent_image() {
    local binary
    binary=$(incumbent_binary "$1")
    "$CLUSTER" image "$1" "$binary:/$1" /usr/sbin/iptables /usr/sbin/iptables-save /usr/sbin/iptables-restore \
        /usr/lib/x86_64-linux-gnu/xtables >/dev/null
    echo "localhost/$1:1"
}

has_dummy() {
    in_cluster ip link add trial-dummy type dummy 2>/dev/null && in_cluster ip link delete trial-dummy
}

addon() { # addon IMAGE: the official manifest
    local drop=()
    ! has_dummy || drop=(-e '/begin: without dummy/,/end: without dummy/d')
    sed "${drop[@]}" -e "s|IMAGE|$1|" "$TRIALS/addon.yaml"
}

# The subject that install has installed and remove has not removed.
installed=''

# install SUBJECT: as an operator installs it; waits until it serves. With KEEP, an installation
# that serves already is used, and kept.
install() {
    select_subject "$1"
    if [[ -n ${KEEP:-} ]] && rolled_out 5 && serves "$LOCAL_IP"; then return; fi
    installed=$1
    if [[ $1 == ours ]]; then
        "$CLUSTER" apply >/dev/null
    else
        addon "$(incumbent_image "$1")" | kube apply -f - >/dev/null
        rolled_out 60
    fi
    eventually 20 serves "$LOCAL_IP" || die "$1 does not answer on $LOCAL_IP"
}

remove() { # the installed subject, with all objects of its manifest
    [[ -z ${KEEP:-} && -n $installed ]] || return 0
    installed=
    if [[ $subject == ours ]]; then
        "$CLUSTER" in kubectl delete --kustomize "$TRIALS/../../../daemonset/overlays/kubespray" >/dev/null
    else
        kube delete -f "$TRIALS/addon.yaml" >/dev/null
    fi
    eventually 60 no_pods || die "pods of $subject do not terminate"
    [[ $subject == ours ]] || remove_remains
}

# A killed incumbent leaves the link of the add-on's init container, and each one the table that
# iptables has created for its rules. Ours leaves nothing.
remove_remains() {
    in_cluster ip link delete nodelocaldns 2>/dev/null || true
    grep -q '^table ip raw {' "$WORK/before/nft" || in_cluster nft delete table ip raw 2>/dev/null || true
}

no_pods() { [[ -z $(pods) ]]; }
pods() { system get pods --selector k8s-app=node-local-dns --output jsonpath='{range .items[*]}{.metadata.name}{"\n"}{end}'; }
restarts() { system get pods --selector k8s-app=node-local-dns --output jsonpath='{.items[*].status.containerStatuses[0].restartCount}'; }
serves() { in_cluster dig +tries=1 +timeout=1 +short "@$1" 10-0-0-1.default.pod.cluster.local | grep -qx 10.0.0.1; }
rolled_out() { system rollout status "daemonset/$daemonset" --timeout="$1s" >/dev/null; }
# PID of the oldest process that serves, if two run side by side: the first process of our container is
# the parent of the one that does.
process_number() {
    local number child
    number=$(in_cluster pgrep --exact --oldest "$process") || return 1
    child=$(in_cluster pgrep --exact --oldest --parent "$number" "$process") || child=$number
    echo "$child"
}

metrics() { in_cluster busybox wget -qO- http://127.0.0.1:9253/metrics; }

# cache_counters: hits and requests of all caches, and the start time of the process.
cache_counters() {
    metrics | awk '/^coredns_cache_hits_total[{ ]/ { hits += $NF } /^coredns_cache_requests_total[{ ]/ { requests += $NF }
        /^process_start_time_seconds / { start = $NF } END { printf "%d %d %s\n", hits, requests, start }'
}
requests_of() { cut -d' ' -f2 <<<"$1"; }

# hit_ratio COUNTERS COUNTERS: between two samples, in per cent. A new process is counted from its
# start: it must have its predecessor's entries at once.
hit_ratio() {
    awk -v a="$1" -v b="$2" 'BEGIN { split(a, x); split(b, y); if (x[3] != y[3]) x[1] = x[2] = 0
        hits = y[1] - x[1]; all = y[2] - x[2]; if (all > 0) printf "%.2f\n", 100 * hits / all; else print "-" }'
}
