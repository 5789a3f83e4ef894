//! Cache export: entries as records, most popular first, for a hand-over or a snapshot.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::Instant;

use super::record::EntryRecord;
use super::time::CacheTime;
use super::{Cache, Entry, Key, Popularity};
use crate::policy::BlockId;

impl Cache {
    /// Collects the useful entries of the blocks in `numbers`, most popular first: by visited bit,
    /// hits, time stored. Records carry the number of the block.
    ///
    /// Failures are not exported: they describe an outage as this process saw it (RFC 9520 section
    /// 3.2). Nor are NXDOMAIN cuts, which a few queries bring back.
    ///
    /// Workers continue meanwhile. An entry that is inserted or replaced during the scan may be
    /// missing or exported twice.
    pub fn export<S: BuildHasher>(&self, now: Instant, numbers: &HashMap<BlockId, u16, S>) -> Export {
        let (now, mut found, mut ranked) = (self.clock.time(now), Vec::new(), Vec::new());
        let mut from = Some(0);
        while let Some(next) = from {
            from = self.eviction().scan(next, now, &mut found);
            let is_answer = |entry: &Entry| !entry.variant.is_failure() && !entry.variant.is_nxdomain_cut();
            ranked.extend(found.drain(..).filter(is_answer).filter_map(|entry| {
                // A copy of the counters, which workers go on changing during the sort.
                let rank =
                    (entry.sieve.is_visited(), entry.popularity().map_or(0, Popularity::hits), entry.stored);
                Some((Reverse(rank), *numbers.get(&entry.block)?, entry))
            }));
        }
        ranked.sort_unstable_by_key(|(rank, ..)| *rank);
        let entries: Vec<_> = ranked.into_iter().map(|(_, number, entry)| (number, entry)).collect();
        Export { now, entries: entries.into_iter() }
    }
}

/// Entries collected for export, to be written in chunks.
#[derive(Debug)]
pub struct Export {
    now: CacheTime,
    entries: std::vec::IntoIter<(u16, Entry)>,
}

impl Export {
    /// Entries not yet written.
    pub fn remaining(&self) -> usize {
        self.entries.len()
    }

    /// Appends as many of the next records as fit into `max_len` octets to `out` and returns their
    /// number: 0 only at the end, if `max_len` is at least [`super::MAX_RECORD_LEN`].
    pub fn write_records(&mut self, max_len: usize, out: &mut Vec<u8>) -> usize {
        let (before, end) = (self.remaining(), out.len().saturating_add(max_len));
        while let Some((number, entry)) = self.entries.as_slice().first() {
            let record = record(*number, entry, self.now);
            if out.len() + record.encoded_len() > end {
                break;
            }
            record.write(out);
            self.entries.next();
        }
        before - self.remaining()
    }
}

fn record(block: u16, entry: &Entry, now: CacheTime) -> EntryRecord<'_> {
    let Key { variant, qtype, name, .. } = entry.key();
    let popularity = entry.popularity();
    EntryRecord {
        block,
        age: now.since(entry.stored),
        ttl: entry.ttl,
        visited: entry.sieve.is_visited(),
        hits: popularity.map_or(0, Popularity::hits),
        last_hit: popularity.map_or(0, Popularity::last_hit),
        variant: variant.bits(),
        qtype,
        name,
        message: entry.answer().into_message(),
    }
}
