//! Label values shared by several families. Clients choose none of them, so they cannot add series.

use resolver::counters::COUNTED_RCODES;
use wire::header::Rcode;

/// By transport index of the counters.
pub(super) const PROTOS: [&str; 2] = ["udp", "tcp"];

/// By transport index of the upstream counters.
pub(super) const UPSTREAM_PROTOS: [&str; 3] = ["udp", "tcp", "tcp-tls"];

/// By RCODE index of the counters: mnemonic, or `RCODE` and the number; the last is `other`.
pub(super) fn rcode_labels() -> Vec<String> {
    let last = COUNTED_RCODES - 1;
    let numbered = (0..last).map(|code| Rcode(u16::try_from(code).unwrap_or(u16::MAX)).to_string());
    numbered.chain(["other".to_owned()]).collect()
}

/// The same for upstreams, where CoreDNS writes an RCODE without mnemonic as a bare number.
pub(super) fn upstream_rcode_labels() -> Vec<String> {
    let bare = |label: String| match label.strip_prefix("RCODE") {
        Some(number) => number.to_owned(),
        None => label,
    };
    rcode_labels().into_iter().map(bare).collect()
}
