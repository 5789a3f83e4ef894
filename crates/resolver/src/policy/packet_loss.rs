//! Packet loss on the way to an upstream or back, as the kernel's TCP sees it.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::shared_instant::SharedInstant;

/// How long packets are taken to be lost after a loss.
const PERIOD: Duration = Duration::from_secs(10);

/// Packets are lost if some arrive; without a response for this long, the upstream is gone, and all
/// that is sent to it would arrive when it returns.
const RESPONSE_PERIOD: Duration = Duration::from_secs(1);

/// Losses, each less than [`PERIOD`] after the one before, from which any query without a response
/// may have lost its packets.
const FREQUENT: u32 = 4;

/// Losses of one upstream.
#[derive(Debug, Default)]
pub(super) struct PacketLoss {
    losses: AtomicU32,
    last: SharedInstant,
    last_response: SharedInstant,
}

impl PacketLoss {
    /// A response has arrived.
    pub(super) fn record_response(&self, now: Instant) {
        self.last_response.advance(now);
    }

    /// Octets sent on a connection were not acknowledged in time.
    pub(super) fn record(&self, now: Instant) {
        let is_recent = self.has_lost(now);
        let add = |losses: u32| Some(if is_recent { losses.saturating_add(1) } else { 1 });
        // Never fails: `add` always returns a value.
        self.losses.fetch_update(Relaxed, Relaxed, add).ok();
        self.last.advance(now);
    }

    /// True when there was a loss a moment ago.
    pub(super) fn has_lost(&self, now: Instant) -> bool {
        is_within(PERIOD, &self.last, now)
    }

    /// True when there was a loss a moment ago, and a response.
    pub(super) fn is_recent(&self, now: Instant) -> bool {
        self.has_lost(now) && is_within(RESPONSE_PERIOD, &self.last_response, now)
    }

    /// True while there are many.
    pub(super) fn is_frequent(&self, now: Instant) -> bool {
        self.is_recent(now) && self.losses.load(Relaxed) >= FREQUENT
    }
}

/// True when the moment is less than `period` before `now`.
fn is_within(period: Duration, moment: &SharedInstant, now: Instant) -> bool {
    moment.get().is_some_and(|at| now.saturating_duration_since(at) < period)
}
