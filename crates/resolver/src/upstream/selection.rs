//! Upstream selection: which upstreams an in-flight query tries, in which order, how often.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::policy::{Forward, MaxConnectAttempts, SelectionPolicy};

/// Rounds through the upstreams (RFC 9520 section 3.1 allows three attempts each).
pub(crate) const ROUNDS: usize = 2;

/// Pause before an upstream is tried again after it refused at once: a restarting CoreDNS needs a
/// moment, and many refused queries must not spin. It doubles with each round.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Maximum pause.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The upstreams that a query tries.
#[derive(Debug)]
pub(crate) struct Selection {
    /// Indices among the upstreams of the forward; empty when all are down and queries fail at
    /// once.
    order: Vec<usize>,
    /// Candidates passed so far, over all rounds.
    passed: usize,
    /// Maximum number of candidates; none for no limit.
    limit: Option<usize>,
    /// All upstreams were down when the query started.
    pub(crate) all_down: bool,
}

/// An upstream to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Index among the upstreams of the forward.
    pub(crate) upstream: usize,
    /// Number of completed rounds through all upstreams.
    pub(crate) round: usize,
    /// Candidates before it, over all rounds.
    position: usize,
}

impl Candidate {
    /// True when the query has tried this upstream before.
    pub(crate) fn is_repeated(self) -> bool {
        self.round > 0
    }

    /// Pause before it, when the previous attempt failed at once.
    pub(crate) fn pause(self) -> Duration {
        match u32::try_from(self.round) {
            Ok(0) => Duration::ZERO,
            Ok(round) => FIRST_PAUSE.saturating_mul(1 << (round - 1).min(8)).min(MAX_PAUSE),
            Err(_) => MAX_PAUSE,
        }
    }
}

impl Selection {
    /// The upstreams of `forward` that are not down, ordered by its policy. With all of them down,
    /// one attempt at one of them, or none with `failfast`. Silent ones are last.
    pub(crate) fn new(forward: &Forward, random: &mut impl rand::Rng) -> Self {
        let mut order: Vec<usize> = (0..forward.upstreams.len()).collect();
        match forward.options.policy {
            SelectionPolicy::Sequential => {}
            SelectionPolicy::Random => order.shuffle(random),
            SelectionPolicy::RoundRobin => {
                let next = forward.state.next_upstream.fetch_add(1, Relaxed);
                let first = next.checked_rem(order.len()).unwrap_or(0);
                order.rotate_left(first);
            }
        }
        let mut down = Vec::new();
        order.retain(|&index| {
            let is_up = forward.is_up(index);
            if !is_up {
                down.push(index);
            }
            is_up
        });
        order.sort_by_cached_key(|&index| forward.is_silent(index));
        if order.is_empty() {
            let chosen = if forward.options.health_check.failfast {
                down.len()
            } else {
                random.random_range(0..down.len().max(1))
            };
            let order = down.get(chosen).copied().into_iter().collect();
            return Self { order, passed: 0, limit: Some(1), all_down: true };
        }
        let limit = match forward.options.max_connect_attempts {
            MaxConnectAttempts::TwoPerUpstream => Some(order.len() * ROUNDS),
            MaxConnectAttempts::Limit(attempts) => Some(usize::try_from(attempts).unwrap_or(usize::MAX)),
            MaxConnectAttempts::Unlimited => None,
        };
        Self { order, passed: 0, limit, all_down: false }
    }

    /// Starts with another upstream than the policy's first.
    pub(crate) fn rotate(&mut self, by: usize) {
        let first = by.checked_rem(self.order.len()).unwrap_or(0);
        self.order.rotate_left(first);
    }

    /// True before the first candidate was taken.
    pub(crate) fn is_unused(&self) -> bool {
        self.passed == 0
    }

    /// The next candidate, within the limit. An upstream that has gone down since is passed over
    /// while another one is up.
    pub(crate) fn peek(&self, forward: &Forward) -> Option<Candidate> {
        let mut next = self.next_candidates();
        next.find(|candidate| forward.is_up(candidate.upstream)).or_else(|| self.next_candidates().next())
    }

    /// Takes a candidate that [`Self::peek`] has returned.
    pub(crate) fn take(&mut self, candidate: Candidate) {
        self.passed = candidate.position + 1;
    }

    /// The same for a hedge or retransmission, for which silent upstreams are passed over as well.
    pub(crate) fn peek_hedge(&self, forward: &Forward) -> Option<Candidate> {
        let is_usable = |upstream: usize| forward.is_up(upstream) && !forward.is_silent(upstream);
        self.next_candidates().find(|candidate| is_usable(candidate.upstream)).or_else(|| self.peek(forward))
    }

    /// The silent upstreams among the candidates after the first.
    pub(crate) fn silent(&self, forward: &Forward) -> impl Iterator<Item = Candidate> {
        let candidates = (1..self.order.len()).filter_map(|position| self.candidate(position));
        candidates.filter(|candidate| forward.is_silent(candidate.upstream))
    }

    /// The candidates of one round from the next one on, within the limit.
    fn next_candidates(&self) -> impl Iterator<Item = Candidate> {
        let round = self.passed + self.order.len();
        let positions = self.passed..self.limit.map_or(round, |limit| limit.min(round));
        positions.filter_map(|position| self.candidate(position))
    }

    fn candidate(&self, position: usize) -> Option<Candidate> {
        let upstream = *self.order.get(position.checked_rem(self.order.len())?)?;
        Some(Candidate { upstream, round: position.checked_div(self.order.len())?, position })
    }
}
