//! Matches of x_tables in rules of iptables-nft.

use super::condition::Condition;
use super::packet::{Direction, Packet};
use crate::netlink_message::array;

/// XT_CONNTRACK_STATE, a flag of the match `conntrack`, and XT_CONNTRACK_STATE_UNTRACKED.
const CONNTRACK_STATE: u16 = 1;
const CONNTRACK_UNTRACKED: u16 = 1 << 8;
/// XT_STATE_UNTRACKED of the match `state`.
const STATE_UNTRACKED: u32 = 1 << 6;
/// XT_TCP_INV_SRCPT and XT_UDP_INV_SRCPT, XT_TCP_INV_DSTPT and XT_UDP_INV_DSTPT
const INVERTED_SOURCE: u8 = 1;
const INVERTED_DESTINATION: u8 = 2;

/// Whether a match of this name and content matches the packet.
pub(super) fn evaluate(name: &[u8], content: &[u8], packet: &Packet) -> Condition {
    let evaluated = match name {
        b"comment" => Some(true),
        b"tcp" | b"udp" if name != packet.protocol_name() => Some(false),
        b"tcp" => ports(content, packet, 11).filter(|_| content.get(9) == Some(&0)),
        b"udp" => ports(content, packet, 8),
        b"conntrack" => conntrack(content),
        b"state" => array(content, 0).map(|mask| u32::from_ne_bytes(mask) & STATE_UNTRACKED != 0),
        _ => None,
    };
    evaluated.map_or(Condition::Unknown, Condition::of)
}

/// The ranges of ports of `struct xt_tcp` and `struct xt_udp`; nothing if the port of the client decides.
fn ports(content: &[u8], packet: &Packet, flags: usize) -> Option<bool> {
    let inverted = *content.get(flags)?;
    // First and last port, and whether all others are meant.
    let range = |first: usize, inversion: u8| -> Option<(u16, u16, bool)> {
        let port = |index: usize| array(content, 2 * index).map(u16::from_ne_bytes);
        Some((port(first)?, port(first + 1)?, inverted & inversion != 0))
    };
    let (source, destination) = (range(0, INVERTED_SOURCE)?, range(2, INVERTED_DESTINATION)?);
    let (ours, of_client) = match packet.direction() {
        Direction::Queries => (destination, source),
        Direction::Responses => (source, destination),
    };
    let (first, last, is_inverted) = ours;
    let is_matching = (first..=last).contains(&packet.port()) != is_inverted;
    // Whatever the port of the client, another one of ours does not match.
    (of_client == (0, u16::MAX, false) || !is_matching).then_some(is_matching)
}

/// `struct xt_conntrack_mtinfo3`; nothing if more than the state decides.
fn conntrack(content: &[u8]) -> Option<bool> {
    let number = |offset| array(content, offset).map(u16::from_ne_bytes);
    let (flags, inverted, states) = (number(146)?, number(148)?, number(150)?);
    let has_state = flags & CONNTRACK_STATE != 0;
    let is_matching = (states & CONNTRACK_UNTRACKED != 0) != (inverted & CONNTRACK_STATE != 0);
    (has_state && (flags == CONNTRACK_STATE || !is_matching)).then_some(is_matching)
}
