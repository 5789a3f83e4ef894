//! Snapshots of the cache, for an instance that starts after a crash.
//!
//! The file is in memory (`/run`), written a few seconds after insertions and replaced atomically. Its content
//! is not trusted: it is read only if it is a regular file of our user that nobody else may write,
//! with a valid checksum, of this boot and a few minutes old at most; and every entry is validated
//! as if it came from an upstream.

mod file;
mod format;
mod host_state;
mod load_error;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

pub(crate) use file::FILES;
pub use file::{Loaded, Snapshot, Written, blocks};
pub use load_error::LoadError;
pub use writer::{DELAY, FinalWrite, SnapshotWriter};
