//! Requests to nf_tables as octets.

use super::family::TableFamily;
use crate::netlink_message::MESSAGE_HEADER;

/// Octets of `struct nfgenmsg`.
pub(super) const HEADER: usize = 4;
/// `NFTA_TABLE_NAME`
pub(super) const TABLE_NAME: u16 = 1;
/// `NFTA_CHAIN_TABLE`
pub(super) const CHAIN_TABLE: u16 = 1;
/// `NFTA_CHAIN_NAME`
pub(super) const CHAIN_NAME: u16 = 3;
/// `NFTA_RULE_TABLE`
pub(super) const RULE_TABLE: u16 = 1;
/// `NFTA_RULE_CHAIN`
pub(super) const RULE_CHAIN: u16 = 2;
/// `NFTA_RULE_HANDLE`
pub(super) const RULE_HANDLE: u16 = 3;
/// `NFTA_GEN_ID`
pub(super) const GENERATION_ID: u16 = 1;
/// `NFNL_BATCH_GENID`
const BATCH_GENERATION: u16 = 1;
/// `NFNL_SUBSYS_NFTABLES`
const SUBSYSTEM: u8 = 10;
const _: () = assert!(SUBSYSTEM as libc::c_int == libc::NFNL_SUBSYS_NFTABLES);

/// `NLM_F_REQUEST`, `NLM_F_ACK` and `NLM_F_DUMP`, which libc has as signed numbers.
const FLAG_REQUEST: u16 = 1;
const FLAG_ACK: u16 = 4;
const FLAG_DUMP: u16 = 0x300;

/// A message under construction.
#[derive(Debug)]
pub(super) struct Request {
    kind: [u8; 2],
    flags: u16,
    body: Vec<u8>,
}

impl Request {
    /// A request for all objects of a family.
    pub(super) fn get(kind: libc::c_int, family: TableFamily) -> Self {
        Self::change(kind, FLAG_DUMP, family)
    }

    pub(super) fn change(kind: libc::c_int, flags: u16, family: TableFamily) -> Self {
        // The kinds are octets in the kernel and `c_int` in libc.
        let [kind, ..] = kind.to_le_bytes();
        let body = vec![family as u8, 0, 0, 0];
        Self { kind: u16::from_be_bytes([SUBSYSTEM, kind]).to_ne_bytes(), flags, body }
    }

    /// The start of a batch, which fails with ERESTART if the generation is another one.
    pub(super) fn batch_begin(generation: u32) -> Self {
        Self::batch(libc::NFNL_MSG_BATCH_BEGIN).octets(BATCH_GENERATION, &generation.to_be_bytes())
    }

    pub(super) fn batch_end() -> Self {
        Self::batch(libc::NFNL_MSG_BATCH_END)
    }

    fn batch(kind: libc::c_int) -> Self {
        let [low, high, ..] = kind.to_le_bytes();
        let kind = u16::from_le_bytes([low, high]).to_ne_bytes();
        // The last field names the subsystem.
        Self { kind, flags: 0, body: vec![0, 0, 0, SUBSYSTEM] }
    }

    pub(super) fn text(self, kind: u16, text: &str) -> Self {
        self.octets(kind, &[text.as_bytes(), &[0]].concat())
    }

    pub(super) fn octets(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.body.extend(length.to_ne_bytes().into_iter().chain(kind.to_ne_bytes()));
        self.body.extend(value);
        self.body.resize(self.body.len().next_multiple_of(4), 0);
        self
    }

    /// The kernel replies also when there is no error.
    pub(super) fn acknowledged(self) -> Self {
        Self { flags: self.flags | FLAG_ACK, ..self }
    }

    /// The octets of the message.
    pub(super) fn finish(self, sequence_number: u32) -> Vec<u8> {
        let length = u32::try_from(MESSAGE_HEADER + self.body.len()).unwrap_or(u32::MAX);
        let mut octets = length.to_ne_bytes().to_vec();
        octets.extend(self.kind);
        octets.extend((self.flags | FLAG_REQUEST).to_ne_bytes());
        octets.extend(sequence_number.to_ne_bytes());
        octets.resize(MESSAGE_HEADER, 0);
        octets.extend(self.body);
        octets
    }
}
