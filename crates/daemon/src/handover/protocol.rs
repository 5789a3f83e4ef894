//! Messages between two instances of this program on one node: a header, octets, and with some a descriptor.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use linux::scm_rights;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Of the form of messages and their order. Kinds that one side does not know are skipped, so that more can be said
/// under the same number.
pub(crate) const VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"nldh";
const HEADER_LEN: usize = 12;
/// Octets of one message, its header not counted.
pub(super) const MOST_OCTETS: usize = 256 * 1024;
/// Descriptors that may wait for their messages.
const MOST_WAITING: usize = 1024;
const READ_LEN: usize = 64 * 1024;
/// Characters of what the other side calls something, where it goes into a log line.
const MOST_SHOWN: usize = 100;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageType(u16);

impl MessageType {
    /// From the successor: who it is, as text.
    pub(super) const HELLO: Self = Self(1);
    /// The answer: who we are, as lines of text.
    pub(super) const WELCOME: Self = Self(2);
    /// A listening socket: its description as text, and the descriptor.
    pub(super) const SOCKET: Self = Self(3);
    /// A server block whose answers follow: its number in two octets, its fingerprint.
    pub(super) const BLOCK: Self = Self(4);
    /// No more sockets and blocks.
    pub(super) const OFFERED: Self = Self(5);
    /// Cached answers.
    pub(super) const ENTRIES: Self = Self(6);
    /// No more answers.
    pub(super) const PACKED: Self = Self(7);
    /// From the successor: it reads from the sockets.
    pub(super) const TAKEN: Self = Self(8);
    /// The answer: we do not any more.
    pub(super) const STOPPED: Self = Self(9);
    /// From the successor: it leaves, and we should go on. Before it come the sockets that only it has.
    pub(super) const RETURNED: Self = Self(10);
    /// The answer: we read again.
    pub(super) const RESUMED: Self = Self(11);
    /// From the successor: it has one itself, and we are not needed any more.
    pub(super) const DISMISSED: Self = Self(12);
    /// From anyone: how are things?
    pub(super) const ASKED: Self = Self(13);
    /// The answer, as lines of text.
    pub(super) const STATUS: Self = Self(14);
}

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: MessageType,
    pub(super) octets: Vec<u8>,
    pub(super) descriptor: Option<OwnedFd>,
}

/// Why no more can be said or heard.
#[derive(Debug)]
pub(crate) enum ProtocolError {
    /// The other side is gone.
    Gone,
    /// It does not speak as we do.
    Foreign,
    /// It speaks another version.
    Version(u16),
    /// A message of so many octets.
    TooLong(usize),
    /// Descriptors that belong to no message, or a message without the one it should have.
    Descriptors,
    /// It says nothing for so long.
    Silent(Duration),
    /// What the kernel said.
    Io(io::Error),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("it is gone"),
            Self::Foreign => f.write_str("what it says is not from a nodelocaldns"),
            Self::Version(version) => {
                write!(f, "it speaks version {version} of the hand-over, and we version {VERSION}")
            }
            Self::TooLong(octets) => write!(f, "a message of {octets} octets"),
            Self::Descriptors => f.write_str("its messages and descriptors do not go together"),
            Self::Silent(time) => write!(f, "it says nothing for {time:?}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for ProtocolError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                Self::Gone
            }
            _ => Self::Io(error),
        }
    }
}

/// What the other side calls something, fit for a log line.
pub(super) fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|letter| !letter.is_control()).take(MOST_SHOWN).collect()
}

/// A connection between two instances.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    waiting: VecDeque<OwnedFd>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, received: Vec::new(), waiting: VecDeque::new() }
    }

    /// Sends a message.
    pub(super) async fn send(&self, kind: MessageType, octets: &[u8]) -> Result<(), ProtocolError> {
        self.send_with(kind, octets, None).await
    }

    /// Sends a message with a descriptor, of which the other side gets a duplicate.
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
            // They go with the first octets.
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

    /// The next message. Nothing is lost when this is dropped before it resolves.
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
        self.waiting.extend(descriptors);
        if received == 0 {
            return Err(ProtocolError::Gone);
        }
        if self.waiting.len() > MOST_WAITING {
            return Err(ProtocolError::Descriptors);
        }
        self.received.extend_from_slice(octets.get(..received).unwrap_or_default());
        Ok(())
    }

    fn next_message(&mut self) -> Result<Option<Message>, ProtocolError> {
        let Some((header, rest)) = self.received.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let [m0, m1, m2, m3, v0, v1, k0, k1, l0, l1, l2, l3] = *header;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(ProtocolError::Foreign);
        }
        let version = u16::from_be_bytes([v0, v1]);
        if version != VERSION {
            return Err(ProtocolError::Version(version));
        }
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if length > MOST_OCTETS {
            return Err(ProtocolError::TooLong(length));
        }
        let Some(octets) = rest.get(..length) else { return Ok(None) };
        let (kind, octets) = (MessageType(u16::from_be_bytes([k0, k1])), octets.to_vec());
        self.received.drain(..HEADER_LEN + length);
        let descriptor = match kind {
            MessageType::SOCKET => Some(self.waiting.pop_front().ok_or(ProtocolError::Descriptors)?),
            _ => None,
        };
        Ok(Some(Message { kind, octets, descriptor }))
    }
}
