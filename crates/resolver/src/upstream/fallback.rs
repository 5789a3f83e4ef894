//! Fallback response: relayed when no better one follows, from a further upstream (`failover`) or
//! over TCP (a truncated response).

use wire::header::{Flags, Header};

use super::attempt::Attempt;

/// A response after which a better one is awaited, with its attempt.
#[derive(Debug)]
pub(crate) struct FallbackResponse {
    pub(crate) attempt: Attempt,
    pub(crate) packet: Box<[u8]>,
}

impl FallbackResponse {
    pub(crate) fn is_truncated(&self) -> bool {
        Header::read(&self.packet).is_some_and(|header| header.flags.has(Flags::TC))
    }
}
