//! Maximum age of upstream connections: short at first, doubled while new connections respond
//! promptly.
//!
//! A server with few TCP workers (dnsmasq has 20) leaves further connections in its backlog until
//! a client closes one. No client sees that another waits: each only learns from its own new
//! connections whether they are served at once. So a connection is short-lived until some of them
//! were, as a sender's window grows with acknowledged segments.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

/// The shortest maximum age.
const MIN_AGE: Duration = Duration::from_millis(50);

/// Doublings of [`MIN_AGE`] at the start: 400 ms.
const INITIAL_DOUBLINGS: u32 = 3;

/// Doublings that exceed every limit: 51 s.
const MAX_DOUBLINGS: u32 = 11;

/// Maximum age of the connections to one upstream.
#[derive(Debug)]
pub(super) struct Lifetime {
    doublings: u32,
    limit: Duration,
}

impl Lifetime {
    /// `limit` is the maximum age of a connection to an upstream that serves every connection.
    pub(super) fn new(limit: Duration) -> Self {
        Self { doublings: INITIAL_DOUBLINGS, limit }
    }

    /// The age of a new connection: the maximum or up to two fifths less, so that connections are
    /// not all replaced at once.
    pub(super) fn max_age(&self, random: &mut StdRng) -> Duration {
        let age = MIN_AGE.saturating_mul(1 << self.doublings).min(self.limit);
        age.mul_f64(random.random_range(0.6..=1.0))
    }

    /// A new connection has given its first response: `is_prompt` tells whether in time.
    pub(super) fn first_response(&mut self, is_prompt: bool) {
        self.doublings = if is_prompt {
            (self.doublings + 1).min(MAX_DOUBLINGS)
        } else {
            self.doublings.saturating_sub(1)
        };
    }

    /// A query on a new connection was answered at once on another one: the new one is not served.
    pub(super) fn not_served(&mut self) {
        self.doublings = 0;
    }
}
