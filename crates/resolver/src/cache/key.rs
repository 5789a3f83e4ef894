//! Cache key: server block, DO and CD, type and name.

use std::hash::{Hash, Hasher};

use wire::Query;
use wire::header::{Class, Flags, RecordType};
use wire::name::MAX_NAME_LEN;

use crate::policy::BlockId;

const PREFIX_LEN: usize = 5;

/// What distinguishes the answers to one question, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variant(u8);

impl Variant {
    const DNSSEC_OK: u8 = 1;
    const CHECKING_DISABLED: u8 = 2;
    const FAILURE: u8 = 4;

    /// That of a query.
    fn of(query: &Query<'_>) -> Self {
        let mut bits = 0;
        if query.header.edns.is_some_and(|edns| edns.dnssec_ok) {
            bits |= Self::DNSSEC_OK;
        }
        if query.header.flags.has(Flags::CD) {
            bits |= Self::CHECKING_DISABLED;
        }
        Self(bits)
    }

    /// That of an answer with these bits; `None` for bits that no query has.
    pub(super) const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !(Self::DNSSEC_OK | Self::CHECKING_DISABLED) == 0 { Some(Self(bits)) } else { None }
    }

    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    /// True for the failure of a question.
    pub(super) const fn is_failure(self) -> bool {
        self.0 & Self::FAILURE != 0
    }
}

/// A key, its name borrowed. The class is left out: only IN is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    pub(crate) block: BlockId,
    pub(crate) variant: Variant,
    pub(crate) qtype: RecordType,
    /// In wire form and lower case.
    pub(crate) name: &'a [u8],
}

impl<'a> Key<'a> {
    /// The key of `query` in `block`.
    pub(crate) fn new(block: BlockId, query: &'a Query<'_>) -> Self {
        Self { block, variant: Variant::of(query), qtype: query.qtype, name: query.name.as_wire() }
    }

    /// The key with these octets, which [`Self::octets`] returned.
    pub(crate) fn read(octets: &'a [u8]) -> Self {
        let (prefix, name) = octets.split_first_chunk::<PREFIX_LEN>().unwrap_or((&[0; PREFIX_LEN], &[]));
        let [block_high, block_low, variant, type_high, type_low] = *prefix;
        Self {
            block: BlockId(u16::from_be_bytes([block_high, block_low])),
            variant: Variant(variant),
            qtype: RecordType(u16::from_be_bytes([type_high, type_low])),
            name,
        }
    }

    /// The key of the failure of a question, which is cached beside its answer.
    pub(crate) const fn of_failure(self) -> Self {
        Self { variant: Variant(self.variant.0 | Variant::FAILURE), ..self }
    }

    /// The key as octets.
    pub(crate) fn octets(&self) -> KeyOctets {
        let len = PREFIX_LEN + self.name.len();
        let mut octets = [0; PREFIX_LEN + MAX_NAME_LEN];
        if let Some((head, rest)) = octets.split_first_chunk_mut::<PREFIX_LEN>() {
            *head = self.prefix();
            if let Some(target) = rest.get_mut(..self.name.len()) {
                target.copy_from_slice(self.name);
            }
        }
        KeyOctets { octets, len }
    }

    /// The question: name, type, class.
    pub(super) fn question(&self) -> Vec<u8> {
        [self.name, &self.qtype.0.to_be_bytes(), &Class::IN.0.to_be_bytes()].concat()
    }

    fn prefix(&self) -> [u8; PREFIX_LEN] {
        let [block_high, block_low] = self.block.0.to_be_bytes();
        let [type_high, type_low] = self.qtype.0.to_be_bytes();
        [block_high, block_low, self.variant.0, type_high, type_low]
    }
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e] = self.prefix();
        state.write_u64(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]));
        state.write(self.name);
    }
}

/// A key as octets on the stack.
#[derive(Clone, Copy)]
pub(crate) struct KeyOctets {
    octets: [u8; PREFIX_LEN + MAX_NAME_LEN],
    len: usize,
}

impl KeyOctets {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}
