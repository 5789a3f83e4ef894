//! Facts of a query that rewrite rules use.

use std::net::SocketAddr;

use wire::header::{Class, RecordType};

/// A query, changed by each rule that applies.
#[derive(Clone, Debug)]
pub(crate) struct QueryFacts<'a> {
    /// QNAME in presentation format, lower case, with the trailing dot.
    pub(crate) name: String,
    pub(crate) qtype: RecordType,
    pub(crate) qclass: Class,
    pub(crate) client: SocketAddr,
    /// `udp` or `tcp`.
    pub(crate) protocol: &'a str,
    /// Where the query was received.
    pub(crate) server: Option<SocketAddr>,
}
