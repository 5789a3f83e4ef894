//! Waiters: clients waiting for the result of an in-flight query.

use std::time::Instant;

use wire::edns::Edns;
use wire::header::Flags;
use wire::query::RequestHeader;

use super::memory::Reservation;
use crate::action::Client;
use crate::request::{ReplyEdns, Requester};

/// A waiting client, with what its response repeats of the query.
#[derive(Debug)]
pub(crate) struct Waiter {
    client: Client,
    id: u16,
    flags: Flags,
    question: Box<[u8]>,
    edns: Option<Edns>,
    received: Instant,
    query_len: u16,
    reply_edns: ReplyEdns,
    /// Its memory, freed on drop.
    memory: Reservation,
}

impl Waiter {
    /// Memory of a waiter: its place in a list that grows by doubling, its question, its client's
    /// share of the table of clients, and what the allocator adds.
    pub(crate) fn octets(requester: &Requester<'_>) -> usize {
        const OVERHEAD: usize = 96;
        2 * size_of::<Self>() + requester.header.question.len() + OVERHEAD
    }

    pub(crate) fn new(requester: &Requester<'_>, memory: Reservation) -> Self {
        let Requester { client, header, received, query_len, reply_edns } = *requester;
        let question = header.question.into();
        let RequestHeader { id, flags, edns, .. } = header;
        Self { client, id, flags, question, edns, received, query_len, reply_edns, memory }
    }

    /// Reserves `octets` of the memory of waiting queries for a response to this and other waiters.
    pub(super) fn reserve_shared(&self, octets: usize) -> Option<Reservation> {
        self.memory.reserve_shared(octets)
    }

    pub(crate) fn requester(&self) -> Requester<'_> {
        let header =
            RequestHeader { id: self.id, flags: self.flags, question: &self.question, edns: self.edns };
        let Self { client, received, query_len, reply_edns, .. } = *self;
        Requester { client, header, received, query_len, reply_edns }
    }
}
