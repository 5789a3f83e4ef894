//! Framing: decoded messages do not depend on the chunks of the stream.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use wire::frame::{self, FrameDecoder};

use crate::cases;

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn messages_do_not_depend_on_the_chunks_of_the_stream(
        messages in vec(vec(any::<u8>(), 0..300), 0..20),
        boundaries in vec(any::<Index>(), 0..40),
        reads_per_chunk in 1..5_usize,
    ) {
        let mut stream = Vec::new();
        for message in &messages {
            prop_assert!(frame::push(message, &mut stream));
        }
        let mut boundaries: Vec<_> = boundaries.iter().map(|boundary| boundary.index(stream.len() + 1)).collect();
        boundaries.extend([0, stream.len()]);
        boundaries.sort_unstable();
        let mut decoder = FrameDecoder::default();
        let mut decoded = Vec::new();
        for boundary in boundaries.windows(2) {
            decoder.extend(&stream[boundary[0]..boundary[1]]);
            // Some readers leave complete messages buffered before they read on.
            for _ in 0..reads_per_chunk {
                decoded.extend(decoder.next_message().map(<[u8]>::to_vec));
            }
        }
        while let Some(message) = decoder.next_message() {
            decoded.push(message.to_vec());
        }
        let messages: Vec<_> = messages.into_iter().filter(|message| !message.is_empty()).collect();
        prop_assert_eq!(decoded, messages);
        prop_assert!(!decoder.is_partial());
    }

    #[test]
    fn arbitrary_streams_yield_each_message_once_complete(octets in vec(any::<u8>(), 0..2000)) {
        let mut decoder = FrameDecoder::default();
        let mut rest = &octets[..];
        for octet in &octets {
            decoder.extend(std::slice::from_ref(octet));
            while let Some(message) = decoder.next_message() {
                let message = message.to_vec();
                while rest[..2] == [0, 0] {
                    rest = &rest[2..];
                }
                let len = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                prop_assert_eq!(&message[..], &rest[2..2 + len]);
                rest = &rest[2 + len..];
            }
        }
    }
}
