//! Names of the values that are measured.

/// CPU time per response in microseconds.
pub(super) const UDP_HIT: &str = "UDP hit";
pub(super) const NXDOMAIN_HIT: &str = "NXDOMAIN hit";
pub(super) const TCP_HIT: &str = "TCP hit";
/// Of a new name, with UDP to the upstream.
pub(super) const UDP_MISS: &str = "UDP miss";
/// Of a new name, with TCP to the upstream.
pub(super) const TCP_MISS: &str = "TCP miss";
pub(super) const COSTS: [&str; 5] = [UDP_HIT, NXDOMAIN_HIT, TCP_HIT, UDP_MISS, TCP_MISS];

/// The same of hits among the first thousand entries, before there are many.
pub(super) const HIT_AMONG_FEW: &str = "hit among 1000";
/// The same of hits spread over all entries.
pub(super) const HIT_AMONG_ALL: &str = "hit among all";

/// To the upstream with many queries in flight.
pub(super) const CONNECTIONS: &str = "connections";
pub(super) const SOURCE_PORTS: &str = "source ports";

/// After exec, in milliseconds.
pub(super) const FIRST_RESPONSE: &str = "first response";
/// Size in millions of octets.
pub(super) const SIZE: &str = "binary";

/// Queries per second.
pub(super) const RATES: [u32; 3] = [1000, 5000, 20_000];
/// Quantiles in tenths of a per cent, and their titles.
pub(super) const QUANTILES: [(usize, &str); 4] = [(500, "p50"), (900, "p90"), (990, "p99"), (999, "p99.9")];
pub(super) const HITS: &str = "hits";
pub(super) const MIX: &str = "mix";

/// A quantile of response times in microseconds.
pub(super) fn response_time(kind: &str, rate: u32, quantile: &str) -> String {
    format!("{kind} at {rate}/s {quantile}")
}

/// CPU time per query in microseconds.
pub(super) fn cpu_at(kind: &str, rate: u32) -> String {
    response_time(kind, rate, "CPU")
}

/// Resident memory in MiB after start.
pub(super) const RSS_IDLE: &str = "RSS idle";
const RSS_WITH: &str = "RSS with ";

/// Resident memory in MiB with a number of cache entries.
pub(super) fn rss_with(entries: u32) -> String {
    format!("{RSS_WITH}{entries}")
}

/// The number of entries in a name of [`rss_with`].
pub(super) fn entries(metric: &str) -> Option<u32> {
    metric.strip_prefix(RSS_WITH)?.parse().ok()
}
