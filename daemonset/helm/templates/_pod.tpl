{{- define "node-local-dns.podAnnotations" -}}
{{- $annotations := dict }}
{{- if and .Values.prometheusScraping.enabled (not .Values.serviceMonitor.enabled) (not .Values.podMonitor.enabled) }}
{{- $annotations = dict "prometheus.io/port" (.Values.config.metricsPort | toString) "prometheus.io/scrape" "true" }}
{{- end }}
{{- with merge dict .Values.podAnnotations $annotations }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* On which nodes. */}}
{{- define "node-local-dns.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{/* Both capabilities are needed, also beside a list of others. */}}
{{- define "node-local-dns.securityContext" -}}
{{- $context := deepCopy .Values.securityContext }}
{{- $capabilities := get $context "capabilities" | default dict }}
{{- $added := concat (list "NET_ADMIN" "NET_BIND_SERVICE") (get $capabilities "add" | default list) | uniq }}
{{- set $context "capabilities" (merge (dict "add" $added) $capabilities) | toYaml }}
{{- end }}

{{- define "node-local-dns.args" -}}
{{- $config := .Values.config -}}
- -localip
- {{ include "node-local-dns.localip" . }}
- -conf
- {{ eq (include "node-local-dns.isTemplate" .) "true" | ternary "/etc/Corefile" "/etc/coredns/Corefile" }}
- -upstreamsvc
- {{ include "node-local-dns.upstreamService" . }}
{{- if ne (int $config.port.number) 53 }}
- -dns.port
- {{ $config.port.number | quote }}
{{- end }}
{{- if ne (int $config.setupMetricsPort) 9353 }}
- -metrics-listen-address
- {{ ne (int $config.setupMetricsPort) 0 | ternary (printf "0.0.0.0:%d" (int $config.setupMetricsPort)) "0" | quote }}
{{- end }}
{{- if not $config.setupInterface }}
- -setupinterface=false
{{- end }}
{{- if not $config.setupIptables }}
- -setupiptables=false
{{- end }}
{{- if $config.skipTeardown }}
- -skipteardown
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "node-local-dns.container" -}}
- name: node-cache
  image: {{ include "node-local-dns.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args:
  {{- include "node-local-dns.args" . | nindent 2 }}
  {{- with .Values.extraEnv }}
  env:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  {{- with .Values.resizePolicy }}
  resizePolicy:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  securityContext:
    {{- include "node-local-dns.securityContext" . | nindent 4 }}
  {{- with .Values.lifecycle }}
  lifecycle:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if not .Values.hostNetwork }}
  ports:
  - name: dns
    containerPort: {{ .Values.config.port.number }}
    protocol: UDP
  - name: dns-tcp
    containerPort: {{ .Values.config.port.number }}
    protocol: TCP
  {{- end }}
  {{- include "node-local-dns.probes" . | nindent 2 }}
  volumeMounts:
  - name: config-volume
    mountPath: /etc/coredns
    readOnly: true
  - name: hand-over
    mountPath: /run/nodelocaldns
  {{- if and .Values.podNames.enabled .Values.hostNetwork }}
  - name: cni-results
    mountPath: /var/lib/cni/results
    readOnly: true
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Two pods share the addresses in an upgrade: the startup probe runs in the container. */}}
{{- define "node-local-dns.probes" -}}
startupProbe:
  exec:
    command:
    - /nodelocaldns
    - -probe
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 60
readinessProbe:
  httpGet:
    {{- if .Values.hostNetwork }}
    host: {{ include "node-local-dns.address" . | quote }}
    {{- end }}
    path: /ready
    port: {{ .Values.config.readyPort }}
  periodSeconds: 5
  timeoutSeconds: 2
livenessProbe:
  httpGet:
    {{- if .Values.hostNetwork }}
    host: {{ include "node-local-dns.address" . | quote }}
    {{- end }}
    path: /health
    port: {{ .Values.config.healthPort }}
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 3
  # A hung process does not drain.
  terminationGracePeriodSeconds: 5
{{- end }}

{{/* What the daemon did not create, nothing of it is removed. */}}
{{- define "node-local-dns.uninstallArgs" -}}
{{- if not .Values.config.setupInterface }}
- -setupinterface=false
{{- end }}
{{- if not .Values.config.setupIptables }}
- -setupiptables=false
{{- end }}
{{- range $flag := list "-interfacename" "-link-kind" }}
{{- range $at, $word := $.Values.extraArgs }}
{{- if eq $word $flag }}
- {{ $flag }}
- {{ index $.Values.extraArgs (add1 $at) | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Of a container that only waits. */}}
{{- define "node-local-dns.idleSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}
