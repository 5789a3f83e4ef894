//! RTT estimate of an upstream (RFC 6298), from which its retransmission timeout (RTO) follows.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::policy::{SILENT_AFTER, UpstreamState};

/// RTO before the first response.
const INITIAL_RTO: Duration = Duration::from_millis(500);

/// The same when another upstream can be tried: an unnecessary query to that one costs less than
/// the wait.
const INITIAL_RTO_WITHOUT_BACK_OFF: Duration = Duration::from_millis(200);

/// Minimum RTO: an upstream that usually responds within a millisecond may have to recurse.
const MIN_RTO: Duration = Duration::from_millis(100);

/// Minimum of four RTTVAR in an RTO: responses that take equally long may be late by this much.
const MIN_VARIATION: Duration = Duration::from_millis(50);

/// Minimum RTO of a kernel's TCP (`TCP_RTO_MIN` of Linux).
const KERNEL_MIN_RTO: Duration = Duration::from_millis(200);

/// How long a host delays an acknowledgment, and some time for it to arrive (`TCP_DELACK_MIN` of
/// Linux: 40 ms).
const DELAYED_ACK: Duration = Duration::from_millis(50);

/// Maximum RTO after back-off.
const MAX_BACKED_OFF_RTO: Duration = Duration::from_secs(1);

/// Smoothed round-trip time and its variation (RFC 6298 section 2).
#[derive(Clone, Copy, Debug)]
struct RttEstimate {
    srtt: Duration,
    rttvar: Duration,
}

impl RttEstimate {
    /// The estimate after a measured round-trip time.
    fn updated(current: Option<Self>, rtt: Duration) -> Self {
        match current {
            None => Self { srtt: rtt, rttvar: rtt / 2 },
            Some(Self { srtt, rttvar }) => {
                Self { srtt: (srtt * 7 + rtt) / 8, rttvar: (rttvar * 3 + srtt.abs_diff(rtt)) / 4 }
            }
        }
    }

    /// Reads what [`Self::to_bits`] wrote; none for 0.
    fn from_bits(bits: u64) -> Option<Self> {
        let [srtt, rttvar] = [bits >> 32, bits & u64::from(u32::MAX)].map(Duration::from_micros);
        (bits > 0).then_some(Self { srtt, rttvar })
    }

    /// SRTT, at least 1, and RTTVAR in microseconds, 32 bits each.
    fn to_bits(self) -> u64 {
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        u64::from(micros(self.srtt).max(1)) << 32 | u64::from(micros(self.rttvar))
    }
}

/// Takes a measured round-trip time into the estimate that the workers share.
pub(super) fn observe(upstream: &UpstreamState, rtt: Duration) {
    let update = |bits| Some(RttEstimate::updated(RttEstimate::from_bits(bits), rtt).to_bits());
    // Never fails: `update` always returns a value.
    upstream.rtt_estimate.fetch_update(Relaxed, Relaxed, update).ok();
}

/// True when a query or response that took `rtt` may have been retransmitted by a kernel, which is
/// not a measurement (RFC 6298 section 3, Karn's algorithm).
pub(super) fn may_be_retransmitted(upstream: &UpstreamState, rtt: Duration) -> bool {
    rtt >= KERNEL_MIN_RTO && upstream.srtt().is_none_or(|srtt| rtt > 2 * srtt)
}

/// Retransmission timeout: SRTT + 4 RTTVAR, with minima. It backs off unless another upstream can be
/// tried after it, or packets are lost.
pub(super) fn rto(upstream: &UpstreamState, backs_off: bool) -> Duration {
    let initial = if backs_off { INITIAL_RTO } else { INITIAL_RTO_WITHOUT_BACK_OFF };
    let estimate = RttEstimate::from_bits(upstream.rtt_estimate.load(Relaxed));
    let rto = estimate.map_or(initial, |RttEstimate { srtt, rttvar }| {
        (srtt + (rttvar * 4).max(MIN_VARIATION)).max(MIN_RTO)
    });
    if backs_off { back_off(rto, upstream.unanswered.load(Relaxed)) } else { rto }
}

/// How long the acknowledgment of a query takes at most: the upstream's host may delay it for 40 ms, or
/// for another round trip, if no response carries it. Slow names and lost packets do not raise it, as
/// they do the RTO. There is more time for it until a loss is known, as the round trip may vary.
pub(super) fn acknowledgment_timeout(upstream: &UpstreamState, now: Instant) -> Duration {
    let min = if upstream.has_lost_packets(now) { Duration::ZERO } else { MIN_RTO };
    upstream.min_rtt().map_or(INITIAL_RTO_WITHOUT_BACK_OFF, |rtt| (2 * rtt + DELAYED_ACK).max(min))
}

/// Doubles an RTO for each unanswered attempt (RFC 6298 section 5.5) from the third on: one lost
/// packet or slow name does not delay the hedges of other names.
fn back_off(rto: Duration, unanswered: u32) -> Duration {
    let doublings = unanswered.saturating_sub(SILENT_AFTER - 1);
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    rto.saturating_mul(factor).min(MAX_BACKED_OFF_RTO.max(rto))
}
