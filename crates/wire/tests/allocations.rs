//! Allocation counts: parsing a query and writing an answer or an error into a warm buffer allocate
//! nothing.
#![expect(unsafe_code, reason = "a counting allocator implements an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use wire::answer::{ResponseOptions, ResponseTtl};
use wire::edns::{ExtendedError, Keepalive, OptRecord};
use wire::frame::{self, FrameDecoder};
use wire::header::Rcode;
use wire::name::NameBuffer;
use wire::query::OutgoingQuery;
use wire::{Answer, Query, Response, reply};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system allocator with a counter per thread.
struct Counting;

// SAFETY: every call is forwarded unchanged to the system allocator, which upholds the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `alloc` above with this layout, so from the system allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as for `dealloc`; the caller guarantees `size`.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

const QUERY: &[u8] = b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\x01\x03WWW\x07eXample\x04test\0\0\x01\0\x01\
    \0\0\x29\x04\xd0\0\0\x80\0\0\x0c\0\x0a\0\x08\x01\x02\x03\x04\x05\x06\x07\x08";

/// Sixty addresses, more than fit into 512 octets.
fn response() -> Vec<u8> {
    let mut packet = b"\x43\x21\x81\x80\0\x01\0\x3c\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01".to_vec();
    packet.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\xc0\0\x02\x01".repeat(60));
    packet
}

#[test]
fn a_cache_hit_does_not_allocate() {
    let packet = response();
    let answer = Answer::from_response(&Response::parse(&packet).unwrap());
    let mut out = Vec::with_capacity(4096);
    let hit = allocations(|| {
        for (ttl, limit) in [(ResponseTtl::Uniform(29), 1232), (ResponseTtl::AsReceived, 512)] {
            let mut buffer = NameBuffer::new();
            let query = Query::parse(QUERY, &mut buffer).unwrap();
            answer.write(&query.header, ResponseOptions::new(ttl, limit), &mut out);
        }
    });
    assert_eq!(hit, 0);
    assert!(out.len() > 1400, "both responses are written");
}

#[test]
fn error_responses_and_queries_do_not_allocate() {
    let mut out = Vec::with_capacity(4096);
    let made = allocations(|| {
        let mut buffer = NameBuffer::new();
        let query = Query::parse(QUERY, &mut buffer).unwrap();
        let opt = OptRecord {
            error: Some(ExtendedError::CACHED_ERROR),
            keepalive: Some(Keepalive(100)),
            ..OptRecord::DEFAULT
        };
        reply::error(&query.header, Rcode::SERVFAIL, opt, &mut out);
        let id = query.header.id;
        let question = query.header.question;
        let outgoing = OutgoingQuery {
            id,
            question,
            recursion_desired: true,
            checking_disabled: false,
            edns: true,
            dnssec_ok: true,
            udp_size: 1232,
            options: &[],
        };
        outgoing.write(&mut out);
        for broken in [&QUERY[..20], &QUERY[..11], b"\0\0\x28\0\0\x01\0\0\0\0\0\0"] {
            let rejection = Query::parse(broken, &mut NameBuffer::new()).unwrap_err();
            reply::rejection(broken, rejection, &mut out);
        }
    });
    assert_eq!(made, 0);
    assert_eq!(out.len(), 57 + 45 + 12 + 12, "all are written");
}

#[test]
fn a_warm_frame_decoder_does_not_allocate() {
    let mut frames = FrameDecoder::default();
    let mut out = Vec::with_capacity(4096);
    frames.extend(&[0; 1024]);
    assert!(frames.next_message().is_none());
    let streamed = allocations(|| {
        for _ in 0..100 {
            out.clear();
            assert!(frame::push(QUERY, &mut out));
            let (first, second) = out.split_at(7);
            frames.extend(first);
            assert!(frames.next_message().is_none());
            frames.extend(second);
            assert_eq!(frames.next_message(), Some(QUERY));
        }
    });
    assert_eq!(streamed, 0);
}

/// The start of the next message may follow.
#[test]
fn a_frame_decoder_frees_a_long_message() {
    let mut message = Vec::new();
    assert!(frame::push(&[0; 60_000], &mut message));
    let mut decoder = FrameDecoder::default();
    decoder.extend(&message);
    decoder.extend(&[0]);
    assert!(decoder.next_frame().is_some());
    assert_eq!(allocations(|| decoder.extend(&[1, 7])), 0, "there is space");
    decoder.shrink();
    assert_eq!(decoder.next_frame(), Some(&[7][..]));
    assert!(allocations(|| decoder.extend(&[0; 20_000])) > 0, "its memory is not freed");
}

#[test]
fn the_allocator_counts_allocations() {
    assert_eq!(allocations(|| drop(vec![1_u8; 100])), 1);
}
