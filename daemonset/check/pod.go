package main

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// drain is the time for queries in flight at shutdown.
	drain = 5 * time.Second
	// handOver is the default directory of the hand-over, and its flag.
	handOver     = "/run/nodelocaldns"
	handOverFlag = "-handover-dir"
	// cniResults is libcni's directory of cached results.
	cniResults = "/var/lib/cni/results"
)

// tolerated are the add-on's tolerations: DNS runs on every node.
var tolerated = []corev1.Toleration{
	{Key: "CriticalAddonsOnly", Operator: corev1.TolerationOpExists},
	{Effect: corev1.TaintEffectNoExecute, Operator: corev1.TolerationOpExists},
	{Effect: corev1.TaintEffectNoSchedule, Operator: corev1.TolerationOpExists},
}

func (all manifest) pod(template *corev1.PodTemplateSpec, at *field.Path) field.ErrorList {
	pod := &template.Spec
	spec := at.Child("spec")
	var found field.ErrorList
	if _, known := all.accounts[pod.ServiceAccountName]; !known {
		found = append(found, field.NotFound(spec.Child("serviceAccountName"), pod.ServiceAccountName))
	}
	if token := pod.AutomountServiceAccountToken; token == nil || *token {
		found = append(found, field.Invalid(spec.Child("automountServiceAccountToken"), token, "the daemon does not use the API"))
	}
	found = append(found, oneOf(spec.Child("dnsPolicy"), pod.DNSPolicy, corev1.DNSDefault)...)
	found = append(found, oneOf(spec.Child("priorityClassName"), pod.PriorityClassName, "system-node-critical")...)
	for i, toleration := range pod.Tolerations {
		one := spec.Child("tolerations").Index(i)
		found = append(found, oneOf(one.Child("operator"), toleration.Operator, corev1.TolerationOpExists, corev1.TolerationOpEqual)...)
		found = append(found, oneOf(one.Child("effect"), toleration.Effect, "", corev1.TaintEffectNoSchedule,
			corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)...)
	}
	if !equality.Semantic.DeepEqual(pod.Tolerations, tolerated) {
		found = append(found, field.Invalid(spec.Child("tolerations"), len(pod.Tolerations), "not the add-on's three"))
	}
	if len(pod.Containers) != 1 {
		return append(found, field.Invalid(spec.Child("containers"), len(pod.Containers), "one container is expected"))
	}
	found = append(found, container(pod, spec)...)
	return append(found, all.settings(template, at)...)
}

// container checks permissions, resources and mounts of the container.
func container(pod *corev1.PodSpec, spec *field.Path) field.ErrorList {
	container, inner := &pod.Containers[0], spec.Child("containers").Index(0)
	found := memory(container, inner)
	found = append(found, network(pod, inner.Child("args"))...)
	found = append(found, permissions(container.SecurityContext, inner.Child("securityContext"))...)
	found = append(found, oneOf(inner.Child("imagePullPolicy"), container.ImagePullPolicy, corev1.PullIfNotPresent, corev1.PullAlways)...)
	if pod.HostNetwork && len(container.Ports) > 0 {
		found = append(found, field.Forbidden(inner.Child("ports"),
			"with hostNetwork these become host ports, and no second pod can be scheduled on the node"))
	}
	directory := argument(container, handOverFlag)
	if directory == "" {
		directory = handOver
	}
	shared := false
	for i, mount := range container.VolumeMounts {
		at := inner.Child("volumeMounts").Index(i)
		place := slices.IndexFunc(pod.Volumes, func(volume corev1.Volume) bool { return volume.Name == mount.Name })
		if place < 0 {
			found = append(found, field.NotFound(at.Child("name"), mount.Name))
			continue
		}
		if !pod.HostNetwork && mount.MountPath == directory && pod.Volumes[place].EmptyDir != nil {
			shared = true // nothing to hand over: of this pod alone
		}
		source := pod.Volumes[place].HostPath
		if source == nil {
			continue
		}
		if mount.MountPath == cniResults && source.Path == cniResults && pod.HostNetwork {
			if !mount.ReadOnly {
				found = append(found, field.Required(at.Child("readOnly"), "true: the directory is the container runtime's"))
			}
			continue
		}
		if mount.MountPath != directory || source.Path != handOver || !pod.HostNetwork {
			found = append(found, field.Forbidden(at.Child("mountPath"), "the pod mounts nothing of the node but "+handOver+" and "+cniResults))
			continue
		}
		shared = true
		if mount.ReadOnly {
			found = append(found, field.Invalid(at.Child("readOnly"), true, "the daemon creates its socket there"))
		}
		if source.Type == nil || *source.Type != corev1.HostPathDirectoryOrCreate {
			found = append(found, field.Invalid(spec.Child("volumes").Index(place).Child("hostPath", "type"), source.Type,
				"DirectoryOrCreate is expected: after a boot the directory is not there"))
		}
	}
	if !shared {
		found = append(found, field.Required(inner.Child("volumeMounts"), "hostPath "+handOver+" at "+directory+", for the hand-over"))
	}
	return found
}

// network checks that a pod in a network of its own touches neither link nor packet filter.
func network(pod *corev1.PodSpec, at *field.Path) field.ErrorList {
	if pod.HostNetwork {
		return nil
	}
	var found field.ErrorList
	for _, flag := range []string{"-setupinterface=false", "-setupiptables=false"} {
		if !slices.Contains(pod.Containers[0].Args, flag) {
			found = append(found, field.Required(at, flag+", or hostNetwork: the link belongs to the node"))
		}
	}
	return found
}

// memory compares the limit with the daemon's maximum: the cache's budget, 16 MiB for all else, and
// two snapshots of 8 MiB, the last and the one being written: /run is memory, charged to the
// writer.
func memory(container *corev1.Container, at *field.Path) field.ErrorList {
	const rest, snapshots, mostBudget = 16 << 20, 2 * 8 << 20, 64 << 20
	var found field.ErrorList
	limits := container.Resources.Limits
	limit := limits.Memory()
	if limit.IsZero() {
		return append(found, field.Required(at.Child("resources", "limits", "memory"), "the cache derives its budget from it"))
	}
	budget := min(limit.Value()/3, mostBudget)
	if expected := argument(container, "-cache-bytes"); expected != "" {
		amount, err := apiresource.ParseQuantity(expected)
		if err != nil {
			return append(found, field.Invalid(at.Child("args").Key("-cache-bytes"), expected, err.Error()))
		}
		budget = amount.Value()
	}
	if needed := apiresource.NewQuantity(budget+rest+snapshots, apiresource.BinarySI); needed.Cmp(*limit) > 0 {
		found = append(found, field.Invalid(at.Child("resources", "limits", "memory"), limit.String(),
			"the daemon may use "+needed.String()))
	}
	for name, request := range container.Resources.Requests {
		if limit, bounded := limits[name]; bounded && request.Cmp(limit) > 0 {
			found = append(found, field.Invalid(at.Child("resources", "requests").Key(string(name)), request.String(),
				"more than the limit "+limit.String()))
		}
	}
	if container.Resources.Requests.Memory().IsZero() {
		found = append(found, field.Required(at.Child("resources", "requests", "memory"), "it would be evicted first under memory pressure"))
	}
	return found
}

// permissions checks that the container has the two documented capabilities only.
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
