//! Counters by the names scenarios call them.

use super::environment::Environment;
use crate::text::{TextError, error};

impl Environment {
    /// The value of a counter; `of` names a zone of its block, or its upstream, where there are several.
    pub(super) fn counter(&self, counter: &str, of: Option<&str>) -> Result<u64, TextError> {
        if let Some(value) = self.of_worker(counter) {
            return Ok(value);
        }
        self.of_block(counter, of)
            .or_else(|| self.of_upstream(counter, of))
            .map_or_else(|| error(format!("`{counter} {}` is not counted", of.unwrap_or_default())), Ok)
    }

    fn of_worker(&self, counter: &str) -> Option<u64> {
        let worker = &self.worker;
        let counted = match counter {
            "dropped" => &worker.dropped,
            "format_errors" => &worker.format_errors,
            "not_implemented" => &worker.not_implemented,
            "bad_versions" => &worker.bad_versions,
            "inflight_full" => &worker.inflight_full,
            "refreshes_full" => &worker.refreshes_full,
            "waiters_full" => &worker.waiters_full,
            "client_quota_full" => &worker.client_quota_full,
            "late_responses" => &worker.late_responses,
            _ => return None,
        };
        Some(counted.get())
    }

    fn of_block(&self, counter: &str, of: Option<&str>) -> Option<u64> {
        let block = match of {
            None => self.blocks.first()?,
            Some(zone) => {
                let absolute = format!("{}.", zone.trim_end_matches('.'));
                self.blocks.iter().find(|block| block.zones.contains(&absolute))?
            }
        };
        let counters = &block.counters;
        let counted = match counter {
            "cache_requests" => &counters.cache_requests,
            "cache_success_hits" => &counters.cache_success_hits,
            "cache_denial_hits" => &counters.cache_denial_hits,
            "cache_misses" => &counters.cache_misses,
            "cache_drops" => &counters.cache_drops,
            "prefetches" => &counters.prefetches,
            "served_stale" => &counters.served_stale,
            "coalesced" => &counters.coalesced,
            "max_concurrent_rejects" => &counters.max_concurrent_rejects,
            "healthcheck_broken" => &counters.healthcheck_broken,
            _ => return self.entries(counter, block),
        };
        Some(counted.get())
    }

    /// Entries in the cache, once it has done what it put off.
    fn entries(&self, counter: &str, block: &super::environment::BlockState) -> Option<u64> {
        self.cache.settle();
        let entries = match counter {
            "success_entries" => block.usage.success(),
            "denial_entries" => block.usage.denial(),
            _ => return None,
        };
        u64::try_from(entries).ok()
    }

    fn of_upstream(&self, counter: &str, of: Option<&str>) -> Option<u64> {
        let upstream = match of {
            None => self.upstreams.values().next()?,
            Some(name) => self.upstreams.get(name)?,
        };
        let counters = &upstream.counters;
        let counted = match counter {
            "failures" => &counters.failures,
            "retried" => &counters.retried,
            "mismatched_responses" => &counters.mismatched_responses,
            "mismatched_attempts" => &counters.mismatched_attempts,
            "hedged" => &counters.hedged,
            "hedges_throttled" => &counters.hedges_throttled,
            "edns_fallbacks" => &counters.edns_fallbacks,
            "healthcheck_failures" => &counters.healthcheck_failures,
            _ => return None,
        };
        Some(counted.get())
    }
}
