//! Messages on a stream come out as they went in, however the stream cuts them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use wire::frame::{self, FrameDecoder};

use crate::cases;

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn any_chunking_yields_the_same_messages(
        messages in vec(vec(any::<u8>(), 0..300), 0..20),
        cuts in vec(any::<Index>(), 0..40),
        patience in 1..5_usize,
    ) {
        let mut stream = Vec::new();
        for message in &messages {
            prop_assert!(frame::push(message, &mut stream));
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut frames = FrameDecoder::default();
        let mut got = Vec::new();
        for cut in cuts.windows(2) {
            frames.extend(&stream[cut[0]..cut[1]]);
            // Some readers leave whole messages behind before they read on.
            for _ in 0..patience {
                got.extend(frames.next_message().map(<[u8]>::to_vec));
            }
        }
        while let Some(message) = frames.next_message() {
            got.push(message.to_vec());
        }
        let messages: Vec<_> = messages.into_iter().filter(|message| !message.is_empty()).collect();
        prop_assert_eq!(got, messages);
        prop_assert!(!frames.is_partial());
    }

    #[test]
    fn a_stream_of_anything_keeps_no_more_than_one_message(octets in vec(any::<u8>(), 0..2000)) {
        let mut frames = FrameDecoder::default();
        let mut left = &octets[..];
        for octet in &octets {
            frames.extend(std::slice::from_ref(octet));
            while let Some(message) = frames.next_message() {
                let message = message.to_vec();
                while left[..2] == [0, 0] {
                    left = &left[2..];
                }
                let len = usize::from(u16::from_be_bytes([left[0], left[1]]));
                prop_assert_eq!(&message[..], &left[2..2 + len]);
                left = &left[2 + len..];
            }
        }
    }
}
