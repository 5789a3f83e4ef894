//! Directives by support: supported, known to CoreDNS only, unknown.

/// How far a directive is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectiveSupport {
    /// Supported.
    Supported,
    /// Supported by CoreDNS, but not by node-cache.
    NotInNodeCache,
    /// Not a directive.
    Unknown,
}

/// Supported directives in the order of CoreDNS's plugin chain; then those outside the chain.
pub const SUPPORTED: [&str; 30] = [
    "metadata",
    "nsid",
    "bufsize",
    "trace",
    "prometheus",
    "errors",
    "log",
    "dnstap",
    "local",
    "dns64",
    "acl",
    "any",
    "chaos",
    "loadbalance",
    "cache",
    "rewrite",
    "header",
    "minimal",
    "template",
    "hosts",
    "loop",
    "forward",
    "whoami",
    "bind",
    "debug",
    "health",
    "pprof",
    "ready",
    "reload",
    "timeouts",
];

const NOT_IN_NODE_CACHE: [&str; 32] = [
    "auto",
    "autopath",
    "azure",
    "cancel",
    "clouddns",
    "dnssec",
    "dynupdate",
    "erratic",
    "etcd",
    "file",
    "geoip",
    "grpc",
    "grpc_server",
    "https",
    "https3",
    "k8s_external",
    "kubernetes",
    "multisocket",
    "nomad",
    "on",
    "proxyproto",
    "quic",
    "root",
    "route53",
    "secondary",
    "shed",
    "sign",
    "siit",
    "tls",
    "transfer",
    "tsig",
    "view",
];

/// True for a supported directive of the plugin chain.
pub fn handles_queries(directive: &str) -> bool {
    SUPPORTED.contains(&directive)
        && !matches!(directive, "bind" | "debug" | "health" | "pprof" | "ready" | "reload" | "timeouts")
}

/// The directives of node-cache, and ours.
pub(crate) fn known() -> Vec<&'static str> {
    SUPPORTED.to_vec()
}

/// The support of a directive.
pub(crate) fn of(directive: &str) -> DirectiveSupport {
    if SUPPORTED.contains(&directive) {
        DirectiveSupport::Supported
    } else if NOT_IN_NODE_CACHE.contains(&directive) {
        DirectiveSupport::NotInNodeCache
    } else {
        DirectiveSupport::Unknown
    }
}
