//! A foreign peer of the hand-over, as a fixture: sends whatever a test wants.
//!
//! It implements the protocol by its description alone: `nldh`, version and type in two octets
//! each, the length of what follows in four, all in network byte order. The descriptor of a socket
//! accompanies the octets of its message.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{Builder, JoinHandle};

use crate::fixture::{Node, WAIT_LIMIT};

pub(crate) const HELLO: u16 = 1;
pub(crate) const WELCOME: u16 = 2;
pub(crate) const SOCKET: u16 = 3;
pub(crate) const BLOCK: u16 = 4;
pub(crate) const OFFERED: u16 = 5;
pub(crate) const ENTRIES: u16 = 6;
pub(crate) const ENTRIES_END: u16 = 7;
pub(crate) const TAKEN: u16 = 8;
pub(crate) const STOPPED: u16 = 9;
pub(crate) const RETURNED: u16 = 10;
pub(crate) const RESUMED: u16 = 11;
pub(crate) const STATUS_REQUEST: u16 = 13;
pub(crate) const STATUS: u16 = 14;

/// The socket of the active instance.
pub(crate) const SOCKET_FILE: &str = "handover.sock";

/// A received message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) version: u16,
    pub(crate) kind: u16,
    pub(crate) octets: Vec<u8>,
    pub(crate) descriptor: Option<OwnedFd>,
}

/// Encodes a message.
pub(crate) fn encode(version: u16, kind: u16, octets: &[u8]) -> Vec<u8> {
    let length = u32::try_from(octets.len()).unwrap().to_be_bytes();
    [b"nldh", version.to_be_bytes().as_slice(), &kind.to_be_bytes(), &length, octets].concat()
}

/// The foreign end of a hand-over connection.
pub(crate) struct ForeignPeer {
    stream: UnixStream,
    received: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

/// Listens in place of the active instance; runs `behaviour` with the first successor.
pub(crate) fn accept_successor(
    node: &Node,
    behaviour: impl FnOnce(ForeignPeer) + Send + 'static,
) -> JoinHandle<()> {
    let listener = UnixListener::bind(node.directory.join(SOCKET_FILE)).unwrap();
    let run = move || {
        let (stream, _) = listener.accept().unwrap();
        behaviour(ForeignPeer::new(stream));
    };
    Builder::new().name("foreign-peer".to_owned()).spawn(run).unwrap()
}

impl ForeignPeer {
    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
        stream.set_write_timeout(Some(WAIT_LIMIT)).unwrap();
        Self { stream, received: Vec::new(), descriptors: VecDeque::new() }
    }

    /// Connects to the active instance.
    pub(crate) fn connect(node: &Node) -> Self {
        Self::new(UnixStream::connect(node.directory.join(SOCKET_FILE)).unwrap())
    }

    /// Connects as a successor and receives the whole offer.
    pub(crate) fn request_offer(node: &Node) -> (Self, Vec<Message>) {
        let mut peer = Self::connect(node);
        peer.send(HELLO, b"version 9.9.9\n");
        let offer = peer.receive_until(ENTRIES_END);
        (peer, offer)
    }

    pub(crate) fn send(&mut self, kind: u16, octets: &[u8]) {
        self.send_raw(&encode(1, kind, octets));
    }

    /// Sends octets as they are. The daemon may have closed the connection.
    pub(crate) fn send_raw(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).ok();
    }

    /// Sends a socket message with these descriptors.
    pub(crate) fn send_socket(&mut self, text: &str, descriptors: &[BorrowedFd<'_>]) {
        let message = encode(1, SOCKET, text.as_bytes());
        let Ok(sent) = linux::scm_rights::send(self.stream.as_fd(), &message, descriptors) else { return };
        assert_eq!(sent, message.len());
    }

    /// The next message; nothing when the daemon has closed the connection.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        while self.message_len().is_none_or(|length| self.received.len() < length) {
            let (mut octets, mut descriptors) = (vec![0; 4096], Vec::new());
            let received = linux::scm_rights::receive(self.stream.as_fd(), &mut octets, &mut descriptors);
            self.descriptors.extend(descriptors);
            match received.unwrap_or_else(|error| panic!("no message within {WAIT_LIMIT:?}: {error}")) {
                0 => return None,
                received => self.received.extend(&octets[..received]),
            }
        }
        let message: Vec<u8> = self.received.drain(..self.message_len().unwrap()).collect();
        assert_eq!(message[..4], *b"nldh");
        let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        let descriptor = if number(6) == SOCKET { self.descriptors.pop_front() } else { None };
        Some(Message { version: number(4), kind: number(6), octets: message[12..].to_vec(), descriptor })
    }

    fn message_len(&self) -> Option<usize> {
        let length = self.received.get(8..12)?.first_chunk()?;
        Some(12 + usize::try_from(u32::from_be_bytes(*length)).unwrap())
    }

    /// All messages up to and including the first of this type.
    pub(crate) fn receive_until(&mut self, kind: u16) -> Vec<Message> {
        let mut messages = Vec::new();
        while messages.last().is_none_or(|last: &Message| last.kind != kind) {
            messages.push(self.receive().unwrap_or_else(|| panic!("closed after {messages:?}")));
        }
        messages
    }

    /// Receives the successor's first message.
    pub(crate) fn expect_hello(&mut self) {
        let hello = self.receive().unwrap();
        assert_eq!((hello.version, hello.kind), (1, HELLO));
        assert!(hello.octets.starts_with(b"version "), "{hello:?}");
    }

    /// Waits until the daemon has closed the connection.
    pub(crate) fn read_to_end(mut self) {
        let mut rest = Vec::new();
        // A reset ends the connection as well.
        self.stream.read_to_end(&mut rest).ok();
    }

    /// Receives the successor's first message and replies.
    pub(crate) fn welcome(&mut self) {
        self.expect_hello();
        self.send(WELCOME, b"version 1.0.0\n");
    }

    /// Ends the offer, without cache entries, and lets the successor take over.
    pub(crate) fn complete_offer(mut self) {
        self.send(OFFERED, b"");
        self.send(ENTRIES_END, b"");
        assert_eq!(self.receive().unwrap().kind, TAKEN);
        self.send(STOPPED, b"");
        self.read_to_end();
    }
}
