//! Queries of a client and responses of an upstream.

use std::net::SocketAddr;

use resolver::action::Client;
use resolver::policy::ListenerId;
use wire::name::Name;

/// A query for A: header flags, and OPT with or without DO.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a> {
    pub(crate) name: &'a str,
    pub(crate) cd: bool,
    pub(crate) dnssec_ok: Option<bool>,
}

impl<'a> Query<'a> {
    pub(crate) fn plain(name: &'a str) -> Self {
        Self { name, cd: false, dnssec_ok: None }
    }

    /// The encoded query. The first label keeps its case.
    pub(crate) fn packet(self) -> Vec<u8> {
        let mut packet = vec![0x12, 0x34, 1, u8::from(self.cd) << 4, 0, 1, 0, 0, 0, 0, 0, 0];
        packet[11] = u8::from(self.dnssec_ok.is_some());
        let (label, parent) = self.name.split_once('.').unwrap_or((self.name, "."));
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend(label.bytes());
        packet.extend(Name::parse(parent).unwrap().as_wire());
        packet.extend([0, 1, 0, 1]);
        if let Some(dnssec_ok) = self.dnssec_ok {
            packet.extend([0, 0, 41, 4, 208, 0, 0, u8::from(dnssec_ok) << 7, 0, 0, 0]);
        }
        packet
    }
}

/// Response of the upstream.
#[derive(Clone, Copy)]
pub(crate) enum UpstreamResponse {
    /// This number of A records with this TTL. The address is 10.233.0.N for names that start with
    /// the Nth letter.
    Addresses(usize, u32),
    /// NXDOMAIN with this TTL.
    NxDomain(u32),
    Servfail,
}

impl UpstreamResponse {
    /// The response to `query`, which ends with an OPT record of 11 octets.
    pub(crate) fn packet(self, query: &[u8]) -> Vec<u8> {
        let mut packet = query[..query.len() - 11].to_vec();
        let number = packet[13].to_ascii_lowercase() - b'a' + 1;
        packet[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
        match self {
            Self::Addresses(count, ttl) => {
                packet[6..8].copy_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
                for _ in 0..count {
                    packet.extend(*b"\xc0\x0c\0\x01\0\x01");
                    packet.extend(ttl.to_be_bytes());
                    packet.extend([0, 4, 10, 233, 0, number]);
                }
            }
            Self::NxDomain(ttl) => {
                (packet[3], packet[9]) = (0x83, 1);
                packet.extend(*b"\0\0\x06\0\x01");
                packet.extend(ttl.to_be_bytes());
                packet.extend([0, 22, 0, 0]);
                packet.extend([ttl; 5].map(u32::to_be_bytes).concat());
            }
            Self::Servfail => packet[3] = 0x82,
        }
        packet
    }
}

pub(crate) fn client() -> Client {
    let peer = SocketAddr::from(([10, 233, 64, 5], 40_000));
    Client { listener: ListenerId(0), peer, local: None, connection: None }
}
