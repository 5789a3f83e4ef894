//! SERVFAIL cache: when a cached failure (RFC 9520) stops being valid before its TTL ends.

use std::sync::Arc;

use crate::policy::ForwardState;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Validity of a failure that is answered from the cache (RFC 9520 section 3.2).
#[derive(Debug, Default)]
pub(crate) struct CachedFailure {
    /// Set when no upstream responded while the query failed: the failure ends with their next
    /// response.
    outage: Option<Outage>,
    /// Set when the question has been answered since.
    revoked: AtomicBool,
    /// Consecutive failures of this question before this one.
    pub(crate) streak: u8,
}

/// A period without any response from the upstreams of a `forward`.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) forward: Arc<ForwardState>,
    /// Responses when it began.
    pub(crate) responses: u64,
}

impl Outage {
    fn is_ongoing(&self) -> bool {
        self.forward.outage.responses() == self.responses
    }
}

impl CachedFailure {
    /// A failure after `streak` consecutive others.
    pub(crate) fn new(outage: Option<Outage>, streak: u8) -> Self {
        Self { outage, streak, revoked: AtomicBool::new(false) }
    }

    /// Invalidates the failure, because its question has been answered.
    pub(super) fn revoke(&self) {
        self.revoked.store(true, Relaxed);
    }

    pub(super) fn is_valid(&self) -> bool {
        !self.revoked.load(Relaxed) && self.outage.as_ref().is_none_or(Outage::is_ongoing)
    }
}
