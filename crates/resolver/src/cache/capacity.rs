//! Limits of one store: capacity in entries, and how long expired entries stay useful.

use std::time::Duration;

use super::Store;
use crate::policy::CacheOptions;

/// What a `cache` directive sets for one of its stores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreLimits {
    /// Entries, above 0.
    pub(crate) capacity: u32,
    /// How long an answer may be served stale after it has expired.
    pub(crate) stale_window: Duration,
    /// How long an expired answer is kept, while there is space, to be served in an outage.
    pub(crate) outage_window: Duration,
    /// How long a failure counts as the previous one of a series after it has expired.
    pub(crate) failure_window: Duration,
}

impl StoreLimits {
    /// The limits that `options` set for `store`.
    pub(crate) fn of(options: &CacheOptions, store: Store) -> Self {
        let capacity = match store {
            Store::Success => options.success.capacity,
            Store::Denial => options.denial.capacity,
        };
        let stale_window = options.serve_stale.map_or(Duration::ZERO, |stale| stale.duration);
        let outage_window = options.outage_window();
        Self { capacity: capacity.max(1), stale_window, outage_window, failure_window: options.servfail }
    }
}
