//! Messages on a stream: two octets of length before each (RFC 1035 section 4.2.2).

/// Octets of the length prefix.
pub const PREFIX_LEN: usize = 2;

/// Appends `message` with its length in front, for one write (RFC 7766 section 8). Messages above 65,535
/// octets cannot exist on a stream; nothing is appended and false returned.
pub fn push(message: &[u8], out: &mut Vec<u8>) -> bool {
    todo!("{message:?} {out:?}")
}

/// Collects what a stream delivers and hands out whole messages in order.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    taken: usize,
}

impl Frames {
    /// Takes octets as they were read.
    pub fn extend(&mut self, octets: &[u8]) {
        todo!("{octets:?}")
    }

    /// The next whole message, without its prefix. A length of 0 is skipped: it holds no message.
    pub fn next_message(&mut self) -> Option<&[u8]> {
        todo!()
    }

    /// True when part of a message has arrived and the rest is awaited.
    pub fn is_partial(&self) -> bool {
        todo!()
    }
}
