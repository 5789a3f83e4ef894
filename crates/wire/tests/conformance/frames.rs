//! Length-prefixed frames on TCP (RFC 1035 section 4.2.2).

use wire::frame::{self, FrameDecoder};

#[test]
fn push_prepends_the_length() {
    let mut out = vec![9];
    assert!(frame::push(&[1, 2, 3], &mut out));
    assert_eq!(out, [9, 0, 3, 1, 2, 3]);
    assert!(frame::push(&vec![7; 65535], &mut out));
    assert_eq!(out.len(), 6 + 2 + 65535);
    assert!(!frame::push(&vec![7; 65536], &mut out));
    assert_eq!(out.len(), 6 + 2 + 65535);
}

#[test]
fn next_message_skips_empty_frames() {
    let mut decoder = FrameDecoder::default();
    decoder.extend(&[0, 0, 0, 0, 0, 1, 7, 0, 0]);
    assert_eq!(decoder.next_message(), Some(&[7][..]));
    assert_eq!(decoder.next_message(), None);
    assert!(!decoder.is_partial());
}

#[test]
fn next_frame_returns_empty_frames() {
    let mut decoder = FrameDecoder::default();
    decoder.extend(&[0, 0, 0, 1, 7, 0]);
    assert_eq!(decoder.buffered_len(), 6);
    assert_eq!(decoder.next_frame(), Some(&[][..]));
    assert_eq!(decoder.next_frame(), Some(&[7][..]));
    assert_eq!(decoder.next_frame(), None);
    assert_eq!(decoder.buffered_len(), 1);
}

#[test]
fn is_partial_reports_an_incomplete_frame() {
    let mut decoder = FrameDecoder::default();
    assert!(!decoder.is_partial());
    for (octet, partial) in [(0, true), (2, true), (8, true), (9, false)] {
        decoder.extend(&[octet]);
        assert_eq!(decoder.is_partial(), partial, "after {octet}");
    }
    decoder.extend(&[0]);
    assert!(decoder.is_partial(), "half a prefix after a complete message");
    assert_eq!(decoder.next_message(), Some(&[8, 9][..]));
    assert!(decoder.is_partial());
}
