//! nf_tables rules: matches on packets, and what is done with those that match.

use std::net::IpAddr;

use netlink_packet_netfilter::nftables::{MetaKey, Operator};

use super::address::{Family, Side, interface_octets, octets};
use super::expression::{self, Expression, Field, SetOperation};
use super::set::Set;

/// The payload base of ports and flags (`enum nft_payload_bases`).
const TRANSPORT_HEADER: u32 = 2;
/// Offset of the flags in a TCP header, and the flags (RFC 9293 section 3.1).
const TCP_FLAGS: Field = Field { base: TRANSPORT_HEADER, offset: 13, octets: 1 };
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const TCP_SOURCE_PORT: Field = Field { base: TRANSPORT_HEADER, offset: 0, octets: 2 };
/// Offset of the checksum in an IPv4 header.
const IPV4_CHECKSUM: u32 = 10;
const WORD_OCTETS: u32 = 4;

/// What elements of a set are made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    /// An address.
    Address(Side),
    /// A TCP connection: source address, destination address, source port.
    Connection,
}

impl Key {
    fn fields(self, family: Family) -> Vec<Field> {
        match self {
            Self::Address(side) => vec![family.address(side)],
            Self::Connection => {
                vec![family.address(Side::Source), family.address(Side::Destination), TCP_SOURCE_PORT]
            }
        }
    }
}

/// Bits of a packet's or a connection's mark.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mark {
    pub(crate) value: u32,
    /// The bits that have the value.
    pub(crate) mask: u32,
}

/// The expressions of one rule, evaluated in order until one does not match.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rule {
    pub(super) expressions: Vec<Expression>,
    comment: String,
}

impl Rule {
    pub(crate) fn new(comment: impl Into<String>) -> Self {
        Self { expressions: Vec::new(), comment: comment.into() }
    }

    /// Matches the source or destination address.
    pub(crate) fn address(self, side: Side, address: IpAddr) -> Self {
        let family = Family::of(address);
        self.family(family).field_is(family.address(side), octets(address))
    }

    /// Matches the transport protocol and its source or destination port.
    pub(crate) fn port(self, protocol: libc::c_int, side: Side, port: u16) -> Self {
        let offset = match side {
            Side::Source => 0,
            Side::Destination => 2,
        };
        let field = Field { base: TRANSPORT_HEADER, offset, octets: 2 };
        self.protocol(protocol).field_is(field, port.to_be_bytes().to_vec())
    }

    /// Matches the transport protocol.
    pub(crate) fn protocol(self, protocol: libc::c_int) -> Self {
        self.meta_is(MetaKey::L4Proto, protocol)
    }

    /// Matches TCP segments that open a connection: SYN without ACK.
    pub(crate) fn tcp_opening(self) -> Self {
        self.protocol(libc::IPPROTO_TCP)
            .with(expression::load(TCP_FLAGS, 0))
            .with(expression::mask(SYN | ACK))
            .with(expression::compare(Operator::Equal, vec![SYN]))
    }

    /// Matches packets that came in on an interface of the set.
    pub(crate) fn input_interface_in(self, set: &Set) -> Self {
        self.with(expression::meta(MetaKey::Iifname)).with(expression::lookup(&set.name, true))
    }

    /// Matches packets that came in on this interface.
    pub(crate) fn input_interface(self, name: &str) -> Self {
        let name = interface_octets(name);
        self.with(expression::meta(MetaKey::Iifname)).with(expression::compare(Operator::Equal, name))
    }

    /// Matches packets that leave on any interface but this one.
    pub(crate) fn output_interface_is_not(self, name: &str) -> Self {
        let name = interface_octets(name);
        self.with(expression::meta(MetaKey::Oifname)).with(expression::compare(Operator::NotEqual, name))
    }

    /// Matches packets whose key is in the set, or is not.
    pub(crate) fn key(self, set: &Set, key: Key, is_in: bool) -> Self {
        self.load_key(set, key).with(expression::lookup(&set.name, is_in))
    }

    /// Changes the element of the packet's key.
    pub(crate) fn element(self, set: &Set, key: Key, operation: SetOperation) -> Self {
        self.load_key(set, key).with(expression::set_operation(&set.name, operation))
    }

    /// Matches packets for which there is a socket on this host.
    pub(crate) fn has_socket(self) -> Self {
        self.with_all(expression::has_socket())
    }

    /// Matches packets of connections whose original direction has this conntrack zone.
    pub(crate) fn original_zone(self, zone: u16) -> Self {
        self.with(expression::original_zone())
            .with(expression::compare(Operator::Equal, zone.to_ne_bytes().to_vec()))
    }

    /// Matches packets with this mark.
    pub(crate) fn mark(self, mark: Mark) -> Self {
        self.with(expression::meta(MetaKey::Mark)).bits_are(mark)
    }

    /// Matches packets of connections with this mark.
    pub(crate) fn connection_mark(self, mark: Mark) -> Self {
        self.with(expression::connection_mark()).bits_are(mark)
    }

    /// Marks the packet; its other bits stay.
    pub(crate) fn set_mark(self, Mark { value, mask }: Mark) -> Self {
        self.with(expression::meta(MetaKey::Mark))
            .with(expression::mask_and_xor(!mask, value))
            .with(expression::set_mark())
    }

    /// Marks the connection of the packet; its other bits stay.
    pub(crate) fn set_connection_mark(self, Mark { value, mask }: Mark) -> Self {
        self.with(expression::connection_mark())
            .with(expression::mask_and_xor(!mask, value))
            .with(expression::set_connection_mark())
    }

    /// Matches packets of the reply direction of a connection.
    pub(crate) fn reply(self) -> Self {
        self.with_all(expression::is_reply())
    }

    /// Has the packet tracked in this conntrack zone, in its original direction.
    pub(crate) fn set_original_zone(self, zone: u16) -> Self {
        self.with(expression::constant(zone.to_ne_bytes().to_vec())).with(expression::set_original_zone())
    }

    /// Rewrites the source or destination address, with the checksums, without conntrack.
    pub(crate) fn set_address(self, side: Side, address: IpAddr) -> Self {
        let family = Family::of(address);
        let checksum = (family == Family::V4).then_some(IPV4_CHECKSUM);
        self.family(family)
            .with(expression::constant(octets(address)))
            .with(expression::store(family.address(side), checksum))
    }

    /// Excludes the packet from conntrack.
    pub(crate) fn notrack(self) -> Self {
        self.with(expression::bare("notrack"))
    }

    /// Rewrites the source of the connection to an address of the outgoing interface.
    pub(crate) fn masquerade(self) -> Self {
        self.with(expression::bare("masq"))
    }

    /// Counts packets and octets.
    pub(crate) fn counter(self) -> Self {
        self.with(expression::bare("counter"))
    }

    pub(crate) fn reject_with_tcp_reset(self) -> Self {
        self.with(expression::reject_with_tcp_reset())
    }

    pub(crate) fn accept(self) -> Self {
        self.with(expression::accept())
    }

    pub(crate) fn drop(self) -> Self {
        self.with(expression::drop())
    }

    /// Continues in another chain and does not return.
    pub(crate) fn goto(self, chain: &str) -> Self {
        self.with(expression::goto(chain))
    }

    /// Its comment.
    pub(crate) fn comment(&self) -> &str {
        &self.comment
    }

    /// The comment in the form that `nft list` displays: type 0, a length, a text that ends in
    /// zero.
    pub(super) fn user_data(&self) -> Vec<u8> {
        let length = u8::try_from(self.comment.len() + 1).unwrap_or(u8::MAX);
        let text = self.comment.bytes().take(usize::from(length) - 1);
        [0, length].into_iter().chain(text).chain([0]).collect()
    }

    fn family(self, family: Family) -> Self {
        self.meta_is(
            MetaKey::Nfproto,
            match family {
                Family::V4 => libc::NFPROTO_IPV4,
                Family::V6 => libc::NFPROTO_IPV6,
            },
        )
    }

    /// Protocol numbers are octets in the kernel and `c_int` in libc.
    fn meta_is(self, key: MetaKey, value: libc::c_int) -> Self {
        let [low, ..] = value.to_le_bytes();
        self.with(expression::meta(key)).with(expression::compare(Operator::Equal, vec![low]))
    }

    fn field_is(self, field: Field, octets: Vec<u8>) -> Self {
        self.with(expression::load(field, 0)).with(expression::compare(Operator::Equal, octets))
    }

    fn bits_are(self, Mark { value, mask }: Mark) -> Self {
        self.with(expression::mask_and_xor(mask, 0))
            .with(expression::compare(Operator::Equal, value.to_ne_bytes().to_vec()))
    }

    /// Loads the fields of a key into consecutive registers, each beginning at a word.
    fn load_key(mut self, set: &Set, key: Key) -> Self {
        let mut word = 0;
        self = self.family(set.family());
        for field in key.fields(set.family()) {
            self = self.with(expression::load(field, word));
            word += field.octets.div_ceil(WORD_OCTETS);
        }
        self
    }

    fn with_all(mut self, expressions: impl IntoIterator<Item = Expression>) -> Self {
        self.expressions.extend(expressions);
        self
    }

    fn with(self, expression: Expression) -> Self {
        self.with_all([expression])
    }
}
