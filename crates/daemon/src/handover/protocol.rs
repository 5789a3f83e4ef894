//! Hand-over protocol between two instances on one node: messages over a Unix socket.
//!
//! A message has a header (`nldh`, version, type, length), octets, and with [`MessageType::SOCKET`]
//! a descriptor.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use linux::scm_rights;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Version of the format and order of messages. Unknown types are skipped, so that types can be
/// added without a new version.
pub(crate) const VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"nldh";
const HEADER_LEN: usize = 12;
/// Octets of one message, without its header.
pub(super) const MAX_MESSAGE_LEN: usize = 256 * 1024;
/// Received descriptors whose messages have not been read yet.
const MAX_PENDING_DESCRIPTORS: usize = 1024;
const READ_LEN: usize = 64 * 1024;
/// Characters of a peer's text in a log line.
const MAX_LOGGED_CHARS: usize = 100;

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

/// Why a connection cannot be used any more.
#[derive(Debug)]
pub(crate) enum ProtocolError {
    /// The peer has closed the connection.
    Closed,
    /// The peer does not speak this protocol.
    NotThisProtocol,
    /// The peer speaks another version.
    Version(u16),
    /// A message of so many octets.
    TooLong(usize),
    /// Descriptors without a message, or a message without its descriptor.
    Descriptors,
    /// No message for so long.
    Timeout(Duration),
    Io(io::Error),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the peer has closed the connection"),
            Self::NotThisProtocol => f.write_str("the peer does not speak the hand-over protocol"),
            Self::Version(version) => {
                write!(f, "the peer speaks version {version} of the hand-over protocol, not {VERSION}")
            }
            Self::TooLong(octets) => write!(f, "a message of {octets} octets is too long"),
            Self::Descriptors => f.write_str("messages and descriptors do not match"),
            Self::Timeout(time) => write!(f, "no message from the peer for {time:?}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for ProtocolError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                Self::Closed
            }
            _ => Self::Io(error),
        }
    }
}

/// A peer's text, sanitized for a log line.
pub(super) fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|letter| !letter.is_control()).take(MAX_LOGGED_CHARS).collect()
}

/// A connection between two instances.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    /// Descriptors whose messages have not been read yet.
    descriptors: VecDeque<OwnedFd>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, received: Vec::new(), descriptors: VecDeque::new() }
    }

    /// Sends a message.
    pub(super) async fn send(&self, kind: MessageType, octets: &[u8]) -> Result<(), ProtocolError> {
        self.send_with(kind, octets, None).await
    }

    /// Sends a message with a descriptor, of which the peer receives a duplicate.
    pub(super) async fn send_with(
        &self,
        kind: MessageType,
        octets: &[u8],
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), ProtocolError> {
        let length = u32::try_from(octets.len()).map_err(|_| ProtocolError::TooLong(octets.len()))?;
        let mut message = Vec::with_capacity(HEADER_LEN + octets.len());
        message.extend(MAGIC);
        message.extend(VERSION.to_be_bytes());
        message.extend(kind.0.to_be_bytes());
        message.extend(length.to_be_bytes());
        message.extend(octets);
        let mut rest = message.as_slice();
        let mut descriptors: &[BorrowedFd<'_>] = descriptor.as_slice();
        while !rest.is_empty() {
            let socket = self.stream.as_fd();
            let send = || scm_rights::send(socket, rest, descriptors);
            let sent = self.stream.async_io(Interest::WRITABLE, send).await?;
            rest = rest.get(sent..).unwrap_or_default();
            // Descriptors go with the first octets.
            descriptors = &[];
        }
        Ok(())
    }

    /// Sends sockets, each with its description.
    pub(super) async fn send_sockets(&self, sockets: &[(String, OwnedFd)]) -> Result<(), ProtocolError> {
        for (text, socket) in sockets {
            self.send_with(MessageType::SOCKET, text.as_bytes(), Some(socket.as_fd())).await?;
        }
        Ok(())
    }

    /// The next message. Cancel safe.
    pub(super) async fn receive(&mut self) -> Result<Message, ProtocolError> {
        loop {
            if let Some(message) = self.next_message()? {
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), ProtocolError> {
        let (mut octets, mut descriptors) = (vec![0; READ_LEN], Vec::new());
        let socket = self.stream.as_fd();
        let receive = || scm_rights::receive(socket, &mut octets, &mut descriptors);
        let received = self.stream.async_io(Interest::READABLE, receive).await?;
        self.descriptors.extend(descriptors);
        if received == 0 {
            return Err(ProtocolError::Closed);
        }
        if self.descriptors.len() > MAX_PENDING_DESCRIPTORS {
            return Err(ProtocolError::Descriptors);
        }
        self.received.extend_from_slice(octets.get(..received).unwrap_or_default());
        Ok(())
    }

    fn next_message(&mut self) -> Result<Option<Message>, ProtocolError> {
        let Some((header, rest)) = self.received.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let [m0, m1, m2, m3, v0, v1, k0, k1, l0, l1, l2, l3] = *header;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(ProtocolError::NotThisProtocol);
        }
        let version = u16::from_be_bytes([v0, v1]);
        if version != VERSION {
            return Err(ProtocolError::Version(version));
        }
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE_LEN {
            return Err(ProtocolError::TooLong(length));
        }
        let Some(octets) = rest.get(..length) else { return Ok(None) };
        let (kind, octets) = (MessageType(u16::from_be_bytes([k0, k1])), octets.to_vec());
        self.received.drain(..HEADER_LEN + length);
        let descriptor = match kind {
            MessageType::SOCKET => Some(self.descriptors.pop_front().ok_or(ProtocolError::Descriptors)?),
            _ => None,
        };
        Ok(Some(Message { kind, octets, descriptor }))
    }
}
