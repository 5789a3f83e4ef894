{{/* Metadata of a monitor: root, and settings of serviceMonitor or podMonitor. */}}
{{- define "node-local-dns.monitorMetadata" -}}
name: {{ with .settings.namePrefix }}{{ . }}-{{ end }}{{ include "node-local-dns.fullname" .root }}
namespace: {{ default .root.Values.namespace .settings.prometheusNamespace }}
labels:
  k8s-app: node-local-dns
  {{- include "node-local-dns.labels" .root | nindent 2 }}
  {{- with .settings.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* How an endpoint is scraped: settings; root; first, whether it is that of metricsPort. */}}
{{- define "node-local-dns.monitorEndpoint" -}}
{{- $settings := .settings }}
{{- if ne $settings.path "/metrics" }}
path: {{ $settings.path }}
{{- end }}
{{- if $settings.honorLabels }}
honorLabels: true
{{- end }}
{{- with $settings.interval }}
interval: {{ . }}
{{- end }}
{{- with $settings.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with concat (include "node-local-dns.takenOnce" . | fromYamlArray) $settings.metricRelabelings }}
metricRelabelings:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{/* Both ports serve the same page, as with node-cache: each metric is taken from one of them. */}}
{{- define "node-local-dns.takenOnce" -}}
{{- if not .first }}
- action: keep
  sourceLabels:
  - __name__
  regex: coredns_nodecache_setup_errors_total|promhttp_.*
{{- else if .root.Values.config.setupMetricsPort }}
- action: drop
  sourceLabels:
  - __name__
  regex: coredns_nodecache_setup_errors_total
{{- end }}
{{- end }}

{{/* The label node: pods are replaced in upgrades. */}}
{{- define "node-local-dns.monitorRelabelings" -}}
- sourceLabels:
  - __meta_kubernetes_pod_node_name
  targetLabel: node
{{- with .relabelings }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "node-local-dns.monitorNamespaces" -}}
{{- if ne (default .root.Values.namespace .settings.prometheusNamespace) .root.Values.namespace }}
namespaceSelector:
  matchNames:
  - {{ .root.Values.namespace }}
{{- end }}
{{- end }}
