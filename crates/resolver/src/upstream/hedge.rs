//! Hedging: a second attempt while the first is still waiting. A token bucket per upstream limits
//! it.

use crate::id_map::IdMap;
use crate::policy::{Upstream, UpstreamId};

/// Tokens per hedge; each ordinary attempt adds one.
const TOKENS_PER_HEDGE: u32 = 10;

/// Token buckets of the hedges of one worker, by upstream.
#[derive(Debug)]
pub(super) struct HedgeBudgets {
    tokens: IdMap<UpstreamId, u32>,
    /// Of a full bucket; 0 disables hedging.
    capacity: u32,
}

impl HedgeBudgets {
    /// Full buckets with tokens for `burst` hedges; 0 disables hedging.
    pub(super) fn new(burst: u32) -> Self {
        Self { tokens: IdMap::default(), capacity: burst.saturating_mul(TOKENS_PER_HEDGE) }
    }

    /// Adds the token of an ordinary attempt.
    pub(super) fn refill(&mut self, upstream: UpstreamId) {
        let capacity = self.capacity;
        let tokens = self.tokens.entry(upstream).or_insert(capacity);
        *tokens = (*tokens + 1).min(capacity);
    }

    /// Drops the buckets of upstreams for which `is_used` does not hold.
    pub(super) fn retain(&mut self, is_used: impl Fn(UpstreamId) -> bool) {
        self.tokens.retain(|upstream, _| is_used(*upstream));
    }

    /// Takes the tokens of a hedge and counts it; false when there are too few.
    pub(super) fn try_take(&mut self, upstream: &Upstream) -> bool {
        if self.capacity == 0 {
            return false;
        }
        let tokens = self.tokens.entry(upstream.id).or_insert(self.capacity);
        let Some(left) = tokens.checked_sub(TOKENS_PER_HEDGE) else {
            upstream.counters.hedges_throttled.add(1);
            return false;
        };
        *tokens = left;
        upstream.counters.hedged.add(1);
        true
    }
}
