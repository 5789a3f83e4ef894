//! Which upstreams a question is put to, in which order, how often.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::policy::{Forward, MaxConnectAttempts, SelectionPolicy};

/// Rounds through the upstreams (RFC 9520 section 3.1 allows three).
pub(crate) const ROUNDS: usize = 2;

/// Before the same upstream is asked again after it said no at once: a restarting CoreDNS needs a moment, and
/// a herd of refused queries must not spin. It doubles with each round.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What pauses grow to.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Which upstream is asked next.
#[derive(Debug)]
pub(crate) struct Selection {
    /// Indices among the upstreams of the forward; empty when all are down and queries are to fail at once.
    order: Vec<usize>,
    taken: usize,
    /// Steps in all; nothing is no end.
    limit: Option<usize>,
    /// All upstreams were down when this was made.
    pub(crate) all_down: bool,
}

/// One candidate of a selection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Index among the upstreams of the forward.
    pub(crate) upstream: usize,
    /// How often the selection has been through all upstreams before.
    pub(crate) round: usize,
}

impl Candidate {
    /// This in-flight query has asked the upstream before.
    pub(crate) fn again(self) -> bool {
        self.round > 0
    }

    /// How long to wait before it when the candidate before was answered by a no.
    pub(crate) fn pause(self) -> Duration {
        match u32::try_from(self.round) {
            Ok(0) => Duration::ZERO,
            Ok(round) => FIRST_PAUSE.saturating_mul(1 << (round - 1).min(8)).min(LONGEST_PAUSE),
            Err(_) => LONGEST_PAUSE,
        }
    }
}

impl Selection {
    /// The upstreams of `forward` that are not down, in the order of its policy. With all of them down it is one
    /// attempt at one of them, or none if queries are to fail at once.
    pub(crate) fn new(forward: &Forward, random: &mut impl rand::Rng) -> Self {
        let mut order: Vec<usize> = (0..forward.upstreams.len()).collect();
        match forward.options.policy {
            SelectionPolicy::Sequential => {}
            SelectionPolicy::Random => order.shuffle(random),
            SelectionPolicy::RoundRobin => {
                let turn = forward.state.next_upstream.fetch_add(1, Relaxed);
                let first = turn.checked_rem(order.len()).unwrap_or(0);
                order.rotate_left(first);
            }
        }
        let up: Vec<usize> = order.iter().copied().filter(|&index| forward.is_up(index)).collect();
        if up.is_empty() {
            let chosen = if forward.options.health_check.failfast {
                order.len()
            } else {
                random.random_range(0..order.len().max(1))
            };
            let order = order.get(chosen).copied().into_iter().collect();
            return Self { order, taken: 0, limit: Some(1), all_down: true };
        }
        let limit = match forward.options.max_connect_attempts {
            MaxConnectAttempts::TwoPerUpstream => Some(up.len() * ROUNDS),
            MaxConnectAttempts::Limit(attempts) => Some(usize::try_from(attempts).unwrap_or(usize::MAX)),
            MaxConnectAttempts::Unlimited => None,
        };
        Self { order: up, taken: 0, limit, all_down: false }
    }

    /// True before the first candidate.
    pub(crate) fn is_untouched(&self) -> bool {
        self.taken == 0
    }

    /// The next candidate, if the attempts are not used up. Upstreams of `forward` that have been found to be down since are
    /// passed over while another one is up.
    pub(crate) fn peek(&self, forward: &Forward) -> Option<Candidate> {
        self.next_place(forward).and_then(|place| self.candidate(place))
    }

    /// Takes the candidate that [`Self::peek`] shows.
    pub(crate) fn take(&mut self, forward: &Forward) -> Option<Candidate> {
        let place = self.next_place(forward)?;
        self.taken = place + 1;
        self.candidate(place)
    }

    fn next_place(&self, forward: &Forward) -> Option<usize> {
        let round = self.taken + self.order.len();
        let places = self.taken..self.limit.map_or(round, |limit| limit.min(round));
        let is_up =
            |place: &usize| self.candidate(*place).is_some_and(|candidate| forward.is_up(candidate.upstream));
        places.clone().find(is_up).or_else(|| places.clone().next())
    }

    fn candidate(&self, place: usize) -> Option<Candidate> {
        let upstream = *self.order.get(place.checked_rem(self.order.len())?)?;
        Some(Candidate { upstream, round: place.checked_div(self.order.len())? })
    }
}
