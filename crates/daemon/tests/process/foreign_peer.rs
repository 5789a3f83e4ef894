//! The other side of a hand-over, played by hand: what it says may be anything.
//!
//! It knows messages by their description alone: `nldh`, version and kind in two octets each, the length of what follows
//! in four, all in network order. The descriptor of a socket travels with the octets of its message.

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
pub(crate) const PACKED: u16 = 7;
pub(crate) const TAKEN: u16 = 8;
pub(crate) const STOPPED: u16 = 9;
pub(crate) const RETURNED: u16 = 10;
pub(crate) const RESUMED: u16 = 11;
pub(crate) const ASKED: u16 = 13;
pub(crate) const STATUS: u16 = 14;

/// The socket of the instance in service.
pub(crate) const SOCKET_FILE: &str = "handover.sock";

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) version: u16,
    pub(crate) kind: u16,
    pub(crate) octets: Vec<u8>,
    pub(crate) descriptor: Option<OwnedFd>,
}

/// The octets of a message.
pub(crate) fn letter(version: u16, kind: u16, octets: &[u8]) -> Vec<u8> {
    let length = u32::try_from(octets.len()).unwrap().to_be_bytes();
    [b"nldh", version.to_be_bytes().as_slice(), &kind.to_be_bytes(), &length, octets].concat()
}

/// One end of a connection.
pub(crate) struct Stranger {
    stream: UnixStream,
    heard: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

/// Has a stranger wait where an instance in service would, for one that starts.
pub(crate) fn pose(node: &Node, conduct: impl FnOnce(Stranger) + Send + 'static) -> JoinHandle<()> {
    let listener = UnixListener::bind(node.directory.join(SOCKET_FILE)).unwrap();
    let play = move || {
        let (stream, _) = listener.accept().unwrap();
        conduct(Stranger::at(stream));
    };
    Builder::new().name("stranger".to_owned()).spawn(play).unwrap()
}

impl Stranger {
    fn at(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
        stream.set_write_timeout(Some(WAIT_LIMIT)).unwrap();
        Self { stream, heard: Vec::new(), descriptors: VecDeque::new() }
    }

    /// One who comes to the instance in service.
    pub(crate) fn visit(node: &Node) -> Self {
        Self::at(UnixStream::connect(node.directory.join(SOCKET_FILE)).unwrap())
    }

    /// One who comes as a successor does, and is given everything.
    pub(crate) fn claim(node: &Node) -> (Self, Vec<Letter>) {
        let mut stranger = Self::visit(node);
        stranger.say(HELLO, b"version 9.9.9\n");
        let given = stranger.hear_until(PACKED);
        (stranger, given)
    }

    pub(crate) fn say(&mut self, kind: u16, octets: &[u8]) {
        self.utter(&letter(1, kind, octets));
    }

    /// Sends octets as they are. The other side may have closed by now.
    pub(crate) fn utter(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap_or_default();
    }

    /// Passes descriptors with a description of one.
    pub(crate) fn pass(&mut self, text: &str, descriptors: &[BorrowedFd<'_>]) {
        let message = letter(1, SOCKET, text.as_bytes());
        let Ok(sent) = linux::scm_rights::send(self.stream.as_fd(), &message, descriptors) else { return };
        assert_eq!(sent, message.len());
    }

    /// The next message; nothing when the other side has closed.
    pub(crate) fn hear(&mut self) -> Option<Letter> {
        while self.message_len().is_none_or(|length| self.heard.len() < length) {
            let (mut octets, mut descriptors) = (vec![0; 4096], Vec::new());
            let received = linux::scm_rights::receive(self.stream.as_fd(), &mut octets, &mut descriptors);
            self.descriptors.extend(descriptors);
            match received.unwrap_or_else(|error| panic!("no message within {WAIT_LIMIT:?}: {error}")) {
                0 => return None,
                received => self.heard.extend(&octets[..received]),
            }
        }
        let message: Vec<u8> = self.heard.drain(..self.message_len().unwrap()).collect();
        assert_eq!(message[..4], *b"nldh");
        let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        let descriptor = if number(6) == SOCKET { self.descriptors.pop_front() } else { None };
        Some(Letter { version: number(4), kind: number(6), octets: message[12..].to_vec(), descriptor })
    }

    fn message_len(&self) -> Option<usize> {
        let length = self.heard.get(8..12)?.first_chunk()?;
        Some(12 + usize::try_from(u32::from_be_bytes(*length)).unwrap())
    }

    /// All messages until one of this kind, which is the last.
    pub(crate) fn hear_until(&mut self, kind: u16) -> Vec<Letter> {
        let mut letters = Vec::new();
        while letters.last().is_none_or(|last: &Letter| last.kind != kind) {
            letters.push(self.hear().unwrap_or_else(|| panic!("closed after {letters:?}")));
        }
        letters
    }

    /// Hears one that starts say who it is.
    pub(crate) fn is_greeted(&mut self) {
        let hello = self.hear().unwrap();
        assert_eq!((hello.version, hello.kind), (1, HELLO));
        assert!(hello.octets.starts_with(b"version "), "{hello:?}");
    }

    /// Waits until the other side has closed, and says no more.
    pub(crate) fn hears_out(mut self) {
        let mut rest = Vec::new();
        // A reset is an end as well.
        self.stream.read_to_end(&mut rest).unwrap_or_default();
    }
}
