//! DNS transports.

/// Transport of a DNS message, to clients and upstreams alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream with a two-octet length before each message (RFC 7766 section 8).
    Tcp,
}
