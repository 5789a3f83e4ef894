//! Counters by their field names in [`resolver::counters`], for `CHECK_COUNTER`.

use resolver::counters::{Counter, PLUGIN_LABELS};
use resolver::policy::AclAction;

use super::environment::{BlockState, Environment};
use crate::text::{TextError, error};

/// The value of a counter; `of` names a zone of its server block, or its upstream, where there are
/// several. `responses` are those of all zones that the directive `of` has written; without it those
/// that none has.
pub(super) fn value(environment: &Environment, counter: &str, of: Option<&str>) -> Result<u64, TextError> {
    of_worker(environment, counter)
        .or_else(|| responses(environment, counter, of))
        .or_else(|| of_block(environment, counter, of))
        .or_else(|| of_upstream(environment, counter, of))
        .map_or_else(|| error(format!("no counter `{counter} {}`", of.unwrap_or_default())), Ok)
}

fn of_worker(environment: &Environment, counter: &str) -> Option<u64> {
    let worker = &environment.worker;
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

fn responses(environment: &Environment, counter: &str, of: Option<&str>) -> Option<u64> {
    let plugin = PLUGIN_LABELS.iter().position(|label| *label == of.unwrap_or_default())?;
    let routes = environment.blocks.iter().flat_map(|block| &block.routes);
    let rows = routes.filter_map(|route| route.responses.get(plugin));
    (counter == "responses").then(|| rows.flatten().map(Counter::get).sum())
}

fn of_block(environment: &Environment, counter: &str, of: Option<&str>) -> Option<u64> {
    let block = match of {
        None => environment.blocks.first()?,
        Some(zone) => {
            let absolute = format!("{}.", zone.trim_end_matches('.'));
            environment.blocks.iter().find(|block| block.zones.contains(&absolute))?
        }
    };
    let counters = &block.counters;
    let of_acl = |action| Some(counters.acl.by_zone(action).into_values().sum());
    let counted = match counter {
        "cache_requests" => &counters.cache_requests,
        "cache_success_hits" => &counters.cache_success_hits,
        "cache_denial_hits" => &counters.cache_denial_hits,
        "cache_misses" => &counters.cache_misses,
        "cache_drops" => &counters.cache_drops,
        "prefetches" => &counters.prefetches,
        "served_stale" => &counters.served_stale,
        "nxdomain_cut_hits" => &counters.nxdomain_cut_hits,
        "nxdomain_cut_queries" => &counters.nxdomain_cut_queries,
        "nxdomain_cuts_learned" => &counters.nxdomain_cuts_learned,
        "nxdomain_cuts_renewed" => &counters.nxdomain_cuts_renewed,
        "nxdomain_cuts_removed" => &counters.nxdomain_cuts_removed,
        "outage_stale" => &counters.outage_stale,
        "localhost_requests" => &counters.localhost_requests,
        "translated" => &counters.translated,
        "acl_allowed" => return Some(counters.acl.allowed()),
        "acl_blocked" => return of_acl(AclAction::Block),
        "acl_filtered" => return of_acl(AclAction::Filter),
        "acl_dropped" => return of_acl(AclAction::Drop),
        "coalesced" => &counters.coalesced,
        "max_concurrent_rejects" => &counters.max_concurrent_rejects,
        "healthcheck_broken" => &counters.healthcheck_broken,
        _ => return entries(block, counter),
    };
    Some(counted.get())
}

/// Entries in the cache.
fn entries(block: &BlockState, counter: &str) -> Option<u64> {
    let entries = match counter {
        "success_entries" => block.usage.success(),
        "denial_entries" => block.usage.denial(),
        _ => return None,
    };
    u64::try_from(entries).ok()
}

fn of_upstream(environment: &Environment, counter: &str, of: Option<&str>) -> Option<u64> {
    let upstream = match of {
        None => environment.upstreams.values().next()?,
        Some(name) => environment.upstreams.get(name)?,
    };
    let counters = &upstream.counters;
    let counted = match counter {
        "failures" => &counters.failures,
        "retried" => &counters.retried,
        "queued" => &counters.queued,
        "queue_full" => &counters.queue_full,
        "dedicated_connections" => &counters.dedicated_connections,
        "dedicated_connections_full" => &counters.dedicated_connections_full,
        "suspect_connections" => &counters.suspect_connections,
        "mismatched_responses" => &counters.mismatched_responses,
        "mismatched_attempts" => &counters.mismatched_attempts,
        "retransmissions" => &counters.retransmissions,
        "probes" => &counters.probes,
        "hedged" => &counters.hedged,
        "hedges_throttled" => &counters.hedges_throttled,
        "edns_fallbacks" => &counters.edns_fallbacks,
        "healthcheck_failures" => &counters.healthcheck_failures,
        _ => return None,
    };
    Some(counted.get())
}
