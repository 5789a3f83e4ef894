//! Options of the `cache` directive.

use std::time::Duration;

use wire::name::Name;

/// The `cache` directive.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// Zones whose names are cached.
    pub zones: Vec<Name>,
    /// Positive responses: those with records.
    pub success: StoreOptions,
    /// Negative responses: NXDOMAIN and NODATA.
    pub denial: StoreOptions,
    /// TTL of a cached SERVFAIL of an upstream and maximum TTL of a failure without a response, 0
    /// to 5 min; 0 caches none.
    pub servfail: Duration,
    /// Hits carry the original TTL instead of the remaining one.
    pub keep_ttl: bool,
    /// `prefetch`: popular entries are refreshed before they expire.
    pub prefetch: Option<Prefetch>,
    /// `serve_stale`: expired entries are served while no fresh response is available (RFC 8767).
    pub serve_stale: Option<ServeStale>,
    /// Without `serve_stale`: entries that expired at most 30 s ago are served in an outage of all
    /// upstreams of their `forward`.
    pub stale_on_outage: bool,
    /// `nxdomain_cut`: zones in which queries below a name that does not exist are answered NXDOMAIN (RFC
    /// 8020); none by default.
    pub nxdomain_cut: Vec<Name>,
    /// Hits have AA set whatever the upstream's response had, as CoreDNS did up to 1.14.
    pub authoritative: bool,
}

impl CacheOptions {
    /// A `cache` without options, with CoreDNS's defaults.
    pub fn new(zones: Vec<Name>) -> Self {
        let store = StoreOptions { capacity: 9984, max_ttl: 3600, min_ttl: 5, disabled: Vec::new() };
        Self {
            zones,
            success: store.clone(),
            denial: StoreOptions { max_ttl: 1800, ..store },
            servfail: Duration::from_secs(5),
            keep_ttl: false,
            prefetch: None,
            serve_stale: None,
            stale_on_outage: true,
            nxdomain_cut: Vec::new(),
            authoritative: false,
        }
    }

    /// True for a lower-case wire name in one of the cached zones.
    pub(crate) fn covers(&self, name: &[u8]) -> bool {
        self.zones.iter().any(|zone| zone.covers(name))
    }

    /// True when a hit may start a refresh of its entry.
    pub(crate) const fn refreshes_by_hits(&self) -> bool {
        self.prefetch.is_some() || self.serve_stale.is_some()
    }
}

/// The `success` or `denial` option of `cache`.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Capacity in entries.
    pub capacity: u32,
    /// Maximum TTL in whole seconds, above 0.
    pub max_ttl: u32,
    /// Minimum TTL in whole seconds. With 0, records with TTL 0 are not cached.
    pub min_ttl: u32,
    /// `disable`: zones whose names are never cached.
    pub disabled: Vec<Name>,
}

/// The `prefetch` option of `cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefetch {
    /// Hits that make an entry popular, above 0.
    pub amount: u32,
    /// A longer gap between two hits resets the hit count.
    pub duration: Duration,
    /// The last part of the TTL in which a popular entry is refreshed, 10 to 90 percent.
    pub percent: u8,
}

/// The `serve_stale` and `serve_stale_policy` options of `cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeStale {
    /// How long after its expiry an entry may be served, above 0.
    pub duration: Duration,
    /// When a stale entry is served.
    pub mode: ServeStaleMode,
    /// TTL of a stale response in seconds.
    pub ttl: u32,
    /// Pause after a failed refresh; 0 leaves it to the cached failure.
    pub failure_recheck: Duration,
    /// `serve_stale_policy prefer_positive`: only a positive response replaces a positive entry.
    pub prefer_positive: bool,
}

/// When a stale entry is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServeStaleMode {
    /// At once, while the entry is refreshed.
    Immediate,
    /// After the upstream failed or has not responded within this time; 0 is RFC 8767's client
    /// response timer.
    Verify(Duration),
}
