//! Messages on a stream: two octets of length before each (RFC 1035 section 4.2.2).

use std::ops::Range;

/// Octets of the length prefix.
pub const PREFIX_LEN: usize = 2;

/// Appends `message` with its length in front, for one write (RFC 7766 section 8). Messages above 65,535
/// octets cannot exist on a stream; nothing is appended and false returned.
pub fn push(message: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(len) = u16::try_from(message.len()) else {
        return false;
    };
    out.reserve(PREFIX_LEN + message.len());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(message);
    true
}

/// What an empty buffer may keep for what comes next.
const KEPT_OCTETS: usize = 4096;

/// Collects what a stream delivers and hands out whole messages in order.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    taken: usize,
}

impl FrameDecoder {
    /// Takes octets as they were read.
    pub fn extend(&mut self, octets: &[u8]) {
        // Moving what is left only when it is no more than what was taken keeps the cost per octet constant.
        if self.taken >= self.buffer.len() - self.taken {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(octets);
    }

    /// The next whole message, without its prefix. A length of 0 is skipped: it holds no message.
    pub fn next_message(&mut self) -> Option<&[u8]> {
        while self.message_at(self.taken)?.is_empty() {
            self.taken += PREFIX_LEN;
        }
        self.next_frame()
    }

    /// What the next length announces, when all of it has arrived; nothing at all for a length of 0.
    pub fn next_frame(&mut self) -> Option<&[u8]> {
        let message = self.message_at(self.taken)?;
        self.taken = message.end;
        self.buffer.get(message)
    }

    /// Gives back the memory that a long message took, when all are taken.
    pub fn shrink(&mut self) {
        if self.buffered_len() == 0 && self.buffer.capacity() > KEPT_OCTETS {
            *self = Self::default();
        }
    }

    /// Octets that wait to be taken.
    pub fn buffered_len(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// True when part of a message has arrived and the rest is awaited.
    pub fn is_partial(&self) -> bool {
        let mut behind = self.taken;
        while let Some(message) = self.message_at(behind) {
            behind = message.end;
        }
        behind < self.buffer.len()
    }

    /// Where the message lies whose prefix is at `at`, if all of it has arrived.
    fn message_at(&self, at: usize) -> Option<Range<usize>> {
        let prefix = self.buffer.get(at..)?.first_chunk::<PREFIX_LEN>()?;
        let start = at + PREFIX_LEN;
        let end = start + usize::from(u16::from_be_bytes(*prefix));
        (end <= self.buffer.len()).then_some(start..end)
    }
}
