//! The packets for which rules are evaluated: untracked DNS packets of pods, and the responses.

use std::net::IpAddr;

use crate::ruleset::TableFamily;

/// `NF_CT_STATE_UNTRACKED_BIT`
const UNTRACKED: u32 = 1 << 6;
/// Payload bases (`enum nft_payload_bases`).
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
/// Keys of meta data (`enum nft_meta_keys`).
const META_IIF: u32 = 4;
const META_OIF: u32 = 5;
const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
/// `NFT_CT_STATE`
const CT_STATE: u32 = 0;

/// Whether packets come to our address or from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// They come to it, through the hook `input`.
    Queries,
    /// They come from it, through the hook `output`.
    Responses,
}

impl Direction {
    pub(super) const ALL: [Self; 2] = [Self::Queries, Self::Responses];

    /// `NF_INET_LOCAL_IN` or `NF_INET_LOCAL_OUT`
    pub(super) const fn hook(self) -> u32 {
        match self {
            Self::Queries => 1,
            Self::Responses => 3,
        }
    }
}

/// A packet of which our address, protocol and conntrack state are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    direction: Direction,
    /// Ours.
    address: IpAddr,
    port: u16,
    /// `IPPROTO_*`
    protocol: u8,
}

/// What an expression loads.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Loaded {
    Known(Vec<u8>),
    /// Name or index of an interface, but not of the loopback interface.
    Interface,
    Unknown,
}

impl Packet {
    /// UDP and TCP.
    pub(super) fn both_protocols(direction: Direction, address: IpAddr, port: u16) -> [Self; 2] {
        [17, 6].map(|protocol| Self { direction, address, port, protocol })
    }

    pub(super) const fn direction(&self) -> Direction {
        self.direction
    }

    pub(super) const fn address(&self) -> IpAddr {
        self.address
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// The name of its protocol in x_tables.
    pub(super) const fn protocol_name(&self) -> &'static [u8] {
        if self.protocol == 17 { b"udp" } else { b"tcp" }
    }

    /// Whether chains of this family see it.
    pub(super) const fn is_in(&self, family: TableFamily) -> bool {
        match family {
            TableFamily::Inet => true,
            TableFamily::Ip => self.address.is_ipv4(),
            TableFamily::Ip6 => self.address.is_ipv6(),
        }
    }

    /// Octets of a header.
    pub(super) fn payload(&self, base: u32, offset: u32, length: u32) -> Loaded {
        let (in_queries, in_responses, octets) = match (base, self.address) {
            (NETWORK_HEADER, IpAddr::V4(address)) => (16, 12, address.octets().to_vec()),
            (NETWORK_HEADER, IpAddr::V6(address)) => (24, 8, address.octets().to_vec()),
            (TRANSPORT_HEADER, _) => (2, 0, self.port.to_be_bytes().to_vec()),
            _ => return Loaded::Unknown,
        };
        let start = match self.direction {
            Direction::Queries => in_queries,
            Direction::Responses => in_responses,
        };
        let part = || {
            let from = usize::try_from(offset.checked_sub(start)?).ok()?;
            octets.get(from..from.checked_add(usize::try_from(length).ok()?)?)
        };
        part().map_or(Loaded::Unknown, |part| Loaded::Known(part.to_vec()))
    }

    pub(super) fn meta(&self, key: u32) -> Loaded {
        match key {
            META_NFPROTO => Loaded::Known(vec![if self.address.is_ipv4() { 2 } else { 10 }]),
            META_L4PROTO => Loaded::Known(vec![self.protocol]),
            META_IIF | META_IIFNAME if self.direction == Direction::Queries => Loaded::Interface,
            META_OIF | META_OIFNAME if self.direction == Direction::Responses => Loaded::Interface,
            _ => Loaded::Unknown,
        }
    }

    pub(super) fn conntrack(&self, key: u32) -> Loaded {
        match key {
            CT_STATE => Loaded::Known(UNTRACKED.to_ne_bytes().to_vec()),
            _ => Loaded::Unknown,
        }
    }
}
