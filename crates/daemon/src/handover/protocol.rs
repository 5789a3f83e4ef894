//! Hand-over protocol between two instances on one node: [messages](Message) over a Unix socket.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use linux::scm_rights;
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::message::{Message, MessageError, MessageReader, MessageType, encode};

const READ_LEN: usize = 64 * 1024;

/// Why a connection cannot be used any more.
#[derive(Debug)]
pub(crate) enum ProtocolError {
    /// The peer has closed the connection.
    Closed,
    /// What the peer sends, or is to be sent, is not a message.
    Message(MessageError),
    /// No message for so long.
    Timeout(Duration),
    Io(io::Error),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the peer has closed the connection"),
            Self::Message(error) => error.fmt(f),
            Self::Timeout(time) => write!(f, "no message from the peer for {time:?}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<MessageError> for ProtocolError {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
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

/// A connection between two instances.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    received: MessageReader,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, received: MessageReader::default() }
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
        let message = encode(kind, octets)?;
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
            if let Some(message) = self.received.next_message()? {
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
        if received == 0 {
            return Err(ProtocolError::Closed);
        }
        self.received.add(octets.get(..received).unwrap_or_default(), descriptors)?;
        Ok(())
    }
}
