{{/* Values that the daemon or Kubernetes would reject, or that would have no effect, with the remedy. */}}
{{- define "node-local-dns.rejected" -}}
{{- $faults := concat (include "node-local-dns.rejectedConfig" . | fromJsonArray) (include "node-local-dns.rejectedPod" . | fromJsonArray) }}
{{- with concat $faults (include "node-local-dns.rejectedMonitors" . | fromJsonArray) }}
{{- printf "\n  %s" (join "\n  " .) | fail }}
{{- end }}
{{- end }}

{{- define "node-local-dns.rejectedConfig" -}}
{{- $config := .Values.config }}
{{- $faults := list }}
{{- if contains "node-cache" .Values.image.repository }}
{{- $faults = append $faults (printf "image.repository: %s is node-cache: remove it and image.tag, or name a registry with nodelocaldns" .Values.image.repository) }}
{{- end }}
{{- if and $config.upstream (ne $config.upstreamServers "/etc/resolv.conf") }}
{{- $faults = append $faults "config.upstream, config.upstreamServers: two lists of the same upstreams: remove one" }}
{{- end }}
{{- if and (not .Values.hostNetwork) (or $config.bindIp $config.setupInterface $config.setupIptables $config.dnsServer) }}
{{- $faults = append $faults "hostNetwork: false, and a pod in a network of its own serves no address of the node: set config.bindIp, config.setupInterface and config.setupIptables to false and config.dnsServer to \"\", as values-cilium.yaml does" }}
{{- end }}
{{- range $name, $default := dict "tcp" "dns-tcp" "udp" "dns" }}
{{- if ne (get $config.port $name | default $default) $default }}
{{- $faults = append $faults (printf "config.port.%s: the pods declare no ports, so none has a name: remove it" $name) }}
{{- end }}
{{- end }}
{{- toJson $faults }}
{{- end }}

{{- define "node-local-dns.rejectedPod" -}}
{{- $faults := list }}
{{- $rolling := .Values.updateStrategy.rollingUpdate | default dict }}
{{- $isZero := list "" "0" "0%" }}
{{- $surge := get $rolling "maxSurge" | toString }}
{{- $unavailable := get $rolling "maxUnavailable" | toString }}
{{- if not (or (has $surge $isZero) (has $unavailable $isZero)) }}
{{- $faults = append $faults (printf "updateStrategy.rollingUpdate.maxUnavailable: %s beside maxSurge: %s, and Kubernetes allows one of them: set maxUnavailable: 0 and maxSurge: %s, so that the new pod takes over from the old one" $unavailable $surge $unavailable) }}
{{- end }}
{{- if regexMatch "\"(/bin/|/usr/bin/)?(ba|da)?sh\"" (toJson .Values.lifecycle) }}
{{- $faults = append $faults "lifecycle: the image has no shell: set {preStop: {exec: {command: [/nodelocaldns, sleep, \"SECONDS\"]}}}, or remove it: an upgrade needs no pause" }}
{{- end }}
{{- $hook := dig "preDelete" dict (.Values.hooks | default dict) }}
{{- if $hook.enabled }}
{{- $faults = append $faults "hooks.preDelete: needs an image with a shell and kubectl: remove it; cleanup.enabled, which is set by default, cleans the nodes with our own image" }}
{{- end }}
{{- toJson $faults }}
{{- end }}

{{- define "node-local-dns.rejectedMonitors" -}}
{{- $faults := list }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- $faults = append $faults "serviceMonitor.enabled, podMonitor.enabled: both would count everything twice: set one" }}
{{- end }}
{{- toJson $faults }}
{{- end }}
