package main

import (
	"net"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// clusterIPVariable matches a variable that the kubelet replaces by the ClusterIP of a Service of
// our namespace.
var clusterIPVariable = regexp.MustCompile(`^\$\(([A-Z][A-Z0-9_]*_SERVICE_HOST)\)$`)

// settings compares arguments, probes, grace period and annotations with the Corefile of the pod.
func (all manifest) settings(template *corev1.PodTemplateSpec, at *field.Path) field.ErrorList {
	container := &template.Spec.Containers[0]
	inner := at.Child("spec", "containers").Index(0)
	args := inner.Child("args")
	service := argument(container, "-upstreamsvc")
	variable := strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + "_SERVICE_HOST"
	local, found := addresses(container, args, variable)
	text, present := all.configuration(template, local, variable)
	if !present {
		return append(found, field.NotFound(args.Key("-conf"), argument(container, "-conf")))
	}
	facts := readCorefile(text)
	own := !template.Spec.HostNetwork
	if own {
		local = []string{"0.0.0.0"}
	}
	for _, block := range facts.blocks {
		if len(block.bind) == 0 {
			found = append(found, field.Invalid(args.Key("-localip"), local, "the Corefile's block "+block.key+" has no bind and serves every address of the node"))
		} else if !slices.Equal(local, block.bind) {
			found = append(found, field.Invalid(args.Key("-localip"), local, "the Corefile's block "+block.key+" binds "+strings.Join(block.bind, " ")))
		}
	}
	for _, word := range facts.unreplaced {
		found = append(found, field.Invalid(args.Key("-conf"), word, "this variable is not replaced"))
	}
	for _, name := range facts.environment {
		if name != variable {
			found = append(found, field.Invalid(args.Key("-upstreamsvc"), service, "the Corefile substitutes "+name))
		}
	}
	for what, listen := range map[string]string{"health": facts.health, "ready": facts.ready} {
		if host, _, err := net.SplitHostPort(listen); err != nil || own != (host == "") || !own && !slices.Contains(local, host) {
			found = append(found, field.Invalid(args.Key("-localip"), local, "the Corefile has "+what+" "+listen))
		}
	}
	found = append(found, probes(container, inner, facts)...)
	found = append(found, grace(&template.Spec, at.Child("spec"), facts)...)
	return append(found, all.metrics(template, at, facts)...)
}

// addresses reads -localip. A ClusterIP inserted by the kubelet must not be that of the upstream.
func addresses(container *corev1.Container, args *field.Path, upstream string) ([]string, field.ErrorList) {
	var found field.ErrorList
	local := strings.Split(argument(container, "-localip"), ",")
	for i, address := range local {
		if match := clusterIPVariable.FindStringSubmatch(address); match != nil {
			if match[1] == upstream {
				found = append(found, field.Invalid(args.Key("-localip"), address, "this is the upstream: the cache would forward to itself"))
			}
			local[i] = placeholderClusterIP.String()
		} else if _, err := netip.ParseAddr(address); err != nil {
			found = append(found, field.Invalid(args.Key("-localip"), address, "not an address"))
		}
	}
	return local, found
}

// configuration is the Corefile in use: the template if it is mounted at its path, else -conf.
func (all manifest) configuration(template *corev1.PodTemplateSpec, local []string, variable string) (string, bool) {
	container := &template.Spec.Containers[0]
	base := argument(container, "-basecorefile")
	if base == "" {
		base = "/etc/coredns/Corefile.base"
	}
	if text, mounted := all.fileAt(template, base); mounted {
		return fill(text, local, variable), true
	}
	return all.fileAt(template, argument(container, "-conf"))
}

// grace checks that the grace period is longer than a shutdown.
func grace(pod *corev1.PodSpec, spec *field.Path, facts corefile) field.ErrorList {
	at := spec.Child("terminationGracePeriodSeconds")
	shutdown, err := facts.shutdownTime()
	if err != nil {
		return field.ErrorList{field.Invalid(at, facts.lameduck, err.Error())}
	}
	// Kubernetes' own default is 30 s.
	if given := pod.TerminationGracePeriodSeconds; given != nil && float64(*given) <= shutdown.Seconds() {
		return field.ErrorList{field.Invalid(at, *given, "the daemon takes up to "+shutdown.String()+" to exit")}
	}
	return nil
}

// metrics checks that the ports are those of the daemon, and that every target is found once: by the
// annotations of the pods, or by a monitor.
func (all manifest) metrics(template *corev1.PodTemplateSpec, at *field.Path, facts corefile) field.ErrorList {
	const portKey, scrapeKey = "prometheus.io/port", "prometheus.io/scrape"
	annotations := at.Child("metadata", "annotations")
	var found field.ErrorList
	_, port, err := net.SplitHostPort(facts.prometheus)
	given, annotated := template.Annotations[portKey]
	switch {
	case all.monitors > 0 && (annotated || template.Annotations[scrapeKey] != ""):
		found = append(found, field.Forbidden(annotations.Key(portKey), "a Prometheus that reads the monitor, too, counts twice"))
	case all.monitors == 0 && (err != nil || given != port || template.Annotations[scrapeKey] != "true"):
		found = append(found, field.Invalid(annotations.Key(portKey), given, "the Corefile has prometheus "+facts.prometheus))
	}
	expected := []string{port}
	_, setup, err := net.SplitHostPort(argument(&template.Spec.Containers[0], "-metrics-listen-address"))
	if setup = firstOf(setup, "9353"); err == nil || argument(&template.Spec.Containers[0], "-metrics-listen-address") == "" {
		expected = append(expected, setup)
	}
	for _, service := range all.services {
		if service.Spec.ClusterIP != corev1.ClusterIPNone {
			continue
		}
		if _, announced := service.Annotations[scrapeKey]; announced {
			found = append(found, field.Forbidden(annotations.Key(scrapeKey), "Service "+service.Name+" has it, too: both standard jobs would count"))
		}
	}
	if ports := all.metricsPorts(); !slices.Equal(ports, expected) {
		found = append(found, field.Invalid(at.Child("spec", "containers"), expected, "the headless Service leads to "+strings.Join(ports, " ")))
	}
	return found
}

// fileAt returns the content of a path in the container, if it is a key of one of our ConfigMaps.
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
