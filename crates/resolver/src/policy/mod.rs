//! What this room obeys: the settled configuration, one set per worker because the counters in it are a worker's.
//!
//! `daemon` builds it from a Corefile; every value here is already checked.

mod forward;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wire::header::RecordType;
use wire::name::Name;

use crate::cache::Usage;
use crate::counters::{BlockCounters, RouteCounters};

pub use forward::{
    ForwardPolicy, ForwardState, HealthCheck, MaxConnectAttempts, SelectionPolicy, TransportPreference,
    Upstream, UpstreamId, UpstreamState,
};

/// One listening address and port with the zones served on it, CoreDNS's "server". The number is the same for
/// the life of the process, over reloads too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub u16);

/// A block whose cached answers are its own. Blocks that mean the same before and after a reload keep their
/// number, and so their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockId(pub u16);

/// A zone on a listener; the number is the same for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId(pub u16);

/// Everything a worker's resolver obeys.
#[derive(Debug, Default)]
pub struct Policy {
    /// By [`ListenerId`]; a listener that a reload took away leaves an empty place.
    pub listeners: Vec<Option<Listener>>,
}

impl Policy {
    pub(crate) fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.get(usize::from(id.0))?.as_ref()
    }

    pub(crate) fn serves(&self, route: &Arc<Route>) -> bool {
        let mut routes = self.listeners.iter().flatten().flat_map(|listener| &listener.routes);
        routes.any(|one| Arc::ptr_eq(one, route))
    }

    /// Ends the failures that stand until an upstream of it answers: nobody asks these upstreams any more.
    pub(crate) fn expire_outages(&self) {
        let routes = self.listeners.iter().flatten().flat_map(|listener| &listener.routes);
        for forward in routes.flat_map(|route| &route.block.forwards) {
            forward.state.responses.fetch_add(1, Relaxed);
        }
    }
}

/// The idle timeout of connections if none is configured, which is CoreDNS's.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The zones of one listener.
#[derive(Debug)]
pub struct Listener {
    routes: Vec<Arc<Route>>,
    /// Counts what no zone of this listener takes (`zone="dropped"`).
    pub dropped: Arc<RouteCounters>,
    /// The number that goes with `dropped`.
    pub dropped_id: RouteId,
    /// `timeouts idle`: how long a connection without a question is kept, which clients may ask (RFC 7828).
    pub idle: Duration,
}

impl Listener {
    /// The zones in any order, and the counters and number of what none of them takes; CoreDNS's idle timeout.
    pub fn new(mut routes: Vec<Arc<Route>>, dropped: Arc<RouteCounters>, dropped_id: RouteId) -> Self {
        routes.sort_by_key(|route| std::cmp::Reverse(route.zone.as_wire().len()));
        Self { routes, dropped, dropped_id, idle: DEFAULT_IDLE_TIMEOUT }
    }

    /// The zone that takes a lower-case wire name: the longest that covers it, or for DS, which the parent
    /// answers (RFC 4035 section 3.1.4.1), the shortest.
    pub fn route(&self, name: &[u8], qtype: RecordType) -> Option<&Arc<Route>> {
        let mut covering = self.routes.iter().filter(|route| route.zone.covers(name));
        if qtype == RecordType::DS { covering.next_back() } else { covering.next() }
    }
}

/// A zone of a listener and what is done for names in it.
#[derive(Debug)]
pub struct Route {
    /// Its number.
    pub id: RouteId,
    /// The zone.
    pub zone: Name,
    /// The server block.
    pub block: Arc<Block>,
    /// What is counted for it; nothing when the block has no `prometheus`.
    pub counters: Option<Arc<RouteCounters>>,
    /// The `loop` directive.
    pub loop_detector: Option<Arc<LoopDetector>>,
}

/// Watches for a question of our own that comes back: then forwarding goes in a circle.
#[derive(Debug, Default)]
pub struct LoopDetector {
    probe: Mutex<Option<(Name, u32)>>,
}

impl LoopDetector {
    /// Watches for `name`, a fresh random one for each question sent; nothing ends the check.
    pub fn watch(&self, name: Option<Name>) {
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = name.map(|name| (name, 0));
    }

    /// True when `name` came in for the second time: once from us and once around the circle.
    pub(crate) fn has_returned(&self, name: &[u8]) -> bool {
        let mut probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((watched, seen)) = probe.as_mut() else { return false };
        if watched.as_wire() != name {
            return false;
        }
        *seen += 1;
        *seen > 1
    }
}

/// A server block: what one directive chain does.
#[derive(Debug)]
pub struct Block {
    /// Its number.
    pub id: BlockId,
    /// `bufsize`, 512 to 4096: datagrams to clients are no longer, whatever size a client claims, and OPT says so; 1232
    /// without it.
    pub udp_size: u16,
    /// The `cache` directive.
    pub cache: Option<CacheOptions>,
    /// The `forward` directives, in order; the first whose zone covers the name takes it.
    pub forwards: Vec<ForwardPolicy>,
    /// What is counted for the cache of this block.
    pub counters: Arc<BlockCounters>,
    /// How much of the cache is this block's, shared by all workers.
    pub usage: Arc<Usage>,
}

impl Block {
    /// The `forward` that takes a lower-case wire name.
    pub(crate) fn forward_for(&self, name: &[u8]) -> Option<usize> {
        self.forwards.iter().position(|forward| forward.takes(name))
    }

    /// The next `forward` behind one that takes a lower-case wire name.
    pub(crate) fn next_forward(&self, forward: usize, name: &[u8]) -> Option<usize> {
        let behind = forward + 1..self.forwards.len();
        behind.into_iter().find(|&index| self.forwards.get(index).is_some_and(|one| one.takes(name)))
    }

    /// The `cache` directive, for names it covers.
    pub(crate) fn cache_for(&self, name: &[u8]) -> Option<&CacheOptions> {
        self.cache.as_ref().filter(|cache| cache.covers(name))
    }
}

/// The `cache` directive.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// Names outside these zones pass by.
    pub zones: Vec<Name>,
    /// For answers that have records.
    pub success: StoreOptions,
    /// For answers that say there is nothing.
    pub denial: StoreOptions,
    /// How long a SERVFAIL of an upstream is kept, 0 to 5 min; 0 keeps none.
    pub servfail: Duration,
    /// Hits show the whole lifetime instead of what is left of it.
    pub keep_ttl: bool,
    /// `prefetch`: what is popular is asked again before it ends.
    pub prefetch: Option<Prefetch>,
    /// `serve_stale`: what has ended is told while nothing newer can be had (RFC 8767).
    pub serve_stale: Option<ServeStale>,
    /// Hits are told with AA set, whatever the upstream said, as CoreDNS did up to 1.14.
    pub authoritative: bool,
}

impl CacheOptions {
    /// True for a lower-case wire name in one of its zones.
    pub(crate) fn covers(&self, name: &[u8]) -> bool {
        self.zones.iter().any(|zone| zone.covers(name))
    }
}

/// The `prefetch` option of `cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefetch {
    /// Hits that make a name popular, above 0.
    pub amount: u32,
    /// A longer gap between two hits starts the count anew.
    pub duration: Duration,
    /// The last part of an answer's life in which it is asked again, 10 to 90.
    pub percent: u8,
}

/// The `serve_stale` options of `cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeStale {
    /// How long after its end an answer may be told, above 0.
    pub duration: Duration,
    /// When it is told.
    pub mode: ServeStaleMode,
    /// The TTL it is told with, in seconds.
    pub ttl: u32,
    /// How long after a failed refresh the next one waits; 0 leaves that to the failure kept.
    pub failure_recheck: Duration,
    /// `serve_stale_policy prefer_positive`: only an answer with what was asked for replaces a last known good one.
    pub prefer_positive: bool,
}

/// When a stale answer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServeStaleMode {
    /// At once, while the upstream is asked.
    Immediate,
    /// When the upstream failed, or has not answered within this; 0 is RFC 8767's client response timer.
    Verify(Duration),
}

/// How long one kind of answer is kept.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Entries, as the Corefile says.
    pub capacity: u32,
    /// Longest life, whole seconds above 0.
    pub max_ttl: u32,
    /// Shortest life, whole seconds, 0 allowed: TTL 0 then is not kept.
    pub min_ttl: u32,
    /// Names in these zones are never kept.
    pub disabled: Vec<Name>,
}

/// ResolverLimits of one worker that no Corefile sets; each has a counter in [`crate::counters::WorkerCounters`].
#[derive(Clone, Copy, Debug)]
pub struct ResolverLimits {
    /// Questions to upstreams that are open at once.
    pub inflight_queries: usize,
    /// Of these, questions for which no client waits: `prefetch` and the refreshes of `serve_stale`. What is left of the
    /// room is for clients.
    pub refreshes: usize,
    /// Clients that wait for one question.
    pub waiters_per_query: usize,
    /// Questions of one client address that wait for an upstream.
    pub queries_per_client: usize,
    /// Attempts made early for each upstream's slow answers, before every further one has to be earned by ten ordinary
    /// attempts; 0 makes none. See [`crate::counters::UpstreamCounters::hedges_throttled`].
    pub initial_hedges: u32,
    /// From the client's question to its answer, dialling and retries included. Below the 5 s at which
    /// resolvers give up.
    pub query_deadline: Duration,
}

impl Default for ResolverLimits {
    fn default() -> Self {
        Self {
            inflight_queries: 8192,
            refreshes: 1024,
            waiters_per_query: 1024,
            queries_per_client: 2048,
            initial_hedges: 10,
            query_deadline: Duration::from_millis(4500),
        }
    }
}
