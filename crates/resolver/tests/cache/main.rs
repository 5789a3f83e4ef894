//! The cache through a resolver: eviction, and export and import between processes.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails"
)]

mod corruption;
mod eviction;
mod export_import;
mod message;
mod process;
