//! A cache entry as octets.
//!
//! ```text
//! length     u32   octets behind it
//! block      u16   a number that both sides agree on
//! age        u64   nanoseconds
//! lifetime   u32   seconds
//! asked      u8    1 if the entry was asked for lately, else 0
//! hits       u32   without a long gap between them
//! last hit   u32   milliseconds after the answer came
//! key length u16   octets of the key
//! key              DO and CD, type, name
//! message          the rest
//! ```
//!
//! Numbers are in network order. Which of a block's two stores an entry counts in is not said: the message says it.

use std::time::Duration;

use wire::name::MAX_NAME_LEN;

/// Octets of a length.
const LENGTH: usize = 4;

/// Octets between the length and the key.
const HEAD: usize = 25;

/// Octets of the longest parcel: with a key of DO and CD, type and name, and the longest message there is.
pub const MAX_RECORD_LEN: usize = LENGTH + HEAD + 3 + MAX_NAME_LEN + u16::MAX as usize;

/// What is told of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parcel<'a> {
    pub(super) block: u16,
    pub(super) age: Duration,
    /// Seconds.
    pub(super) ttl: u32,
    pub(super) asked: bool,
    pub(super) hits: u32,
    /// Milliseconds since it was stored.
    pub(super) last_hit: u32,
    /// Without the block, whose number is another one in each process.
    pub(super) key: &'a [u8],
    pub(super) message: &'a [u8],
}

impl<'a> Parcel<'a> {
    /// Octets of it, its length included.
    pub(super) fn octets(&self) -> usize {
        LENGTH + HEAD + self.key.len() + self.message.len()
    }

    /// Appends it to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.octets() - LENGTH).unwrap_or(u32::MAX);
        let key_len = u16::try_from(self.key.len()).unwrap_or(u16::MAX);
        let age = u64::try_from(self.age.as_nanos()).unwrap_or(u64::MAX);
        out.extend(length.to_be_bytes());
        out.extend(self.block.to_be_bytes());
        out.extend(age.to_be_bytes());
        out.extend(self.ttl.to_be_bytes());
        out.push(u8::from(self.asked));
        out.extend(self.hits.to_be_bytes());
        out.extend(self.last_hit.to_be_bytes());
        out.extend(key_len.to_be_bytes());
        out.extend_from_slice(self.key);
        out.extend_from_slice(self.message);
    }

    /// Splits the octets of the first parcel, its length left out, from those behind it; nothing when they are torn or
    /// longer than a parcel can be.
    pub(super) fn split(octets: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (length, rest) = take::<LENGTH>(octets)?;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        rest.split_at_checked(length).filter(|_| length <= MAX_RECORD_LEN - LENGTH)
    }

    /// Reads the octets of one parcel, its length left out.
    pub(super) fn read(octets: &'a [u8]) -> Option<Self> {
        let (block, rest) = take(octets)?;
        let (age, rest) = take(rest)?;
        let (ttl, rest) = take(rest)?;
        let (asked, rest) = take::<1>(rest)?;
        let (hits, rest) = take(rest)?;
        let (last_hit, rest) = take(rest)?;
        let (key_len, rest) = take(rest)?;
        let (key, message) = rest.split_at_checked(usize::from(u16::from_be_bytes(key_len)))?;
        Some(Self {
            block: u16::from_be_bytes(block),
            age: Duration::from_nanos(u64::from_be_bytes(age)),
            ttl: u32::from_be_bytes(ttl),
            asked: match asked {
                [0] => false,
                [1] => true,
                _ => return None,
            },
            hits: u32::from_be_bytes(hits),
            last_hit: u32::from_be_bytes(last_hit),
            key,
            message,
        })
    }
}

fn take<const N: usize>(octets: &[u8]) -> Option<([u8; N], &[u8])> {
    let (front, rest) = octets.split_first_chunk::<N>()?;
    Some((*front, rest))
}
