//! Cache inspection: entries for people, and their removal on request.

use std::time::Instant;

use wire::header::{Rcode, RecordType};

use super::time::CacheTime;
use super::{Cache, Entry, Key, Popularity};
use crate::policy::BlockId;
use crate::usage::RemovalCause;

/// A cache entry at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedEntry {
    /// Its server block.
    pub block: BlockId,
    /// QNAME in wire form and lower case.
    pub name: Box<[u8]>,
    /// QTYPE.
    pub qtype: RecordType,
    /// For queries with DO.
    pub dnssec_ok: bool,
    /// For queries with CD.
    pub checking_disabled: bool,
    /// A failure of the upstreams (RFC 9520), for queries with any DO and CD.
    pub is_failure: bool,
    /// An NXDOMAIN cut (RFC 8020), or, with NOERROR, a name that is barred from being one.
    pub is_nxdomain_cut: bool,
    /// RCODE of the answer.
    pub rcode: Rcode,
    /// Seconds since it was stored.
    pub age: u64,
    /// Seconds from then to its expiry.
    pub ttl: u32,
    /// Octets it takes, overhead included.
    pub octets: u32,
    /// Queried again since eviction last passed it.
    pub is_visited: bool,
    /// Hits, where they are counted: with `prefetch`.
    pub hits: Option<u32>,
    /// The message; its TTLs are those of when it was stored.
    pub message: Box<[u8]>,
}

impl CachedEntry {
    fn of(entry: &Entry, now: CacheTime) -> Self {
        let Key { block, variant, qtype, name } = entry.key();
        Self {
            block,
            name: name.into(),
            qtype,
            dnssec_ok: variant.is_dnssec_ok(),
            checking_disabled: variant.is_checking_disabled(),
            is_failure: variant.is_failure(),
            is_nxdomain_cut: variant.is_nxdomain_cut(),
            rcode: entry.answer().rcode(),
            age: now.since(entry.stored).as_secs(),
            ttl: entry.ttl,
            octets: entry.weight(),
            is_visited: entry.sieve.is_visited(),
            hits: entry.popularity().map(Popularity::hits),
            message: entry.answer().into_message().into(),
        }
    }
}

impl Cache {
    /// Appends the entries among the next few slots from `from` on, 0 at first, that have not expired,
    /// or may be served stale, and whose name in wire form `wanted` accepts. Returns where to resume.
    pub fn inspect(
        &self,
        from: u32,
        now: Instant,
        wanted: impl Fn(&[u8]) -> bool,
        found: &mut Vec<CachedEntry>,
    ) -> Option<u32> {
        let (now, mut entries) = (self.clock.time(now), Vec::new());
        let next = self.eviction().scan(from, now, &mut entries);
        let entries = entries.iter().filter(|entry| wanted(entry.key().name));
        found.extend(entries.map(|entry| CachedEntry::of(entry, now)));
        next
    }

    /// Removes the entries among the next few slots from `from` on, 0 at first, whose name in wire form
    /// `wanted` accepts. Returns their number, and where to resume. The L1 caches of workers may still
    /// have them: see [`crate::Resolver::clear_l1`].
    pub fn flush(&self, from: u32, wanted: impl Fn(&[u8]) -> bool) -> (usize, Option<u32>) {
        let mut eviction = self.eviction();
        let next = eviction.remove_matching(from, RemovalCause::Flushed, |entry| wanted(entry.key().name));
        let removed = eviction.removed.len();
        self.remove_from_table(&mut eviction);
        (removed, next)
    }
}
