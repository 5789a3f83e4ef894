//! Load generators: UDP ports and TCP connections with a fixed number of outstanding queries.
//!
//! Reading order: [`udp`], [`tcp`], [`slots`] (outstanding queries).

mod slots;
pub(crate) mod tcp;
pub(crate) mod udp;

use std::time::Duration;

/// The number of queries, and of outstanding ones.
#[derive(Clone, Copy)]
pub(crate) struct LoadConfig {
    pub(crate) queries: u64,
    /// Source ports or connections: pods use many, and a single port would be a single socket. No
    /// more than outstanding queries are used.
    pub(crate) flows: usize,
    /// Outstanding queries: less than the flows or a multiple of them, at most 32 for each.
    pub(crate) window: usize,
    /// Milliseconds without any response after which all outstanding queries count as lost.
    pub(crate) timeout_ms: u16,
}

impl LoadConfig {
    /// With 8 flows and a timeout of half a second.
    pub(crate) fn new(queries: u64, window: usize) -> Self {
        Self { queries, flows: 8, window, timeout_ms: 500 }
    }
}

/// The result of a run.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    /// Wrong responses.
    pub(crate) wrong: u64,
    pub(crate) lost: u64,
    pub(crate) duration: Duration,
}

impl Outcome {
    /// Queries without a correct response.
    pub(crate) fn failed(&self) -> u64 {
        self.wrong + self.lost
    }

    fn finished(&self) -> u64 {
        self.answered + self.failed()
    }
}
