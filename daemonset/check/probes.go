package main

import (
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// startup is the command that checks the instance of its own container.
var startup = []string{"/nodelocaldns", "-probe"}

func probes(container *corev1.Container, at *field.Path, facts corefile) field.ErrorList {
	found := startupProbe(at.Child("startupProbe"), container)
	found = append(found, httpProbe(at.Child("readinessProbe"), container.ReadinessProbe, "/ready", facts.ready)...)
	found = append(found, httpProbe(at.Child("livenessProbe"), container.LivenessProbe, "/health", facts.health)...)
	if alive := container.LivenessProbe; alive != nil && (alive.TerminationGracePeriodSeconds == nil || *alive.TerminationGracePeriodSeconds > 5) {
		found = append(found, field.Required(at.Child("livenessProbe", "terminationGracePeriodSeconds"),
			"5 at most: a hung process does not drain"))
	}
	return found
}

// startupProbe checks for the command: in an upgrade two pods share the node's addresses, and an
// HTTP probe would reach the old one.
func startupProbe(at *field.Path, container *corev1.Container) field.ErrorList {
	probe, expected := container.StartupProbe, startup
	if directory := argument(container, handOverFlag); directory != "" {
		expected = append(slices.Clone(startup), handOverFlag, directory)
	}
	if probe == nil || probe.Exec == nil {
		return field.ErrorList{field.Required(at.Child("exec"), "an HTTP probe would be answered by the predecessor")}
	}
	if !slices.Equal(probe.Exec.Command, expected) {
		return field.ErrorList{field.Invalid(at.Child("exec", "command"), probe.Exec.Command, strings.Join(expected, " ")+" is expected")}
	}
	return nil
}

// httpProbe checks that a probe uses the address on which the Corefile serves its path.
func httpProbe(at *field.Path, probe *corev1.Probe, expected, listen string) field.ErrorList {
	if probe == nil || probe.HTTPGet == nil {
		return field.ErrorList{field.Required(at.Child("httpGet"), expected)}
	}
	get := probe.HTTPGet
	if get.Port.Type == intstr.String {
		return field.ErrorList{field.Invalid(at.Child("httpGet", "port"), get.Port.StrVal, "no port is declared, so a name cannot be resolved")}
	}
	found := portNumber(at.Child("httpGet", "port"), get.Port.IntValue())
	if get.Path != expected {
		found = append(found, field.Invalid(at.Child("httpGet", "path"), get.Path, expected+" is expected"))
	}
	if address := net.JoinHostPort(get.Host, strconv.Itoa(get.Port.IntValue())); address != listen {
		found = append(found, field.Invalid(at.Child("httpGet"), address, "the Corefile serves "+expected+" on "+listen))
	}
	return found
}
