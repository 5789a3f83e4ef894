//! How long an answer may live, and in which store.

use wire::name::Name;
use wire::response::{Response, ResponseType};

use crate::cache::Store;
use crate::policy::{CacheOptions, StoreOptions};

/// Seconds for answers that carry no TTL of their own to go by.
const WITHOUT_TTL: u32 = 5;

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cacheability {
    /// The TTL every record is shown with when the answer is fresh, in seconds.
    pub(crate) ttl: u32,
    /// Where it is kept; nothing when it is only passed on.
    pub(crate) store: Option<Store>,
}

impl Cacheability {
    /// Decides for `response` to a question for `name`, lower case in wire form.
    pub(crate) fn of(response: &Response<'_>, name: &[u8], cache: &CacheOptions) -> Self {
        let received = response.min_ttl.unwrap_or(WITHOUT_TTL);
        let (ttl, store, policy) = match response.response_type {
            ResponseType::Positive => (cache.success.clamp(received), Some(Store::Success), &cache.success),
            ResponseType::Delegation | ResponseType::Empty => {
                (cache.success.clamp(WITHOUT_TTL), Some(Store::Success), &cache.success)
            }
            ResponseType::NoData | ResponseType::NameError => {
                (cache.denial.clamp(received), Some(Store::Denial), &cache.denial)
            }
            ResponseType::ServerFailure => {
                let seconds = u32::try_from(cache.servfail.as_secs()).unwrap_or(u32::MAX);
                (seconds, Some(Store::Denial), &cache.denial)
            }
            ResponseType::IncompleteChain | ResponseType::Other => {
                (cache.success.clamp(received), None, &cache.success)
            }
        };
        let truncated = response.header.flags.has(wire::header::Flags::TC);
        let kept = ttl > 0 && !truncated && !covers_any(&policy.disabled, name);
        Self { ttl, store: store.filter(|_| kept) }
    }
}

impl StoreOptions {
    fn clamp(&self, ttl: u32) -> u32 {
        ttl.max(self.min_ttl).min(self.max_ttl)
    }
}

/// True when one of `zones` has the name.
pub(crate) fn covers_any(zones: &[Name], name: &[u8]) -> bool {
    zones.iter().any(|zone| zone.covers(name))
}
