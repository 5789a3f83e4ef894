//! A stream yields the same messages whatever its chunks are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::frame::FrameDecoder;

fn messages(stream: &[u8], chunk: usize) -> (Vec<Vec<u8>>, bool) {
    let mut frames = FrameDecoder::default();
    let mut messages = Vec::new();
    for octets in stream.chunks(chunk) {
        frames.extend(octets);
        while let Some(message) = frames.next_message() {
            messages.push(message.to_vec());
        }
    }
    (messages, frames.is_partial())
}

fuzz_target!(|input: &[u8]| {
    let Some((chunk, stream)) = input.split_first() else {
        return;
    };
    let whole = messages(stream, stream.len().max(1));
    assert_eq!(messages(stream, usize::from(*chunk) + 1), whole);
    let (messages, is_partial) = whole;
    let taken: usize = messages.iter().map(|message| 2 + message.len()).sum();
    assert!(messages.iter().all(|message| !message.is_empty()));
    assert!(is_partial || taken <= stream.len() && (stream.len() - taken).is_multiple_of(2));
});
