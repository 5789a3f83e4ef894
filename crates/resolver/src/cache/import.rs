//! Cache import: validates records of another process and inserts them as entries.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::header::Rcode;
use wire::{Answer, Response};

use super::eviction::InsertOutcome;
use super::key::{KeyHasher, Variant};
use super::record::EntryRecord;
use super::time::CacheTime;
use super::ttl::Cacheability;
use super::{Cache, Entry, Extra, HashedKey, Key, NewEntry, Popularity, SieveState, StoreLimits, Usage};
use crate::policy::{BlockId, CacheOptions};

/// A server block that records may be imported into.
#[derive(Clone, Debug)]
pub struct ImportTarget {
    /// Its number in this process.
    pub block: BlockId,
    /// Its usage counters.
    pub usage: Arc<Usage>,
    /// Its `cache` directive.
    pub options: CacheOptions,
    /// It has `rewrite` directives: an answer may be for another name or type than the question.
    pub rewrites: bool,
}

/// Number of records by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Inserted.
    pub imported: u64,
    /// Invalid: malformed, not an answer to its key, not cacheable in its block, or too large.
    pub rejected: u64,
    /// Expired.
    pub expired: u64,
    /// Of a block that has no [`ImportTarget`].
    pub unknown_block: u64,
    /// The cached entry with the same key is at least as new.
    pub already_cached: u64,
    /// The store is at its capacity.
    pub store_full: u64,
    /// The budget was reached, and the rest was not read.
    pub budget_reached: bool,
    /// The last record was truncated.
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

/// Why a record does not become an entry.
enum InvalidRecord {
    UnknownBlock,
    Expired,
    Rejected,
}

impl Cache {
    /// Imports the records in `octets`, which were exported `elapsed` ago. `targets` has the blocks
    /// by their numbers in the records.
    ///
    /// Records are not trusted: a message must be one that this cache would accept from an upstream
    /// as the answer to the question in the key, or in a block with `rewrite` to another one. Its TTL is at most what it would get then, less
    /// its age; a larger one is capped, since another version may compute it differently.
    ///
    /// Nothing is evicted. Records for a store at its capacity are skipped, so that those of other
    /// stores still get in; the import ends at the budget.
    pub fn import(
        &self,
        now: Instant,
        elapsed: Duration,
        mut octets: &[u8],
        targets: &[Option<ImportTarget>],
    ) -> ImportSummary {
        let mut summary = ImportSummary::default();
        while !octets.is_empty() && !summary.budget_reached {
            let Some((record, rest)) = EntryRecord::split_first(octets) else {
                summary.truncated = true;
                break;
            };
            octets = rest;
            match self.decode(record, (now, elapsed), targets) {
                Ok((entry, limits)) => self.import_entry(&entry, limits, &mut summary),
                Err(InvalidRecord::UnknownBlock) => summary.unknown_block += 1,
                Err(InvalidRecord::Expired) => summary.expired += 1,
                Err(InvalidRecord::Rejected) => summary.rejected += 1,
            }
        }
        summary
    }

    fn decode(
        &self,
        octets: &[u8],
        (now, elapsed): (Instant, Duration),
        targets: &[Option<ImportTarget>],
    ) -> Result<(Entry, StoreLimits), InvalidRecord> {
        let record = EntryRecord::read(octets).ok_or(InvalidRecord::Rejected)?;
        let target = targets.get(usize::from(record.block)).and_then(Option::as_ref);
        let target = target.ok_or(InvalidRecord::UnknownBlock)?;
        let now = self.clock.time(now);
        let stored = now.before(record.age.saturating_add(elapsed));
        let entry = validate(&record, stored, target, &self.key_hasher).ok_or(InvalidRecord::Rejected)?;
        let limits = StoreLimits::of(&target.options, entry.store);
        if entry.is_expired(now, limits) {
            return Err(InvalidRecord::Expired);
        }
        Ok((entry, limits))
    }

    fn import_entry(&self, entry: &Entry, limits: StoreLimits, summary: &mut ImportSummary) {
        match self.insert_imported(entry, limits) {
            InsertOutcome::Inserted => summary.imported += 1,
            InsertOutcome::AlreadyCached => summary.already_cached += 1,
            InsertOutcome::TooLarge => summary.rejected += 1,
            InsertOutcome::StoreFull => summary.store_full += 1,
            InsertOutcome::BudgetReached => summary.budget_reached = true,
        }
    }
}

fn validate(
    record: &EntryRecord<'_>,
    stored: CacheTime,
    target: &ImportTarget,
    key_hasher: &KeyHasher,
) -> Option<Entry> {
    let key = Key {
        block: target.block,
        variant: Variant::from_bits(record.variant)?,
        qtype: record.qtype,
        name: record.name,
    };
    let question = key.question();
    let parse = if target.rewrites { Response::parse_rewritten } else { Response::parse };
    let response = parse(record.message).ok()?;
    let is_answer = matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
    let is_whole = !response.has_trailing_octets && response.matches_question(&question);
    if !is_answer || !is_whole || !target.options.covers(key.name) {
        return None;
    }
    let cacheability = Cacheability::of(&response, key.name, &target.options);
    let ttl = cacheability.ttl.min(record.ttl);
    let sieve = SieveState::default();
    if record.visited {
        sieve.visit();
    }
    let popularity =
        target.options.refreshes_by_hits().then(|| Popularity::restore(record.hits, record.last_hit));
    Entry::new(NewEntry {
        key: HashedKey { key, hash: key_hasher.hash(&key) },
        answer: Answer::from_response(&response).borrowed(),
        stored,
        ttl,
        store: cacheability.store.filter(|_| ttl > 0)?,
        usage: Arc::clone(&target.usage),
        extra: popularity.map(Extra::Popularity),
        sieve,
    })
}
