//! The add-on's Corefile, and names of Services.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::output::BenchError;
use crate::queries::TestQuery;

/// Known names, queried in turn, each once per second.
pub(super) const NAMES: u32 = 60;
/// TTL of CoreDNS's records of Services.
pub(super) const TTL: u32 = 5;
/// A response for a known name is late after this time.
pub(super) const LATE: Duration = Duration::from_millis(300);
/// The address in the records before the outage, and after it.
pub(super) const OLD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(super) const NEW: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// `count` queries for the known names in turn, answered by the new records.
pub(super) fn known_names(count: u32) -> Result<Vec<TestQuery>, BenchError> {
    (0..count).map(|number| name(&format!("ok-{}", number % NAMES))).collect()
}

/// The query for a Service.
pub(super) fn name(label: &str) -> Result<TestQuery, BenchError> {
    TestQuery::named(&format!("{label}.default.svc.cluster.local"), NEW.octets(), false)
}

/// The add-on's Corefile, with the upstream in place of the node's resolv.conf.
pub(super) fn corefile(upstream: SocketAddr) -> String {
    let cluster = "{\n success 9984 30\n denial 9984 5\n }";
    let force_tcp = "{\n force_tcp\n }";
    [
        ("cluster.local", cluster, force_tcp),
        ("in-addr.arpa", "30", force_tcp),
        ("ip6.arpa", "30", force_tcp),
        (".", "30", ""),
    ]
    .map(|(zone, cache, options)| {
        format!(
            "{zone}:PORT {{\n errors\n cache {cache}\n reload\n loop\n bind 127.0.0.1\n forward . {upstream} {options}\n prometheus METRICS\n}}\n"
        )
    })
    .concat()
}
