//! What a cache holds, made ready for another process.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Instant;

use super::record::Parcel;
use super::{Cache, Entry, Key};
use crate::policy::BlockId;

impl Cache {
    /// Collects what is worth having at `now`, and is an answer of one of the blocks in `numbers`, most wanted first:
    /// who was asked for lately, who has more hits, who is newer. The number of a block stands for it in the parcels.
    ///
    /// Failures stay behind: they belong to an outage as this process saw it (RFC 9520 section 3.2).
    ///
    /// Workers go on in between. An entry that is put in or renewed meanwhile may be missed, or come twice.
    pub fn export<S: BuildHasher>(&self, now: Instant, numbers: &HashMap<BlockId, u16, S>) -> Export {
        let (mut found, mut ranked) = (Vec::new(), Vec::new());
        let mut from = Some(0);
        while let Some(next) = from {
            from = self.room().survey(next, now, &mut found);
            ranked.extend(found.drain(..).filter_map(|entry| {
                let (block, _) = Key::split(&entry.key)?;
                // Workers go on to count: the order is by what was so here.
                let rank = (entry.sieve.is_visited(), entry.popularity.hits(), entry.stored);
                Some((Reverse(rank), *numbers.get(&block)?, entry))
            }));
        }
        ranked.sort_unstable_by_key(|(rank, ..)| *rank);
        let wanted: Vec<_> = ranked.into_iter().map(|(_, number, entry)| (number, entry)).collect();
        Export { now, wanted: wanted.into_iter() }
    }
}

/// Entries on their way to another process.
#[derive(Debug)]
pub struct Export {
    now: Instant,
    wanted: std::vec::IntoIter<(u16, Arc<Entry>)>,
}

impl Export {
    /// Entries that are left.
    pub fn remaining(&self) -> usize {
        self.wanted.len()
    }

    /// Appends the parcels of the next entries to `out`, as many as fit whole into `octets`, and says how many that are.
    /// With [`super::MAX_RECORD_LEN`] octets or more there is none only when none is left.
    pub fn write_records(&mut self, octets: usize, out: &mut Vec<u8>) -> usize {
        let (before, end) = (self.remaining(), out.len().saturating_add(octets));
        while let Some((number, entry)) = self.wanted.as_slice().first() {
            if let Some(parcel) = parcel(*number, entry, self.now) {
                if out.len() + parcel.octets() > end {
                    break;
                }
                parcel.write(out);
            }
            self.wanted.next();
        }
        before - self.remaining()
    }
}

fn parcel(block: u16, entry: &Entry, now: Instant) -> Option<Parcel<'_>> {
    let (_, key) = Key::split(&entry.key)?;
    Some(Parcel {
        block,
        age: now.saturating_duration_since(entry.stored),
        ttl: entry.ttl,
        asked: entry.sieve.is_visited(),
        hits: entry.popularity.hits(),
        last_hit: entry.popularity.last_hit(),
        key,
        message: entry.answer.message(),
    })
}
