use wire::frame::{self, FrameDecoder};

#[test]
fn a_message_goes_out_with_its_length_in_front() {
    let mut out = vec![9];
    assert!(frame::push(&[1, 2, 3], &mut out));
    assert_eq!(out, [9, 0, 3, 1, 2, 3]);
    assert!(frame::push(&vec![7; 65535], &mut out));
    assert_eq!(out.len(), 6 + 2 + 65535);
    assert!(!frame::push(&vec![7; 65536], &mut out));
    assert_eq!(out.len(), 6 + 2 + 65535);
}

#[test]
fn a_length_of_0_holds_no_message() {
    let mut frames = FrameDecoder::default();
    frames.extend(&[0, 0, 0, 0, 0, 1, 7, 0, 0]);
    assert_eq!(frames.next_message(), Some(&[7][..]));
    assert_eq!(frames.next_message(), None);
    assert!(!frames.is_partial());
}

#[test]
fn who_looks_at_every_frame_sees_a_length_of_0() {
    let mut frames = FrameDecoder::default();
    frames.extend(&[0, 0, 0, 1, 7, 0]);
    assert_eq!(frames.buffered_len(), 6);
    assert_eq!(frames.next_frame(), Some(&[][..]));
    assert_eq!(frames.next_frame(), Some(&[7][..]));
    assert_eq!(frames.next_frame(), None);
    assert_eq!(frames.buffered_len(), 1);
}

#[test]
fn a_part_of_a_message_is_partial_and_whole_ones_are_not() {
    let mut frames = FrameDecoder::default();
    assert!(!frames.is_partial());
    for (octet, partial) in [(0, true), (2, true), (8, true), (9, false)] {
        frames.extend(&[octet]);
        assert_eq!(frames.is_partial(), partial, "after {octet}");
    }
    frames.extend(&[0]);
    assert!(frames.is_partial(), "half a prefix behind a whole message");
    assert_eq!(frames.next_message(), Some(&[8, 9][..]));
    assert!(frames.is_partial());
}
