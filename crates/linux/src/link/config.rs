//! The configuration of the link.

use std::net::IpAddr;

use super::kind::LinkKindPreference;

/// What the link should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkConfig {
    /// The link's name, 1 to 15 octets.
    pub name: String,
    /// The kind to create when no link has that name.
    pub kind: LinkKindPreference,
    /// The addresses that it carries, as /32 and /128. IPv4 addresses get scope host and IPv6 addresses a preferred
    /// lifetime of zero, so that the node's own traffic never leaves from them.
    pub addresses: Vec<IpAddr>,
}
