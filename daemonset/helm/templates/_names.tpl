{{- define "node-local-dns.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "node-local-dns.fullname" -}}
{{- $name := include "node-local-dns.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "node-local-dns.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "node-local-dns.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "node-local-dns.upstreamService" -}}
{{- default "kube-dns-upstream" .Values.config.customUpstreamsvc }}
{{- end }}

{{- define "node-local-dns.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}

{{/* Labels of the release, beside the label k8s-app of the add-on, which selects the pods. */}}
{{- define "node-local-dns.labels" -}}
app.kubernetes.io/name: {{ include "node-local-dns.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The first address of localDns, for probes. */}}
{{- define "node-local-dns.address" -}}
{{- splitList "," .Values.config.localDns | first | trim }}
{{- end }}

{{/* The first address as HOST of HOST:PORT; empty, for all addresses, in a network of the pod's own. */}}
{{- define "node-local-dns.host" -}}
{{- $address := include "node-local-dns.address" . }}
{{- if not .Values.hostNetwork }}
{{- else if contains ":" $address }}[{{ $address }}]{{ else }}{{ $address }}{{ end }}
{{- end }}

{{/* The value of -localip. */}}
{{- define "node-local-dns.localip" -}}
{{- $addresses := .Values.config.localDns }}
{{- if .Values.config.dnsServer }}
{{- $addresses = printf "%s,%s" $addresses .Values.config.dnsServer }}
{{- end }}
{{- $addresses | nospace }}
{{- end }}
