//! Messages of the hand-over protocol are what a plain reader finds in the octets, however these are
//! split; others are rejected; what is written is read again, and so are the contents that a client and a
//! server read. The first two octets choose the number of descriptors, the pieces and a length.
#![no_main]

#[path = "../../src/handover/contents.rs"]
mod contents;
#[path = "../../src/handover/message.rs"]
mod message;
#[path = "../../src/handover/status.rs"]
mod status;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use contents::{SocketDescription, Welcome};
use libfuzzer_sys::fuzz_target;
use message::{HEADER_LEN, MAX_MESSAGE_LEN, MessageError, MessageReader, MessageType};
use status::InstanceStatus;

const KINDS: [MessageType; 14] = [
    MessageType::HELLO,
    MessageType::WELCOME,
    MessageType::SOCKET,
    MessageType::BLOCK,
    MessageType::OFFERED,
    MessageType::ENTRIES,
    MessageType::ENTRIES_END,
    MessageType::TAKEN,
    MessageType::STOPPED,
    MessageType::RETURNED,
    MessageType::RESUMED,
    MessageType::DISMISSED,
    MessageType::STATUS_REQUEST,
    MessageType::STATUS,
];
/// Type of a message with a descriptor.
const SOCKET: [u8; 2] = [0, 3];

fn descriptors(count: usize) -> Vec<OwnedFd> {
    static NULL: OnceLock<File> = OnceLock::new();
    let null = NULL.get_or_init(|| File::open("/dev/null").unwrap());
    (0..count).map(|_| null.try_clone().unwrap().into()).collect()
}

/// Messages with their headers, and the error after them.
type Messages = (Vec<Vec<u8>>, Option<MessageError>);

/// What a plain reader finds, with so many descriptors.
fn expected(mut octets: &[u8], mut descriptors: usize) -> Messages {
    let mut messages = Vec::new();
    let error = loop {
        let Some(([b'n', b'l', b'd', b'h', version @ .., k0, k1, l0, l1, l2, l3], rest)) =
            octets.split_first_chunk::<HEADER_LEN>()
        else {
            break (octets.len() >= HEADER_LEN).then_some(MessageError::NotThisProtocol);
        };
        if *version != [0, 1] {
            break Some(MessageError::Version(u16::from_be_bytes(*version)));
        }
        let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
        if length > MAX_MESSAGE_LEN {
            break Some(MessageError::TooLong(length));
        }
        if length > rest.len() {
            break None;
        }
        if [*k0, *k1] == SOCKET {
            let Some(left) = descriptors.checked_sub(1) else { break Some(MessageError::Descriptors) };
            descriptors = left;
        }
        let message;
        (message, octets) = octets.split_at(HEADER_LEN + length);
        messages.push(message.to_vec());
    };
    (messages, error)
}

/// What is read of octets that arrive in pieces, the descriptors with the first one.
fn read(octets: &[u8], piece: usize, mut descriptors: Vec<OwnedFd>) -> Messages {
    let (mut reader, mut messages, mut unread) = (MessageReader::default(), Vec::new(), 0);
    for piece in octets.chunks(piece) {
        reader.add(piece, std::mem::take(&mut descriptors)).unwrap();
        unread += piece.len();
        loop {
            match reader.next_message() {
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
                Ok(Some(message)) => {
                    assert_eq!(message.descriptor.is_some(), message.kind == MessageType::SOCKET);
                    check_content(message.kind, &message.octets);
                    let again = message::encode(message.kind, &message.octets).unwrap();
                    unread -= again.len();
                    messages.push(again);
                }
            }
        }
        assert!(unread < HEADER_LEN + MAX_MESSAGE_LEN, "{unread} octets wait for the end of a message");
    }
    (messages, None)
}

/// What client and server read of a message is the same when it is written and read again.
fn check_content(kind: MessageType, octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    match kind {
        MessageType::HELLO => {
            let version = contents::one_line(&text);
            assert!(version.chars().count() <= 100 && !version.chars().any(char::is_control));
            assert_eq!(contents::one_line(&contents::hello()), contents::hello().trim());
        }
        MessageType::WELCOME => {
            let welcome = Welcome::parse(octets);
            assert!(welcome.addresses.len() <= text.lines().count());
            let version = welcome.version.trim().to_owned();
            assert_eq!(Welcome::parse(welcome.to_lines().as_bytes()), Welcome { version, ..welcome });
        }
        MessageType::BLOCK => match contents::parse_block(octets) {
            Some((number, fingerprint)) => {
                let again = contents::block(number, &fingerprint);
                assert_eq!(contents::parse_block(&again), Some((number, fingerprint)));
            }
            None => assert!(octets.len() < 2),
        },
        MessageType::SOCKET => match text.parse::<SocketDescription>() {
            Ok(description) => assert_eq!(description.to_string().parse(), Ok(description)),
            Err(reason) => assert!(!reason.is_empty()),
        },
        MessageType::STATUS => check_status(&text),
        _ => {}
    }
}

fn check_status(text: &str) {
    let (mut status, mut again) = (InstanceStatus::default(), InstanceStatus::default());
    status.parse(text);
    let entries = status.unmet.len() + status.addresses.len();
    assert!(status.has_answered && entries <= text.lines().count());
    again.parse(&status.to_lines());
    // A line never ends in it.
    if !text.contains('\r') {
        assert_eq!(again, status);
    }
}

/// Messages that are written are read again.
fn check_written(octets: &[u8], piece: usize) {
    let (mut written, mut messages, mut sockets) = (Vec::new(), Vec::new(), 0);
    for content in octets.chunks(17).take(8) {
        let kind = KINDS[usize::from(content[0]) % KINDS.len()];
        sockets += usize::from(kind == MessageType::SOCKET);
        let message = message::encode(kind, &content[1..]).unwrap();
        written.extend_from_slice(&message);
        messages.push(message);
    }
    assert_eq!(read(&written, piece, descriptors(sockets)), (messages, None));
}

/// And so is the longest one; a longer one is not written.
fn check_longest(excess: usize) {
    let content = vec![0x5a; MAX_MESSAGE_LEN - 2 + excess];
    match message::encode(MessageType::ENTRIES, &content) {
        Ok(message) => assert_eq!(read(&message, message.len() / 3, Vec::new()), (vec![message], None)),
        Err(error) => {
            assert!(excess > 2);
            assert_eq!(error, MessageError::TooLong(content.len()));
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(([options, piece], octets)) = input.split_first_chunk() else { return };
    let (count, piece) = (usize::from(options % 4), usize::from(*piece).max(1));
    let found = expected(octets, count);
    assert_eq!(read(octets, octets.len().max(1), descriptors(count)), found);
    assert_eq!(read(octets, piece, descriptors(count)), found);
    if options & 0xc0 == 0xc0 {
        check_written(octets, piece);
    }
    if *options == 0xff {
        check_longest(piece % 4);
    }
});
