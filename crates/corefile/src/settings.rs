//! Settings: a validated configuration, with defaults filled in.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use resolver::policy::rewrite::RewriteRule;
use resolver::policy::{
    CacheOptions, Dns64, ForwardOptions, FrontPlugin, LoadBalanceOptions, LocalPlugin, MessageChanges,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tracing::Level;
use wire::name::Name;

use crate::known_files::KnownFiles;

/// A validated configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its source: a path, `stdin`, or `the built-in Corefile`.
    pub source: String,
    /// SHA-512 over the words with their files and lines, in hexadecimal, by which an edit is
    /// detected. Spaces within a line and comments are not hashed.
    pub hash: String,
    /// In the order of the file.
    pub blocks: Vec<Block>,
    /// In the order of their first block.
    pub listeners: Vec<Listener>,
    /// The addresses of the `health` directives of all blocks, each once.
    pub health: Vec<SocketAddr>,
    /// How long DNS is served after SIGTERM: the longest `lameduck`.
    pub lameduck: Duration,
    /// The addresses of all `ready` directives, each once.
    pub ready: Vec<SocketAddr>,
    /// The addresses of all `prometheus` directives, each once.
    pub prometheus: Vec<SocketAddr>,
    /// `FILE:LINE` of the directive that names each address of `health`, `ready` and `prometheus`.
    pub endpoint_locations: BTreeMap<SocketAddr, String>,
    /// The last `reload` directive.
    pub reload: Option<Reload>,
    /// A `debug` directive in any block: `[DEBUG]` lines are logged.
    pub debug: bool,
    /// The files that `forward`, `hosts` and `loadbalance` directives name.
    pub files: KnownFiles,
    /// Warnings, as sentences for the log.
    pub warnings: Vec<String>,
}

/// A server block.
#[derive(Clone, Debug)]
pub struct Block {
    /// `FILE:LINE` of its first key.
    pub location: String,
    /// Its keys, at least one.
    pub keys: Vec<ServerBlockKey>,
    /// Identifies the block's cache entries across reloads and processes: equal if they remain
    /// valid. Any two listening blocks of one configuration have different ones.
    pub fingerprint: String,
    /// Its directives, each once, in the order of the plugin chain.
    pub directives: Vec<&'static str>,
    /// The `bufsize` directive, 512 to 4096.
    pub bufsize: Option<u16>,
    /// The `timeouts` directive.
    pub timeouts: Timeouts,
    /// The `dns64` directive.
    pub dns64: Option<Dns64>,
    /// The `cache` directive.
    pub cache: Option<CacheOptions>,
    /// The file of its `hosts` directive.
    pub hosts: Option<HostsFile>,
    /// The `forward` directives, in the order of the file.
    pub forwards: Vec<Forward>,
    /// The `rewrite` directives, in the order of the file.
    pub rewrites: Arc<[RewriteRule]>,
    /// Its directives that answer queries in front of the cache, in the order of the plugin chain.
    pub front: Vec<FrontPlugin>,
    /// `nsid`: the identifier of the server, at most 255 octets.
    pub nsid: Option<Arc<[u8]>>,
    /// The `loadbalance` directive.
    pub load_balance: Option<LoadBalanceOptions>,
    /// The file of weights that it names.
    pub weight_file: Option<WeightFile>,
    /// The `header` and `minimal` directives.
    pub message_changes: MessageChanges,
    /// Its directives that answer queries themselves, in the order of the plugin chain.
    pub plugins: Vec<LocalPlugin>,
    /// The `errors` directive; without it, failures are not logged.
    pub errors: Option<Errors>,
    /// Rules of all `log` directives; the first with a matching zone applies.
    pub log: Vec<LogRule>,
    /// True with `metadata`: labels in formats of `log` have values.
    pub metadata: bool,
    /// The `loop` directive.
    pub loop_query: Option<LoopQueryTarget>,
    /// True with `prometheus`: its queries are counted.
    pub prometheus: bool,
}

/// A key of a server block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerBlockKey {
    /// The zone.
    pub zone: Name,
    /// The port it is served on.
    pub port: u16,
}

/// The file of a `hosts` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsFile {
    /// Absolute; among [`Settings::files`].
    pub path: PathBuf,
    /// As in the Corefile: the `hostsfile` label of metrics.
    pub label: String,
    /// Entries of the table, those in the Corefile included.
    pub entries: usize,
    /// Time between checks for changes; 0 for none.
    pub reload: Duration,
}

/// The file of `loadbalance weighted`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightFile {
    /// Absolute; among [`Settings::files`].
    pub path: PathBuf,
    /// Time between checks for changes; 0 for none.
    pub reload: Duration,
}

/// A `forward` directive.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Its options, except for those about connections.
    pub options: ForwardOptions,
    /// Upstream addresses, at least one, each once.
    pub upstreams: Vec<SocketAddr>,
    /// The files that list some of them, among [`Settings::files`].
    pub files: Vec<PathBuf>,
    /// Options of its upstream connections.
    pub connection: ConnectionOptions,
}

/// Options of a `forward` about connections to its upstreams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// `expire`: idle timeout.
    pub expire: Duration,
    /// `max_age`, not less than `expire`; about a minute if `None`.
    pub max_age: Option<Duration>,
    /// `max_idle_conns`: maximum number of idle connections.
    pub max_idle_conns: Option<NonZeroUsize>,
    /// `source_address`, of the address family of all upstreams.
    pub source_address: Option<IpAddr>,
    /// DNS over TLS (RFC 7858), if any upstream uses it.
    pub tls: Option<Tls>,
}

/// DNS over TLS for upstreams.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Hash of the files that `config` is built from.
    pub identity: Vec<u8>,
    /// Trusted CAs and client certificate.
    pub config: Arc<ClientConfig>,
    /// The upstreams that use TLS, with the server name to verify.
    pub names: Vec<(SocketAddr, ServerName<'static>)>,
}

impl Tls {
    /// The server name to verify for an upstream; `None` if it does not use TLS.
    pub fn name(&self, upstream: SocketAddr) -> Option<&ServerName<'static>> {
        self.names.iter().find(|(addr, _)| *addr == upstream).map(|(_, name)| name)
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity && self.names == other.names
    }
}

impl Eq for Tls {}

/// An `errors` directive.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    /// Panics are logged with a backtrace.
    pub stacktrace: bool,
    /// The first whose pattern matches a message counts it instead of logging it.
    pub consolidate: Vec<Consolidate>,
}

/// A `consolidate` option of `errors`.
#[derive(Clone, Debug)]
pub struct Consolidate {
    /// Matches anywhere in a message.
    pub pattern: Regex,
    /// From the first message to the line with the count.
    pub period: Duration,
    /// The level of that line.
    pub level: Level,
    /// The first message is logged as well, at that level.
    pub show_first: bool,
}

/// A rule of a `log` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRule {
    /// Names in this zone.
    pub zone: Name,
    /// The line with `{placeholders}`; `{common}` and `{combined}` are already replaced.
    pub format: String,
    /// The responses that are logged.
    pub classes: LogClasses,
}

/// The `class` option of `log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogClasses {
    /// Responses with answers, and delegations.
    pub success: bool,
    /// NXDOMAIN and NODATA.
    pub denial: bool,
    /// All others, and no response.
    pub error: bool,
}

/// Where a `loop` directive sends its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopQueryTarget {
    /// The zone of its QNAME: the block's first.
    pub zone: Name,
    /// The block's first address.
    pub address: SocketAddr,
}

/// A `reload` directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Interval between checks of the Corefile, at least 2 s.
    pub interval: Duration,
    /// The interval is randomized by plus or minus half of this; at most half of `interval`.
    pub jitter: Duration,
}

/// A listening address and port, CoreDNS's "server".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The sockets: one address, or `[::]` and `0.0.0.0` for a block without `bind` or with a bind to
    /// one of them.
    pub addresses: Vec<SocketAddr>,
    /// The `server` label of metrics, `dns://169.254.25.10:53` or `dns://:53`.
    pub label: String,
    /// `FILE:LINE` of the first word that names it: an argument of `bind`, or a key without `bind`.
    pub location: String,
    /// The zones, each with the index of its block in [`Settings::blocks`].
    pub zones: Vec<(Name, usize)>,
    /// The `timeouts` of its blocks; the last value of each counts.
    pub timeouts: Timeouts,
}

/// A `timeouts` directive: TCP timeouts for clients, where given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// From the first octet of a query to its last, and from accept to the first query;
    /// 1 s to 24 h.
    pub read: Option<Duration>,
    /// For the client to receive a response; 1 s to 24 h.
    pub write: Option<Duration>,
    /// From the last response to the next query; 1 s to 24 h.
    pub idle: Option<Duration>,
    /// `maxtcpqueries`: responses after which a connection is closed; `Some(None)` is no limit.
    pub max_queries: Option<Option<NonZeroU32>>,
}

impl Timeouts {
    /// These, overridden by those that `other` has.
    pub(crate) fn overridden_by(self, other: Self) -> Self {
        Self {
            read: other.read.or(self.read),
            write: other.write.or(self.write),
            idle: other.idle.or(self.idle),
            max_queries: other.max_queries.or(self.max_queries),
        }
    }
}
