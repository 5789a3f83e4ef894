{{/* The Corefile; a template of the daemon if it contains __PILLAR__. */}}
{{- define "node-local-dns.corefile" -}}
{{- $config := .Values.config }}
{{- if $config.customConfig }}
{{- tpl $config.customConfig . | trim }}
{{- else }}
{{- $cluster := dict "servers" (include "node-local-dns.clusterServers" .) "forward" (list $config.commProtocol | compact) }}
{{- $domain := dict "zone" $config.dnsDomain "ttl" 30 "stores" true "log" $config.enableLogging "http" true }}
{{- include "node-local-dns.block" (merge (dict "root" .) $domain $cluster) }}
{{- range list "in-addr.arpa" "ip6.arpa" }}
{{ include "node-local-dns.block" (merge (dict "root" $ "zone" . "ttl" $config.cacheTTL) $cluster) }}
{{- end }}
{{- range $config.zones }}
{{ include "node-local-dns.zone" (dict "root" $ "zone" .) }}
{{- end }}
{{- $options := list }}
{{- range $config.upstreamForwardConfig }}
{{- $options = append $options . }}
{{- end }}
{{- $outside := dict "servers" (include "node-local-dns.outsideServers" .) "forward" $options "log" $config.enableLogging }}
{{ include "node-local-dns.block" (merge (dict "root" . "zone" "." "ttl" $config.cacheTTL) $outside) }}
{{- with $config.extraServerBlocks | trim }}
{{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "node-local-dns.isTemplate" -}}
{{- if contains "__PILLAR__" (include "node-local-dns.corefile" .) }}true{{ end }}
{{- end }}

{{/* With a ClusterIP that only the kubelet knows, the daemon inserts all addresses. */}}
{{- define "node-local-dns.bind" -}}
{{- if not .Values.config.bindIp }}0.0.0.0
{{- else if .Values.config.dnsServer }}__PILLAR__LOCAL__DNS__
{{- else }}{{ include "node-local-dns.localip" . | replace "," " " }}
{{- end }}
{{- end }}

{{- define "node-local-dns.clusterServers" -}}
{{- if .Values.config.dnsServer }}__PILLAR__CLUSTER__DNS__
{{- else }}{{ printf "{$%s_SERVICE_HOST}" (include "node-local-dns.upstreamService" . | upper | replace "-" "_") }}
{{- end }}
{{- end }}

{{- define "node-local-dns.outsideServers" -}}
{{- $given := default .Values.config.upstreamServers (join " " .Values.config.upstream) }}
{{- if and .Values.config.dnsServer (eq $given "/etc/resolv.conf") }}__PILLAR__UPSTREAM__SERVERS__
{{- else }}{{ $given }}
{{- end }}
{{- end }}

{{/* The server block of an element of config.zones. */}}
{{- define "node-local-dns.zone" -}}
{{- $ttl := hasKey .zone "cacheTTL" | ternary .zone.cacheTTL .root.Values.config.cacheTTL }}
{{- $forward := dict "servers" (join " " .zone.servers) "forward" (default list .zone.forwardConfig) }}
{{- $port := .root.Values.config.port.number | toString }}
{{- $zones := join (printf ":%s " $port) .zone.zones }}
{{- include "node-local-dns.block" (merge (dict "root" .root "zone" $zones "ttl" $ttl) $forward) }}
{{- end }}

{{/* A server block: root, zone, ttl, servers, forward, and if they are true, stores, log and http. */}}
{{- define "node-local-dns.block" -}}
{{- $config := .root.Values.config }}
{{- $port := $config.port.number | toString -}}
{{ .zone }}:{{ $port }} {
{{- if .log }}
    log
{{- end }}
    errors
    {{- include "node-local-dns.cache" . | nindent 4 }}
    reload
    loop
    bind {{ include "node-local-dns.bind" .root }}
    forward . {{ .servers }}
{{- with .forward }} {
{{- range . }}
        {{ . }}
{{- end }}
    }
{{- end }}
{{- if $config.noIPv6Lookups }}
    template IN AAAA {
        rcode NOERROR
    }
{{- end }}
    prometheus :{{ $config.metricsPort }}
{{- if .http }}
    health {{ include "node-local-dns.host" .root }}:{{ $config.healthPort }}
    ready {{ include "node-local-dns.host" .root }}:{{ $config.readyPort }}
{{- end }}
}
{{- end }}

{{- define "node-local-dns.cache" -}}
{{- $prefetch := .root.Values.config.prefetch }}
{{- $stale := .root.Values.config.serveStale -}}
cache{{ if not .stores }} {{ int .ttl }}{{ end }}
{{- if or .stores $prefetch.enabled $stale.enabled }} {
{{- if .stores }}
    success 9984 {{ int .ttl }}
    denial 9984 5
{{- if .root.Values.config.nxdomainCut }}
    nxdomain_cut
{{- end }}
{{- end }}
{{- if $prefetch.enabled }}
    prefetch {{ int $prefetch.amount }} {{ $prefetch.duration }} {{ $prefetch.percentage }}
{{- end }}
{{- if $stale.enabled }}
    serve_stale {{ $stale.duration }} {{ $stale.mode }}
{{- end }}
}
{{- end }}
{{- end }}
