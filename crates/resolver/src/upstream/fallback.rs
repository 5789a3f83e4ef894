//! Fallback response: relayed when no further upstream gives a better one (`failover`).

use super::attempt::Attempt;

/// A response that had the next upstream tried, with its attempt.
#[derive(Debug)]
pub(crate) struct FallbackResponse {
    pub(crate) attempt: Attempt,
    pub(crate) packet: Box<[u8]>,
}
