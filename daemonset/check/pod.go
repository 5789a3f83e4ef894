package main

import (
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (all manifest) pod(template *corev1.PodTemplateSpec, at *field.Path) field.ErrorList {
	pod := &template.Spec
	spec := at.Child("spec")
	var found field.ErrorList
	if _, known := all.accounts[pod.ServiceAccountName]; !known {
		found = append(found, field.NotFound(spec.Child("serviceAccountName"), pod.ServiceAccountName))
	}
	if token := pod.AutomountServiceAccountToken; token == nil || *token {
		found = append(found, field.Invalid(spec.Child("automountServiceAccountToken"), token, "the daemon asks the API nothing"))
	}
	if !pod.HostNetwork {
		found = append(found, field.Invalid(spec.Child("hostNetwork"), false, "the link belongs to the node"))
	}
	found = append(found, oneOf(spec.Child("dnsPolicy"), pod.DNSPolicy, corev1.DNSDefault)...)
	for i, toleration := range pod.Tolerations {
		one := spec.Child("tolerations").Index(i)
		found = append(found, oneOf(one.Child("operator"), toleration.Operator, corev1.TolerationOpExists, corev1.TolerationOpEqual)...)
		found = append(found, oneOf(one.Child("effect"), toleration.Effect, "", corev1.TaintEffectNoSchedule,
			corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)...)
	}
	if len(pod.Containers) != 1 {
		return append(found, field.Invalid(spec.Child("containers"), len(pod.Containers), "one container is expected"))
	}
	container := &pod.Containers[0]
	inner := spec.Child("containers").Index(0)
	found = append(found, resources(container, inner)...)
	found = append(found, permissions(container.SecurityContext, inner.Child("securityContext"))...)
	found = append(found, oneOf(inner.Child("imagePullPolicy"), container.ImagePullPolicy, corev1.PullIfNotPresent, corev1.PullAlways)...)
	if len(container.Ports) > 0 {
		found = append(found, field.Forbidden(inner.Child("ports"),
			"with hostNetwork these become host ports, and no second pod can be scheduled on the node"))
	}
	for i, mount := range container.VolumeMounts {
		if !slices.ContainsFunc(pod.Volumes, func(volume corev1.Volume) bool { return volume.Name == mount.Name }) {
			found = append(found, field.NotFound(inner.Child("volumeMounts").Index(i).Child("name"), mount.Name))
		}
	}
	return append(found, all.settings(template, at)...)
}

// settings holds arguments, probes and annotations against the Corefile that the pod will read.
func (all manifest) settings(template *corev1.PodTemplateSpec, at *field.Path) field.ErrorList {
	container := &template.Spec.Containers[0]
	inner := at.Child("spec", "containers").Index(0)
	args := inner.Child("args")
	text, mounted := all.fileAt(template, argument(container, "-conf"))
	if !mounted {
		return field.ErrorList{field.NotFound(args.Key("-conf"), argument(container, "-conf"))}
	}
	facts := readCorefile(text)
	var found field.ErrorList
	local := strings.Split(argument(container, "-localip"), ",")
	for _, address := range local {
		if _, err := netip.ParseAddr(address); err != nil {
			found = append(found, field.Invalid(args.Key("-localip"), address, "not an address"))
		}
	}
	if !slices.Equal(local, facts.bind) {
		found = append(found, field.Invalid(args.Key("-localip"), local, "the Corefile binds "+strings.Join(facts.bind, " ")))
	}
	service := argument(container, "-upstreamsvc")
	variable := strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + "_SERVICE_HOST"
	for _, name := range facts.environment {
		if name != variable {
			found = append(found, field.Invalid(args.Key("-upstreamsvc"), service, "the Corefile substitutes "+name))
		}
	}
	found = append(found, probe(inner.Child("startupProbe"), container.StartupProbe, "/ready", facts.ready)...)
	found = append(found, probe(inner.Child("readinessProbe"), container.ReadinessProbe, "/ready", facts.ready)...)
	found = append(found, probe(inner.Child("livenessProbe"), container.LivenessProbe, "/health", facts.health)...)
	return append(found, all.metrics(template, at, facts)...)
}

// metrics checks that whoever follows the annotations or the headless Service arrives at the Corefile's port.
func (all manifest) metrics(template *corev1.PodTemplateSpec, at *field.Path, facts corefile) field.ErrorList {
	const annotation = "prometheus.io/port"
	var found field.ErrorList
	_, port, err := net.SplitHostPort(facts.prometheus)
	if err != nil || template.Annotations[annotation] != port {
		found = append(found, field.Invalid(at.Child("metadata", "annotations").Key(annotation),
			template.Annotations[annotation], "the Corefile says prometheus "+facts.prometheus))
	}
	for _, service := range all.services {
		if service.Spec.ClusterIP != corev1.ClusterIPNone {
			continue
		}
		for _, one := range service.Spec.Ports {
			if one.TargetPort.String() != port || service.Annotations[annotation] != port {
				found = append(found, field.Invalid(at.Child("metadata", "annotations").Key(annotation), port,
					"Service "+service.Name+" leads to "+one.TargetPort.String()+" and announces "+service.Annotations[annotation]))
			}
		}
	}
	return found
}

// fileAt finds the text that a path inside the container shows, if it is a key of one of our ConfigMaps.
func (all manifest) fileAt(template *corev1.PodTemplateSpec, name string) (string, bool) {
	for _, mount := range template.Spec.Containers[0].VolumeMounts {
		for _, volume := range template.Spec.Volumes {
			if volume.Name != mount.Name || volume.ConfigMap == nil || all.configMaps[volume.ConfigMap.Name] == nil {
				continue
			}
			for _, item := range volume.ConfigMap.Items {
				text, present := all.configMaps[volume.ConfigMap.Name].Data[item.Key]
				if present && path.Join(mount.MountPath, item.Path) == name {
					return text, true
				}
			}
		}
	}
	return "", false
}

func argument(container *corev1.Container, flag string) string {
	if at := slices.Index(container.Args, flag); at >= 0 && at+1 < len(container.Args) {
		return container.Args[at+1]
	}
	return ""
}

// probe checks that a probe asks the address on which the Corefile serves its path.
func probe(at *field.Path, probe *corev1.Probe, wanted, listen string) field.ErrorList {
	if probe == nil || probe.HTTPGet == nil {
		return field.ErrorList{field.Required(at.Child("httpGet"), wanted)}
	}
	get := probe.HTTPGet
	if get.Port.Type == intstr.String {
		return field.ErrorList{field.Invalid(at.Child("httpGet", "port"), get.Port.StrVal, "no port is declared under a name")}
	}
	found := portNumber(at.Child("httpGet", "port"), get.Port.IntValue())
	if get.Path != wanted {
		found = append(found, field.Invalid(at.Child("httpGet", "path"), get.Path, wanted+" is expected"))
	}
	if asked := net.JoinHostPort(get.Host, strconv.Itoa(get.Port.IntValue())); asked != listen {
		found = append(found, field.Invalid(at.Child("httpGet"), asked, "the Corefile serves "+wanted+" on "+listen))
	}
	return found
}

func resources(container *corev1.Container, at *field.Path) field.ErrorList {
	var found field.ErrorList
	limits := container.Resources.Limits
	if limits.Memory().IsZero() {
		found = append(found, field.Required(at.Child("resources", "limits", "memory"), "the cache takes its budget from it"))
	}
	for name, request := range container.Resources.Requests {
		if limit, bounded := limits[name]; bounded && request.Cmp(limit) > 0 {
			found = append(found, field.Invalid(at.Child("resources", "requests").Key(string(name)), request.String(),
				"more than the limit "+limit.String()))
		}
	}
	return found
}

// permissions holds the container to the two capabilities the daemon documents.
func permissions(context *corev1.SecurityContext, at *field.Path) field.ErrorList {
	if context == nil || context.Capabilities == nil || context.SeccompProfile == nil {
		return field.ErrorList{field.Required(at, "capabilities and seccompProfile")}
	}
	var found field.ErrorList
	isTrue := func(value *bool) bool { return value != nil && *value }
	if isTrue(context.Privileged) {
		found = append(found, field.Forbidden(at.Child("privileged"), "two capabilities are enough"))
	}
	if context.AllowPrivilegeEscalation == nil || *context.AllowPrivilegeEscalation {
		found = append(found, field.Required(at.Child("allowPrivilegeEscalation"), "false"))
	}
	if !isTrue(context.ReadOnlyRootFilesystem) {
		found = append(found, field.Required(at.Child("readOnlyRootFilesystem"), "true"))
	}
	if !slices.Equal(context.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		found = append(found, field.Invalid(at.Child("capabilities", "drop"), context.Capabilities.Drop, "ALL is expected"))
	}
	if !slices.Equal(context.Capabilities.Add, []corev1.Capability{"NET_ADMIN", "NET_BIND_SERVICE"}) {
		found = append(found, field.Invalid(at.Child("capabilities", "add"), context.Capabilities.Add,
			"NET_ADMIN and NET_BIND_SERVICE are expected"))
	}
	return append(found, oneOf(at.Child("seccompProfile", "type"), context.SeccompProfile.Type,
		corev1.SeccompProfileTypeRuntimeDefault)...)
}
