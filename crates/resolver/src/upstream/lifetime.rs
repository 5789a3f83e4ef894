//! Maximum age of upstream connections, that of idle ones short at first and doubled while new
//! connections respond promptly.
//!
//! A server with few TCP workers (dnsmasq has 20) leaves further connections in its backlog until
//! a client closes one. No client sees that another waits: each only learns from its own new
//! connections whether they are served at once. So a connection is short-lived until some of them
//! were, as a sender's window grows with acknowledged segments.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;

use super::connection::ConnectionLimits;
use super::silence::SUSPECT_AFTER;
use crate::policy::Upstream;

/// Maximum age of a connection in use, unless one is configured, so that new CoreDNS pods behind
/// the Service get their share. With the jitter (three fifths of it at least) 60 s give or take a
/// quarter.
const MAX_AGE: Duration = Duration::from_secs(75);

/// A first response within this time has not waited in a backlog.
const PROMPT: Duration = Duration::from_millis(100);

/// The shortest maximum age.
const MIN_AGE: Duration = Duration::from_millis(50);

/// Doublings of [`MIN_AGE`] at the start: 400 ms.
const INITIAL_DOUBLINGS: u32 = 3;

/// Doublings at most: 1.6 s, so that a client that begins to wait in the backlog is served soon.
const MAX_DOUBLINGS: u32 = 5;

/// The same for TLS, where a dial costs several round trips: 102 s.
const MAX_TLS_DOUBLINGS: u32 = 11;

/// Maximum age of the connections to one upstream.
#[derive(Debug)]
pub(super) struct Lifetime {
    doublings: u32,
    max_doublings: u32,
    limit: Duration,
}

impl Lifetime {
    pub(super) fn new(upstream: &Upstream) -> Self {
        Self {
            doublings: INITIAL_DOUBLINGS,
            max_doublings: if upstream.encrypted { MAX_TLS_DOUBLINGS } else { MAX_DOUBLINGS },
            limit: upstream.pool.max_age.unwrap_or(MAX_AGE),
        }
    }

    /// When a new connection is closed if it is idle, and when it is retired although it is in use:
    /// its age is the maximum or up to two fifths less, so that connections are not all replaced at
    /// once.
    pub(super) fn limits(&self, now: Instant, random: &mut StdRng) -> ConnectionLimits {
        let age = MIN_AGE.saturating_mul(1 << self.doublings).min(self.limit);
        let part = random.random_range(0.6..=1.0);
        ConnectionLimits {
            retire_at: now + self.limit.mul_f64(part),
            idle_until: now + age.mul_f64(part),
            max_queries: u32::MAX,
        }
    }

    /// A new connection has given its first response, which usually takes `srtt`. `is_only` tells
    /// whether no other one is open.
    pub(super) fn first_response(&mut self, took: Duration, srtt: Option<Duration>, is_only: bool) {
        let usual = srtt.map_or(PROMPT, |srtt| (2 * srtt).max(PROMPT)).min(SUSPECT_AFTER);
        if took <= usual {
            self.doublings = (self.doublings + 1).min(self.max_doublings);
        } else if is_only && took > SUSPECT_AFTER {
            // Beside others, it is rather that of a slow name.
            self.doublings = self.doublings.saturating_sub(1);
        }
    }

    /// A query on a new connection was answered at once on another one: the new one is not served.
    pub(super) fn not_served(&mut self) {
        self.doublings = 0;
    }
}
