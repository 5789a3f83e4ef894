//! Decoded messages do not depend on the chunks of the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::frame::FrameDecoder;

fn messages(stream: &[u8], chunk: usize) -> (Vec<Vec<u8>>, bool) {
    let mut decoder = FrameDecoder::default();
    let mut messages = Vec::new();
    for octets in stream.chunks(chunk) {
        decoder.extend(octets);
        while let Some(message) = decoder.next_message() {
            messages.push(message.to_vec());
        }
    }
    (messages, decoder.is_partial())
}

fuzz_target!(|input: &[u8]| {
    let Some((chunk, stream)) = input.split_first() else {
        return;
    };
    let whole = messages(stream, stream.len().max(1));
    assert_eq!(messages(stream, usize::from(*chunk) + 1), whole);
    let (messages, is_partial) = whole;
    let consumed: usize = messages.iter().map(|message| 2 + message.len()).sum();
    assert!(messages.iter().all(|message| !message.is_empty()));
    assert!(is_partial || consumed <= stream.len() && (stream.len() - consumed).is_multiple_of(2));
});
