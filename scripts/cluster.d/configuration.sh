# shellcheck shell=bash
# Certificates and configuration files of the cluster, as kubeadm writes them, below $STATE.

certificate() { # certificate NAME SUBJECT [ALTERNATIVE_NAMES]: signed by ca, except ca itself
    local arguments=(-CA "$PKI/ca.crt" -CAkey "$PKI/ca.key")
    [[ $1 != ca ]] || arguments=(-addext "basicConstraints=critical,CA:TRUE")
    [[ -z ${3:-} ]] || arguments+=(-addext "subjectAltName=$3")
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "$2" \
        -config <(printf '[req]\ndistinguished_name=dn\n[dn]\n') -keyout "$PKI/$1.key" -out "$PKI/$1.crt" \
        "${arguments[@]}" 2>/dev/null || fail "openssl cannot make the certificate $1; OpenSSL 3 is needed"
}

kubeconfig() { # kubeconfig NAME
    cat >"$STATE/$1.conf" <<END
apiVersion: v1
kind: Config
current-context: cluster
contexts: [{name: cluster, context: {cluster: cluster, user: $1}}]
clusters: [{name: cluster, cluster: {server: "$API", certificate-authority: "$PKI/ca.crt"}}]
users: [{name: $1, user: {client-certificate: "$PKI/$1.crt", client-key: "$PKI/$1.key"}}]
END
}

write_certificates() {
    local user
    certificate ca /CN=ca
    certificate apiserver /CN=apiserver \
        "IP:$NODE_IP,IP:127.0.0.1,IP:10.96.0.1,DNS:kubernetes,DNS:kubernetes.default.svc"
    certificate admin /O=system:masters/CN=admin
    certificate kubelet /O=system:nodes/CN=system:node:node1 "DNS:node1,IP:$NODE_IP"
    certificate controller-manager /CN=system:kube-controller-manager
    certificate scheduler /CN=system:kube-scheduler
    certificate proxy /CN=system:kube-proxy
    openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/sa.key"
    for user in admin kubelet controller-manager scheduler proxy; do kubeconfig "$user"; done
}

write_container_configuration() {
    # restrict_oom_score_adj: root of a container or small machine may lack CAP_SYS_RESOURCE.
    cat >"$STATE/containerd.toml" <<END
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$CNI_PLUGINS"
    conf_dir = "$STATE/cni"
END
    cat >"$STATE/cni/10-bridge.conflist" <<'END'
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
}

write_node_configuration() {
    # Imported images cannot be pulled again: disable image garbage collection.
    # Thresholds in per cent: the kubelet rejects amounts above a capacity that it does not know yet.
    cat >"$STATE/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$PKI/ca.crt"}}
authorization: {mode: Webhook}
tlsCertFile: "$PKI/kubelet.crt"
tlsPrivateKeyFile: "$PKI/kubelet.key"
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
failSwapOn: false
clusterDNS: [$CLUSTER_DNS]
clusterDomain: cluster.local
resolvConf: "$STATE/resolv.conf"
volumePluginDir: /var/lib/kubelet/volume-plugins
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi, nodefs.available: 0.1%, imagefs.available: 0.1%}
END
    # nf_conntrack_max cannot be written in a network namespace.
    cat >"$STATE/kube-proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: "$STATE/proxy.conf"}
mode: $PROXY_MODE
clusterCIDR: 10.244.0.0/24
conntrack: {maxPerCore: 0}
END
    echo "nameserver $EXTERNAL_DNS_IP" >"$STATE/resolv.conf"
    # Every external name has one address, except single labels and names below absent.test.
    cat >"$STATE/external.Corefile" <<END
. {
  bind $EXTERNAL_DNS_IP
  prometheus $EXTERNAL_DNS_IP:9153
  template ANY ANY {
    match "^[^.]*[.]\$" "(^|[.])absent[.]test[.]\$"
    rcode NXDOMAIN
    authority ". 60 IN SOA a.root.test. hostmaster.root.test. 1 7200 1800 86400 60"
    fallthrough
  }
  template IN A {
    answer "{{ .Name }} 60 IN A 192.0.2.80"
  }
  template IN ANY {
    rcode NOERROR
  }
}
END
}
