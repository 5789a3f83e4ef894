package main

import (
	"fmt"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// manifest is the rendered objects by kind, for rules about references between objects.
type manifest struct {
	accounts   map[string]*corev1.ServiceAccount
	configMaps map[string]*corev1.ConfigMap
	daemonSets map[string]*appsv1.DaemonSet
	services   map[string]*corev1.Service
	monitors   int // of the Prometheus Operator
}

// rules checks names, references between objects, ports and permissions.
func rules(objects []object) []error {
	all := manifest{
		accounts:   map[string]*corev1.ServiceAccount{},
		configMaps: map[string]*corev1.ConfigMap{},
		daemonSets: map[string]*appsv1.DaemonSet{},
		services:   map[string]*corev1.Service{},
	}
	for _, one := range objects {
		switch value := one.value.(type) {
		case *corev1.ServiceAccount:
			all.accounts[value.Name] = value
		case *corev1.ConfigMap:
			all.configMaps[value.Name] = value
		case *appsv1.DaemonSet:
			all.daemonSets[value.Name] = value
		case *corev1.Service:
			all.services[value.Name] = value
		case *monitoringv1.ServiceMonitor, *monitoringv1.PodMonitor:
			all.monitors++
		}
	}
	var faults []error
	for _, one := range objects {
		meta, found := all.validate(one)
		for _, fault := range found {
			kind := one.value.GetObjectKind().GroupVersionKind().Kind
			faults = append(faults, fmt.Errorf("%s: %s %s: %w", one.origin, kind, meta.Name, fault))
		}
	}
	return faults
}

func (all manifest) validate(one object) (metav1.ObjectMeta, field.ErrorList) {
	name := apivalidation.NameIsDNSSubdomain
	var meta metav1.ObjectMeta
	var found field.ErrorList
	switch value := one.value.(type) {
	case *corev1.ServiceAccount:
		meta = value.ObjectMeta
	case *corev1.ConfigMap:
		meta = value.ObjectMeta
	case *corev1.Service:
		meta, name = value.ObjectMeta, apivalidation.NameIsDNS1035Label
		found = all.service(value)
	case *appsv1.DaemonSet:
		meta = value.ObjectMeta
		found = all.daemonSet(value)
	case *monitoringv1.PrometheusRule:
		meta = value.ObjectMeta
	case *monitoringv1.ServiceMonitor:
		meta = value.ObjectMeta
		found = all.serviceMonitor(value)
	case *monitoringv1.PodMonitor:
		meta = value.ObjectMeta
		found = all.podMonitor(value)
	default:
		found = field.ErrorList{field.NotSupported(field.NewPath("kind"), fmt.Sprintf("%T", value),
			[]string{"ServiceAccount", "ConfigMap", "Service", "DaemonSet", "ServiceMonitor", "PodMonitor", "PrometheusRule"})}
	}
	return meta, append(apivalidation.ValidateObjectMeta(&meta, true, name, field.NewPath("metadata")), found...)
}

func (all manifest) service(service *corev1.Service) field.ErrorList {
	var found field.ErrorList
	names := map[string]bool{}
	for i, port := range service.Spec.Ports {
		at := field.NewPath("spec", "ports").Index(i)
		for _, fault := range validation.IsDNS1123Label(port.Name) {
			found = append(found, field.Invalid(at.Child("name"), port.Name, fault))
		}
		if names[port.Name] {
			found = append(found, field.Duplicate(at.Child("name"), port.Name))
		}
		names[port.Name] = true
		found = append(found, portNumber(at.Child("port"), int(port.Port))...)
		if port.TargetPort.Type == intstr.String {
			found = append(found, field.Invalid(at.Child("targetPort"), port.TargetPort.StrVal,
				"the pods declare no ports, so a name cannot be resolved"))
		} else {
			found = append(found, portNumber(at.Child("targetPort"), port.TargetPort.IntValue())...)
		}
		found = append(found, oneOf(at.Child("protocol"), port.Protocol, corev1.ProtocolUDP, corev1.ProtocolTCP)...)
	}
	for _, set := range all.daemonSets {
		if service.Spec.ClusterIP == corev1.ClusterIPNone && !selects(service.Spec.Selector, set) {
			found = append(found, field.Invalid(field.NewPath("spec", "selector"), service.Spec.Selector,
				"does not select the pods of DaemonSet "+set.Name))
		}
	}
	return found
}

func (all manifest) daemonSet(set *appsv1.DaemonSet) field.ErrorList {
	spec := field.NewPath("spec")
	template := spec.Child("template")
	var found field.ErrorList
	if set.Spec.Selector == nil {
		return append(found, field.Required(spec.Child("selector"), ""))
	}
	found = append(found, metavalidation.ValidateLabelSelector(set.Spec.Selector,
		metavalidation.LabelSelectorValidationOptions{}, spec.Child("selector"))...)
	if !selects(set.Spec.Selector.MatchLabels, set) {
		found = append(found, field.Invalid(template.Child("metadata", "labels"), set.Spec.Template.Labels,
			"not what spec.selector selects"))
	}
	found = append(found, surge(set, spec)...)
	return append(found, all.pod(&set.Spec.Template, template)...)
}

// surge checks that an upgrade starts the new pod beside the old one, which stays until the new one
// is available.
func surge(set *appsv1.DaemonSet, spec *field.Path) field.ErrorList {
	strategy, at := set.Spec.UpdateStrategy, spec.Child("updateStrategy")
	found := oneOf(at.Child("type"), strategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if set.Spec.MinReadySeconds < 1 {
		found = append(found, field.Required(spec.Child("minReadySeconds"), "a pod that dies early must stop the rollout"))
	}
	if strategy.RollingUpdate == nil {
		return append(found, field.Required(at.Child("rollingUpdate"), "maxSurge and maxUnavailable"))
	}
	amount := func(name string, value *intstr.IntOrString) int {
		if value == nil {
			return -1
		}
		scaled, err := intstr.GetScaledValueFromIntOrPercent(value, 100, true)
		if err != nil {
			found = append(found, field.Invalid(at.Child("rollingUpdate", name), value.String(), err.Error()))
		}
		return scaled
	}
	if amount("maxSurge", strategy.RollingUpdate.MaxSurge) < 1 {
		found = append(found, field.Required(at.Child("rollingUpdate", "maxSurge"), "the new pod starts beside the old one"))
	}
	if amount("maxUnavailable", strategy.RollingUpdate.MaxUnavailable) != 0 {
		found = append(found, field.Required(at.Child("rollingUpdate", "maxUnavailable"), "0, or a node is without DNS"))
	}
	return found
}

func selects(selector map[string]string, set *appsv1.DaemonSet) bool {
	return len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(set.Spec.Template.Labels))
}

func portNumber(at *field.Path, number int) field.ErrorList {
	var found field.ErrorList
	for _, fault := range validation.IsValidPortNum(number) {
		found = append(found, field.Invalid(at, number, fault))
	}
	return found
}

// oneOf checks an enumeration that the API types declare as a string.
func oneOf[W ~string](at *field.Path, word W, allowed ...W) field.ErrorList {
	if slices.Contains(allowed, word) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at, word, allowed)}
}
