//! Internal lookups: queries that the resolver makes itself, in place of a client, to complete the
//! response to another query. They take the path of any query from its zone to upstreams. Each has
//! the memory of a waiting query, of the share of the client behind it.

use std::collections::HashMap;

use crate::action::{Client, LookupId};
use crate::timers::QueryId;

/// Lookups without a response.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    pending: HashMap<LookupId, PendingLookup>,
    last_number: u64,
}

/// A lookup.
#[derive(Debug)]
pub(crate) struct PendingLookup {
    /// Cache key of its question.
    pub(crate) key: Box<[u8]>,
    /// The query that waits for its response.
    pub(crate) query: QueryId,
}

impl Lookups {
    /// An ID for a lookup on behalf of the query of a client; `None` when lookups for lookups go too
    /// deep.
    pub(crate) fn next_id(&mut self, client: &Client) -> Option<LookupId> {
        self.last_number += 1;
        LookupId::new(self.last_number, client)
    }

    pub(crate) fn insert(&mut self, id: LookupId, lookup: PendingLookup) {
        self.pending.insert(id, lookup);
    }

    pub(crate) fn get(&self, id: LookupId) -> Option<&PendingLookup> {
        self.pending.get(&id)
    }

    pub(crate) fn remove(&mut self, id: LookupId) -> Option<PendingLookup> {
        self.pending.remove(&id)
    }
}
