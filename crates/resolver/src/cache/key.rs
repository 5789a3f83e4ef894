//! Cache key: server block, DO and CD, type and name; and its hash, which all tables share.

use std::cell::OnceCell;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use wire::Query;
use wire::header::{Class, Flags, RecordType};
use wire::name::MAX_NAME_LEN;

use crate::policy::BlockId;
use crate::sync::RandomState;

const PREFIX_LEN: usize = 5;

/// What distinguishes the answers to one question, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variant(u8);

impl Variant {
    const DNSSEC_OK: u8 = 1;
    const CHECKING_DISABLED: u8 = 2;
    const FAILURE: u8 = 4;
    const NXDOMAIN_CUT: u8 = 8;

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

    pub(super) const fn is_dnssec_ok(self) -> bool {
        self.0 & Self::DNSSEC_OK != 0
    }

    pub(super) const fn is_checking_disabled(self) -> bool {
        self.0 & Self::CHECKING_DISABLED != 0
    }

    /// True for the failure of a question.
    pub(super) const fn is_failure(self) -> bool {
        self.0 & Self::FAILURE != 0
    }

    /// True for a cut, or a bar to one.
    pub(super) const fn is_nxdomain_cut(self) -> bool {
        self.0 & Self::NXDOMAIN_CUT != 0
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

    /// The key with these octets, as in [`OwnedKey`].
    fn read(octets: &'a [u8]) -> Self {
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

    /// The key of a name as an NXDOMAIN cut, learned by a query of this type.
    pub(super) const fn of_cut(block: BlockId, qtype: RecordType, name: &'a [u8]) -> Self {
        Self { block, variant: Variant(Variant::NXDOMAIN_CUT), qtype, name }
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
    /// Not by the bit of a failure, which so has the hash of its question.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, variant, d, e] = self.prefix();
        state.write_u64(u64::from_be_bytes([0, 0, 0, a, b, variant & !Variant::FAILURE, d, e]));
        state.write(self.name);
    }
}

/// Computes the hashes of keys: SipHash under a random key, so that names chosen by a client cannot be
/// made to collide.
#[derive(Debug, Default)]
pub(crate) struct KeyHasher(RandomState);

impl KeyHasher {
    pub(crate) fn hash(&self, key: &Key<'_>) -> KeyHash {
        let [a, b, c, d, ..] = self.0.hash_one(key).to_be_bytes();
        KeyHash(u32::from_be_bytes([a, b, c, d]))
    }
}

/// Hash of a key, in every table of the process. A part of the hash saves memory in each entry, and of a
/// million keys some two hundred share it with another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyHash(u32);

impl KeyHash {
    /// The hash in a [`hashbrown::HashTable`], which takes its lowest and its highest bits.
    pub(crate) fn table_hash(self) -> u64 {
        /// The golden ratio (Knuth, The Art of Computer Programming 3, section 6.4).
        const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
        u64::from(self.0).wrapping_mul(MULTIPLIER)
    }
}

/// A key and its hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashedKey<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) hash: KeyHash,
}

impl HashedKey<'_> {
    /// [`Key::of_failure`].
    pub(crate) const fn of_failure(self) -> Self {
        Self { key: self.key.of_failure(), hash: self.hash }
    }
}

/// The key of a query, whose hash is computed when a table needs it: never on a hit of L1.
#[derive(Debug)]
pub(crate) struct LookupKey<'a> {
    pub(crate) key: Key<'a>,
    hash: OnceCell<KeyHash>,
}

impl<'a> LookupKey<'a> {
    /// [`Key::new`].
    pub(crate) fn new(block: BlockId, query: &'a Query<'_>) -> Self {
        Self { key: Key::new(block, query), hash: OnceCell::new() }
    }

    pub(super) fn hash(&self, hasher: &KeyHasher) -> KeyHash {
        *self.hash.get_or_init(|| hasher.hash(&self.key))
    }
}

/// A key that owns its octets, and its hash: of a query in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedKey {
    octets: Arc<[u8]>,
    hash: KeyHash,
}

impl OwnedKey {
    pub(crate) fn new(HashedKey { key, hash }: HashedKey<'_>) -> Self {
        let mut octets = [0; PREFIX_LEN + MAX_NAME_LEN];
        if let Some((head, rest)) = octets.split_first_chunk_mut::<PREFIX_LEN>() {
            *head = key.prefix();
            if let Some(target) = rest.get_mut(..key.name.len()) {
                target.copy_from_slice(key.name);
            }
        }
        let octets = octets.get(..PREFIX_LEN + key.name.len()).unwrap_or_default();
        Self { octets: octets.into(), hash }
    }

    /// The key, borrowed.
    pub(crate) fn hashed(&self) -> HashedKey<'_> {
        HashedKey { key: Key::read(&self.octets), hash: self.hash }
    }

    pub(crate) const fn hash(&self) -> KeyHash {
        self.hash
    }

    /// True when it is this key.
    pub(crate) fn is(&self, other: &HashedKey<'_>) -> bool {
        self.hash == other.hash && Key::read(&self.octets) == other.key
    }

    /// QNAME in wire form and lower case.
    pub(crate) fn name(&self) -> &[u8] {
        self.octets.get(PREFIX_LEN..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn hash(hasher: &KeyHasher, number: u32) -> KeyHash {
        let name = number.to_be_bytes();
        hasher.hash(&Key { block: BlockId(0), variant: Variant(0), qtype: RecordType(1), name: &name })
    }

    /// Names that collide in one process, of which a client could have a list, do not in another one.
    #[test]
    fn collisions_cannot_be_computed_beforehand() {
        let (one, other) = (KeyHasher::default(), KeyHasher::default());
        let mut by_hash = HashMap::new();
        let pairs = (0..400_000)
            .filter_map(|number| by_hash.insert(hash(&one, number), number).map(|earlier| (earlier, number)));
        let pairs: Vec<(u32, u32)> = pairs.collect();
        assert!(!pairs.is_empty());
        for (first, second) in pairs {
            assert_ne!(hash(&other, first), hash(&other, second), "{first} {second}");
        }
    }
}
