//! Decoded messages do not depend on the chunks of the stream, are those that a plain reader finds, and
//! are framed again to the same octets. The first octet is the length of a chunk less one; its upper bit
//! frees memory between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::frame::{self, FrameDecoder};

/// The messages, whether the stream ends within one, and the octets that are left.
type Decoded = (Vec<Vec<u8>>, bool, usize);

fn decode(stream: &[u8], chunk: usize, shrinks: bool) -> Decoded {
    let mut decoder = FrameDecoder::default();
    let mut messages = Vec::new();
    for octets in stream.chunks(chunk) {
        decoder.extend(octets);
        while let Some(message) = decoder.next_message() {
            messages.push(message.to_vec());
        }
        if shrinks {
            decoder.shrink();
        }
        assert!(decoder.buffered_len() <= 2 + usize::from(u16::MAX), "more than one frame is buffered");
    }
    (messages, decoder.is_partial(), decoder.buffered_len())
}

/// As RFC 1035 section 4.2.2 has it.
fn plain(mut stream: &[u8]) -> Decoded {
    let mut messages = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk() {
        let Some((message, rest)) = rest.split_at_checked(u16::from_be_bytes(*length).into()) else { break };
        messages.push(message.to_vec());
        stream = rest;
    }
    messages.retain(|message| !message.is_empty());
    (messages, !stream.is_empty(), stream.len())
}

fuzz_target!(|input: &[u8]| {
    let Some((first, stream)) = input.split_first() else {
        return;
    };
    let expected = plain(stream);
    let (chunk, shrinks) = (usize::from(first & 0x7f) + 1, first & 0x80 != 0);
    assert_eq!(decode(stream, chunk, shrinks), expected);
    assert_eq!(decode(stream, stream.len().max(1), shrinks), expected);
    let mut framed = Vec::new();
    assert!(expected.0.iter().all(|message| frame::push(message, &mut framed)));
    assert_eq!(plain(&framed), (expected.0, false, 0));
});
