//! Label values that several families share. None of them is a client's choice, so a client cannot grow the page.

use resolver::counters::COUNTED_RCODES;
use wire::header::Rcode;

/// In the order of transports in counters.
pub(super) const PROTOS: [&str; 2] = ["udp", "tcp"];

/// By place in the counters of an upstream.
pub(super) const UPSTREAM_PROTOS: [&str; 3] = ["udp", "tcp", "tcp-tls"];

/// By place in a counters: mnemonic or `RCODE` and the number; the last place, which has no number of its own, is `other`.
pub(super) fn rcode_labels() -> Vec<String> {
    let last = COUNTED_RCODES - 1;
    let numbered = (0..last).map(|place| Rcode(u16::try_from(place).unwrap_or(u16::MAX)).to_string());
    numbered.chain(["other".to_owned()]).collect()
}

/// The same for upstreams, where CoreDNS writes a code without mnemonic as a bare number.
pub(super) fn upstream_rcode_labels() -> Vec<String> {
    let bare = |label: String| match label.strip_prefix("RCODE") {
        Some(number) => number.to_owned(),
        None => label,
    };
    rcode_labels().into_iter().map(bare).collect()
}
