//! Idle timeouts of the connections to one upstream, and how many idle ones are kept.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::placement::Streams;
use crate::policy::PoolOptions;
use crate::transport::Transport;

/// Idle connections are closed before CoreDNS closes them after 10 s: a query sent on a closing
/// connection has to be retried.
pub(super) const MAX_IDLE_TIMEOUT: Duration = Duration::from_secs(8);

/// Idle timeout of connections beyond the first: servers with few TCP workers need them back.
const EXTRA_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// Limits of the idle connections to one upstream.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdleLimits {
    timeout: Duration,
    /// Of connections beyond the first.
    extra_timeout: Duration,
    /// `max_idle_conns`.
    max_idle: Option<NonZeroUsize>,
}

impl IdleLimits {
    pub(super) fn new(options: &PoolOptions) -> Self {
        let timeout = options.idle_timeout.min(MAX_IDLE_TIMEOUT);
        Self { timeout, extra_timeout: timeout.min(EXTRA_IDLE_TIMEOUT), max_idle: options.max_idle }
    }

    /// The shortest idle timeout that a connection may have.
    pub(super) fn shortest(&self) -> Duration {
        self.extra_timeout
    }

    /// The idle timeout of one of all connections: shorter when another idle one was used later, unless
    /// packets are lost. A new one may take a second then, the initial RTO of a SYN (RFC 6298 section
    /// 2).
    pub(super) fn timeout(
        &self,
        one: &Connection,
        streams: &Streams<'_>,
        has_lost_packets: bool,
    ) -> Duration {
        let used_later = |other: &Connection| (other.last_used(), other.id) > (one.last_used(), one.id);
        let is_extra = streams.idle().any(|(_, other)| used_later(other));
        if is_extra && !has_lost_packets { self.extra_timeout } else { self.timeout }
    }

    /// When something is due next on a connection whose timer has fired. An idle one is looked at
    /// again when it could be one beyond the first.
    pub(super) fn next_event(&self, one: &Connection, now: Instant) -> Option<Instant> {
        let next = one.next_event(self.timeout)?;
        let extra_until = one.last_used() + self.extra_timeout;
        let looked_at = if extra_until > now { extra_until } else { now + self.extra_timeout };
        Some(if one.is_idle() { next.min(looked_at) } else { next })
    }

    /// True when more connections are idle than `max_idle_conns`.
    pub(super) fn has_too_many(&self, all: &[Connection]) -> bool {
        let is_idle = |one: &&Connection| one.transport == Transport::Tcp && one.is_idle();
        self.max_idle.is_some_and(|max_idle| all.iter().filter(is_idle).count() > max_idle.get())
    }
}
