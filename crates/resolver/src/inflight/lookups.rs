//! Internal lookups: queries that the resolver makes itself, in place of a client, to complete the
//! response to another query. They take the path of any query from its zone to upstreams. Each has
//! the memory of a waiting query, of the share of the client behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use wire::header::Flags;

use super::waiters::Waiter;
use crate::action::{Client, LookupId};
use crate::cache::OwnedKey;
use crate::id_map::IdMap;
use crate::policy::Route;
use crate::request::Requester;
use crate::timers::QueryId;

/// Lookups without a response.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    pending: IdMap<LookupId, PendingLookup>,
    last_number: u64,
}

/// A lookup to make.
#[derive(Clone, Copy)]
pub(crate) struct Lookup<'a> {
    /// The client behind it.
    pub(crate) client: Client,
    /// RD and CD count.
    pub(crate) flags: Flags,
    pub(crate) dnssec_ok: bool,
    /// The question section, of class IN.
    pub(crate) question: &'a [u8],
}

impl<'a> Lookup<'a> {
    /// On behalf of a client's query.
    pub(crate) fn new(requester: &Requester<'_>, question: &'a [u8]) -> Self {
        let Requester { client, header, .. } = *requester;
        let dnssec_ok = header.edns.is_some_and(|edns| edns.dnssec_ok);
        Self { client, flags: header.flags, dnssec_ok, question }
    }
}

/// A lookup.
#[derive(Debug)]
pub(crate) struct PendingLookup {
    /// Cache key of its question.
    pub(crate) key: OwnedKey,
    pub(crate) purpose: LookupPurpose,
}

/// What waits for the response to a lookup.
#[derive(Debug)]
pub(crate) enum LookupPurpose {
    /// A query in flight, for another target of a CNAME record.
    CnameTarget(QueryId),
    /// A client's AAAA query.
    Translation(Box<Translation>),
    /// A client's query that `template` has answered with an alias.
    Alias(Box<Alias>),
}

/// A client's query that waits for a lookup.
#[derive(Debug)]
pub(crate) struct ClientQuery {
    pub(crate) waiter: Waiter,
    pub(crate) route: Arc<Route>,
}

/// A client's AAAA query under `dns64`.
#[derive(Debug)]
pub(crate) struct Translation {
    pub(crate) query: ClientQuery,
    /// The greatest TTL in seconds of a synthesized record, once the name is known to have no IPv6
    /// address; then its IPv4 addresses are looked up.
    pub(crate) soa_ttl: Option<u32>,
    /// The upstream of the response to the AAAA query.
    pub(crate) upstream: Option<SocketAddr>,
}

/// A client's query whose answer is an alias, of which the address is looked up.
#[derive(Debug)]
pub(crate) struct Alias {
    pub(crate) query: ClientQuery,
    /// The response as the client gets it, but for the records of the alias.
    pub(crate) packet: Box<[u8]>,
}

impl Lookups {
    /// An ID for a lookup on behalf of the query of a client; `None` when lookups for lookups go too
    /// deep.
    pub(crate) fn next_id(&mut self, client: &Client, is_counted: bool) -> Option<LookupId> {
        self.last_number += 1;
        LookupId::new(self.last_number, client, is_counted)
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
