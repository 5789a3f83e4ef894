//! Netlink messages as octets: header, body and attributes of what the kernel sends.

use std::iter;

/// Octets of `struct nlmsghdr`.
pub(crate) const MESSAGE_HEADER: usize = 16;
/// Octets of `struct nlattr`.
const ATTRIBUTE_HEADER: usize = 4;
/// `NLA_TYPE_MASK`: an attribute's type without the flags for nesting and byte order.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

/// One message of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceivedMessage<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) body: &'a [u8],
}

/// The messages of a datagram; nothing in place of the first malformed one.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Option<ReceivedMessage<'_>>> {
    let mut rest = Some(datagram).filter(|datagram| !datagram.is_empty());
    iter::from_fn(move || {
        let octets = rest.take()?;
        let message = (|| {
            let length = usize::try_from(u32::from_ne_bytes(array(octets, 0)?)).ok()?;
            let (kind, flags) = (array(octets, 4)?, array(octets, 6)?);
            let body = octets.get(MESSAGE_HEADER..length)?;
            rest = octets.get(length.next_multiple_of(4)..).filter(|rest| !rest.is_empty());
            Some(ReceivedMessage { kind: u16::from_ne_bytes(kind), flags: u16::from_ne_bytes(flags), body })
        })();
        Some(message)
    })
}

/// Type and value of each attribute, up to the first malformed one.
pub(crate) fn attributes(octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = octets;
    iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(array(rest, 0)?));
        let kind = u16::from_ne_bytes(array(rest, 2)?) & ATTRIBUTE_TYPE;
        let value = rest.get(ATTRIBUTE_HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of this type.
pub(crate) fn attribute(octets: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(octets).find_map(|(kind, value)| (kind == wanted).then_some(value))
}

/// An attribute's text, which the kernel ends with a zero.
pub(crate) fn text(value: &[u8]) -> &[u8] {
    value.strip_suffix(&[0]).unwrap_or(value)
}

pub(crate) fn array<const N: usize>(octets: &[u8], offset: usize) -> Option<[u8; N]> {
    octets.get(offset..)?.first_chunk().copied()
}
