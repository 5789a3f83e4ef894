package main

import (
	"regexp"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// serviceMonitor checks that it selects our headless Service and each of its ports.
func (all manifest) serviceMonitor(monitor *monitoringv1.ServiceMonitor) field.ErrorList {
	spec := field.NewPath("spec")
	selector := labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels)
	var found field.ErrorList
	for _, service := range all.services {
		if selector.Empty() || !selector.Matches(labels.Set(service.Labels)) {
			continue
		}
		for i, endpoint := range monitor.Spec.Endpoints {
			if !slices.ContainsFunc(service.Spec.Ports, func(port corev1.ServicePort) bool { return port.Name == endpoint.Port }) {
				found = append(found, field.NotFound(spec.Child("endpoints").Index(i).Child("port"), endpoint.Port))
			}
		}
		for i, endpoint := range monitor.Spec.Endpoints {
			found = append(found, takenOnce(spec.Child("endpoints").Index(i), i, endpoint.MetricRelabelConfigs)...)
		}
		for _, port := range service.Spec.Ports {
			if !slices.ContainsFunc(monitor.Spec.Endpoints, func(endpoint monitoringv1.Endpoint) bool { return port.Name == endpoint.Port }) {
				found = append(found, field.Required(spec.Child("endpoints"), port.Name))
			}
		}
		return found
	}
	return append(found, field.Invalid(spec.Child("selector"), monitor.Spec.Selector.MatchLabels, "no Service has these labels"))
}

// podMonitor checks that it selects our pods, without a declared port.
func (all manifest) podMonitor(monitor *monitoringv1.PodMonitor) field.ErrorList {
	spec := field.NewPath("spec")
	var found field.ErrorList
	for _, set := range all.daemonSets {
		if !selects(monitor.Spec.Selector.MatchLabels, set) {
			found = append(found, field.Invalid(spec.Child("selector"), monitor.Spec.Selector.MatchLabels,
				"does not select the pods of DaemonSet "+set.Name))
		}
	}
	at, ports := spec.Child("podMetricsEndpoints"), all.metricsPorts()
	if len(monitor.Spec.PodMetricsEndpoints) != len(ports) {
		found = append(found, field.Invalid(at, len(monitor.Spec.PodMetricsEndpoints), "one for each port is expected"))
	}
	for i, endpoint := range monitor.Spec.PodMetricsEndpoints[:min(len(ports), len(monitor.Spec.PodMetricsEndpoints))] {
		found = append(found, podEndpoint(at.Index(i), endpoint, ports[i])...)
		found = append(found, takenOnce(at.Index(i), i, endpoint.MetricRelabelConfigs)...)
	}
	return found
}

// takenOnce checks that the first endpoint drops what the second one keeps: both serve the same page.
func takenOnce(at *field.Path, number int, rules []monitoringv1.RelabelConfig) field.ErrorList {
	const setup, others = "coredns_nodecache_setup_errors_total", "coredns_dns_requests_total"
	for _, name := range []string{setup, others} {
		taken := true
		for _, rule := range rules {
			pattern, err := regexp.Compile("^(?:" + rule.Regex + ")$")
			if err != nil {
				return field.ErrorList{field.Invalid(at.Child("metricRelabelings"), rule.Regex, err.Error())}
			}
			taken = taken && pattern.MatchString(name) == (rule.Action == "keep")
		}
		if taken != ((number == 0) == (name == others)) {
			return field.ErrorList{field.Invalid(at.Child("metricRelabelings"), name, "both ports serve it, and one endpoint must take it")}
		}
	}
	return nil
}

// metricsPorts are the ports of the headless Service.
func (all manifest) metricsPorts() []string {
	var ports []string
	for _, service := range all.services {
		if service.Spec.ClusterIP != corev1.ClusterIPNone {
			continue
		}
		for _, port := range service.Spec.Ports {
			ports = append(ports, port.TargetPort.String())
		}
	}
	return ports
}

// podEndpoint applies the relabelling of one endpoint to a pod address of each family.
func podEndpoint(at *field.Path, endpoint monitoringv1.PodMetricsEndpoint, port string) field.ErrorList {
	if endpoint.Port != nil || endpoint.PortNumber != nil {
		return field.ErrorList{field.Forbidden(at.Child("port"), "the pods declare no ports, so none is found")}
	}
	var found field.ErrorList
	for ip, expected := range map[string]string{"192.0.2.1": "192.0.2.1:" + port, "2001:db8::1": "[2001:db8::1]:" + port} {
		address := ""
		for _, rule := range endpoint.RelabelConfigs {
			if rule.TargetLabel != "__address__" || !slices.Equal(rule.SourceLabels, []monitoringv1.LabelName{"__meta_kubernetes_pod_ip"}) {
				continue
			}
			replaced, err := relabelled(rule, ip)
			if err != nil {
				found = append(found, field.Invalid(at.Child("relabelings"), rule.Regex, err.Error()))
			}
			address = firstOf(replaced, address)
		}
		if address != expected {
			found = append(found, field.Invalid(at.Child("relabelings"), address, "a pod at "+ip+" serves its metrics at "+expected))
		}
	}
	return found
}

// relabelled applies a replace rule to a value; empty if it does not match the whole value.
func relabelled(rule monitoringv1.RelabelConfig, value string) (string, error) {
	pattern, err := regexp.Compile("^(?:" + rule.Regex + ")$")
	if err != nil || rule.Replacement == nil {
		return "", err
	}
	match := pattern.FindStringSubmatchIndex(value)
	if match == nil {
		return "", nil
	}
	return string(pattern.ExpandString(nil, *rule.Replacement, value, match)), nil
}
