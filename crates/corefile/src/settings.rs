//! A configuration as the rest of the process obeys it: checked, with every default filled in.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use resolver::policy::{CacheOptions, ForwardOptions};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tracing::Level;
use wire::name::Name;

pub use crate::keys::ServerBlockKey;
use crate::upstream_files::UpstreamFiles;

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it was read: a path, `stdin`, or `the built-in Corefile`.
    pub source: String,
    /// SHA-512 over the words, their files and their lines, in hexadecimal: another hash means an edit.
    /// Blanks within a line and comments do not count.
    pub hash: String,
    /// In the order of the file.
    pub blocks: Vec<Block>,
    /// In the order in which the blocks name them.
    pub listeners: Vec<Listener>,
    /// The `health` directive; of several, the last.
    pub health: Option<Health>,
    /// The address of the `ready` directive; of several, the last.
    pub ready: Option<SocketAddr>,
    /// The addresses of all `prometheus` directives, each once.
    pub prometheus: Vec<SocketAddr>,
    /// The `reload` directive; of several, the last.
    pub reload: Option<Reload>,
    /// The files that `forward` directives name, and what they listed.
    pub upstream_files: UpstreamFiles,
    /// What the operator ought to know and can live with, whole sentences for the log.
    pub warnings: Vec<String>,
}

/// A server block.
#[derive(Clone, Debug)]
pub struct Block {
    /// `FILE:LINE` of its first key.
    pub place: String,
    /// The zones, at least one.
    pub keys: Vec<ServerBlockKey>,
    /// Equal for two blocks, before and after a reload, whose cached answers mean the same; different for any
    /// two blocks of one configuration that listen.
    pub fingerprint: String,
    /// The directives it has, each once, in the order in which a query meets them.
    pub directives: Vec<&'static str>,
    /// The `bufsize` directive, 512 to 4096.
    pub bufsize: Option<u16>,
    /// The `timeouts` directive.
    pub timeouts: Timeouts,
    /// The `cache` directive.
    pub cache: Option<CacheOptions>,
    /// The `forward` directives, in the order of the file.
    pub forwards: Vec<Forward>,
    /// The `errors` directive; failures are not logged without.
    pub errors: Option<Errors>,
    /// The rules of all `log` directives; the first whose zone covers a name applies.
    pub log: Vec<LogRule>,
    /// The `loop` directive.
    pub loop_probe: Option<LoopProbeTarget>,
    /// True when queries of this block are counted.
    pub prometheus: bool,
}

/// A `forward` directive.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Its options, except for those about connections.
    pub options: ForwardOptions,
    /// Upstream addresses, at least one, each once.
    pub upstreams: Vec<SocketAddr>,
    /// Options of its upstream connections.
    pub connection: ConnectionOptions,
}

/// How the upstreams of a `forward` are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// How long an idle connection is kept.
    pub expire: Duration,
    /// How long a connection is used at most, not less than `expire`; about a minute if not given.
    pub max_age: Option<Duration>,
    /// Idle connections that are kept at most.
    pub max_idle_conns: Option<NonZeroUsize>,
    /// The address that questions leave from, of the family of all upstreams.
    pub source_address: Option<IpAddr>,
    /// For upstreams that are reached by TLS.
    pub tls: Option<Tls>,
}

/// How upstreams are reached by TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// A hash of the files behind `config`.
    pub identity: Vec<u8>,
    /// Whom we believe and who we are.
    pub config: Arc<ClientConfig>,
    /// The upstreams, and who each has to be.
    pub names: Vec<(SocketAddr, ServerName<'static>)>,
}

impl Tls {
    /// Who an upstream has to be; nothing for one that is not reached by TLS.
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
    /// Panics are logged with their stack.
    pub stacktrace: bool,
    /// The first whose pattern fits a message counts it instead of logging it.
    pub consolidate: Vec<Consolidate>,
}

/// A `consolidate` option of `errors`.
#[derive(Clone, Debug)]
pub struct Consolidate {
    /// Messages that fit anywhere.
    pub pattern: Regex,
    /// From the first message to the line that tells how many there were.
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
    /// The line with its `{placeholders}`; `{common}` and `{combined}` are written out already.
    pub format: String,
    /// Which answers are logged.
    pub classes: LogClasses,
}

/// The `class` option of `log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogClasses {
    /// Answers with records, and delegations.
    pub success: bool,
    /// NXDOMAIN and NODATA.
    pub denial: bool,
    /// All others, and no answer at all.
    pub error: bool,
}

/// A `loop` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopProbeTarget {
    /// The zone below which the probe's name is made: the block's first.
    pub zone: Name,
    /// Where the probe is sent: the block's first address.
    pub address: SocketAddr,
}

/// A `health` directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Where `/health` is served.
    pub address: SocketAddr,
    /// How long DNS is still served when the process was told to end.
    pub lameduck: Duration,
}

/// A `reload` directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// From one look at the file to the next, at least 2 s.
    pub interval: Duration,
    /// The interval of a process is `interval` plus or minus half of this; at most half the interval, 0 is
    /// none.
    pub jitter: Duration,
}

/// An address and port that answers, CoreDNS's "server".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The sockets: one address, or `[::]` and `0.0.0.0` for a block without `bind`.
    pub addresses: Vec<SocketAddr>,
    /// The `server` label of metrics, `dns://169.254.25.10:53` or `dns://:53`.
    pub label: String,
    /// The zones, each with the place of its block in [`Settings::blocks`].
    pub zones: Vec<(Name, usize)>,
    /// The `timeouts` of its blocks; of several that say something, the last.
    pub timeouts: Timeouts,
}

/// What a `timeouts` directive says of clients by TCP; what it leaves out is for others to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// From the first octet of a question to its last, and from connecting to the first question; 1 s to 24 h.
    pub read: Option<Duration>,
    /// For the client to take what it is sent; 1 s to 24 h.
    pub write: Option<Duration>,
    /// From the last answer to the next question; 1 s to 24 h.
    pub idle: Option<Duration>,
    /// `maxtcpqueries`: answers after which a connection ends; `Some(None)` is no limit.
    pub max_queries: Option<Option<NonZeroU32>>,
}

impl Timeouts {
    /// These, where `other` says nothing else.
    pub(super) fn overruled_by(self, other: Self) -> Self {
        Self {
            read: other.read.or(self.read),
            write: other.write.or(self.write),
            idle: other.idle.or(self.idle),
            max_queries: other.max_queries.or(self.max_queries),
        }
    }
}
