//! Messages of the hand-over protocol as octets: a header (`nldh`, version, type, length), content, and
//! with [`MessageType::SOCKET`] a descriptor beside it.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::OwnedFd;

/// Version of the format and order of messages. Unknown types are skipped, so that types can be
/// added without a new version.
pub(super) const VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"nldh";
pub(super) const HEADER_LEN: usize = 12;
/// Octets of one message, without its header.
pub(super) const MAX_MESSAGE_LEN: usize = 256 * 1024;
/// Received descriptors whose messages have not been read yet.
const MAX_PENDING_DESCRIPTORS: usize = 1024;

/// Type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageType(u16);

impl MessageType {
    /// From the successor: its version, as text.
    pub(super) const HELLO: Self = Self(1);
    /// Reply to `HELLO`: version and addresses, as lines of text.
    pub(super) const WELCOME: Self = Self(2);
    /// A listening socket: its description as text, and the descriptor.
    pub(super) const SOCKET: Self = Self(3);
    /// A server block whose cache entries follow: its number in two octets, its fingerprint.
    pub(super) const BLOCK: Self = Self(4);
    /// End of the sockets and blocks.
    pub(super) const OFFERED: Self = Self(5);
    /// Cache entries.
    pub(super) const ENTRIES: Self = Self(6);
    /// End of the cache entries.
    pub(super) const ENTRIES_END: Self = Self(7);
    /// From the successor: it reads from the sockets.
    pub(super) const TAKEN: Self = Self(8);
    /// Reply to `TAKEN`: the predecessor has stopped reading.
    pub(super) const STOPPED: Self = Self(9);
    /// From the successor: it exits, and the predecessor is to serve again. Preceded by the sockets
    /// that only the successor has.
    pub(super) const RETURNED: Self = Self(10);
    /// Reply to `RETURNED`: the predecessor reads again.
    pub(super) const RESUMED: Self = Self(11);
    /// From the successor: it has a successor itself, and the predecessor's standby ends.
    pub(super) const DISMISSED: Self = Self(12);
    /// From any instance: a request for the status.
    pub(super) const STATUS_REQUEST: Self = Self(13);
    /// Reply to `STATUS_REQUEST`, as lines of text.
    pub(super) const STATUS: Self = Self(14);
}

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: MessageType,
    pub(super) octets: Vec<u8>,
    pub(super) descriptor: Option<OwnedFd>,
}

/// Why octets are not messages of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageError {
    /// The peer does not speak this protocol.
    NotThisProtocol,
    /// The peer speaks another version.
    Version(u16),
    /// A message of so many octets.
    TooLong(usize),
    /// Descriptors without a message, or a message without its descriptor.
    Descriptors,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThisProtocol => f.write_str("the peer does not speak the hand-over protocol"),
            Self::Version(version) => {
                write!(f, "the peer speaks version {version} of the hand-over protocol, not {VERSION}")
            }
            Self::TooLong(octets) => write!(f, "a message of {octets} octets is too long"),
            Self::Descriptors => f.write_str("messages and descriptors do not match"),
        }
    }
}

/// A message with its header.
///
/// # Errors
/// It is too long.
pub(super) fn encode(kind: MessageType, octets: &[u8]) -> Result<Vec<u8>, MessageError> {
    let too_long = MessageError::TooLong(octets.len());
    let length = u32::try_from(octets.len()).map_err(|_| too_long)?;
    if octets.len() > MAX_MESSAGE_LEN {
        return Err(too_long);
    }
    let mut message = Vec::with_capacity(HEADER_LEN + octets.len());
    message.extend(MAGIC);
    message.extend(VERSION.to_be_bytes());
    message.extend(kind.0.to_be_bytes());
    message.extend(length.to_be_bytes());
    message.extend(octets);
    Ok(message)
}

/// What has been received and not been read yet.
#[derive(Debug, Default)]
pub(super) struct MessageReader {
    octets: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl MessageReader {
    /// Adds octets with the descriptors that arrived with them.
    ///
    /// # Errors
    /// Too many descriptors.
    pub(super) fn add(&mut self, octets: &[u8], descriptors: Vec<OwnedFd>) -> Result<(), MessageError> {
        self.descriptors.extend(descriptors);
        if self.descriptors.len() > MAX_PENDING_DESCRIPTORS {
            return Err(MessageError::Descriptors);
        }
        self.octets.extend_from_slice(octets);
        Ok(())
    }

    /// The next message, if all of it has been received.
    ///
    /// # Errors
    /// The octets are not a message, or its descriptor has not arrived.
    pub(super) fn next_message(&mut self) -> Result<Option<Message>, MessageError> {
        let Some((header, rest)) = self.octets.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let [m0, m1, m2, m3, v0, v1, k0, k1, l0, l1, l2, l3] = *header;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(MessageError::NotThisProtocol);
        }
        let version = u16::from_be_bytes([v0, v1]);
        if version != VERSION {
            return Err(MessageError::Version(version));
        }
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE_LEN {
            return Err(MessageError::TooLong(length));
        }
        let Some(octets) = rest.get(..length) else { return Ok(None) };
        let (kind, octets) = (MessageType(u16::from_be_bytes([k0, k1])), octets.to_vec());
        self.octets.drain(..HEADER_LEN + length);
        let descriptor = match kind {
            MessageType::SOCKET => Some(self.descriptors.pop_front().ok_or(MessageError::Descriptors)?),
            _ => None,
        };
        Ok(Some(Message { kind, octets, descriptor }))
    }
}
