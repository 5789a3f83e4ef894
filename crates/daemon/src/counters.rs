//! Counter registry: hands counters to workers and keeps them for the life of the process, so that
//! a reload neither loses nor resets one.
//!
//! The control thread registers, a scrape reads; workers only increment what they were handed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use resolver::cache::Usage;
use resolver::counters::{BlockCounters, RouteCounters, UpstreamCounters, WorkerCounters};
use resolver::policy::{Block, RouteId};

/// The `zone` label of queries that match no zone of the listener.
pub const DROPPED: &str = "dropped";

/// A directive that handles queries, for `coredns_plugin_enabled`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnabledPlugin {
    /// The listener, as in `dns://169.254.25.10:53`.
    pub server: String,
    /// The first zone of the block.
    pub zone: String,
    /// The directive.
    pub name: String,
}

/// A server block in effect, for `nodelocaldns_upstream_state`.
#[derive(Clone, Debug)]
pub struct ActiveBlock {
    /// The listener, as in `dns://169.254.25.10:53`.
    pub server: String,
    /// The zones of its cache, joined with commas, as in [`CounterRegistry::block`].
    pub zones: String,
    /// The block of any worker: they share the state of its upstreams.
    pub block: Arc<Block>,
}

/// All counters of the workers, which are numbered from 0 without gaps.
#[derive(Debug, Default)]
pub struct CounterRegistry {
    workers: Vec<Arc<WorkerCounters>>,
    routes: BTreeMap<(String, String), RouteEntry>,
    blocks: BTreeMap<(String, String), BlockEntry>,
    upstreams: BTreeMap<SocketAddr, Vec<Arc<UpstreamCounters>>>,
    enabled: Vec<EnabledPlugin>,
    hosts_entries: BTreeMap<String, usize>,
    active_blocks: Vec<ActiveBlock>,
}

#[derive(Debug)]
struct RouteEntry {
    id: RouteId,
    by_worker: Vec<Arc<RouteCounters>>,
}

/// The server blocks with one pair of labels.
#[derive(Debug, Default)]
pub(crate) struct BlockEntry {
    pub(crate) by_worker: Vec<Arc<BlockCounters>>,
    usages: Vec<Arc<Usage>>,
    /// Evictions of usages dropped from `usages`: success, denial.
    past_evictions: (u64, u64),
    ever_stored: bool,
}

impl CounterRegistry {
    /// Without any entry yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counters of a worker.
    pub fn worker(&mut self, index: usize) -> Arc<WorkerCounters> {
        counters_of(&mut self.workers, index)
    }

    /// The counters of a worker for a zone on a listener, or for [`DROPPED`]. The route keeps its
    /// number for the life of the process; after 65,535 pairs of listener and zone they share the
    /// last one.
    pub fn route(&mut self, server: &str, zone: &str, worker: usize) -> (RouteId, Arc<RouteCounters>) {
        let next = RouteId(u16::try_from(self.routes.len()).unwrap_or(u16::MAX));
        let route = self
            .routes
            .entry((server.to_owned(), zone.to_owned()))
            .or_insert_with(|| RouteEntry { id: next, by_worker: Vec::new() });
        (route.id, counters_of(&mut route.by_worker, worker))
    }

    /// The counters of a worker for a server block; `zones` are those of its cache, joined with
    /// commas. Blocks with the same labels share them, and their usages are summed.
    pub fn block(
        &mut self,
        server: &str,
        zones: &str,
        usage: &Arc<Usage>,
        worker: usize,
    ) -> Arc<BlockCounters> {
        let block = self.blocks.entry((server.to_owned(), zones.to_owned())).or_default();
        block.add_usage(usage);
        counters_of(&mut block.by_worker, worker)
    }

    /// The counters of a worker for an upstream.
    pub fn upstream(&mut self, addr: SocketAddr, worker: usize) -> Arc<UpstreamCounters> {
        counters_of(self.upstreams.entry(addr).or_default(), worker)
    }

    /// Replaces the series of `coredns_plugin_enabled`, at start-up and at each reload.
    pub fn set_enabled_plugins(&mut self, mut rows: Vec<EnabledPlugin>) {
        rows.sort();
        rows.dedup();
        self.enabled = rows;
    }

    /// Replaces the server blocks in effect, at start-up and at each reload, and drops usages that
    /// nothing else refers to.
    pub fn set_active_blocks(&mut self, blocks: Vec<ActiveBlock>) {
        self.active_blocks = blocks;
        self.blocks.values_mut().for_each(BlockEntry::drop_unused);
    }

    /// Replaces the entries of `hosts` directives by the name of their file, at start-up and at each
    /// reload.
    pub fn set_hosts_entries(&mut self, entries: BTreeMap<String, usize>) {
        self.hosts_entries = entries;
    }

    pub(crate) fn hosts_entries(&self) -> &BTreeMap<String, usize> {
        &self.hosts_entries
    }

    pub(crate) fn active_blocks(&self) -> &[ActiveBlock] {
        &self.active_blocks
    }

    pub(crate) fn workers(&self) -> &[Arc<WorkerCounters>] {
        &self.workers
    }

    /// Server, zone and the counters of the workers.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (&str, &str, &[Arc<RouteCounters>])> {
        self.routes.iter().map(|((server, zone), route)| (&**server, &**zone, &*route.by_worker))
    }

    /// Server and zone of a route.
    pub(crate) fn route_labels(&self, id: RouteId) -> Option<(&str, &str)> {
        let route = self.routes.iter().find(|(_, route)| route.id == id);
        route.map(|((server, zone), _)| (&**server, &**zone))
    }

    /// Server, zones and the counters of the workers.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (&str, &str, &BlockEntry)> {
        self.blocks.iter().map(|((server, zones), block)| (&**server, &**zones, block))
    }

    pub(crate) fn upstreams(&self) -> impl Iterator<Item = (SocketAddr, &[Arc<UpstreamCounters>])> {
        self.upstreams.iter().map(|(addr, by_worker)| (*addr, &**by_worker))
    }

    pub(crate) fn enabled_plugins(&self) -> &[EnabledPlugin] {
        &self.enabled
    }

    /// Records which caches hold entries, so that their `coredns_cache_entries` stay when they
    /// become empty again.
    pub(crate) fn note_stored(&mut self) {
        for block in self.blocks.values_mut() {
            block.ever_stored |= block.counts() != (0, 0) || block.evictions() != (0, 0);
        }
    }
}

impl BlockEntry {
    /// Success and denial entries; `None` while there has never been one.
    pub(crate) fn entries(&self) -> Option<(i64, i64)> {
        self.ever_stored.then(|| self.counts())
    }

    /// Evictions of success and of denial entries.
    pub(crate) fn evictions(&self) -> (u64, u64) {
        let (success, denial) = self.past_evictions;
        self.usages.iter().fold((success, denial), |(success, denial), usage| {
            (success + usage.success_evictions(), denial + usage.denial_evictions())
        })
    }

    /// Success and denial entries.
    pub(crate) fn counts(&self) -> (i64, i64) {
        self.usages
            .iter()
            .fold((0, 0), |(success, denial), usage| (success + usage.success(), denial + usage.denial()))
    }

    /// Adds a usage and drops those that neither a policy nor a cache entry refers to. The entries
    /// of a block that a reload changed count until they are removed.
    fn add_usage(&mut self, usage: &Arc<Usage>) {
        if self.usages.iter().any(|known| Arc::ptr_eq(known, usage)) {
            return;
        }
        self.drop_unused();
        self.usages.push(Arc::clone(usage));
    }

    fn drop_unused(&mut self) {
        let past = &mut self.past_evictions;
        self.usages.retain(|known| {
            let in_use = Arc::strong_count(known) > 1;
            if !in_use {
                past.0 += known.success_evictions();
                past.1 += known.denial_evictions();
            }
            in_use
        });
    }
}

/// The counters of a worker, created on first use.
fn counters_of<T: Default>(counters: &mut Vec<Arc<T>>, worker: usize) -> Arc<T> {
    loop {
        if let Some(counters) = counters.get(worker) {
            return Arc::clone(counters);
        }
        counters.push(Arc::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "dns://169.254.25.10:53";

    #[test]
    fn a_route_keeps_its_number_and_its_counters() {
        let mut counters = CounterRegistry::new();
        let (root, first) = counters.route(SERVER, ".", 0);
        let (cluster, _) = counters.route(SERVER, "cluster.local.", 0);
        let (elsewhere, _) = counters.route("dns://10.233.0.3:53", ".", 0);
        assert_eq!((root, cluster, elsewhere), (RouteId(0), RouteId(1), RouteId(2)));

        first.do_requests.add(1);
        let (again, second_worker) = counters.route(SERVER, ".", 1);
        assert_eq!(again, root);
        assert_eq!(second_worker.do_requests.get(), 0);
        assert_eq!(counters.route(SERVER, ".", 0).1.do_requests.get(), 1);
    }

    #[test]
    fn upstreams_and_workers_have_separate_counters() {
        let mut counters = CounterRegistry::new();
        let addr: SocketAddr = "10.233.0.3:53".parse().unwrap();
        counters.upstream(addr, 2).failures.add(1);
        assert_eq!(counters.upstream(addr, 2).failures.get(), 1);
        assert_eq!(counters.upstream(addr, 0).failures.get(), 0);
        assert_eq!(counters.upstreams().next().unwrap().1.len(), 3);
        counters.worker(1).panics.add(1);
        assert_eq!(counters.workers().iter().map(|worker| worker.panics.get()).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_usage_without_references_is_dropped() {
        let mut counters = CounterRegistry::new();
        let old = Arc::new(Usage::default());
        counters.block(SERVER, ".", &old, 0);
        counters.block(SERVER, ".", &old, 1);
        drop(old);
        let new = Arc::new(Usage::default());
        counters.block(SERVER, ".", &new, 0);
        let (_, _, block) = counters.blocks().next().unwrap();
        assert_eq!(block.usages.len(), 1);
        assert_eq!(block.by_worker.len(), 2);
        assert_eq!(block.entries(), None);
    }
}
