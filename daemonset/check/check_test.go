package main

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
)

// The base is the official add-on object for object; the overlay is kubespray's set plus the metrics Service.
func TestRendersTheAddOnsObjects(t *testing.T) {
	wanted := map[string][]string{
		"base": {
			"ConfigMap/node-local-dns", "DaemonSet/node-local-dns", "Service/kube-dns-upstream",
			"Service/node-local-dns", "ServiceAccount/node-local-dns",
		},
		"overlays/kubespray": {
			"ConfigMap/nodelocaldns", "DaemonSet/nodelocaldns", "Service/nodelocaldns", "ServiceAccount/nodelocaldns",
		},
	}
	for directory, names := range wanted {
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
			t.Errorf("%s renders %v, wanted %v", directory, got, names)
		}
	}
}

// Each row breaks one thing in the base; the fault names the file and the field.
func TestRefusesBrokenManifests(t *testing.T) {
	rows := []struct{ file, text, broken, fault string }{
		{"daemonset.yaml", "hostNetwork: true", "hostNetworks: true", `base/daemonset.yaml: DaemonSet node-local-dns: strict decoding error: unknown field "spec.template.spec.hostNetworks"`},
		{"daemonset.yaml", "hostNetwork: true", "hostNetwork: once", "spec.template.spec.hostNetwork"},
		{"daemonset.yaml", "memory: 128Mi", "memory: 128 MB", `spec.template.spec.containers[0].resources.limits.memory: Invalid value: "128 MB"`},
		{"daemonset.yaml", "memory: 128Mi", "memory: 16Mi", "resources.requests[memory]: Invalid value"},
		{"daemonset.yaml", "limits:\n            memory: 128Mi", "limits: {}", "resources.limits.memory: Required value"},
		{"daemonset.yaml", "matchLabels:\n      k8s-app: node-local-dns", "matchLabels:\n      k8s-app: other", "spec.template.metadata.labels: Invalid value"},
		{"daemonset.yaml", "path: /health\n            port: 8080", "path: /health\n            port: 8081", "livenessProbe.httpGet: Invalid value: \"169.254.20.10:8081\": the Corefile serves /health on 169.254.20.10:8080"},
		{"daemonset.yaml", "path: /health\n            port: 8080", "path: /health\n            port: 80800", "livenessProbe.httpGet.port: Invalid value: 80800"},
		{"daemonset.yaml", "path: /ready", "path: /", "startupProbe.httpGet.path: Invalid value"},
		{"daemonset.yaml", "maxUnavailable: 10%", "maxUnavailable: ten", "rollingUpdate.maxUnavailable: Invalid value"},
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
		{"Corefile", "prometheus :9253", "prometheus :9153", "the Corefile says prometheus :9153"},
		{"metrics-service.yaml", "name: node-local-dns\n", "name: node.local.dns\n", "metadata.name: Invalid value"},
		{"metrics-service.yaml", "targetPort: 9253", "targetPort: metrics", "spec.ports[0].targetPort: Invalid value"},
		{"metrics-service.yaml", "selector:\n    k8s-app: node-local-dns", "selector:\n    k8s-app: other", "spec.selector: Invalid value"},
		{"upstream-service.yaml", "name: dns-tcp", "name: dns", "spec.ports[1].name: Duplicate value"},
		{"upstream-service.yaml", "protocol: UDP", "protocol: QUIC", "spec.ports[0].protocol: Unsupported value"},
		{"serviceaccount.yaml", "apiVersion: v1", "apiVersion: v2", `no kind "ServiceAccount" is registered for version "v2"`},
	}
	for _, row := range rows {
		t.Run(row.broken, func(t *testing.T) {
			files, err := load("..")
			if err != nil {
				t.Fatal(err)
			}
			name := "/base/" + row.file
			whole, err := files.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(whole), row.text) {
				t.Fatalf("%s does not contain %q", row.file, row.text)
			}
			broken := strings.Replace(string(whole), row.text, row.broken, 1)
			if err := files.WriteFile(name, []byte(broken)); err != nil {
				t.Fatal(err)
			}
			_, faults := examine(files, "base")
			for _, fault := range faults {
				if strings.Contains(fault.Error(), row.fault) {
					return
				}
			}
			t.Errorf("wanted a fault with %q, got %q", row.fault, faults)
		})
	}
}
