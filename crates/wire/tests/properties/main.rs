//! Property tests over generated, mutated, captured and random messages.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and generated sizes are small"
)]

mod answers;
mod frames;
mod generators;
#[path = "../conformance/packets.rs"]
mod packets;
mod parsing;
mod reference;

use proptest::prelude::*;
use proptest::sample::select;

/// The number of cases, unless `PROPTEST_CASES` is set. A failing case is printed and belongs in a
/// test of its own, not in a file of seeds.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The captured queries or responses.
fn captured(kind: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let packets = packets::packets().into_iter().filter(|(file, ..)| file.starts_with(kind));
    select(packets.map(|(.., packet)| packet).collect::<Vec<_>>())
}

/// Packets from clients.
fn from_client() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![generators::query(), captured("query")];
    prop_oneof![8 => generators::mutated(whole), 1 => generators::noise(), 1 => from_upstream()]
}

/// Packets from upstreams.
fn from_upstream() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![generators::response(), captured("response")];
    prop_oneof![8 => generators::mutated(whole), 1 => generators::noise()]
}
