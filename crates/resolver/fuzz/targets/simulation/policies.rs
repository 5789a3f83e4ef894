//! Configurations between which a simulation reloads. Server blocks, upstreams and their counters stay
//! the same.

use std::sync::Arc;
use std::time::Duration;

use resolver::counters::RouteCounters;
use resolver::policy::{
    Block, BlockId, CacheOptions, Forward, ForwardOptions, ForwardState, Listener, MaxConnectAttempts,
    Policy, Prefetch, Route, RouteId, SelectionPolicy, ServeStale, ServeStaleMode, TransportPreference,
    Upstream, UpstreamId,
};
use wire::name::Name;

use super::directives::{AllDirectives, Directives};
use super::input::Input;
use crate::fixture;

/// TTL of stale answers with `serve_stale`.
pub(crate) const STALE_TTL: u32 = 30;
/// TTL of stale answers in an outage.
pub(crate) const OUTAGE_TTL: u32 = 5;
/// The longest that an answer is served after its expiry.
pub(crate) const MAX_STALE: Duration = Duration::from_secs(60);

/// What all configurations of a simulation have in common.
pub(crate) struct Policies {
    pub(crate) cache: CacheOptions,
    pub(crate) directives: AllDirectives,
    /// Those of the root zone, then the one of the cluster's zone.
    upstreams: [Upstream; 3],
    pub(crate) states: [Arc<ForwardState>; 2],
    blocks: [Block; 2],
    pub(crate) routes: [Arc<RouteCounters>; 3],
}

impl Policies {
    pub(crate) fn new(input: &mut Input<'_>) -> Self {
        let directives = AllDirectives([(); 2].map(|()| Directives::new(input)));
        let upstreams = [0, 1, 2].map(|number| Upstream {
            id: UpstreamId(number),
            addr: ([10, 233, 0, 3], 53 + number).into(),
            ..fixture::upstream()
        });
        let mut cache = fixture::cache();
        cache.success.min_ttl = input.choose([5, 0]);
        cache.denial.min_ttl = cache.success.min_ttl;
        let capacity = input.choose([9984, 2]);
        (cache.success.capacity, cache.denial.capacity) = (capacity, capacity);
        Self {
            cache,
            directives,
            upstreams,
            states: [(); 2].map(|()| Arc::default()),
            blocks: [0, 1].map(|number| Block { id: BlockId(number), ..fixture::block() }),
            routes: [(); 3].map(|()| Arc::default()),
        }
    }

    pub(crate) fn blocks(&self) -> &[Block; 2] {
        &self.blocks
    }

    /// A configuration.
    pub(crate) fn policy(&mut self, input: &mut Input<'_>) -> Arc<Policy> {
        let options = input.octet();
        let cluster = self.block(1, input, options);
        let root = self.block(0, input, options >> 4);
        let route = |number: usize, zone: Name, block: Block| {
            let id = RouteId(u16::try_from(number).unwrap());
            let counters = Some(Arc::clone(&self.routes[number]));
            Arc::new(Route { id, zone, block: Arc::new(block), counters, loop_detector: None })
        };
        let mut routes = vec![route(1, Name::parse("cluster").unwrap(), cluster)];
        // Without the root zone its names are refused.
        if options & 0x80 == 0 {
            routes.push(route(0, Name::root(), root));
        }
        let listener = Listener::new(routes, Arc::clone(&self.routes[2]), RouteId(2));
        Arc::new(Policy { listeners: vec![Some(listener)] })
    }

    fn block(&mut self, number: usize, input: &mut Input<'_>, options: u8) -> Block {
        let known = &self.blocks[number];
        let (counters, usage, id) = (Arc::clone(&known.counters), Arc::clone(&known.usage), known.id);
        let forwards = vec![self.forward(number, input)];
        let cache = (options & 7 != 7).then(|| self.cache_options(number, input));
        let mut block = Block { id, counters, usage, cache, forwards, ..fixture::block() };
        self.directives.0[number].add_to(number, &mut block);
        block
    }

    fn cache_options(&self, number: usize, input: &mut Input<'_>) -> CacheOptions {
        let mode = input.choose([
            None,
            Some(ServeStaleMode::Immediate),
            Some(ServeStaleMode::Verify(Duration::ZERO)),
            Some(ServeStaleMode::Verify(Duration::from_millis(100))),
        ]);
        let options = input.octet();
        let serve_stale = mode.map(|mode| ServeStale {
            duration: MAX_STALE,
            mode,
            ttl: STALE_TTL,
            failure_recheck: Duration::from_secs(u64::from(options & 8)),
            prefer_positive: options & 1 == 1,
        });
        let prefetch = (options & 2 == 2).then_some(Prefetch {
            amount: 1,
            duration: Duration::from_secs(60),
            percent: 50,
        });
        let zone = Name::parse(["test", "cluster"][number]).unwrap();
        let nxdomain_cut = if options & 16 == 16 { vec![zone] } else { Vec::new() };
        let stale_on_outage = options & 4 == 0;
        CacheOptions { serve_stale, prefetch, stale_on_outage, nxdomain_cut, ..self.cache.clone() }
    }

    fn forward(&mut self, number: usize, input: &mut Input<'_>) -> Forward {
        let options = input.octet();
        let upstreams = match (number, options & 1) {
            (0, 0) => &self.upstreams[..2],
            (0, _) => &self.upstreams[..1],
            _ => &self.upstreams[2..],
        };
        let mut forward = ForwardOptions {
            policy: if options & 2 == 0 { SelectionPolicy::Sequential } else { SelectionPolicy::RoundRobin },
            transport: input.choose([
                TransportPreference::ForceTcp,
                TransportPreference::PreferUdp,
                TransportPreference::SameAsClient,
            ]),
            max_concurrent: if options & 4 == 0 { 0 } else { 3 },
            max_connect_attempts: if options & 8 == 0 {
                MaxConnectAttempts::TwoPerUpstream
            } else {
                MaxConnectAttempts::Unlimited
            },
            ..ForwardOptions::new(Name::root())
        };
        forward.health_check.max_fails = u32::from(options & 16 == 16);
        // At the default of half a second they would be most of what happens.
        forward.health_check.interval = Duration::from_secs(10);
        forward.health_check.failfast = options & 32 == 32;
        Forward { options: forward, upstreams: upstreams.to_vec(), state: Arc::clone(&self.states[number]) }
    }
}
