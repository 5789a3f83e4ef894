//! Listeners and zone matching.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wire::header::RecordType;
use wire::name::Name;

use super::block::Block;
use super::id::{ListenerId, RouteId, UpstreamId};
use super::loop_detector::LoopDetector;
use crate::counters::RouteCounters;

/// TCP idle timeout unless configured, CoreDNS's.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Configuration of one worker's resolver.
#[derive(Debug, Default)]
pub struct Policy {
    /// Indexed by [`ListenerId`]; `None` for a listener that a reload removed.
    pub listeners: Vec<Option<Listener>>,
}

impl Policy {
    pub(crate) fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.get(usize::from(id.0))?.as_ref()
    }

    /// True when `route` belongs to this configuration.
    pub(crate) fn serves(&self, route: &Arc<Route>) -> bool {
        let mut routes = self.listeners.iter().flatten().flat_map(|listener| &listener.routes);
        routes.any(|one| Arc::ptr_eq(one, route))
    }

    /// True when a `forward` of this configuration has the upstream.
    pub(crate) fn has_upstream(&self, id: UpstreamId) -> bool {
        let routes = self.listeners.iter().flatten().flat_map(|listener| &listener.routes);
        let mut forwards = routes.flat_map(|route| &route.block.forwards);
        forwards.any(|forward| forward.upstreams.iter().any(|upstream| upstream.id == id))
    }

    /// Expires cached failures that last until an upstream of this configuration responds: it is
    /// replaced, and none of its upstreams is queried again.
    pub(crate) fn expire_outages(&self) {
        let routes = self.listeners.iter().flatten().flat_map(|listener| &listener.routes);
        for forward in routes.flat_map(|route| &route.block.forwards) {
            forward.state.outage.end();
        }
    }
}

/// The zones of one listening address and port.
#[derive(Debug)]
pub struct Listener {
    /// Longest zone first.
    routes: Vec<Arc<Route>>,
    /// Counters of queries that match no zone (`zone="dropped"`).
    pub dropped: Arc<RouteCounters>,
    /// The ID of `dropped`.
    pub dropped_id: RouteId,
    /// `timeouts idle`: the TCP idle timeout, which clients may ask for (RFC 7828).
    pub idle: Duration,
    /// Where it listens; the first of several addresses.
    pub address: Option<SocketAddr>,
}

impl Listener {
    /// A listener with the default TCP idle timeout and no address; `routes` in any order.
    pub fn new(mut routes: Vec<Arc<Route>>, dropped: Arc<RouteCounters>, dropped_id: RouteId) -> Self {
        routes.sort_by_key(|route| std::cmp::Reverse(route.zone.as_wire().len()));
        Self { routes, dropped, dropped_id, idle: DEFAULT_IDLE_TIMEOUT, address: None }
    }

    /// Longest match of a lower-case wire name; for DS, whose zone is the parent
    /// (RFC 4035 section 3.1.4.1), the shortest match.
    pub fn route(&self, name: &[u8], qtype: RecordType) -> Option<&Arc<Route>> {
        let mut covering = self.routes.iter().filter(|route| route.zone.covers(name));
        if qtype == RecordType::DS { covering.next_back() } else { covering.next() }
    }
}

/// A zone of a listener, with the server block that serves it.
#[derive(Debug)]
pub struct Route {
    /// Its ID.
    pub id: RouteId,
    /// The zone.
    pub zone: Name,
    /// The server block.
    pub block: Arc<Block>,
    /// Its counters; `None` when the block has no `prometheus`.
    pub counters: Option<Arc<RouteCounters>>,
    /// The `loop` directive.
    pub loop_detector: Option<Arc<LoopDetector>>,
}
