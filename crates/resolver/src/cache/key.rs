//! Cache key: server block, DO, CD, type and name.

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

/// A key as octets on the stack, the name in lower case. The class is left out: only IN is cached.
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
        if let Some((head, rest)) = octets.split_first_chunk_mut::<PREFIX_LEN>() {
            *head = prefix;
            if let Some(target) = rest.get_mut(..name.len()) {
                target.copy_from_slice(name);
            }
        }
        Self { octets, len }
    }

    /// The key of the failure of a question, which is cached beside its answer.
    pub(crate) fn of_failure(key: &[u8]) -> Self {
        let mut octets = [0; PREFIX_LEN + MAX_NAME_LEN];
        let len = key.len().min(octets.len());
        for (to, from) in octets.iter_mut().zip(key) {
            *to = *from;
        }
        let [_, _, variant, ..] = &mut octets;
        *variant |= FAILURE;
        Self { octets, len }
    }

    /// The block of a key and the rest, which is the same in every process; `None` for a failure.
    pub(super) fn split(key: &[u8]) -> Option<(BlockId, &[u8])> {
        let (block, rest) = key.split_first_chunk::<BLOCK_LEN>()?;
        (rest.first()? & FAILURE == 0).then_some((BlockId(u16::from_be_bytes(*block)), rest))
    }

    /// The key in `block` with the rest of another process's key, and its question: name, type,
    /// class. `None` when no query has such a key. Of the name only length and case are checked.
    pub(super) fn join(block: BlockId, rest: &[u8]) -> Option<(Arc<[u8]>, Vec<u8>)> {
        let ([variant, qtype @ ..], name) = rest.split_first_chunk::<{ PREFIX_LEN - BLOCK_LEN }>()?;
        let is_known = variant & !(DNSSEC_OK | CHECKING_DISABLED) == 0;
        if !is_known || name.len() > MAX_NAME_LEN || name.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let question = [name, qtype, &Class::IN.0.to_be_bytes()].concat();
        Some(([&block.0.to_be_bytes(), rest].concat().into(), question))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}
