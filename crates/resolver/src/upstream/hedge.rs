//! A second attempt while the first is still waited for: how long an answer usually takes, and what bounds the second
//! ones.

use std::time::{Duration, Instant};

use crate::Resolver;
use crate::action::{AttemptId, Outbox};
use crate::upstream::attempt::AttemptSpec;
use crate::upstream::selection::ROUNDS;

/// Before an upstream has answered once.
const INITIAL_RTO: Duration = Duration::from_millis(500);

/// Sooner than this no second attempt is made: an upstream that answers in a millisecond may have to ask others.
const MIN_RTO: Duration = Duration::from_millis(100);

/// Ordinary attempts that refill an early one.
const TOKENS_PER_HEDGE: u32 = 10;

/// The round trips of one upstream, smoothed as RFC 6298 section 2 has it, and the attempts that may be made early.
#[derive(Debug)]
pub(crate) struct RttEstimator {
    smoothed: Option<SmoothedRtt>,
    /// Ordinary attempts not yet spent on early ones.
    tokens: u32,
    capacity: u32,
}

#[derive(Clone, Copy, Debug)]
struct SmoothedRtt {
    srtt: Duration,
    rttvar: Duration,
}

impl RttEstimator {
    /// That of an upstream nothing is known of, with `burst` early attempts to begin with.
    pub(crate) fn new(burst: u32) -> Self {
        let tokens = burst.saturating_mul(TOKENS_PER_HEDGE);
        Self { smoothed: None, tokens, capacity: tokens }
    }

    /// Learns that an answer took `time`.
    pub(crate) fn observe(&mut self, time: Duration) {
        self.smoothed = Some(match self.smoothed {
            None => SmoothedRtt { srtt: time, rttvar: time / 2 },
            Some(SmoothedRtt { srtt, rttvar }) => {
                SmoothedRtt { srtt: (srtt * 7 + time) / 8, rttvar: (rttvar * 3 + srtt.abs_diff(time)) / 4 }
            }
        });
    }

    /// How long an answer usually takes at most.
    pub(crate) fn rto(&self) -> Duration {
        let usual = self.smoothed.map(|smoothed| smoothed.srtt + smoothed.rttvar * 4);
        usual.map_or(INITIAL_RTO, |usual| usual.max(MIN_RTO))
    }

    /// Notes an ordinary attempt.
    pub(crate) fn refill(&mut self) {
        self.tokens = (self.tokens + 1).min(self.capacity);
    }

    /// Pays for an early attempt; false when there is nothing to pay with.
    pub(crate) fn try_take(&mut self) -> bool {
        let left = self.tokens.checked_sub(TOKENS_PER_HEDGE);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }
}

impl Resolver {
    /// An attempt has brought nothing in the time that is usual for its upstream: the next one of the selection is made now,
    /// on a connection of its own, and the first good answer wins. Where no client waits there is no hurry. One that was made early itself only makes upstreams
    /// be asked that have not been asked yet.
    pub(crate) fn hedge(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let Some(inflight) = self.inflight.get_mut(&attempt.inflight) else { return };
        let most_rounds = if attempt.is_hedge { 1 } else { ROUNDS };
        let worth = inflight.peek().is_some_and(|candidate| candidate.round < most_rounds);
        let Some(upstream) = attempt.query.upstream(attempt.upstream) else { return };
        if !worth || inflight.is_pausing() || inflight.waiters.is_empty() {
            return;
        }
        if !self.estimators.get_mut(&upstream.id).is_some_and(RttEstimator::try_take) {
            return upstream.counters.hedges_throttled.add(1);
        }
        let Some(candidate) = inflight.take() else { return };
        upstream.counters.hedged.add(1);
        let spec = AttemptSpec {
            fresh: true,
            is_hedge: true,
            ..AttemptSpec::of(attempt.inflight, inflight, candidate)
        };
        self.send_attempt(now, spec, outbox);
    }
}
