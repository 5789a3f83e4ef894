//! What another process had in its cache, taken in.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::header::Rcode;
use wire::{Answer, Response};

use super::record::Parcel;
use super::{Cache, Demand, Entry, Key, Occupancy, Reception, Standing, Terms};
use crate::cache::ttl::Life;
use crate::policy::{BlockId, CacheOptions};

/// A server block that may take in what another process has had.
#[derive(Clone, Debug)]
pub struct Home {
    /// Its number in this process.
    pub block: BlockId,
    /// How much of the cache is the block's.
    pub occupancy: Arc<Occupancy>,
    /// Its `cache` directive.
    pub policy: CacheOptions,
}

/// What became of parcels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// In the cache.
    pub taken: u64,
    /// Not what this cache would have kept: unreadable, no answer to its own key, not for this block, or too big.
    pub refused: u64,
    /// Too old.
    pub over: u64,
    /// Of no block here.
    pub homeless: u64,
    /// The cache knew something as new.
    pub known: u64,
    /// For a store with as many entries as it may have.
    pub crowded: u64,
    /// The budget was reached, and the rest not looked at.
    pub full: bool,
    /// The last parcel was not whole.
    pub torn: bool,
}

impl AddAssign for Unpacked {
    fn add_assign(&mut self, more: Self) {
        self.taken += more.taken;
        self.refused += more.refused;
        self.over += more.over;
        self.homeless += more.homeless;
        self.known += more.known;
        self.crowded += more.crowded;
        self.full |= more.full;
        self.torn |= more.torn;
    }
}

/// Why a parcel does not become an entry.
enum Unfit {
    Homeless,
    Over,
    Refused,
}

impl Cache {
    /// Takes in the parcels in `octets`, which were packed `waited` ago; `homes` are the blocks by the numbers in them.
    ///
    /// Nothing is believed: a message has to be one that this cache would keep had it come from an upstream as the
    /// answer to the question in the key, and lives no longer than it would then, less its age. A lifetime above that is
    /// cut and not refused, because it harms nobody so and another version may reckon otherwise.
    ///
    /// Nobody leaves for what comes. Where a store has as many entries as it may, its parcels are passed over, so that
    /// those of others still come in; the budget ends it.
    pub fn unpack(
        &self,
        now: Instant,
        waited: Duration,
        mut octets: &[u8],
        homes: &[Option<Home>],
    ) -> Unpacked {
        let mut unpacked = Unpacked::default();
        while !octets.is_empty() && !unpacked.full {
            let Some((parcel, rest)) = Parcel::split(octets) else {
                unpacked.torn = true;
                break;
            };
            octets = rest;
            match open(parcel, now, waited, homes) {
                Ok((entry, terms)) => self.receive(&Arc::new(entry), terms, &mut unpacked),
                Err(Unfit::Homeless) => unpacked.homeless += 1,
                Err(Unfit::Over) => unpacked.over += 1,
                Err(Unfit::Refused) => unpacked.refused += 1,
            }
        }
        unpacked
    }

    fn receive(&self, entry: &Arc<Entry>, terms: Terms, unpacked: &mut Unpacked) {
        match self.take_over(entry, terms) {
            Reception::TakenIn => unpacked.taken += 1,
            Reception::Known => unpacked.known += 1,
            Reception::TooBig => unpacked.refused += 1,
            Reception::NoPlace => unpacked.crowded += 1,
            Reception::NoRoom => unpacked.full = true,
        }
    }
}

/// The entry in a parcel, on the terms of its block.
fn open(
    octets: &[u8],
    now: Instant,
    waited: Duration,
    homes: &[Option<Home>],
) -> Result<(Entry, Terms), Unfit> {
    let parcel = Parcel::read(octets).ok_or(Unfit::Refused)?;
    let home = homes.get(usize::from(parcel.block)).and_then(Option::as_ref).ok_or(Unfit::Homeless)?;
    let stored = parcel.age.checked_add(waited).and_then(|age| now.checked_sub(age)).ok_or(Unfit::Over)?;
    let entry = entry(&parcel, stored, home).ok_or(Unfit::Refused)?;
    let terms = Terms::of(&home.policy, entry.store);
    if entry.has_ended(now, terms) { Err(Unfit::Over) } else { Ok((entry, terms)) }
}

fn entry(parcel: &Parcel<'_>, stored: Instant, home: &Home) -> Option<Entry> {
    let (key, question) = Key::join(home.block, parcel.key)?;
    let response = Response::parse(parcel.message).ok()?;
    let name = question.get(..question.len().checked_sub(4)?)?;
    let says_something = matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
    let is_pruned = matches!(response.without_strays(), Ok(None));
    if !says_something || !is_pruned || !response.answers(&question) || !home.policy.covers(name) {
        return None;
    }
    let life = Life::of(&response, name, &home.policy);
    let lifetime = life.ttl.min(parcel.lifetime);
    let standing = Standing::default();
    if parcel.asked {
        standing.ask();
    }
    Some(Entry {
        key,
        answer: Answer::keep(&response),
        stored,
        lifetime,
        store: life.store.filter(|_| lifetime > 0)?,
        occupancy: Arc::clone(&home.occupancy),
        failure: None,
        demand: Demand::resume(parcel.hits, parcel.last_hit),
        standing,
    })
}
