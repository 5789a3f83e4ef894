//! Cacheability of a response: its TTL, or negative TTL (RFC 2308), and the store it goes to.

use wire::response::{Response, ResponseType};

use crate::policy::{CacheOptions, StoreOptions};
use crate::store::Store;

/// TTL in seconds of responses without a usable TTL, as in CoreDNS.
const DEFAULT_TTL: u32 = 5;

/// How a response is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cacheability {
    /// TTL in seconds, of every record in the response.
    pub(crate) ttl: u32,
    /// `None` when it is relayed only.
    pub(crate) store: Option<Store>,
}

impl Cacheability {
    /// For the `response` to a query for `name`, in wire form and lower case.
    pub(crate) fn of(response: &Response<'_>, name: &[u8], options: &CacheOptions) -> Self {
        let received = response.min_ttl.unwrap_or(DEFAULT_TTL);
        let (ttl, store, store_options) = match response.response_type {
            ResponseType::Positive => {
                (options.success.clamp(received), Some(Store::Success), &options.success)
            }
            ResponseType::Delegation | ResponseType::Empty => {
                (options.success.clamp(DEFAULT_TTL), Some(Store::Success), &options.success)
            }
            ResponseType::NoData | ResponseType::NameError => {
                let negative = response.soa_minimum.map_or(received, |minimum| received.min(minimum));
                (options.denial.clamp(negative), Some(Store::Denial), &options.denial)
            }
            ResponseType::ServerFailure => {
                let seconds = u32::try_from(options.servfail.as_secs()).unwrap_or(u32::MAX);
                (seconds, Some(Store::Denial), &options.denial)
            }
            ResponseType::IncompleteChain => (options.success.clamp(received), None, &options.success),
            ResponseType::Other => (options.success.clamp(DEFAULT_TTL), None, &options.success),
        };
        let truncated = response.header.flags.has(wire::header::Flags::TC);
        let cacheable = ttl > 0 && !truncated && !store_options.is_disabled_for(name);
        Self { ttl, store: store.filter(|_| cacheable) }
    }
}

impl StoreOptions {
    /// True for a name in a zone of `disable`.
    pub(crate) fn is_disabled_for(&self, name: &[u8]) -> bool {
        self.disabled.iter().any(|zone| zone.covers(name))
    }

    fn clamp(&self, ttl: u32) -> u32 {
        ttl.max(self.min_ttl).min(self.max_ttl)
    }
}
