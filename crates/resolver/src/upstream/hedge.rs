//! Hedging: a second attempt while the first is still waiting. A token bucket per upstream limits
//! it.

/// Tokens per hedge; each ordinary attempt adds one.
const TOKENS_PER_HEDGE: u32 = 10;

/// Token bucket of the hedges of one upstream.
#[derive(Debug)]
pub(crate) struct HedgeBudget {
    tokens: u32,
    capacity: u32,
}

impl HedgeBudget {
    /// A full bucket with tokens for `burst` hedges.
    pub(crate) fn new(burst: u32) -> Self {
        let capacity = burst.saturating_mul(TOKENS_PER_HEDGE);
        Self { tokens: capacity, capacity }
    }

    /// Adds the token of an ordinary attempt.
    pub(crate) fn refill(&mut self) {
        self.tokens = (self.tokens + 1).min(self.capacity);
    }

    /// Takes the tokens of a hedge; false when there are too few.
    pub(crate) fn try_take(&mut self) -> bool {
        let left = self.tokens.checked_sub(TOKENS_PER_HEDGE);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }
}
