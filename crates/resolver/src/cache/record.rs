//! Binary encoding of a cache entry, for export and import.
//!
//! ```text
//! length     u32   octets that follow
//! block      u16   server block, numbered by exporter and importer alike
//! age        u64   nanoseconds since the entry was stored
//! ttl        u32   seconds
//! visited    u8    SIEVE's visited bit: 0 or 1
//! hits       u32   hits counted for prefetch
//! last hit   u32   milliseconds after the entry was stored
//! key length u16   octets
//! key              DO and CD, type, name
//! message          the rest
//! ```
//!
//! Integers are in network order. The store is not encoded: it follows from the message.

use std::time::Duration;

use wire::header::RecordType;
use wire::name::MAX_NAME_LEN;

/// Octets of the length field.
const LENGTH_LEN: usize = 4;

/// Octets of the fields between the length and the key.
const HEADER_LEN: usize = 25;

/// Octets of a key before the name.
const KEY_PREFIX_LEN: usize = 3;

/// Octets of the longest record: DO and CD, type and a name of maximum length, and a message of
/// 65535 octets.
pub const MAX_RECORD_LEN: usize = LENGTH_LEN + HEADER_LEN + KEY_PREFIX_LEN + MAX_NAME_LEN + u16::MAX as usize;

/// The exported fields of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryRecord<'a> {
    pub(super) block: u16,
    pub(super) age: Duration,
    /// Seconds.
    pub(super) ttl: u32,
    pub(super) visited: bool,
    pub(super) hits: u32,
    /// Milliseconds since the entry was stored.
    pub(super) last_hit: u32,
    /// DO and CD, as bits.
    pub(super) variant: u8,
    pub(super) qtype: RecordType,
    /// In wire form and lower case.
    pub(super) name: &'a [u8],
    pub(super) message: &'a [u8],
}

impl<'a> EntryRecord<'a> {
    /// Encoded length, the length field included.
    pub(super) fn encoded_len(&self) -> usize {
        LENGTH_LEN + HEADER_LEN + KEY_PREFIX_LEN + self.name.len() + self.message.len()
    }

    /// Appends the encoded record to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.encoded_len() - LENGTH_LEN).unwrap_or(u32::MAX);
        let key_len = u16::try_from(KEY_PREFIX_LEN + self.name.len()).unwrap_or(u16::MAX);
        let age = u64::try_from(self.age.as_nanos()).unwrap_or(u64::MAX);
        out.extend(length.to_be_bytes());
        out.extend(self.block.to_be_bytes());
        out.extend(age.to_be_bytes());
        out.extend(self.ttl.to_be_bytes());
        out.push(u8::from(self.visited));
        out.extend(self.hits.to_be_bytes());
        out.extend(self.last_hit.to_be_bytes());
        out.extend(key_len.to_be_bytes());
        out.push(self.variant);
        out.extend(self.qtype.0.to_be_bytes());
        out.extend_from_slice(self.name);
        out.extend_from_slice(self.message);
    }

    /// Splits the first record, without its length field, from the octets behind it; `None` when it
    /// is truncated or longer than [`MAX_RECORD_LEN`].
    pub(super) fn split_first(octets: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (length, rest) = take::<LENGTH_LEN>(octets)?;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        rest.split_at_checked(length).filter(|_| length <= MAX_RECORD_LEN - LENGTH_LEN)
    }

    /// Decodes a record without its length field.
    pub(super) fn read(octets: &'a [u8]) -> Option<Self> {
        let (block, rest) = take(octets)?;
        let (age, rest) = take(rest)?;
        let (ttl, rest) = take(rest)?;
        let (visited, rest) = take::<1>(rest)?;
        let (hits, rest) = take(rest)?;
        let (last_hit, rest) = take(rest)?;
        let (key_len, rest) = take(rest)?;
        let (key, message) = rest.split_at_checked(usize::from(u16::from_be_bytes(key_len)))?;
        let (&[variant, ref qtype @ ..], name) = key.split_first_chunk::<KEY_PREFIX_LEN>()?;
        Some(Self {
            block: u16::from_be_bytes(block),
            age: Duration::from_nanos(u64::from_be_bytes(age)),
            ttl: u32::from_be_bytes(ttl),
            visited: match visited {
                [0] => false,
                [1] => true,
                _ => return None,
            },
            hits: u32::from_be_bytes(hits),
            last_hit: u32::from_be_bytes(last_hit),
            variant,
            qtype: RecordType(u16::from_be_bytes(*qtype)),
            name,
            message,
        })
    }
}

fn take<const N: usize>(octets: &[u8]) -> Option<([u8; N], &[u8])> {
    let (head, rest) = octets.split_first_chunk::<N>()?;
    Some((*head, rest))
}
