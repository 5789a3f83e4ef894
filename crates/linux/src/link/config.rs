//! The configuration of the link.

use std::net::IpAddr;

use super::kind::LinkKindPreference;

/// The configuration of the link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkConfig {
    /// The link's name, 1 to 15 octets.
    pub name: String,
    /// The kind to create when no link of the name exists.
    pub kind: LinkKindPreference,
    /// The addresses, as /32 and /128. IPv4 addresses get scope host and IPv6 addresses a preferred
    /// lifetime of zero, so that the node never chooses them as source addresses.
    pub addresses: Vec<IpAddr>,
}
