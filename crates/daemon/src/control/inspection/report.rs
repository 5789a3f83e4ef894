//! Cache entries and responses as JSON.

use std::sync::PoisonError;

use resolver::action::ResponseSource;
use resolver::cache::CachedEntry;
use resolver::policy::RouteId;
use serde_json::{Value, json};
use wire::header::Rcode;
use wire::name::PresentationFormat;
use wire::record_text::{self, RecordText};

use super::Inspection;

impl Inspection {
    /// Listener and zone of a route; `null` for one that is not known.
    pub(super) fn block(&self, route: RouteId) -> Value {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = counters.route_labels(route);
        labels.map_or(Value::Null, |(server, zone)| json!({ "server": server, "zone": zone }))
    }

    /// A cache entry without its records.
    pub(super) fn entry(&self, entry: &CachedEntry) -> Value {
        json!({
            "name": PresentationFormat(&entry.name).to_string(),
            "type": entry.qtype.to_string(),
            "zones": self.zones(entry),
            "do": entry.dnssec_ok,
            "cd": entry.checking_disabled,
            "failure": entry.is_failure,
            "nxdomain_cut": cut(entry),
            "rcode": entry.rcode.to_string(),
            "ttl": entry.ttl,
            "remaining": i64::from(entry.ttl).saturating_sub_unsigned(entry.age),
            "age": entry.age,
            "octets": entry.octets,
            "visited": entry.is_visited,
            "hits": entry.hits,
        })
    }

    /// The zones of the server block of an entry, as its cache metrics have them.
    fn zones(&self, entry: &CachedEntry) -> Option<String> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let active = counters.active_blocks().iter().find(|active| active.block.id == entry.block);
        active.map(|active| active.zones.clone())
    }
}

/// `cut` for an NXDOMAIN cut, `barred` for a name that is barred from being one.
fn cut(entry: &CachedEntry) -> Option<&'static str> {
    entry.is_nxdomain_cut.then_some(if entry.rcode == Rcode::NXDOMAIN { "cut" } else { "barred" })
}

/// The records of a message.
pub(super) fn records(message: &[u8]) -> Vec<Value> {
    let records = record_text::records(message).into_iter();
    records
        .map(|RecordText { section, name, ttl, rtype, data }| {
            json!({ "section": section, "name": name, "ttl": ttl, "type": rtype, "data": data })
        })
        .collect()
}

/// The way to a response.
pub(super) fn way(source: Option<ResponseSource>, has_upstream: bool) -> &'static str {
    match (source, has_upstream) {
        (Some(ResponseSource::Cache), _) => "hit",
        (Some(ResponseSource::NxdomainCut), _) => "cut",
        (Some(ResponseSource::Stale), _) => "stale",
        (Some(ResponseSource::Resolved), true) => "miss",
        (Some(ResponseSource::Resolved), false) => "local",
        (Some(ResponseSource::Error), true) => "failed",
        (Some(ResponseSource::Error) | None, _) => "refused",
    }
}
