//! nf_tables rules: matches on addresses and ports, and notrack.
//!
//! Attributes are in the kernel's order, so that a listed rule equals the rule that was sent.

use std::net::IpAddr;

use netlink_packet_netfilter::nftables::{
    Cmp, DataAttribute, ExpressionAttribute, Expressions, ListAttribute, Meta, MetaKey, Operator, Payload,
    Register,
};

/// Payload bases (`enum nft_payload_bases`).
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;

/// Source or destination of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Source,
    Destination,
}

/// The expressions of one rule, evaluated in order until one does not match.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rule {
    pub(super) expressions: Vec<ListAttribute<ExpressionAttribute>>,
    comment: &'static str,
}

impl Rule {
    pub(crate) fn new(comment: &'static str) -> Self {
        Self { expressions: Vec::new(), comment }
    }

    /// Matches the source or destination address.
    pub(crate) fn address(self, side: Side, address: IpAddr) -> Self {
        let (protocol, offset, octets) = match (address, side) {
            (IpAddr::V4(address), Side::Source) => (libc::NFPROTO_IPV4, 12, address.octets().to_vec()),
            (IpAddr::V4(address), Side::Destination) => (libc::NFPROTO_IPV4, 16, address.octets().to_vec()),
            (IpAddr::V6(address), Side::Source) => (libc::NFPROTO_IPV6, 8, address.octets().to_vec()),
            (IpAddr::V6(address), Side::Destination) => (libc::NFPROTO_IPV6, 24, address.octets().to_vec()),
        };
        self.meta_is(MetaKey::Nfproto, protocol).payload_is(NETWORK_HEADER, offset, octets)
    }

    /// Matches the transport protocol and its source or destination port.
    pub(crate) fn port(self, protocol: libc::c_int, side: Side, port: u16) -> Self {
        let offset = match side {
            Side::Source => 0,
            Side::Destination => 2,
        };
        let octets = port.to_be_bytes().to_vec();
        self.meta_is(MetaKey::L4Proto, protocol).payload_is(TRANSPORT_HEADER, offset, octets)
    }

    /// Excludes the packet from conntrack.
    pub(crate) fn notrack(mut self) -> Self {
        let name = ExpressionAttribute::Name("notrack".to_owned());
        self.expressions.push(ListAttribute::Element(vec![name]));
        self
    }

    /// Protocol numbers are octets in the kernel and `c_int` in libc.
    fn meta_is(self, key: MetaKey, value: libc::c_int) -> Self {
        let [low, ..] = value.to_le_bytes();
        self.with(Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(Register::Reg1)]))
            .equals(vec![low])
    }

    fn payload_is(self, base: u32, offset: u32, octets: Vec<u8>) -> Self {
        self.with(Expressions::Payload(vec![
            Payload::DestinationRegister(Register::Reg1),
            Payload::Base(base),
            Payload::Offset(offset),
            Payload::Len(u32::try_from(octets.len()).unwrap_or(u32::MAX)),
        ]))
        .equals(octets)
    }

    fn equals(self, octets: Vec<u8>) -> Self {
        self.with(Expressions::Cmp(vec![
            Cmp::SourceRegister(Register::Reg1),
            Cmp::Op(Operator::Equal),
            Cmp::Data(DataAttribute::Value(octets)),
        ]))
    }

    fn with(mut self, expression: Expressions) -> Self {
        self.expressions.push(expression.into());
        self
    }

    /// The comment in the form that `nft list` displays: type 0, a length, a text that ends in
    /// zero.
    pub(super) fn user_data(&self) -> Vec<u8> {
        let length = u8::try_from(self.comment.len() + 1).unwrap_or(u8::MAX);
        let text = self.comment.bytes().take(usize::from(length) - 1);
        [0, length].into_iter().chain(text).chain([0]).collect()
    }
}
