//! What holds for every message: generated, damaged, captured, or noise.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that meets the unexpected fails, and generated sizes are small"
)]

mod agreement;
mod answers;
mod frames;
mod generate;
mod opinion;
#[path = "../clauses/packets.rs"]
mod packets;

use proptest::prelude::*;
use proptest::sample::select;

/// That many cases, or `PROPTEST_CASES`. What fails is printed whole and belongs into a test of its own, not into
/// a file of seeds.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The captured queries or answers.
fn captured(kind: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let packets = packets::packets().into_iter().filter(|(file, ..)| file.starts_with(kind));
    select(packets.map(|(.., packet)| packet).collect::<Vec<_>>())
}

/// What may come from a client.
fn from_client() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![generate::query(), captured("query")];
    prop_oneof![8 => generate::damaged(whole), 1 => generate::noise(), 1 => from_upstream()]
}

/// What may come from an upstream.
fn from_upstream() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![generate::response(), captured("answer")];
    prop_oneof![8 => generate::damaged(whole), 1 => generate::noise()]
}
