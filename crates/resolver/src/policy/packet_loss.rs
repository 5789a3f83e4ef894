//! Packet loss on the way to an upstream or back, as the kernel's TCP sees it.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::shared_instant::SharedInstant;

/// How long packets are taken to be lost after a loss.
const PERIOD: Duration = Duration::from_secs(10);

/// Losses, each less than [`PERIOD`] after the one before, from which any query without a response
/// may have lost its packets.
const FREQUENT: u32 = 4;

/// Losses of one upstream.
#[derive(Debug, Default)]
pub(super) struct PacketLoss {
    losses: AtomicU32,
    last: SharedInstant,
}

impl PacketLoss {
    /// Octets sent on a connection were not acknowledged in time.
    pub(super) fn record(&self, now: Instant) {
        let is_recent = self.is_recent(now);
        let add = |losses: u32| Some(if is_recent { losses.saturating_add(1) } else { 1 });
        // Never fails: `add` always returns a value.
        self.losses.fetch_update(Relaxed, Relaxed, add).ok();
        self.last.advance(now);
    }

    /// True when there was a loss a moment ago.
    pub(super) fn is_recent(&self, now: Instant) -> bool {
        let is_recent = |last: Instant| now.saturating_duration_since(last) < PERIOD;
        self.last.get().is_some_and(is_recent)
    }

    /// True while there are many.
    pub(super) fn is_frequent(&self, now: Instant) -> bool {
        self.is_recent(now) && self.losses.load(Relaxed) >= FREQUENT
    }
}
