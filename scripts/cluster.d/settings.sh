# shellcheck shell=bash
# What a user may set, and the addresses of the cluster, which lie in a network namespace and can meet nobody else's.

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Names the folder of the state and of the cgroups: clusters of different names run side by side.
CLUSTER_NAME=${CLUSTER_NAME:-node}
# Folder of everything that the cluster writes, about 400 MB; not on an overlay file system.
STATE=${STATE:-$ROOT/target/cluster/$CLUSTER_NAME}
STATE=$(realpath -m "$STATE")
# A built scripts/cluster.d/onenode, or its .xz: then nothing is built.
KUBERNETES=${KUBERNETES:-}
# Our static binary; without it scripts/image builds one.
NODELOCALDNS=${NODELOCALDNS:-}
# Without it scripts/coredns builds one.
COREDNS=${COREDNS:-}
# kube-proxy's: iptables or nftables.
PROXY_MODE=${PROXY_MODE:-iptables}
# What the kubelet writes into the resolv.conf of pods.
CLUSTER_DNS=${CLUSTER_DNS:-169.254.25.10}
# The manifests that the full run and a bare apply install.
OVERLAY=${OVERLAY:-$ROOT/daemonset/overlays/kubespray}
export CLUSTER_NAME STATE KUBERNETES NODELOCALDNS COREDNS PROXY_MODE CLUSTER_DNS PATH

readonly NODE_IP=172.30.0.1
# The resolver of the node: a CoreDNS that plays the world outside.
readonly WORLD_IP=172.30.0.53
readonly API=https://$NODE_IP:6443
readonly PKI=$STATE/pki LOG=$STATE/log BIN=$STATE/bin
# The state folder is in it, so that equal names in two checkouts are two clusters.
CGROUP=nodelocaldns-$CLUSTER_NAME-$(printf '%s' "$STATE" | sha256sum | cut -c1-8)
readonly CGROUP
# What Kubernetes is one binary of.
readonly PROGRAMS="kubectl kubelet kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd"
