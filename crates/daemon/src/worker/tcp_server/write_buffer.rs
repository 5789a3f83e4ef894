//! Answers that lie ready for a client.

use std::time::Instant;

use wire::frame;

use crate::clock;

/// Octets of memory that are kept for the next answers when all is taken.
const KEPT_OCTETS: usize = 4096;

/// Answers that the client has not taken.
pub(super) struct Unsent {
    pub(super) octets: Vec<u8>,
    /// Of these, what was there at `since`.
    due: usize,
    pub(super) since: Instant,
}

impl Unsent {
    pub(super) fn new() -> Self {
        Self { octets: Vec::new(), due: 0, since: clock::now() }
    }

    pub(super) fn push(&mut self, message: &[u8]) {
        let is_first = self.octets.is_empty();
        frame::push(message, &mut self.octets);
        if is_first {
            self.wait_for_all();
        }
    }

    /// Notes that the client took `count` octets.
    ///
    /// A client that takes an octet now and then is given no new time for it: only what was owed when the time began
    /// counts, all of it.
    pub(super) fn taken(&mut self, count: usize) {
        self.octets.drain(..count);
        if self.octets.is_empty() {
            self.octets.shrink_to(KEPT_OCTETS);
        }
        self.due = self.due.saturating_sub(count);
        if self.due == 0 {
            self.wait_for_all();
        }
    }

    fn wait_for_all(&mut self) {
        (self.due, self.since) = (self.octets.len(), clock::now());
    }
}
