//! RTT estimate of an upstream (RFC 6298), from which the hedge delay follows.

use std::time::Duration;

/// RTO before the first response.
const INITIAL_RTO: Duration = Duration::from_millis(500);

/// Minimum RTO: an upstream that usually responds within a millisecond may have to recurse.
const MIN_RTO: Duration = Duration::from_millis(100);

/// Smoothed round-trip time and its variation (RFC 6298 section 2).
#[derive(Debug, Default)]
pub(crate) struct RttEstimator {
    /// SRTT and RTTVAR; none before the first response.
    estimate: Option<(Duration, Duration)>,
}

impl RttEstimator {
    /// Takes a measured round-trip time into the estimate.
    pub(crate) fn observe(&mut self, rtt: Duration) {
        self.estimate = Some(match self.estimate {
            None => (rtt, rtt / 2),
            Some((srtt, rttvar)) => ((srtt * 7 + rtt) / 8, (rttvar * 3 + srtt.abs_diff(rtt)) / 4),
        });
    }

    /// Retransmission timeout: SRTT + 4 RTTVAR.
    pub(crate) fn rto(&self) -> Duration {
        self.estimate.map_or(INITIAL_RTO, |(srtt, rttvar)| (srtt + rttvar * 4).max(MIN_RTO))
    }
}
