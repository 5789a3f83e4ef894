//! What another process had in its cache, taken in.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::header::Rcode;
use wire::{Answer, Response};

use super::record::Parcel;
use super::{Cache, Entry, Key, Popularity, Reception, SieveState, StoreLimits, Usage};
use crate::cache::ttl::Cacheability;
use crate::policy::{BlockId, CacheOptions};

/// A server block that may take in what another process has had.
#[derive(Clone, Debug)]
pub struct ImportTarget {
    /// Its number in this process.
    pub block: BlockId,
    /// How much of the cache is the block's.
    pub usage: Arc<Usage>,
    /// Its `cache` directive.
    pub policy: CacheOptions,
}

/// What became of parcels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// In the cache.
    pub imported: u64,
    /// Not what this cache would have kept: unreadable, no answer to its own key, not for this block, or too big.
    pub rejected: u64,
    /// Too old.
    pub expired: u64,
    /// Of no block here.
    pub unknown_block: u64,
    /// The cache knew something as new.
    pub already_cached: u64,
    /// For a store with as many entries as it may have.
    pub store_full: u64,
    /// The budget was reached, and the rest not looked at.
    pub budget_reached: bool,
    /// The last parcel was not whole.
    pub truncated: bool,
}

impl AddAssign for ImportSummary {
    fn add_assign(&mut self, more: Self) {
        self.imported += more.imported;
        self.rejected += more.rejected;
        self.expired += more.expired;
        self.unknown_block += more.unknown_block;
        self.already_cached += more.already_cached;
        self.store_full += more.store_full;
        self.budget_reached |= more.budget_reached;
        self.truncated |= more.truncated;
    }
}

/// Why a parcel does not become an entry.
enum Unfit {
    Homeless,
    Over,
    Refused,
}

impl Cache {
    /// Takes in the parcels in `octets`, which were exported `waited` ago; `import_targets` are the blocks by the numbers in them.
    ///
    /// Nothing is believed: a message has to be one that this cache would keep had it come from an upstream as the
    /// answer to the question in the key, and lives no longer than it would then, less its age. A lifetime above that is
    /// cut and not refused, because it harms nobody so and another version may reckon otherwise.
    ///
    /// Nobody leaves for what comes. Where a store has as many entries as it may, its parcels are passed over, so that
    /// those of others still come in; the budget ends it.
    pub fn import(
        &self,
        now: Instant,
        waited: Duration,
        mut octets: &[u8],
        import_targets: &[Option<ImportTarget>],
    ) -> ImportSummary {
        let mut summary = ImportSummary::default();
        while !octets.is_empty() && !summary.budget_reached {
            let Some((parcel, rest)) = Parcel::split(octets) else {
                summary.truncated = true;
                break;
            };
            octets = rest;
            match open(parcel, now, waited, import_targets) {
                Ok((entry, limits)) => self.receive(&Arc::new(entry), limits, &mut summary),
                Err(Unfit::Homeless) => summary.unknown_block += 1,
                Err(Unfit::Over) => summary.expired += 1,
                Err(Unfit::Refused) => summary.rejected += 1,
            }
        }
        summary
    }

    fn receive(&self, entry: &Arc<Entry>, limits: StoreLimits, summary: &mut ImportSummary) {
        match self.take_over(entry, limits) {
            Reception::TakenIn => summary.imported += 1,
            Reception::Known => summary.already_cached += 1,
            Reception::TooBig => summary.rejected += 1,
            Reception::NoPlace => summary.store_full += 1,
            Reception::NoRoom => summary.budget_reached = true,
        }
    }
}

/// The entry in a parcel, on the terms of its block.
fn open(
    octets: &[u8],
    now: Instant,
    waited: Duration,
    import_targets: &[Option<ImportTarget>],
) -> Result<(Entry, StoreLimits), Unfit> {
    let parcel = Parcel::read(octets).ok_or(Unfit::Refused)?;
    let target =
        import_targets.get(usize::from(parcel.block)).and_then(Option::as_ref).ok_or(Unfit::Homeless)?;
    let stored = parcel.age.checked_add(waited).and_then(|age| now.checked_sub(age)).ok_or(Unfit::Over)?;
    let entry = entry(&parcel, stored, target).ok_or(Unfit::Refused)?;
    let limits = StoreLimits::of(&target.policy, entry.store);
    if entry.is_expired(now, limits) { Err(Unfit::Over) } else { Ok((entry, limits)) }
}

fn entry(parcel: &Parcel<'_>, stored: Instant, target: &ImportTarget) -> Option<Entry> {
    let (key, question) = Key::join(target.block, parcel.key)?;
    let response = Response::parse(parcel.message).ok()?;
    let name = question.get(..question.len().checked_sub(4)?)?;
    let says_something = matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
    let is_pruned = matches!(response.scrub(), Ok(None));
    if !says_something || !is_pruned || !response.matches_question(&question) || !target.policy.covers(name) {
        return None;
    }
    let cacheability = Cacheability::of(&response, name, &target.policy);
    let ttl = cacheability.ttl.min(parcel.ttl);
    let sieve = SieveState::default();
    if parcel.asked {
        sieve.visit();
    }
    Some(Entry {
        key,
        answer: Answer::from_response(&response),
        stored,
        ttl,
        store: cacheability.store.filter(|_| ttl > 0)?,
        usage: Arc::clone(&target.usage),
        failure: None,
        popularity: Popularity::restore(parcel.hits, parcel.last_hit),
        sieve,
    })
}
