//! The directives there are, and how we stand to each.

/// How we stand to a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DirectiveSupport {
    /// It does what it says.
    Built,
    /// node-cache has it, we do not have it yet.
    NotYet,
    /// CoreDNS has it, node-cache does not.
    NotInNodeCache,
    /// Nobody has it.
    Unknown,
}

/// What works, in the order in which a query meets it; then those no query meets.
pub const SUPPORTED: [&str; 12] = [
    "bufsize",
    "prometheus",
    "errors",
    "log",
    "cache",
    "loop",
    "forward",
    "bind",
    "health",
    "ready",
    "reload",
    "timeouts",
];

const NOT_YET: [&str; 11] = [
    "debug",
    "dns64",
    "dnstap",
    "hosts",
    "loadbalance",
    "metadata",
    "pprof",
    "rewrite",
    "template",
    "trace",
    "whoami",
];

const NOT_IN_NODE_CACHE: [&str; 39] = [
    "acl",
    "any",
    "auto",
    "autopath",
    "azure",
    "cancel",
    "chaos",
    "clouddns",
    "dnssec",
    "dynupdate",
    "erratic",
    "etcd",
    "file",
    "geoip",
    "grpc",
    "grpc_server",
    "header",
    "https",
    "https3",
    "k8s_external",
    "kubernetes",
    "local",
    "minimal",
    "multisocket",
    "nomad",
    "nsid",
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

/// True for a directive that works and that a query meets on its way.
pub fn handles_queries(directive: &str) -> bool {
    SUPPORTED.contains(&directive)
        && !matches!(directive, "bind" | "health" | "ready" | "reload" | "timeouts")
}

pub(super) fn standing(directive: &str) -> DirectiveSupport {
    if SUPPORTED.contains(&directive) {
        DirectiveSupport::Built
    } else if NOT_YET.contains(&directive) {
        DirectiveSupport::NotYet
    } else if NOT_IN_NODE_CACHE.contains(&directive) {
        DirectiveSupport::NotInNodeCache
    } else {
        DirectiveSupport::Unknown
    }
}
