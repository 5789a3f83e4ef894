# shellcheck shell=bash
# Set-up of every trial: the cluster, counted requirements, bounded waiting. Sourced.
#
# A trial leaves the node as it was, also when it fails: what it has installed is removed when it
# exits, and finish compares the node with its state before.
#
# From scripts/cluster: CLUSTER, its path; STATE; PROXY_MODE; NODELOCALDNS, our static binary. From
# the user: NODE_CACHE and NODE_LOCAL_DNS, paths of static binaries of the incumbents, for
# comparison; KEEP, to use and keep an existing installation.

TRIALS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
: "${CLUSTER:=$(realpath "$TRIALS/../../cluster")}" "${PROXY_MODE:=iptables}"
export CLUSTER PROXY_MODE
# Addresses of the cache in the overlay and in the add-on.
# shellcheck disable=SC2034 # not every trial uses both
readonly LOCAL_IP=169.254.25.10 CLUSTER_IP=10.96.0.10
WORK=$(mktemp -d)
readonly TRIALS WORK

passed=0
failed=0
# Set by select_subject: the subject, its DaemonSet, and its process name.
subject='' daemonset='' process=''
# Commands that clean_up runs first.
at_exit=()

# shellcheck source=scripts/cluster.d/trials/load.sh
source "$TRIALS/load.sh"
# shellcheck source=scripts/cluster.d/trials/subjects.sh
source "$TRIALS/subjects.sh"
# shellcheck source=scripts/cluster.d/trials/node_state.sh
source "$TRIALS/node_state.sh"

clean_up() {
    local command
    for command in "${at_exit[@]}"; do "$command" || true; done
    stop_all_loads
    remove || true
    remove_load_pod || true
    rm -rf "$WORK"
}
trap clean_up EXIT
trap 'echo "${0##*/}: failed in line $LINENO: $BASH_COMMAND" >&2' ERR
trap 'exit 130' INT
trap 'exit 143' TERM

in_cluster() { "$CLUSTER" in "$@"; }
kube() { "$CLUSTER" in kubectl "$@"; }
system() { "$CLUSTER" in kubectl --namespace kube-system "$@"; }

# now: ms since 1970, as in the results of loadgen.
now() { echo $((${EPOCHREALTIME//[!0-9]/} / 1000)); }

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

require() { # require WHAT COMMAND...: counts whether it succeeds
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "    failed: $what"
    fi
}

# at_most LIMIT NUMBER: also for fractions; false for anything that is not a number.
at_most() { awk -v limit="$1" -v number="$2" 'BEGIN { exit !(number ~ /^-?[0-9.]+$/ && number + 0 <= limit + 0) }'; }
at_least() { awk -v limit="$1" -v number="$2" 'BEGIN { exit !(number ~ /^-?[0-9.]+$/ && number + 0 >= limit + 0) }'; }
equal() { [[ $1 == "$2" ]]; }

eventually() { # eventually SECONDS COMMAND...: retries until it succeeds; fails after SECONDS
    local deadline=$(($(now) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        (($(now) < deadline)) || return 1
        sleep 0.05
    done
}

node_restored=''
# restore_node: removes what the trial has installed and compares the node with before, once.
restore_node() {
    [[ -z $node_restored ]] || return 0
    node_restored=yes
    remove
    remove_load_pod
    [[ -n ${KEEP:-} ]] || compare_node
}

# finish [TITLE]: restores the node and prints the last line; the exit status.
finish() {
    restore_node
    echo "${0##*/}${1:+ ($1)}: $passed passed, $failed failed"
    ((failed == 0 && passed > 0))
}

[[ -n ${KEEP:-} ]] || record_node
