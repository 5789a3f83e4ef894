package main

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
)

// The base and the overlays with other addresses have the objects of the official add-on; that of
// kubespray has kubespray's objects and the metrics Service.
func TestRendersTheObjectsOfTheAddOn(t *testing.T) {
	addOn := []string{
		"ConfigMap/node-local-dns", "DaemonSet/node-local-dns", "Service/kube-dns-upstream",
		"Service/node-local-dns", "ServiceAccount/node-local-dns",
	}
	kubespray := []string{
		"ConfigMap/nodelocaldns", "DaemonSet/nodelocaldns", "Service/nodelocaldns", "ServiceAccount/nodelocaldns",
	}
	sorted := func(names []string, more string) []string {
		return slices.Sorted(slices.Values(append(slices.Clone(names), more)))
	}
	expected := map[string][]string{
		"base":               addOn,
		"overlays/addon":     addOn,
		"overlays/dualstack": addOn,
		"overlays/ipv6":      addOn,
		"overlays/kubespray": kubespray,
		"overlays/addon+components/prometheus-operator/pod-monitor":         sorted(addOn, "PodMonitor/node-local-dns"),
		"overlays/kubespray+components/prometheus-operator/service-monitor": sorted(kubespray, "ServiceMonitor/node-local-dns"),
	}
	for directory, names := range expected {
		files, err := load("..")
		if err != nil {
			t.Fatal(err)
		}
		objects, faults := examine(files, directory)
		for _, fault := range faults {
			t.Errorf("%s: %v", directory, fault)
		}
		var got []string
		for _, one := range objects {
			name, err := meta.NewAccessor().Name(one.value)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, one.value.GetObjectKind().GroupVersionKind().Kind+"/"+name)
		}
		slices.Sort(got)
		if !slices.Equal(got, names) {
			t.Errorf("%s renders %v, expected %v", directory, got, names)
		}
	}
}

// Each row breaks one value in the base; the fault names the file and the field.
func TestRejectsBrokenManifests(t *testing.T) {
	rows := []struct{ file, text, broken, fault string }{
		{"daemonset.yaml", "hostNetwork: true", "hostNetworks: true", `base/daemonset.yaml: DaemonSet node-local-dns: strict decoding error: unknown field "spec.template.spec.hostNetworks"`},
		{"daemonset.yaml", "hostNetwork: true", "hostNetwork: once", "spec.template.spec.hostNetwork"},
		{"daemonset.yaml", "memory: 128Mi", "memory: 128 MB", `spec.template.spec.containers[0].resources.limits.memory: Invalid value: "128 MB"`},
		{"daemonset.yaml", "memory: 128Mi", "memory: 56Mi", "resources.requests[memory]: Invalid value"},
		{"daemonset.yaml", "memory: 128Mi", "memory: 40Mi", `resources.limits.memory: Invalid value: "40Mi": the daemon may use`},
		{"daemonset.yaml", "args:\n", "args:\n        - -cache-bytes\n        - 100Mi\n", `resources.limits.memory: Invalid value: "128Mi": the daemon may use 132Mi`},
		{"daemonset.yaml", "memory: 64Mi", "ephemeral-storage: 1Mi", "resources.requests.memory: Required value"},
		{"daemonset.yaml", "limits:\n            memory: 128Mi", "limits: {}", "resources.limits.memory: Required value"},
		{"daemonset.yaml", "matchLabels:\n      k8s-app: node-local-dns", "matchLabels:\n      k8s-app: other", "spec.template.metadata.labels: Invalid value"},
		{"daemonset.yaml", "path: /health\n            port: 8080", "path: /health\n            port: 8081", "livenessProbe.httpGet: Invalid value: \"169.254.20.10:8081\": the Corefile serves /health on 169.254.20.10:8080"},
		{"daemonset.yaml", "path: /health\n            port: 8080", "path: /health\n            port: 80800", "livenessProbe.httpGet.port: Invalid value: 80800"},
		{"daemonset.yaml", "path: /ready", "path: /", "readinessProbe.httpGet.path: Invalid value"},
		{"daemonset.yaml", "host: 169.254.20.10", "host: 127.0.0.1", "readinessProbe.httpGet: Invalid value: \"127.0.0.1:8181\""},
		{"daemonset.yaml", "          exec:\n            command:\n            - /nodelocaldns\n            - -probe\n", "          httpGet:\n            path: /ready\n            port: 8181\n", "startupProbe.exec: Required value: an HTTP probe would be answered by the predecessor"},
		{"daemonset.yaml", "- -probe\n", "- -version\n", "startupProbe.exec.command: Invalid value"},
		{"daemonset.yaml", "args:\n", "args:\n        - -handover-dir\n        - /run/other\n", "/nodelocaldns -probe -handover-dir /run/other is expected"},
		{"daemonset.yaml", "          terminationGracePeriodSeconds: 5\n", "", "livenessProbe.terminationGracePeriodSeconds: Required value"},
		{"daemonset.yaml", "terminationGracePeriodSeconds: 15", "terminationGracePeriodSeconds: 5", "spec.terminationGracePeriodSeconds: Invalid value: 5: the daemon takes up to 5s to exit"},
		{"Corefile", "health 169.254.20.10:8080", "health 169.254.20.10:8080 {\n        lameduck 10s\n    }", "the daemon takes up to 15s to exit"},
		{"daemonset.yaml", "maxUnavailable: 0", "maxUnavailable: ten", "rollingUpdate.maxUnavailable: Invalid value"},
		{"daemonset.yaml", "maxUnavailable: 0", "maxUnavailable: 10%", "rollingUpdate.maxUnavailable: Required value: 0, or a node is without DNS"},
		{"daemonset.yaml", "      maxSurge: 1\n", "", "rollingUpdate.maxSurge: Required value"},
		{"daemonset.yaml", "type: RollingUpdate", "type: OnDelete", "updateStrategy.type: Unsupported value"},
		{"daemonset.yaml", "minReadySeconds: 3", "minReadySeconds: 0", "minReadySeconds: Required value"},
		{"daemonset.yaml", "system-node-critical", "system-cluster-critical", "priorityClassName: Unsupported value"},
		{"daemonset.yaml", "      - effect: NoSchedule\n        operator: Exists\n", "", "tolerations: Invalid value: 2: not the add-on's three"},
		{"daemonset.yaml", "        - name: hand-over\n          mountPath: /run/nodelocaldns\n", "", "volumeMounts: Required value: hostPath /run/nodelocaldns"},
		{"daemonset.yaml", "mountPath: /run/nodelocaldns", "mountPath: /run/other", "volumeMounts: Required value: hostPath /run/nodelocaldns"},
		{"daemonset.yaml", "mountPath: /run/nodelocaldns", "mountPath: /run/nodelocaldns\n          readOnly: true", "volumeMounts[1].readOnly: Invalid value"},
		{"daemonset.yaml", "path: /run/nodelocaldns\n", "path: /run\n", "volumeMounts[1].mountPath: Forbidden"},
		{"daemonset.yaml", "mountPath: /var/lib/cni/results\n          readOnly: true\n", "mountPath: /var/lib/cni/results\n", "volumeMounts[2].readOnly: Required value"},
		{"daemonset.yaml", "path: /var/lib/cni/results\n", "path: /var/lib\n", "volumeMounts[2].mountPath: Forbidden"},
		{"daemonset.yaml", "type: DirectoryOrCreate", "type: Directory", "hostPath.type: Invalid value"},
		{"daemonset.yaml", "          type: DirectoryOrCreate", "", "hostPath.type: Invalid value"},
		{"daemonset.yaml", "serviceAccountName: node-local-dns", "serviceAccountName: default", "serviceAccountName: Not found"},
		{"daemonset.yaml", "args:\n", "ports:\n        - containerPort: 53\n        args:\n", "containers[0].ports: Forbidden"},
		{"daemonset.yaml", "- NET_ADMIN\n", "- SYS_ADMIN\n", "capabilities.add: Invalid value"},
		{"daemonset.yaml", "seccompProfile:\n            type: RuntimeDefault", "seccompProfile:\n            type: Unconfined", "seccompProfile.type: Unsupported value"},
		{"daemonset.yaml", "effect: NoExecute", "effect: NoRun", "tolerations[1].effect: Unsupported value"},
		{"daemonset.yaml", "name: config-volume\n          mountPath", "name: config\n          mountPath", "volumeMounts[0].name: Not found"},
		{"daemonset.yaml", "/etc/coredns/Corefile", "/etc/Corefile", "args[-conf]: Not found"},
		{"daemonset.yaml", "- 169.254.20.10\n", "- 169.254.20.11\n", "args[-localip]: Invalid value"},
		{"daemonset.yaml", "- kube-dns-upstream\n", "- kube-dns\n", "args[-upstreamsvc]: Invalid value"},
		{"Corefile", "ready 169.254.20.10:8181", "ready", "the Corefile serves /ready on "},
		{"Corefile", "ready 169.254.20.10:8181", "ready 127.0.0.1:8181", "the Corefile has ready 127.0.0.1:8181"},
		{"Corefile", "    bind 169.254.20.10\n", "", "block cluster.local:53 has no bind"},
		{"Corefile", "bind 169.254.20.10", "bind __PILLAR__LOCAL__DNS__", "this variable is not replaced"},
		{"Corefile", "prometheus :9253", "prometheus :9153", "the Corefile has prometheus :9153"},
		{"daemonset.yaml", "        prometheus.io/scrape: \"true\"\n", "", "the Corefile has prometheus :9253"},
		{"daemonset.yaml", "args:\n", "args:\n        - -metrics-listen-address\n        - 0.0.0.0:9354\n", "the headless Service leads to 9253 9353"},
		{"metrics-service.yaml", "  labels:\n", "  annotations:\n    prometheus.io/scrape: \"true\"\n  labels:\n", "both standard jobs would count"},
		{"metrics-service.yaml", "name: node-local-dns\n", "name: node.local.dns\n", "metadata.name: Invalid value"},
		{"metrics-service.yaml", "targetPort: 9253", "targetPort: metrics", "spec.ports[0].targetPort: Invalid value"},
		{"metrics-service.yaml", "selector:\n    k8s-app: node-local-dns", "selector:\n    k8s-app: other", "spec.selector: Invalid value"},
		{"upstream-service.yaml", "name: dns-tcp", "name: dns", "spec.ports[1].name: Duplicate value"},
		{"upstream-service.yaml", "protocol: UDP", "protocol: QUIC", "spec.ports[0].protocol: Unsupported value"},
		{"serviceaccount.yaml", "apiVersion: v1", "apiVersion: v2", `no kind "ServiceAccount" is registered for version "v2"`},
	}
	for _, row := range rows {
		t.Run(row.broken, func(t *testing.T) { rejected(t, "base", "base/"+row.file, row.text, row.broken, row.fault) })
	}
}

// Each row breaks one value of an overlay or component.
func TestRejectsBrokenOverlays(t *testing.T) {
	rows := []struct{ directory, file, text, broken, fault string }{
		{"overlays/kubespray", "overlays/kubespray/Corefile", "health 169.254.25.10:9254", "health 169.254.25.10:8080", "livenessProbe.httpGet: Invalid value"},
		{"overlays/kubespray", "overlays/kubespray/daemonset.yaml", "host: 169.254.25.10", "host: 169.254.20.10", "readinessProbe.httpGet: Invalid value: \"169.254.20.10:8181\""},
		{"overlays/addon", "overlays/addon/daemonset.yaml", "$(KUBE_DNS_SERVICE_HOST)", "$(KUBE_DNS_UPSTREAM_SERVICE_HOST)", "the cache would forward to itself"},
		{"overlays/addon", "overlays/addon/daemonset.yaml", "$(KUBE_DNS_SERVICE_HOST)", "${KUBE_DNS_SERVICE_HOST}", "not an address"},
		{"overlays/addon", "overlays/addon/daemonset.yaml", "path: Corefile.base", "path: Corefile", "args[-conf]: Not found"},
		{"overlays/addon", "overlays/addon/Corefile.base", "bind __PILLAR__LOCAL__DNS__", "bind 169.254.20.10", "args[-localip]: Invalid value"},
		{"overlays/addon", "overlays/addon/Corefile.base", "cluster.local:53", "__PILLAR__DNS__DOMAIN__:53", "this variable is not replaced"},
		{"overlays/addon", "overlays/addon/Corefile.base", "__PILLAR__CLUSTER__DNS__", "{$KUBE_DNS_SERVICE_HOST}", "the Corefile substitutes KUBE_DNS_SERVICE_HOST"},
		{"overlays/dualstack", "overlays/dualstack/Corefile", "bind 169.254.20.10 fd00:90de:d95::1", "bind 169.254.20.10", "args[-localip]: Invalid value"},
		{"overlays/dualstack", "overlays/dualstack/daemonset.yaml", ",fd00:90de:d95::1", ",fd00:90de:d95::2", "args[-localip]: Invalid value"},
		{"overlays/ipv6", "overlays/ipv6/daemonset.yaml", "host: fd00:90de:d95::1", "host: '[fd00:90de:d95::1]'", "readinessProbe.httpGet: Invalid value"},
		{"overlays/ipv6", "overlays/ipv6/Corefile", "health [fd00:90de:d95::1]:8080", "health fd00:90de:d95::1:8080", "livenessProbe.httpGet: Invalid value"},
		{"base+components/prometheus-operator/service-monitor", "components/prometheus-operator/service-monitor/monitor.yaml", "port: metrics\n", "port: http\n", "spec.endpoints[0].port: Not found"},
		{"base+components/prometheus-operator/service-monitor", "components/prometheus-operator/service-monitor/monitor.yaml", "port: metrics-setup", "port: metrics", "spec.endpoints: Required value: metrics-setup"},
		{"base+components/prometheus-operator/service-monitor", "components/prometheus-operator/service-monitor/kustomization.yaml", "    - op: remove\n      path: /spec/template/metadata/annotations/prometheus.io~1port\n", "", "counts twice"},
		{"base+components/prometheus-operator/service-monitor", "components/prometheus-operator/service-monitor/monitor.yaml", "matchLabels:\n      k8s-app: node-local-dns", "matchLabels:\n      k8s-app: coredns", "no Service has these labels"},
		{"base+components/prometheus-operator/service-monitor", "components/prometheus-operator/service-monitor/monitor.yaml", "  namespace: kube-system\n", "", "metadata.namespace: Required value"},
		{"base+components/prometheus-operator/service-monitor", "components/prometheus-operator/service-monitor/monitor.yaml", "relabelings:", "relabeling:", `unknown field "spec.endpoints[0].relabeling"`},
		{"base+components/prometheus-operator/service-monitor", "components/prometheus-operator/service-monitor/monitor.yaml", "action: keep", "action: drop", "both ports serve it"},
		{"base+components/prometheus-operator/pod-monitor", "components/prometheus-operator/pod-monitor/monitor.yaml", "action: drop", "action: keep", "both ports serve it"},
		{"base+components/prometheus-operator/pod-monitor", "components/prometheus-operator/pod-monitor/monitor.yaml", "- metricRelabelings:", "- port: metrics\n    metricRelabelings:", "the pods declare no ports"},
		{"base+components/prometheus-operator/pod-monitor", "components/prometheus-operator/pod-monitor/monitor.yaml", "$1:9353", "$1:9153", "serves its metrics at 192.0.2.1:9353"},
		{"base+components/prometheus-operator/pod-monitor", "components/prometheus-operator/pod-monitor/monitor.yaml", "$1:9253", "$1:9153", "serves its metrics at 192.0.2.1:9253"},
		{"base+components/prometheus-operator/pod-monitor", "components/prometheus-operator/pod-monitor/monitor.yaml", "[$1]:9253", "$1:9253", "serves its metrics at [2001:db8::1]:9253"},
		{"base+components/prometheus-operator/pod-monitor", "components/prometheus-operator/pod-monitor/monitor.yaml", "matchLabels:\n      k8s-app: node-local-dns", "matchLabels:\n      k8s-app: coredns", "does not select the pods"},
	}
	for _, row := range rows {
		t.Run(row.directory+" "+row.broken, func(t *testing.T) {
			rejected(t, row.directory, row.file, row.text, row.broken, row.fault)
		})
	}
}

// rejected replaces a text in one file and expects a fault.
func rejected(t *testing.T, directory, file, text, broken, fault string) {
	t.Helper()
	files, err := load("..")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := files.ReadFile("/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(whole), text) {
		t.Fatalf("%s does not contain %q", file, text)
	}
	if err := files.WriteFile("/"+file, []byte(strings.Replace(string(whole), text, broken, 1))); err != nil {
		t.Fatal(err)
	}
	_, faults := examine(files, directory)
	for _, one := range faults {
		if strings.Contains(one.Error(), fault) {
			return
		}
	}
	t.Errorf("expected a fault with %q, got %q", fault, faults)
}
