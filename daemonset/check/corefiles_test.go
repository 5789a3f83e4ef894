package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// serviceHost is a variable of the kubelet with the ClusterIP of a Service, in a Corefile or in an
// argument.
var serviceHost = regexp.MustCompile(`[A-Z][A-Z0-9_]*_SERVICE_HOST`)

// loaded is what `nodelocaldns check -o json` says of one file.
type loaded struct {
	OK       bool
	Problems []struct {
		Location, Message, Suggestion string
	}
	Warnings  []string
	Listeners []struct {
		Addresses, Zones []string
	}
	Forwards []struct {
		Zones, Upstreams, Files []string
	}
}

// checkCorefile runs the daemon's check of the Corefile of a rendered chart with the arguments of its
// DaemonSet.
func checkCorefile(t *testing.T, result rendered) loaded {
	t.Helper()
	var container corev1.Container
	var text string
	for _, one := range result.objects {
		switch value := one.value.(type) {
		case *appsv1.DaemonSet:
			container = value.Spec.Template.Spec.Containers[0]
		case *corev1.ConfigMap:
			if content, present := value.Data["Corefile"]; present {
				text = content
			}
		}
	}
	file := filepath.Join(t.TempDir(), "Corefile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := slices.Clone(container.Args)
	at := slices.Index(args, "-conf")
	if at < 0 || at+1 >= len(args) {
		t.Fatalf("no -conf in %q", args)
	}
	if args[at+1] == "/etc/Corefile" {
		args[at] = "-basecorefile"
	}
	args[at+1] = file
	command := exec.Command(binary(t), append([]string{"check", "-o", "json"}, args...)...)
	for _, name := range serviceHost.FindAllString(strings.Join(args, " ")+text+" "+upstreamVariable(args), -1) {
		command.Env = append(command.Env, name+"="+clusterIP(name))
		for i, word := range command.Args {
			command.Args[i] = strings.ReplaceAll(word, "$("+name+")", clusterIP(name))
		}
	}
	output, err := command.Output()
	var report struct{ Files []loaded }
	if broken := json.Unmarshal(output, &report); broken != nil || len(report.Files) != 1 {
		t.Fatalf("%v: %v %v\n%s", command.Args, err, broken, output)
	}
	if !report.Files[0].OK {
		t.Errorf("%+v in\n%s", report.Files[0].Problems, text)
	}
	return report.Files[0]
}

// clusterIP is the address of the Service in front of CoreDNS, or of kube-dns.
func clusterIP(variable string) string {
	if variable == "KUBE_DNS_SERVICE_HOST" {
		return "10.96.0.10"
	}
	return "10.96.0.20"
}

// upstreamVariable is the variable that -upstreamsvc names.
func upstreamVariable(args []string) string {
	service := argument(&corev1.Container{Args: args}, "-upstreamsvc")
	return strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + "_SERVICE_HOST"
}

// binary is the daemon: NODELOCALDNS, or the one of `cargo build`.
func binary(t *testing.T) string {
	t.Helper()
	if given := os.Getenv("NODELOCALDNS"); given != "" {
		return given
	}
	built, err := filepath.Abs("../../target/debug/nodelocaldns")
	if err == nil {
		_, err = os.Stat(built)
	}
	if err != nil {
		t.Fatalf("%v: build it with `cargo build -p daemon`, or set NODELOCALDNS to its path", err)
	}
	return built
}

// The daemon loads, without a warning, the Corefile of the chart with each of its values files.
func TestTheDaemonLoadsTheCorefileOfEachValuesFile(t *testing.T) {
	names, err := filepath.Glob("../helm/values*.yaml")
	if err != nil || len(names) < 5 {
		t.Fatalf("values files %q: %v", names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			report := checkValues(t, string(text))
			if len(report.Warnings) > 0 || len(report.Forwards) != 4 {
				t.Errorf("warnings %q, forwards %+v", report.Warnings, report.Forwards)
			}
		})
	}
}

func checkValues(t *testing.T, text string) loaded {
	t.Helper()
	files, err := load("..")
	if err != nil {
		t.Fatal(err)
	}
	values, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	result, err := renderChart(files, values)
	if err != nil {
		t.Fatal(err)
	}
	return checkCorefile(t, result)
}

// Each row is values of the chart, and a text of the upstreams that the daemon reads from its Corefile.
func TestTheDaemonLoadsTheCorefileOfOtherValues(t *testing.T) {
	for name, row := range corefileRows {
		t.Run(name, func(t *testing.T) {
			report := checkValues(t, row.values)
			text, err := json.Marshal(report)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), row.expected) || len(report.Warnings) > 0 {
				t.Errorf("expected %s without warnings in %s", row.expected, text)
			}
		})
	}
}

// A Corefile that the daemon rejects is found by the check.
func TestTheDaemonRejectsAnInvalidCorefile(t *testing.T) {
	result, err := chart(t, "config.extraServerBlocks=corp.example:53 { forwards . 192.0.2.1 }")
	if err != nil {
		t.Fatal(err)
	}
	text := result.text(t, "ConfigMap/node-local-dns")
	command := exec.Command(binary(t), "check", "-conf", "stdin")
	_, corefile, _ := strings.Cut(text, "Corefile: |\n")
	command.Stdin = strings.NewReader(strings.ReplaceAll(corefile, "{$KUBE_DNS_UPSTREAM_SERVICE_HOST}", "10.96.0.2"))
	output, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(output), "forwards") {
		t.Errorf("accepted: %v\n%s", err, output)
	}
}
