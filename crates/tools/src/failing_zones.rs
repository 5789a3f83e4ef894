//! Zones of a CoreDNS upstream that answer every query with an error or with nothing.

/// The label below `example`, and the RCODE.
const ZONES: [(&str, &str); 5] = [
    ("fails", "SERVFAIL"),
    ("refuses", "REFUSED"),
    ("knows-not", "NOTIMP"),
    ("empty", "NOERROR"),
    ("no-soa", "NXDOMAIN"),
];

/// Their server blocks, bound to `addresses`, which are separated by spaces.
pub fn server_blocks(addresses: &str) -> String {
    let block = |(label, rcode)| {
        format!(
            "{label}.example {{\n    bind {addresses}\n    template ANY ANY {{\n        rcode {rcode}\n    }}\n}}\n"
        )
    };
    ZONES.map(block).concat()
}
