//! A `forward` directive in a resolver: its upstreams and the state that workers share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::forward_options::ForwardOptions;
use super::id::UpstreamId;
use super::min_rtt::MinRtt;
use super::outage::OutageState;
use super::packet_loss::PacketLoss;
use super::pool_options::PoolOptions;
use crate::counters::UpstreamCounters;

/// Attempts in a row without a response in time after which an upstream is silent.
pub(crate) const SILENT_AFTER: u32 = 3;

/// A `forward` directive.
#[derive(Debug)]
pub struct Forward {
    /// Its options.
    pub options: ForwardOptions,
    /// At least one.
    pub upstreams: Vec<Upstream>,
    /// State shared by all workers.
    pub state: Arc<ForwardState>,
}

impl Forward {
    /// False for an upstream that is down: more than `max_fails` health checks failed since its
    /// last response.
    pub(crate) fn is_up(&self, upstream: usize) -> bool {
        let max_fails = self.options.health_check.max_fails;
        let failed = |upstream: &Upstream| upstream.state.failed_health_checks.load(Relaxed);
        max_fails == 0 || self.upstreams.get(upstream).is_none_or(|upstream| failed(upstream) <= max_fails)
    }

    /// True while many packets to or from an upstream are lost.
    pub(crate) fn loses_many_packets(&self, now: Instant) -> bool {
        self.upstreams.iter().any(|upstream| upstream.state.packet_loss.is_frequent(now))
    }

    /// True for a silent upstream: its last attempts had no response in time, while another upstream
    /// responds. It is tried last and probed.
    pub(crate) fn is_silent(&self, upstream: usize) -> bool {
        let is_unanswered = |upstream: &Upstream| upstream.state.unanswered.load(Relaxed) >= SILENT_AFTER;
        let is_alone = || self.upstreams.iter().all(is_unanswered);
        self.upstreams.get(upstream).is_some_and(is_unanswered) && !is_alone()
    }

    /// The status of one of [`Self::upstreams`].
    pub fn status(&self, upstream: usize) -> UpstreamStatus {
        if !self.is_up(upstream) {
            UpstreamStatus::Down
        } else if self.is_silent(upstream) {
            UpstreamStatus::Silent
        } else {
            UpstreamStatus::Up
        }
    }

    /// True when `max_concurrent` is reached.
    pub(crate) fn is_full(&self) -> bool {
        let limit = self.options.max_concurrent;
        limit > 0 && self.state.inflight_queries.load(Relaxed) >= limit
    }
}

/// Whether an upstream is selected for queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamStatus {
    /// It is selected as the policy says.
    Up,
    /// It does not respond while another upstream does: it is tried last.
    Silent,
    /// More than `max_fails` health checks failed: it is not selected.
    Down,
}

impl UpstreamStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Up, Self::Silent, Self::Down];
}

/// State of a `forward` that workers share.
#[derive(Debug, Default)]
pub struct ForwardState {
    /// Responses of its upstreams, and their outage.
    pub(crate) outage: OutageState,
    /// In-flight queries, for `max_concurrent`.
    pub(crate) inflight_queries: AtomicU32,
    /// The first upstream of the next query under [`super::SelectionPolicy::RoundRobin`].
    pub(crate) next_upstream: AtomicUsize,
}

/// An upstream of a `forward`.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its ID.
    pub id: UpstreamId,
    /// Its address.
    pub addr: SocketAddr,
    /// DNS over TLS, whatever the transport preference says.
    pub encrypted: bool,
    /// Options of its connections.
    pub pool: PoolOptions,
    /// Its counters.
    pub counters: Arc<UpstreamCounters>,
    /// State shared by all workers.
    pub state: Arc<UpstreamState>,
}

/// State of an upstream of one `forward` that workers share.
#[derive(Debug, Default)]
pub struct UpstreamState {
    /// Health checks that failed since its last response.
    pub(crate) failed_health_checks: AtomicU32,
    /// True while a worker checks its health.
    pub(crate) health_check_running: AtomicBool,
    /// Attempts since its last response that passed its RTO or failed without anything received.
    pub(crate) unanswered: AtomicU32,
    /// True while an attempt of a worker probes it.
    pub(crate) probe_running: AtomicBool,
    /// Responses received from it.
    pub(crate) responses: AtomicU64,
    /// RTT estimate, as `upstream::rtt` encodes it; 0 before the first response.
    pub(crate) rtt_estimate: AtomicU64,
    min_rtt: MinRtt,
    packet_loss: PacketLoss,
}

impl UpstreamState {
    /// Records a response, to a client's query or to a health check.
    pub(crate) fn record_response(&self, now: Instant) {
        self.packet_loss.record_response(now);
        self.responses.fetch_add(1, Relaxed);
        self.failed_health_checks.store(0, Relaxed);
        self.unanswered.store(0, Relaxed);
    }

    /// Records how long a response took.
    pub(crate) fn record_rtt(&self, now: Instant, rtt: Duration) {
        self.min_rtt.observe(now, rtt);
    }

    /// Smoothed round-trip time (RFC 6298); none before the first response.
    pub fn srtt(&self) -> Option<Duration> {
        let micros = self.rtt_estimate.load(Relaxed) >> 32;
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    /// The minimum of the last responses; none before the first.
    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        self.min_rtt.get()
    }

    /// Records an attempt without a response in time.
    pub(crate) fn record_unanswered(&self) {
        let add = |unanswered: u32| Some(unanswered.saturating_add(1));
        // Never fails: `add` always returns a value.
        self.unanswered.fetch_update(Relaxed, Relaxed, add).ok();
    }

    /// Records that octets sent to it were not acknowledged in time: packets are lost.
    pub(crate) fn record_loss(&self, now: Instant) {
        self.packet_loss.record(now);
    }

    /// True when packets to or from it were lost a moment ago.
    pub(crate) fn has_lost_packets(&self, now: Instant) -> bool {
        self.packet_loss.has_lost(now)
    }

    /// The same while it responds.
    pub(crate) fn loses_packets(&self, now: Instant) -> bool {
        self.packet_loss.is_recent(now)
    }
}
