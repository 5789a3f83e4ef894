package main

// corefileRows are values, as of users of the deliveryhero chart, and a text of the JSON of what the
// daemon reads from the Corefile.
var corefileRows = map[string]struct{ values, expected string }{
	"further server blocks": {`
config:
  extraServerBlocks: |
    corp.example:53 consul:53 {
        errors
        cache 30
        reload
        bind 169.254.20.10
        forward . 192.0.2.53 192.0.2.54:5353 {
            policy sequential
        }
    }
`, `"Zones":["corp.example.","consul."],"Upstreams":["192.0.2.53:53","192.0.2.54:5353"]`},
	"further server blocks of a template": {`
config:
  dnsServer: 172.20.0.10
  extraServerBlocks: |
    corp.example:53 {
        errors
        cache 30
        bind __PILLAR__LOCAL__DNS__
        forward . __PILLAR__CLUSTER__DNS__
    }
`, `"Zones":["corp.example."]`},
	"a whole Corefile": {`
config:
  localDns: 169.254.25.10
  customConfig: |
    {{ .Values.config.dnsDomain }}:53 {
        errors
        cache {
            success 9984 30
            denial 9984 5
        }
        bind {{ .Values.config.localDns }}
        forward . {$KUBE_DNS_UPSTREAM_SERVICE_HOST} {
            force_tcp
        }
        prometheus :9253
        health {{ .Values.config.localDns }}:{{ .Values.config.healthPort }}
        ready {{ .Values.config.localDns }}:{{ .Values.config.readyPort }}
    }
    .:53 {
        bind {{ .Values.config.localDns }}
        forward . tls://192.0.2.1 tls://192.0.2.2 {
            tls_servername dns.example
        }
    }
`, `"tls://192.0.2.1:853"`},
	"prefetch and stale answers": {`
config:
  prefetch:
    enabled: true
    amount: 5
    duration: 1m
    percentage: 10%
  serveStale:
    enabled: true
    duration: 24h
    mode: verify
`, `"Zones":["cluster.local."]`},
	"no IPv6 lookups":                {"config: {noIPv6Lookups: true}", `"Zones":["."]`},
	"no IPv6 lookups, of a template": {"config: {noIPv6Lookups: true, dnsServer: $(KUBE_DNS_SERVICE_HOST)}", `"Zones":["."]`},
	"zones with upstreams of their own": {`
config:
  zones:
  - zones: [corp.example, 10.in-addr.arpa]
    servers: [192.0.2.53, "tls://192.0.2.54"]
    cacheTTL: 300
    forwardConfig: [policy sequential, tls_servername dns.corp.example, max_concurrent 1000]
  - zones: [consul]
    servers: ["192.0.2.55:8600"]
`, `"Zones":["corp.example.","10.in-addr.arpa."],"Upstreams":["192.0.2.53:53","tls://192.0.2.54:853"]`},
	"a long TTL":                      {"config: {cacheTTL: 86400}", `"Zones":["."]`},
	"log":                             {"config: {enableLogging: true}", `"Zones":["."]`},
	"prefer_udp":                      {"config: {commProtocol: prefer_udp}", `"Zones":["cluster.local."]`},
	"no option of forward":            {`config: {commProtocol: ""}`, `"Zones":["cluster.local."]`},
	"every address of the node":       {"config: {bindIp: false}", `"0.0.0.0:53"`},
	"a network of the pod's own":      {"hostNetwork: false\nconfig: {bindIp: false, setupInterface: false, setupIptables: false}", `"0.0.0.0:53"`},
	"another port":                    {"config: {port: {number: 5300}}", `"Addresses":["169.254.20.10:5300"]`},
	"another cluster domain":          {"config: {dnsDomain: corp.example}", `"Zones":["corp.example."]`},
	"another Service in front":        {"config: {customUpstreamsvc: rke2-coredns}", `"Zones":["cluster.local."],"Upstreams":["10.96.0.20:53"]`},
	"other upstreams":                 {`config: {upstream: [192.0.2.1, "tls://192.0.2.2"]}`, `"Upstreams":["192.0.2.1:53","tls://192.0.2.2:853"]`},
	"other upstreams, of a template":  {"config: {dnsServer: 172.20.0.10, upstreamServers: 192.0.2.1 192.0.2.2}", `"Upstreams":["192.0.2.1:53","192.0.2.2:53"]`},
	"options of other upstreams":      {"config: {upstreamForwardConfig: [policy random, max_fails 3, expire 5s, prefer_udp]}", `"Zones":["."]`},
	"several addresses, two families": {`config: {localDns: "169.254.20.10,169.254.20.11,fd00:90de:d95::1"}`, `"[fd00:90de:d95::1]:53"`},
	"two families and a ClusterIP":    {`config: {localDns: "169.254.20.10,fd00:90de:d95::1", dnsServer: "172.20.0.10,fd00::a"}`, `"[fd00::a]:53"`},
	"other ports of probes":           {"config: {healthPort: 3989, readyPort: 3990, metricsPort: 9254, setupMetricsPort: 0}", `"Zones":["."]`},
	"no link and no rules":            {"config: {setupInterface: false, setupIptables: false, skipTeardown: true}", `"Zones":["."]`},
	"values of the deliveryhero chart's readme": {`
image: {pullPolicy: IfNotPresent}
config:
  localDns: 169.254.20.25
  dnsServer: 172.20.0.10
  bindIp: true
  commProtocol: force_tcp
  enableLogging: true
  noIPv6Lookups: true
  prefetch: {enabled: true, amount: 3, duration: 30s, percentage: 20%}
  upstreamForwardConfig: {options: "policy round_robin"}
serviceMonitor: {enabled: true}
updateStrategy: {rollingUpdate: {maxUnavailable: 10%, maxSurge: 0}}
`, `"169.254.20.25:53"`},
}
