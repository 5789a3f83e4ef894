//! Write buffer of a client's TCP connection: responses that the client has not read yet.

use std::time::Instant;

use wire::frame;

use crate::clock;

/// Capacity kept when the buffer is empty.
const RETAINED_CAPACITY: usize = 4096;

pub(super) struct WriteBuffer {
    pub(super) octets: Vec<u8>,
    /// Of these, how many were there at `since`.
    due: usize,
    /// Start of the write timeout.
    pub(super) since: Instant,
}

impl WriteBuffer {
    pub(super) fn new() -> Self {
        Self { octets: Vec::new(), due: 0, since: clock::now() }
    }

    pub(super) fn push(&mut self, message: &[u8]) {
        let was_empty = self.octets.is_empty();
        frame::push(message, &mut self.octets);
        if was_empty {
            self.restart_timeout();
        }
    }

    /// Removes `count` octets that were written.
    ///
    /// The write timeout restarts only when everything that was buffered at its start is written,
    /// so that a client reading an octet now and then does not extend it.
    pub(super) fn consume(&mut self, count: usize) {
        self.octets.drain(..count);
        if self.octets.is_empty() {
            self.octets.shrink_to(RETAINED_CAPACITY);
        }
        self.due = self.due.saturating_sub(count);
        if self.due == 0 {
            self.restart_timeout();
        }
    }

    fn restart_timeout(&mut self) {
        (self.due, self.since) = (self.octets.len(), clock::now());
    }
}
