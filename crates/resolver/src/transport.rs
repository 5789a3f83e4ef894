//! DNS transports.

/// Transport of a DNS message, to clients and upstreams alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream with a two-octet length before each message (RFC 7766 section 8).
    Tcp,
}

impl Transport {
    /// Index into counters kept per transport.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Udp => 0,
            Self::Tcp => 1,
        }
    }
}
