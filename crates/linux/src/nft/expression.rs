//! nf_tables expressions: what a rule is made of, in the encoding of `nf_tables.h`.

use std::time::Duration;

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    Bitwise, ChecksumFlags, ChecksumType, Cmp, DataAttribute, ExpressionAttribute, Expressions, Immediate,
    ListAttribute, Lookup, Meta, MetaKey, Operator, Payload, Register, Verdict, VerdictAttribute,
};

/// One expression in the list of a rule.
pub(super) type Expression = ListAttribute<ExpressionAttribute>;

/// NF_DROP and NF_ACCEPT.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
/// NFT_LOOKUP_F_INV.
const LOOKUP_INVERTED: u32 = 1;
/// NFT_META_MARK (`enum nft_meta_keys`).
const META_MARK: u32 = 3;
/// NFT_CT_DIRECTION, NFT_CT_MARK and NFT_CT_ZONE (`enum nft_ct_keys`).
const CT_DIRECTION: u32 = 1;
const CT_MARK: u32 = 3;
const CT_ZONE: u32 = 17;
/// IP_CT_DIR_ORIGINAL and IP_CT_DIR_REPLY.
const ORIGINAL: u8 = 0;
const REPLY: u8 = 1;
/// NFT_REJECT_TCP_RST.
const REJECT_TCP_RESET: u32 = 1;
/// NFT_SOCKET_TRANSPARENT.
const SOCKET_TRANSPARENT: u32 = 0;

/// Octets of a packet: NFT_PAYLOAD_*_HEADER, offset and length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Field {
    pub(super) base: u32,
    pub(super) offset: u32,
    pub(super) octets: u32,
}

/// What a rule does to an element of a set (`enum nft_dynset_ops`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SetOperation {
    /// Adds it unless it exists; the timeout of an existing one stays.
    Add(Duration),
    /// Adds it, or begins its timeout again.
    Update(Duration),
    Delete,
}

pub(super) fn compare(operator: Operator, octets: Vec<u8>) -> Expression {
    let data = DataAttribute::Value(octets);
    Expressions::Cmp(vec![Cmp::SourceRegister(Register::Reg1), Cmp::Op(operator), Cmp::Data(data)]).into()
}

pub(super) fn meta(key: MetaKey) -> Expression {
    Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(Register::Reg1)]).into()
}

/// Loads a field into the 32-bit register of this number.
pub(super) fn load(field: Field, register: u32) -> Expression {
    Expressions::Payload(vec![
        Payload::DestinationRegister(word_register(register)),
        Payload::Base(field.base),
        Payload::Offset(field.offset),
        Payload::Len(field.octets),
    ])
    .into()
}

/// The 16-octet registers have numbers 1 to 4, their four words 8 to 23; the first word of one has
/// its number, as nft(8) writes it.
fn word_register(word: u32) -> Register {
    match word {
        0 => Register::Reg1,
        4 => Register::Reg2,
        8 => Register::Reg3,
        12 => Register::Reg4,
        word => Register::Other(8 + word),
    }
}

/// Writes an address from the first register; `checksum` is the offset of the checksum of the IPv4
/// header.
pub(super) fn store(field: Field, checksum: Option<u32>) -> Expression {
    Expressions::Payload(vec![
        Payload::SourceRegister(Register::Reg1),
        Payload::Base(field.base),
        Payload::Offset(field.offset),
        Payload::Len(field.octets),
        Payload::CsumType(checksum.map_or(ChecksumType::None, |_| ChecksumType::Inet)),
        Payload::CsumOffset(checksum.unwrap_or_default()),
        Payload::CsumFlags(ChecksumFlags::L4PseudoHeader),
    ])
    .into()
}

/// Clears the bits of the octet in the first register that `mask` does not have.
pub(super) fn mask(mask: u8) -> Expression {
    bitwise(vec![mask], vec![0])
}

/// Clears the bits of the first register that `mask` does not have, then inverts those of `xor`.
pub(super) fn mask_and_xor(mask: u32, xor: u32) -> Expression {
    bitwise(mask.to_ne_bytes().to_vec(), xor.to_ne_bytes().to_vec())
}

fn bitwise(mask: Vec<u8>, xor: Vec<u8>) -> Expression {
    Expressions::Bitwise(vec![
        Bitwise::SourceRegister(Register::Reg1),
        Bitwise::DestinationRegister(Register::Reg1),
        Bitwise::Length(u32::try_from(mask.len()).unwrap_or_default()),
        Bitwise::Mask(DataAttribute::Value(mask)),
        Bitwise::Xor(DataAttribute::Value(xor)),
    ])
    .into()
}

pub(super) fn constant(octets: Vec<u8>) -> Expression {
    let data = DataAttribute::Value(octets);
    Expressions::Immediate(vec![Immediate::DestinationRegister(Register::Reg1), Immediate::Data(data)]).into()
}

pub(super) fn lookup(set: &str, is_in: bool) -> Expression {
    let flags = if is_in { 0 } else { LOOKUP_INVERTED };
    let set = Lookup::Set(set.to_owned());
    Expressions::Lookup(vec![set, Lookup::SourceRegister(Register::Reg1), Lookup::Flags(flags)]).into()
}

pub(super) fn set_operation(set: &str, operation: SetOperation) -> Expression {
    let (number, timeout) = match operation {
        SetOperation::Add(timeout) => (0, Some(timeout)),
        SetOperation::Update(timeout) => (1, Some(timeout)),
        SetOperation::Delete => (2, None),
    };
    let mut name = set.as_bytes().to_vec();
    name.push(0);
    // NFTA_DYNSET_SET_NAME, _OP, _SREG_KEY and _TIMEOUT.
    let mut attributes = vec![DefaultNla::new(1, name), number_attribute(3, number), number_attribute(4, 1)];
    attributes.extend(timeout.map(|timeout| {
        let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        DefaultNla::new(6, milliseconds.to_be_bytes().to_vec())
    }));
    other("dynset", attributes)
}

pub(super) fn accept() -> Expression {
    verdict(vec![VerdictAttribute::Code(Verdict::Other(ACCEPT))])
}

pub(super) fn drop() -> Expression {
    verdict(vec![VerdictAttribute::Code(Verdict::Other(DROP))])
}

pub(super) fn goto(chain: &str) -> Expression {
    verdict(vec![VerdictAttribute::Code(Verdict::Goto), VerdictAttribute::Chain(chain.to_owned())])
}

fn verdict(attributes: Vec<VerdictAttribute>) -> Expression {
    let data = DataAttribute::Verdict(attributes);
    Expressions::Immediate(vec![Immediate::DestinationRegister(Register::Verdict), Immediate::Data(data)])
        .into()
}

/// Sets the conntrack zone of the original direction to the number in the first register.
pub(super) fn set_original_zone() -> Expression {
    ct(vec![number_attribute(4, 1), number_attribute(2, CT_ZONE), DefaultNla::new(3, vec![ORIGINAL])])
}

/// Loads the conntrack zone of the original direction.
pub(super) fn original_zone() -> Expression {
    ct(vec![number_attribute(1, 1), number_attribute(2, CT_ZONE), DefaultNla::new(3, vec![ORIGINAL])])
}

/// Sets the mark of the packet to the number in the first register.
pub(super) fn set_mark() -> Expression {
    // NFTA_META_SREG and NFTA_META_KEY.
    other("meta", vec![number_attribute(3, 1), number_attribute(2, META_MARK)])
}

/// Sets the mark of the connection to the number in the first register.
pub(super) fn set_connection_mark() -> Expression {
    ct(vec![number_attribute(4, 1), number_attribute(2, CT_MARK)])
}

/// Loads the mark of the connection.
pub(super) fn connection_mark() -> Expression {
    ct(vec![number_attribute(1, 1), number_attribute(2, CT_MARK)])
}

/// Matches packets of the reply direction of a connection.
pub(super) fn is_reply() -> [Expression; 2] {
    let load = ct(vec![number_attribute(1, 1), number_attribute(2, CT_DIRECTION)]);
    [load, compare(Operator::Equal, vec![REPLY])]
}

fn ct(attributes: Vec<DefaultNla>) -> Expression {
    other("ct", attributes)
}

/// Matches packets for which the kernel finds a socket that is not transparent.
pub(super) fn has_socket() -> [Expression; 2] {
    let load = other("socket", vec![number_attribute(1, SOCKET_TRANSPARENT), number_attribute(2, 1)]);
    [load, compare(Operator::Equal, vec![0])]
}

pub(super) fn reject_with_tcp_reset() -> Expression {
    other("reject", vec![number_attribute(1, REJECT_TCP_RESET), DefaultNla::new(2, vec![0])])
}

/// An expression without attributes: `notrack`, `counter`, `masq`.
pub(super) fn bare(name: &str) -> Expression {
    ListAttribute::Element(vec![ExpressionAttribute::Name(name.to_owned())])
}

fn other(expression_type: &str, attributes: Vec<DefaultNla>) -> Expression {
    Expressions::Other { expression_type: expression_type.to_owned(), attributes }.into()
}

fn number_attribute(kind: u16, number: u32) -> DefaultNla {
    DefaultNla::new(kind, number.to_be_bytes().to_vec())
}
