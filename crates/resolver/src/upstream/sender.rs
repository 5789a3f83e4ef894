//! Sending queries to upstreams: attempt numbers and unpredictable message IDs (RFC 5452).

use std::collections::HashSet;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wire::query::OutgoingQuery;

use crate::action::{Action, AttemptId, Outbox, SendQuery};
use crate::policy::UpstreamId;
use crate::transport::Transport;

/// Draws for an unused message ID; with a few thousand in use, one or two suffice.
const MAX_DRAWS: usize = 64;

/// Where and how a query is sent.
pub(super) struct Destination {
    pub(super) upstream: UpstreamId,
    pub(super) transport: Transport,
    /// Requires a connection that has carried no query yet.
    pub(super) fresh: bool,
    pub(super) until: Instant,
}

/// Source of randomness, message IDs and attempt numbers of one worker.
#[derive(Debug)]
pub(super) struct QuerySender {
    random: StdRng,
    ids_in_use: HashSet<u16>,
    last_attempt: u64,
}

impl QuerySender {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { random: StdRng::from_seed(seed), ids_in_use: HashSet::new(), last_attempt: 0 }
    }

    pub(super) fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }

    /// Sends a query under a message ID that no open attempt has, and returns both numbers; `None`
    /// when no unused ID was found. The ID is in use until [`Self::release`].
    pub(super) fn send(
        &mut self,
        query: OutgoingQuery<'_>,
        destination: &Destination,
        outbox: &mut Outbox,
    ) -> Option<(AttemptId, u16)> {
        let mut draws = std::iter::repeat_with(|| self.random.random::<u16>()).take(MAX_DRAWS);
        let id = draws.find(|id| !self.ids_in_use.contains(id))?;
        self.ids_in_use.insert(id);
        self.last_attempt += 1;
        let attempt = AttemptId(self.last_attempt);
        let start = outbox.bytes.len();
        OutgoingQuery { id, ..query }.write(&mut outbox.bytes);
        if let Some(message) = outbox.since(start) {
            let Destination { upstream, transport, fresh, until } = *destination;
            let send = SendQuery { attempt, upstream, transport, fresh, until, message };
            outbox.actions.push(Action::SendQuery(send));
        }
        Some((attempt, id))
    }

    pub(super) fn release(&mut self, id: u16) {
        self.ids_in_use.remove(&id);
    }
}
