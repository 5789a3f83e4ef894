//! Length-prefixed framing of DNS messages on TCP and TLS (RFC 1035 section 4.2.2).

use std::ops::Range;

/// Octets of the length prefix.
pub const PREFIX_LEN: usize = 2;

/// Appends `message` with its length prefix, for a single write (RFC 7766 section 8). Returns false
/// and appends nothing when the message exceeds 65,535 octets.
pub fn push(message: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(len) = u16::try_from(message.len()) else {
        return false;
    };
    out.reserve(PREFIX_LEN + message.len());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(message);
    true
}

/// Capacity that an empty buffer retains.
const RETAINED_CAPACITY: usize = 4096;

/// Decodes a stream into messages, in order.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    consumed: usize,
}

impl FrameDecoder {
    /// Buffers octets that were read from the stream.
    pub fn extend(&mut self, octets: &[u8]) {
        // Moving the remainder only when it is no longer than the consumed part keeps the cost per
        // octet constant.
        if self.consumed >= self.buffer.len() - self.consumed {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
        }
        self.buffer.extend_from_slice(octets);
    }

    /// The next complete message, without its prefix. Frames of length 0 are skipped.
    pub fn next_message(&mut self) -> Option<&[u8]> {
        while self.message_at(self.consumed)?.is_empty() {
            self.consumed += PREFIX_LEN;
        }
        self.next_frame()
    }

    /// The payload of the next complete frame; empty for a frame of length 0.
    pub fn next_frame(&mut self) -> Option<&[u8]> {
        let message = self.message_at(self.consumed)?;
        self.consumed = message.end;
        self.buffer.get(message)
    }

    /// True when [`next_frame`](Self::next_frame) has a frame.
    pub fn has_frame(&self) -> bool {
        self.message_at(self.consumed).is_some()
    }

    /// Frees the memory of long messages that are consumed: less than twice the octets that are
    /// buffered stays, or less than 8 KiB.
    pub fn shrink(&mut self) {
        let needed = self.buffered_len().max(RETAINED_CAPACITY);
        if self.buffer.capacity() / 2 >= needed {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
            self.buffer.shrink_to(needed);
        }
    }

    /// Octets that are buffered and not consumed.
    pub fn buffered_len(&self) -> usize {
        self.buffer.len() - self.consumed
    }

    /// True when the buffer ends in an incomplete frame.
    pub fn is_partial(&self) -> bool {
        let mut end = self.consumed;
        while let Some(message) = self.message_at(end) {
            end = message.end;
        }
        end < self.buffer.len()
    }

    /// The range of the message whose prefix is at `at`, if it is complete.
    fn message_at(&self, at: usize) -> Option<Range<usize>> {
        let prefix = self.buffer.get(at..)?.first_chunk::<PREFIX_LEN>()?;
        let start = at + PREFIX_LEN;
        let end = start + usize::from(u16::from_be_bytes(*prefix));
        (end <= self.buffer.len()).then_some(start..end)
    }
}
