//! Write buffer of a client's TCP connection: responses that the client has not read yet.

use std::time::Instant;

use wire::frame;

use crate::clock;

/// Capacity that is always kept.
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

    /// Removes `count` octets that were written, and frees their memory: the capacity stays below
    /// twice the octets that are left.
    ///
    /// The write timeout restarts only when everything that was buffered at its start is written,
    /// so that a client reading an octet now and then does not extend it.
    pub(super) fn consume(&mut self, count: usize) {
        self.octets.drain(..count);
        let needed = self.octets.len().max(RETAINED_CAPACITY);
        if self.octets.capacity() / 2 >= needed {
            self.octets.shrink_to(needed);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_written_octets_is_freed() {
        let mut buffer = WriteBuffer::new();
        for _ in 0..10 {
            buffer.push(&[0; 60_000]);
        }
        while !buffer.octets.is_empty() {
            buffer.consume(buffer.octets.len().min(7000));
            let (octets, capacity) = (buffer.octets.len(), buffer.octets.capacity());
            assert!(capacity < 2 * octets.max(RETAINED_CAPACITY), "{capacity} for {octets} octets");
        }
    }
}
