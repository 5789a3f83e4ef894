//! A second attempt while the first is still waited for: how long an answer usually takes, and what bounds the second
//! ones.

use std::time::{Duration, Instant};

use crate::Resolver;
use crate::action::{AttemptId, Outbox};
use crate::upstream::attempt::Launch;
use crate::upstream::selection::ROUNDS;

/// Before an upstream has answered once.
const UNKNOWN: Duration = Duration::from_millis(500);

/// Sooner than this no second attempt is made: an upstream that answers in a millisecond may have to ask others.
const SOONEST: Duration = Duration::from_millis(100);

/// Ordinary attempts that earn an early one.
const PRICE: u32 = 10;

/// The round trips of one upstream, smoothed as RFC 6298 section 2 has it, and the attempts that may be made early.
#[derive(Debug)]
pub(crate) struct Pace {
    smoothed: Option<Smoothed>,
    /// Ordinary attempts not yet spent on early ones.
    credit: u32,
    most_credit: u32,
}

#[derive(Clone, Copy, Debug)]
struct Smoothed {
    round_trip: Duration,
    variation: Duration,
}

impl Pace {
    /// That of an upstream nothing is known of, with `burst` early attempts to begin with.
    pub(crate) fn new(burst: u32) -> Self {
        let credit = burst.saturating_mul(PRICE);
        Self { smoothed: None, credit, most_credit: credit }
    }

    /// Learns that an answer took `time`.
    pub(crate) fn observe(&mut self, time: Duration) {
        self.smoothed = Some(match self.smoothed {
            None => Smoothed { round_trip: time, variation: time / 2 },
            Some(Smoothed { round_trip, variation }) => Smoothed {
                round_trip: (round_trip * 7 + time) / 8,
                variation: (variation * 3 + round_trip.abs_diff(time)) / 4,
            },
        });
    }

    /// How long an answer usually takes at most.
    pub(crate) fn patience(&self) -> Duration {
        let usual = self.smoothed.map(|smoothed| smoothed.round_trip + smoothed.variation * 4);
        usual.map_or(UNKNOWN, |usual| usual.max(SOONEST))
    }

    /// Notes an ordinary attempt.
    pub(crate) fn earn(&mut self) {
        self.credit = (self.credit + 1).min(self.most_credit);
    }

    /// Pays for an early attempt; false when there is nothing to pay with.
    pub(crate) fn spend(&mut self) -> bool {
        let left = self.credit.checked_sub(PRICE);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }
}

impl Resolver {
    /// An attempt has brought nothing in the time that is usual for its upstream: the next one of the plan is made now,
    /// on a connection of its own, and the first good answer wins. Where no client waits there is no hurry. One that was made early itself only makes upstreams
    /// be asked that have not been asked yet.
    pub(crate) fn hedge(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let Some(flight) = self.flights.get_mut(&attempt.flight) else { return };
        let most_rounds = if attempt.is_hedge { 1 } else { ROUNDS };
        let worth = flight.peek().is_some_and(|step| step.round < most_rounds);
        let Some(upstream) = attempt.inquiry.upstream(attempt.upstream) else { return };
        if !worth || flight.is_pausing() || flight.waiters.is_empty() {
            return;
        }
        if !self.paces.get_mut(&upstream.id).is_some_and(Pace::spend) {
            return upstream.counters.hedges_throttled.add(1);
        }
        let Some(step) = flight.take() else { return };
        upstream.counters.hedged.add(1);
        let launch = Launch { fresh: true, is_hedge: true, ..Launch::of(attempt.flight, flight, step) };
        self.launch(now, launch, outbox);
    }
}
