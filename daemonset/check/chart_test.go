package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/strvals"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/yaml"
)

// chart renders the chart with values in the syntax of --set.
func chart(t *testing.T, set ...string) (rendered, error) {
	t.Helper()
	files, err := load("..")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	for _, one := range set {
		if err := strvals.ParseInto(one, values); err != nil {
			t.Fatal(err)
		}
	}
	return renderChart(files, values)
}

// texts are the objects as YAML, by kind and name, without the labels of a release of Helm.
func texts(t *testing.T, objects []object) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, one := range objects {
		value := one.value.DeepCopyObject()
		access, err := meta.Accessor(value)
		if err != nil {
			t.Fatal(err)
		}
		labels := access.GetLabels()
		maps.DeleteFunc(labels, func(key, _ string) bool {
			return strings.HasPrefix(key, "app.kubernetes.io/") || strings.HasPrefix(key, "helm.sh/")
		})
		if len(labels) == 0 {
			labels = nil
		}
		access.SetLabels(labels)
		text, err := yaml.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		all[value.GetObjectKind().GroupVersionKind().Kind+"/"+access.GetName()] = string(text)
	}
	return all
}

// text is the YAML of one object.
func (result rendered) text(t *testing.T, name string) string {
	t.Helper()
	return texts(t, append(slices.Clone(result.objects), result.hooks...))[name]
}

// The chart and the manifests say the same: an upgrade from one to the other restarts no pod.
func TestTheChartRendersWhatTheManifestsSay(t *testing.T) {
	pairs := map[string]string{
		"base":               "helm",
		"overlays/addon":     "helm+values-addon.yaml",
		"overlays/dualstack": "helm+values-dualstack.yaml",
		"overlays/ipv6":      "helm+values-ipv6.yaml",
		"overlays/kubespray": "helm+values-kubespray.yaml",
	}
	for directory, values := range pairs {
		files, err := load("..")
		if err != nil {
			t.Fatal(err)
		}
		expected, faults := examine(files, directory)
		got, more := examine(files, values)
		for _, fault := range append(faults, more...) {
			t.Errorf("%s, %s: %v", directory, values, fault)
		}
		equal(t, directory+" and "+values, texts(t, expected), texts(t, got))
	}
	components := map[string]string{
		"grafana/dashboard":                   "dashboard",
		"prometheus-operator/alerts":          "prometheusRule",
		"prometheus-operator/pod-monitor":     "podMonitor",
		"prometheus-operator/service-monitor": "serviceMonitor",
	}
	for component, value := range components {
		files, err := load("..")
		if err != nil {
			t.Fatal(err)
		}
		expected, faults := examine(files, "base+components/"+component)
		got, err := chart(t, value+".enabled=true")
		faults = append(faults, rules(got.objects)...)
		if len(faults) > 0 || err != nil {
			t.Errorf("%s: %v %v", component, faults, err)
		}
		equal(t, component, texts(t, expected), texts(t, got.objects))
	}
}

// equal reports the lines in which objects differ.
func equal(t *testing.T, what string, expected, got map[string]string) {
	t.Helper()
	names := slices.Sorted(maps.Keys(expected))
	if others := slices.Sorted(maps.Keys(got)); !slices.Equal(names, others) {
		t.Errorf("%s: objects %v and %v", what, names, others)
	}
	for _, name := range names {
		one, other := strings.Split(expected[name], "\n"), strings.Split(got[name], "\n")
		for i := range max(len(one), len(other)) {
			if i >= len(one) || i >= len(other) || one[i] != other[i] {
				t.Errorf("%s: %s differs in line %d:\n%s\nand\n%s", what, name, i+1, from(one, i), from(other, i))
				break
			}
		}
	}
}

// from is a line and those around it.
func from(lines []string, i int) string {
	return strings.Join(lines[min(max(i-3, 0), len(lines)):min(i+4, len(lines))], "\n")
}

// Each row is a value of the deliveryhero chart or of ours, the object it changes, and a text in it.
func TestAcceptsValues(t *testing.T) {
	const set, config, daemon = "DaemonSet/node-local-dns", "ConfigMap/node-local-dns", "- /etc/Corefile"
	rows := []struct{ value, object, text string }{
		{"image.repository=registry.example/cache,image.tag=v1", set, "image: registry.example/cache:v1"},
		{"image.pullPolicy=Always", set, "imagePullPolicy: Always"},
		{"imagePullSecrets[0].name=key", set, "imagePullSecrets:\n      - name: key"},
		{"fullnameOverride=dns", "DaemonSet/dns", "name: dns"},
		{"nameOverride=other", "DaemonSet/node-local-dns-other", "k8s-app: node-local-dns"},
		{"config.dnsDomain=corp.example", config, "corp.example:53 {"},
		{"config.dnsServer=172.20.0.10", set, "- 169.254.20.10,172.20.0.10"},
		{"config.dnsServer=172.20.0.10", config, "bind __PILLAR__LOCAL__DNS__"},
		{"config.localDns=169.254.20.25", config, "health 169.254.20.25:8080"},
		{"config.customUpstreamsvc=coredns-dns", config, "forward . {$COREDNS_DNS_SERVICE_HOST} {"},
		{"config.upstreamServiceSelector.app=dns", "Service/kube-dns-upstream", "app: dns"},
		{"config.bindIp=false", config, "bind 0.0.0.0"},
		{"config.commProtocol=prefer_udp", config, "        prefer_udp\n"},
		{"config.enableLogging=true", config, "    log\n"},
		{"config.noIPv6Lookups=true", config, "template IN AAAA {\n            rcode NOERROR"},
		{"config.cacheTTL=60", config, "cache 60\n"},
		{"config.prefetch.enabled=true", config, "prefetch 3 30s 20%"},
		{"config.serveStale.enabled=true", config, "serve_stale 1h immediate"},
		{"config.healthPort=3989", set, "port: 3989"},
		{"config.setupInterface=false", set, "- -setupinterface=false"},
		{"config.setupIptables=false", set, "- -setupiptables=false"},
		{"config.skipTeardown=true", set, "- -skipteardown"},
		{"config.extraServerBlocks=corp.example:53 {}", config, "\n    corp.example:53 {}\n"},
		{"config.extraServerBlocks=corp.example:53 { bind __PILLAR__LOCAL__DNS__ }", set, daemon},
		{"config.customConfig=.:53 { bind {{ .Values.config.localDns }} }", config, "Corefile: |\n    .:53 { bind 169.254.20.10 }\n"},
		{"config.port.number=5300,config.port.tcp=dns-tcp,config.port.udp=dns", config, "cluster.local:5300 {"},
		{"config.upstreamServers=8.8.8.8 9.9.9.9", config, "forward . 8.8.8.8 9.9.9.9\n"},
		{"config.upstreamServers=__PILLAR__UPSTREAM__SERVERS__", set, daemon},
		{"config.upstream={8.8.8.8,tls://9.9.9.9}", config, "forward . 8.8.8.8 tls://9.9.9.9\n"},
		{"config.upstreamForwardConfig={policy sequential}", config, "forward . /etc/resolv.conf {\n            policy sequential"},
		{"config.upstreamForwardConfig.first=policy sequential", config, "            policy sequential"},
		{"config.zones[0].zones={a.example,b.example},config.zones[0].servers={192.0.2.53}", config, "a.example:53 b.example:53 {"},
		{"config.metricsPort=9254", "Service/node-local-dns", "port: 9254"},
		{"config.setupMetricsPort=0", set, "- -metrics-listen-address\n        - \"0\""},
		{"serviceAccount.create=false,serviceAccount.name=mine", set, "serviceAccountName: mine"},
		{"serviceAccount.annotations.a=b", "ServiceAccount/node-local-dns", "a: b"},
		{"service.annotations.a=b", "Service/node-local-dns", "a: b"},
		{"podAnnotations.a=b", set, "prometheus.io/scrape: \"true\""},
		{"podLabels.a=b", set, "a: b"},
		{"configMapAnnotations.a=b,configMapLabels.c=d", config, "c: d"},
		{"daemonsetAnnotations.a=b,daemonsetLabels.c=d", set, "a: b"},
		{"updateStrategy.rollingUpdate.maxSurge=10%", set, "maxSurge: 10%"},
		{"updateStrategy.rollingUpdate.maxSurge=0,updateStrategy.rollingUpdate.maxUnavailable=10%", set, "maxUnavailable: 10%"},
		{"initContainers[0].name=first", set, "initContainers:"},
		{"securityContext.capabilities.add={NET_ADMIN}", set, "- NET_BIND_SERVICE"},
		{"resizePolicy[0].resourceName=cpu", set, "resizePolicy:"},
		{"lifecycle.preStop.exec.command={/nodelocaldns,sleep,5s}", set, "preStop:"},
		{"priorityClassName=", set, "hostNetwork: true"},
		{"extraArgs={-cache-bytes,32Mi}", set, "- -cache-bytes\n        - 32Mi"},
		{"hooks.preDelete.enabled=false,hooks.preDelete.image.tag=v1", set, "hostNetwork: true"},
		{"extraArgs={-interfacename,dns0}", "DaemonSet/node-local-dns-cleanup", "- -interfacename\n        - dns0"},
		{"serviceMonitor.enabled=true,serviceMonitor.namePrefix=kps", "ServiceMonitor/kps-node-local-dns", "port: metrics-setup"},
		{"serviceMonitor.enabled=true,serviceMonitor.prometheusNamespace=monitoring", "ServiceMonitor/node-local-dns", "matchNames:\n    - kube-system"},
		{"serviceMonitor.enabled=true,serviceMonitor.interval=10s,serviceMonitor.labels.release=kps", "ServiceMonitor/node-local-dns", "interval: 10s"},
		{"serviceMonitor.enabled=true,serviceMonitor.relabelings[0].targetLabel=zone", "ServiceMonitor/node-local-dns", "targetLabel: zone"},
		{"serviceMonitor.enabled=true,config.setupMetricsPort=0", "ServiceMonitor/node-local-dns", "port: metrics\n    relabelings"},
		{"podMonitor.enabled=true,podMonitor.path=/other", "PodMonitor/node-local-dns", "path: /other"},
		{"prometheusRule.enabled=true,prometheusRule.selector=k8s_app=\"dns\"", "PrometheusRule/node-local-dns", "absent(up{k8s_app=\"dns\"} == 1)"},
		{"dashboard.enabled=true,dashboard.label=board,dashboard.namespace=monitoring", "ConfigMap/node-local-dns-dashboard", "namespace: monitoring"},
		{"cleanup.seconds=60", "Job/node-local-dns-cleanup", "- \"60\""},
	}
	for _, row := range rows {
		t.Run(row.value, func(t *testing.T) {
			result, err := chart(t, row.value)
			if err != nil {
				t.Fatal(err)
			}
			if text := result.text(t, row.object); !strings.Contains(text, row.text) {
				t.Errorf("%s does not contain %q:\n%s", row.object, row.text, text)
			}
		})
	}
}

// Each row is a value that is rejected, and a text of the reason or remedy.
func TestRejectsValues(t *testing.T) {
	rows := []struct{ value, reason string }{
		{"config.local=169.254.20.10", "at '/config': additional properties 'local' not allowed"},
		{"configs.localDns=169.254.20.10", "at '': additional properties 'configs' not allowed"},
		{"config.localDns=node", "at '/config/localDns': 'node' does not match pattern"},
		{"config.commProtocol=udp", "at '/config/commProtocol': value must be one of 'force_tcp'"},
		{"config.cacheTTL=0", "at '/config/cacheTTL': minimum: got 0, want 1"},
		{"config.dnsServer=node", "at '/config/dnsServer': 'node' does not match pattern"},
		{"config.zones[0].zones={a.example}", "at '/config/zones/0': missing property 'servers'"},
		{"image.repository=registry.k8s.io/dns/k8s-dns-node-cache", "is node-cache: remove it and image.tag"},
		{"hostNetwork=false", "serves no address of the node: set config.bindIp, config.setupInterface"},
		{"config.port.tcp=dns-53", "config.port.tcp: the pods declare no ports, so none has a name: remove it"},
		{"config.upstream={8.8.8.8},config.upstreamServers=9.9.9.9", "two lists of the same upstreams: remove one"},
		{"updateStrategy.rollingUpdate.maxUnavailable=10%", "set maxUnavailable: 0 and maxSurge: 10%"},
		{"lifecycle.preStop.exec.command={/bin/sh,-c,sleep 30}", "the image has no shell: set {preStop: {exec: {command: [/nodelocaldns, sleep"},
		{"hooks.preDelete.enabled=true", "remove it; cleanup.enabled"},
		{"serviceMonitor.enabled=true,podMonitor.enabled=true", "both would count everything twice: set one"},
	}
	for _, row := range rows {
		t.Run(row.value, func(t *testing.T) {
			if _, err := chart(t, row.value); err == nil || !strings.Contains(err.Error(), row.reason) {
				t.Errorf("expected %q, got %v", row.reason, err)
			}
		})
	}
}

// The notes name the DaemonSet and tell how pods come to use the cache.
func TestTheNotesTellTheNextStep(t *testing.T) {
	for set, expected := range map[string]string{
		"fullnameOverride=dns,config.localDns=169.254.25.10":      "clusterDNS: [169.254.25.10]",
		"fullnameOverride=dns,config.dnsServer=172.20.0.10":       "they query 172.20.0.10 already",
		"fullnameOverride=dns,config.dnsServer=172.20.0.10\\,::a": "they query 172.20.0.10 and ::a already",
		"fullnameOverride=dns,config.localDns=192.0.2.1\\,::1:53": "at 192.0.2.1 and ::1:53.",
	} {
		result, err := chart(t, set)
		if err != nil || !strings.Contains(result.notes, expected) || !strings.Contains(result.notes, "rollout status daemonset/dns\n") {
			t.Errorf("%s: %v, notes without %q:\n%s", set, err, expected, result.notes)
		}
	}
}

// A pod in a network of its own touches nothing of the node, so nothing is cleaned up there.
func TestAPodInANetworkOfItsOwn(t *testing.T) {
	set := "hostNetwork=false,config.bindIp=false,config.setupInterface=false,config.setupIptables=false"
	result, err := chart(t, set)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.hooks) > 0 || strings.Contains(result.notes, "clusterDNS") || !strings.Contains(result.notes, "CiliumLocalRedirectPolicy") {
		t.Errorf("%d hooks, notes\n%s", len(result.hooks), result.notes)
	}
	if text := result.text(t, "ConfigMap/node-local-dns"); strings.Contains(text, "169.254") || !strings.Contains(text, "health :8080\n") {
		t.Errorf("an address of the node in\n%s", text)
	}
	text := result.text(t, "DaemonSet/node-local-dns")
	for _, word := range []string{"hostPath", "hostNetwork", "host:", "hostPort"} {
		if strings.Contains(text, word) {
			t.Errorf("%s in\n%s", word, text)
		}
	}
}

// The hooks run after the deletion, the DaemonSet before the Job that gives it time.
func TestCleansUpAfterTheDeletion(t *testing.T) {
	result, err := chart(t)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, one := range result.hooks {
		switch value := one.value.(type) {
		case *appsv1.DaemonSet:
			order = append(order, value.Annotations["helm.sh/hook-weight"]+" DaemonSet "+value.Annotations["helm.sh/hook"])
		case *batchv1.Job:
			order = append(order, value.Annotations["helm.sh/hook-weight"]+" Job "+value.Annotations["helm.sh/hook"])
		}
	}
	slices.Sort(order)
	if expected := []string{"0 DaemonSet post-delete", "1 Job post-delete"}; !slices.Equal(order, expected) {
		t.Errorf("hooks %q, expected %q", order, expected)
	}
	if result, err = chart(t, "cleanup.enabled=false"); err != nil || len(result.hooks) > 0 {
		t.Errorf("%d hooks without clean-up: %v", len(result.hooks), err)
	}
}

// No pod can be scheduled on an architecture that the image does not have.
func TestEveryPodIsForTheArchitecturesOfTheImage(t *testing.T) {
	files, err := load("..")
	if err != nil {
		t.Fatal(err)
	}
	result, err := chart(t)
	if err != nil {
		t.Fatal(err)
	}
	objects := append(slices.Clone(result.objects), result.hooks...)
	for _, directory := range []string{"base", "overlays/addon", "overlays/dualstack", "overlays/ipv6", "overlays/kubespray"} {
		more, _ := examine(files, directory)
		objects = append(objects, more...)
	}
	pods := 0
	for _, one := range objects {
		var spec *corev1.PodSpec
		switch value := one.value.(type) {
		case *appsv1.DaemonSet:
			spec = &value.Spec.Template.Spec
		case *batchv1.Job:
			spec = &value.Spec.Template.Spec
		default:
			continue
		}
		pods++
		if got := architectures(spec.Affinity); !slices.Equal(got, []string{"amd64", "arm64"}) {
			t.Errorf("%s: architectures %q", one.origin, got)
		}
	}
	if pods != 8 {
		t.Errorf("%d pods, expected 8", pods)
	}
}

// architectures are those that a required node affinity allows.
func architectures(affinity *corev1.Affinity) []string {
	if affinity == nil || affinity.NodeAffinity == nil || affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	var allowed []string
	for _, term := range affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, expression := range term.MatchExpressions {
			if expression.Key == corev1.LabelArchStable && expression.Operator == corev1.NodeSelectorOpIn {
				allowed = append(allowed, expression.Values...)
			}
		}
	}
	return allowed
}

// The version is that of the workspace, and the default tag that of the manifests.
func TestTheVersionIsThatOfTheWorkspace(t *testing.T) {
	workspace, err := os.ReadFile("../../Cargo.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(workspace), "[workspace.package]")
	_, version, _ := strings.Cut(section, "\nversion = \"")
	version, _, _ = strings.Cut(version, "\"")
	text, err := os.ReadFile("../helm/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"\nversion: ", "\nappVersion: "} {
		if !strings.Contains(string(text), line+version+"\n") {
			t.Errorf("Chart.yaml does not have%s%s", line, version)
		}
	}
}
