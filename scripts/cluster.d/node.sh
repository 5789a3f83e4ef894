# shellcheck shell=bash
# The first process of the cluster's namespaces: sets up the node, starts Kubernetes, reaps
# children.

start() { # start NAME COMMAND...
    local name=$1
    shift
    "$@" >"$LOG/$name.log" 2>&1 &
}

mount_node() {
    local setting file
    mount --make-rshared /
    mount -t sysfs sysfs /sys
    mount_cgroups
    mount -t tmpfs tmpfs /run
    mount --bind "$STATE/lib" /var/lib
    mount --bind "$LOG" /var/log
    # In memory: the data needs no fsync.
    mkdir -p /var/lib/etcd
    mount -t tmpfs tmpfs /var/lib/etcd
    # The kubelet sets these for the whole machine: mount files with the values it expects.
    for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
        file=$STATE/sysctl-$(basename "${setting%=*}")
        echo "${setting#*=}" >"$file"
        mount --bind "$file" "/proc/sys/${setting%=*}"
    done
}

connect_node() {
    hostname node1
    ip link set lo up
    # A veth pair with both ends here: a node address on a link with a carrier.
    ip link add eth0 type veth peer name wire
    ip link set wire up
    ip link set eth0 up
    ip address add "$NODE_IP/24" dev eth0
    ip address add "$EXTERNAL_DNS_IP/32" dev lo
    ip route add default via 172.30.0.254
    sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
}

start_control_plane() {
    start etcd etcd --data-dir /var/lib/etcd/data --listen-client-urls http://127.0.0.1:2379 \
        --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
    start kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address="$NODE_IP" \
        --kubelet-preferred-address-types=InternalIP \
        --service-cluster-ip-range=10.96.0.0/16 --allow-privileged --authorization-mode=Node,RBAC \
        --enable-admission-plugins=NodeRestriction --client-ca-file="$PKI/ca.crt" \
        --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
        --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$PKI/sa.key" \
        --service-account-signing-key-file="$PKI/sa.key" --kubelet-certificate-authority="$PKI/ca.crt" \
        --kubelet-client-certificate="$PKI/admin.crt" --kubelet-client-key="$PKI/admin.key"
    until kubectl --kubeconfig "$STATE/admin.conf" get --raw /readyz >/dev/null 2>&1; do sleep 0.1; done
    start kube-controller-manager kube-controller-manager --kubeconfig="$STATE/controller-manager.conf" \
        --leader-elect=false --root-ca-file="$PKI/ca.crt" --service-account-private-key-file="$PKI/sa.key" \
        --use-service-account-credentials
    start kube-scheduler kube-scheduler --kubeconfig="$STATE/scheduler.conf" --leader-elect=false
}

run_node() {
    PATH=$BIN:$PATH
    mount_node
    connect_node
    start external-dns "$COREDNS" -conf "$STATE/external.Corefile"
    start containerd containerd -c "$STATE/containerd.toml"
    start_control_plane
    start kubelet kubelet --config="$STATE/kubelet.yaml" --kubeconfig="$STATE/kubelet.conf" --node-ip="$NODE_IP"
    start kube-proxy kube-proxy --config="$STATE/kube-proxy.yaml"
    while :; do
        sleep 3600 &
        wait $!
    done
}
