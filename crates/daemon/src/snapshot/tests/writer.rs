//! The writer thread.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::fixture::{CachedHost, TestDirectory};
use crate::clock;
use crate::metrics::ProcessCounters;
use crate::snapshot::file::{NAME, UNFINISHED};
use crate::snapshot::{FinalWrite, SnapshotWriter};

/// For a thread to be scheduled on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Waits until `done`.
fn wait(mut done: impl FnMut() -> bool) {
    let end = clock::now() + TIMEOUT;
    while !done() {
        assert!(clock::now() < end, "waited for too long");
        std::thread::yield_now();
    }
}

fn start_writer(
    directory: &TestDirectory,
    host: &CachedHost,
    delay: Duration,
) -> (SnapshotWriter, Arc<ProcessCounters>) {
    let counters = Arc::<ProcessCounters>::default();
    let (cache, counted) = (Arc::clone(&host.cache), Arc::clone(&counters));
    let writer = SnapshotWriter::start(directory.snapshot(), delay, cache, host.blocks(), counted);
    (writer.unwrap(), counters)
}

#[test]
fn a_snapshot_is_written_only_after_insertions() {
    let (directory, delay) = (TestDirectory::new(), Duration::from_millis(1));
    let mut host = CachedHost::new(3);
    let (mut writer, counters) = start_writer(&directory, &host, delay);
    for (number, name) in (1..).zip(["a.example", "b.example"]) {
        writer.check_cache();
        host.cache_answer(name, 1);
        writer.check_cache();
        wait(|| counters.snapshots.written.get() == number);
    }
    assert_eq!(CachedHost::new(0).load(&directory.snapshot()).unwrap().summary.imported, 2);
    // After a reload the block has another fingerprint.
    writer.set_blocks(vec![("changed".to_owned(), host.block)]);
    wait(|| counters.snapshots.written.get() == 3);
    assert_eq!(CachedHost::new(0).load(&directory.snapshot()).unwrap().summary.unknown_block, 2);
    writer.stop(FinalWrite::Skip);
    assert_eq!((counters.snapshots.written.get(), counters.snapshots.failed.get()), (3, 0));
    assert_eq!(directory.names(), [NAME]);
}

#[test]
fn the_final_write_is_optional() {
    let (directory, hour) = (TestDirectory::new(), Duration::from_secs(3600));
    let host = CachedHost::with_entries(&["a.example"]);
    drop(start_writer(&directory, &host, hour));
    start_writer(&directory, &host, hour).0.stop(FinalWrite::Skip);
    assert!(directory.names().is_empty());
    start_writer(&directory, &host, hour).0.stop(FinalWrite::Write);
    assert_eq!(CachedHost::new(0).load(&directory.snapshot()).unwrap().summary.imported, 1);
    directory.snapshot().remove().unwrap();
    assert!(directory.names().is_empty());
}

#[test]
fn entries_beyond_the_size_limit_are_counted() {
    let (directory, counters) = (TestDirectory::new(), Arc::<ProcessCounters>::default());
    let host = CachedHost::with_entries(&["a.example", "b.example"]);
    let (snapshot, hour) = (directory.snapshot().with_limit(1), Duration::from_secs(3600));
    let (cache, counted) = (Arc::clone(&host.cache), Arc::clone(&counters));
    SnapshotWriter::start(snapshot, hour, cache, host.blocks(), counted).unwrap().stop(FinalWrite::Write);
    assert_eq!((counters.snapshots.written.get(), counters.omitted.snapshot.get()), (1, 2));
}

#[test]
fn failed_writes_are_counted_and_retried() {
    let directory = TestDirectory::new();
    let host = CachedHost::with_entries(&["a.example"]);
    fs::create_dir(directory.path.join(UNFINISHED)).unwrap();
    let (mut writer, counters) = start_writer(&directory, &host, Duration::from_millis(1));
    writer.check_cache();
    wait(|| counters.snapshots.failed.get() > 1);
    assert_eq!(counters.snapshots.written.get(), 0);
    fs::remove_dir(directory.path.join(UNFINISHED)).unwrap();
    wait(|| counters.snapshots.written.get() == 1);
    writer.stop(FinalWrite::Skip);
}
