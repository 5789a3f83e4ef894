# shellcheck shell=bash
# Environment variables, and the addresses of the cluster (inside its own network namespace).

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Name of the state folder and of the cgroups: clusters with different names run side by side.
CLUSTER_NAME=${CLUSTER_NAME:-node}
# Folder for everything that the cluster writes, about 400 MB; not on overlayfs.
STATE=${STATE:-$ROOT/target/cluster/$CLUSTER_NAME}
STATE=$(realpath -m "$STATE")
# A built scripts/cluster.d/onenode, or its .xz; default: build it.
KUBERNETES=${KUBERNETES:-}
# Our static binary; default: scripts/image builds it.
NODELOCALDNS=${NODELOCALDNS:-}
# A CoreDNS binary; default: scripts/coredns builds it.
COREDNS=${COREDNS:-}
# Mode of kube-proxy: iptables or nftables.
PROXY_MODE=${PROXY_MODE:-iptables}
# Nameserver that the kubelet writes into the resolv.conf of pods.
CLUSTER_DNS=${CLUSTER_DNS:-169.254.25.10}
# Default overlay of the full run and of apply.
OVERLAY=${OVERLAY:-$ROOT/daemonset/overlays/kubespray}
export CLUSTER_NAME STATE KUBERNETES NODELOCALDNS COREDNS PROXY_MODE CLUSTER_DNS PATH

readonly NODE_IP=172.30.0.1
# The node's resolver: a CoreDNS that answers external names.
readonly EXTERNAL_DNS_IP=172.30.0.53
readonly API=https://$NODE_IP:6443
readonly PKI=$STATE/pki LOG=$STATE/log BIN=$STATE/bin
# Includes the state folder, so that equal names in two checkouts do not collide.
CGROUP=nodelocaldns-$CLUSTER_NAME-$(printf '%s' "$STATE" | sha256sum | cut -c1-8)
readonly CGROUP
# The programs in the Kubernetes binary.
readonly PROGRAMS="kubectl kubelet kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd"
