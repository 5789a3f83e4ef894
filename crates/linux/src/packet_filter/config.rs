//! Configuration of the packet filter.

use std::net::IpAddr;

/// The packets to exclude from conntrack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FilterConfig {
    /// The name of our table in the family `inet`. The content of an existing table is replaced.
    pub table: String,
    /// The service addresses, of both families.
    pub addresses: Vec<FilteredAddress>,
    /// The DNS port, UDP and TCP.
    pub dns_port: u16,
    /// The TCP port of the health check, which the node itself queries.
    pub health_port: Option<u16>,
    /// DNS packets to and from the addresses are excluded from conntrack.
    pub notrack: bool,
    /// Packets to the addresses that come in on an uplink are dropped: other hosts are not served.
    pub guard: bool,
    /// The conntrack zone of the first address with fail-open rules; the next ones follow. 0 for marks,
    /// which are used without it, too, if the kernel lacks zones.
    pub first_zone: u16,
    /// Bits of packet and connection marks that no other program uses, one block of bits. Each value of
    /// them but 0 is for an address with fail-open rules; further addresses have none.
    pub mark_mask: u32,
}

/// An address of the link.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FilteredAddress {
    /// The address.
    pub address: IpAddr,
    /// Where its packets go while no process serves it; `None` without fail-open rules.
    pub fallback: Option<Fallback>,
}

/// Where the packets of an address go while it is not served.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fallback {
    /// To this Service address, of the same family.
    Service(IpAddr),
    /// The address is that of a Service itself.
    Itself,
}
