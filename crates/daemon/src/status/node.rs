//! Status of the node: link, packet-filter rules, fail-open.

use linux::packet_filter::Fallback;
use serde_json::{Value, json};

use super::NodeFlags;
use crate::metrics::ProcessCounters;

pub(super) fn report(flags: &NodeFlags, link_in_place: bool, process: &ProcessCounters) -> Value {
    let rules = process.fail_open.read();
    let fail_open: Vec<Value> = rules
        .iter()
        .flat_map(|(config, _)| &config.addresses)
        .map(|filtered| {
            let upstream = match filtered.fallback {
                Some(Fallback::Service(upstream)) => Some(upstream),
                Some(Fallback::Itself) => Some(filtered.address),
                None => None,
            };
            json!({ "address": filtered.address.to_string(), "upstream": upstream.map(|ip| ip.to_string()) })
        })
        .collect();
    let counts = rules.as_ref().map(|(_, counts)| counts);
    let sent = counts.map(|counts| counts.fallback.iter().map(|one| one.packets).sum::<u64>());
    let errors: Vec<Value> = process
        .setup_errors()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| json!({ "kind": kind, "count": count }))
        .collect();
    json!({
        "addresses": flags.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "link": flags.link,
        "link_in_place": flags.link.as_ref().map(|_| link_in_place),
        "rules_requested": flags.rules,
        "rules_installed": rules.is_some(),
        "fail_open": fail_open,
        "fail_open_packets": sent,
        "guarded_packets": counts.map(|counts| counts.guarded),
        "repairs": process.repairs.get(),
        "setup_errors": errors,
    })
}
