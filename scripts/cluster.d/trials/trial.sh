# shellcheck shell=bash
# What every trial begins with: the cluster it talks to, what it counts, and waiting with a bound. Sourced.
#
# From scripts/cluster: CLUSTER, its path; STATE; PROXY_MODE; NODELOCALDNS, our static binary. From the user, for comparison:
# NODE_CACHE and NODE_LOCAL_DNS, paths of static binaries of the incumbents; KEEP, to try what is installed and leave it so.

TRIALS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
: "${CLUSTER:=$(realpath "$TRIALS/../../cluster")}" "${PROXY_MODE:=iptables}"
export CLUSTER PROXY_MODE
# Where the cache answers in the overlay and in the add-on alike.
# shellcheck disable=SC2034 # not every trial asks both
readonly LOCAL_IP=169.254.25.10 CLUSTER_IP=10.96.0.10
WORK=$(mktemp -d)
readonly TRIALS WORK

passed=0
failed=0
# What choose sets: what is tried, its DaemonSet, and the name of its process.
subject='' daemonset='' process=''

# shellcheck source=scripts/cluster.d/trials/load.sh
source "$TRIALS/load.sh"
# shellcheck source=scripts/cluster.d/trials/subjects.sh
source "$TRIALS/subjects.sh"

clean_up() {
    end_all_loads
    rm -rf "$WORK"
}
trap clean_up EXIT
trap 'echo "${0##*/}: failed in line $LINENO: $BASH_COMMAND" >&2' ERR
trap 'exit 130' INT
trap 'exit 143' TERM

inside() { "$CLUSTER" in "$@"; }
kube() { "$CLUSTER" in kubectl "$@"; }
system() { "$CLUSTER" in kubectl --namespace kube-system "$@"; }

# now: ms since 1970, as the probe counts.
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
        echo "    not so: $what"
    fi
}

# at_most LIMIT NUMBER: numbers with a fraction too; what is no number is above any limit.
at_most() { awk -v limit="$1" -v number="$2" 'BEGIN { exit !(number ~ /^-?[0-9.]+$/ && number + 0 <= limit + 0) }'; }
at_least() { awk -v limit="$1" -v number="$2" 'BEGIN { exit !(number ~ /^-?[0-9.]+$/ && number + 0 >= limit + 0) }'; }
equal() { [[ $1 == "$2" ]]; }

eventually() { # eventually SECONDS COMMAND...: runs it until it succeeds; fails when it does not in that time
    local deadline=$(($(now) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        (($(now) < deadline)) || return 1
        sleep 0.05
    done
}

# finish [WORDS]: the closing line, and the exit status.
finish() {
    echo "${0##*/}${1:+ ($1)}: $passed passed, $failed failed"
    ((failed == 0 && passed > 0))
}
