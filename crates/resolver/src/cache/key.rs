//! What one cached answer is the answer to.

use std::sync::Arc;

use wire::Query;
use wire::header::Class;
use wire::name::MAX_NAME_LEN;

use crate::policy::BlockId;

const PREFIX_LEN: usize = 5;
const BLOCK_LEN: usize = 2;
const DNSSEC_OK: u8 = 1;
const CHECKING_DISABLED: u8 = 2;
const FAILURE: u8 = 4;

/// Block, DO, CD, type and lower-case name as octets on the stack. The class is not in it: only IN is cached.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    octets: [u8; PREFIX_LEN + MAX_NAME_LEN],
    len: usize,
}

impl Key {
    /// The key of `query` in `block`.
    pub(crate) fn new(block: BlockId, query: &Query<'_>) -> Self {
        let [block_high, block_low] = block.0.to_be_bytes();
        let [type_high, type_low] = query.qtype.0.to_be_bytes();
        let mut variant = 0;
        if query.header.edns.is_some_and(|edns| edns.dnssec_ok) {
            variant |= DNSSEC_OK;
        }
        if query.header.flags.has(wire::header::Flags::CD) {
            variant |= CHECKING_DISABLED;
        }
        let prefix = [block_high, block_low, variant, type_high, type_low];
        let name = query.name.as_wire();
        let len = PREFIX_LEN + name.len();
        let mut octets = [0; PREFIX_LEN + MAX_NAME_LEN];
        if let Some((front, rest)) = octets.split_first_chunk_mut::<PREFIX_LEN>() {
            *front = prefix;
            if let Some(place) = rest.get_mut(..name.len()) {
                place.copy_from_slice(name);
            }
        }
        Self { octets, len }
    }

    /// Where the failure of a question is kept, beside what is known of its answer: neither hides the other.
    pub(crate) fn of_failure(key: &[u8]) -> Self {
        let mut octets = [0; PREFIX_LEN + MAX_NAME_LEN];
        let len = key.len().min(octets.len());
        for (place, octet) in octets.iter_mut().zip(key) {
            *place = *octet;
        }
        let [_, _, variant, ..] = &mut octets;
        *variant |= FAILURE;
        Self { octets, len }
    }

    /// The block of a key, and the rest, which means the same in every process. Nothing for a failure's.
    pub(super) fn split(key: &[u8]) -> Option<(BlockId, &[u8])> {
        let (block, rest) = key.split_first_chunk::<BLOCK_LEN>()?;
        (rest.first()? & FAILURE == 0).then_some((BlockId(u16::from_be_bytes(*block)), rest))
    }

    /// The key in `block` with a rest that came from elsewhere, and the question it stands for: name, type, class.
    /// Nothing when no query has such a key. The name is taken as it is, but for its case.
    pub(super) fn join(block: BlockId, rest: &[u8]) -> Option<(Arc<[u8]>, Vec<u8>)> {
        let ([variant, qtype @ ..], name) = rest.split_first_chunk::<{ PREFIX_LEN - BLOCK_LEN }>()?;
        let is_known = variant & !(DNSSEC_OK | CHECKING_DISABLED) == 0;
        if !is_known || name.len() > MAX_NAME_LEN || name.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let question = [name, qtype, &Class::IN.0.to_be_bytes()].concat();
        Some(([&block.0.to_be_bytes(), rest].concat().into(), question))
    }

    /// The octets.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}
