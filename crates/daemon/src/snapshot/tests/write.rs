//! Writing a snapshot: size, failures, and what remains in the directory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;

use super::fixture::{CachedHost, TestDirectory};
use crate::snapshot::Snapshot;
use crate::snapshot::file::{MAX_ENTRIES_LEN, NAME, UNFINISHED};
use crate::snapshot::format::{CHECKSUM_LEN, MAX_HEADER_LEN};

#[test]
fn remove_deletes_the_file() {
    let directory = TestDirectory::new();
    CachedHost::with_entries(&["a.example"]).write(&directory.snapshot()).unwrap();
    directory.snapshot().remove().unwrap();
    assert!(directory.names().is_empty());
}

#[test]
fn the_size_is_bounded_and_popular_entries_come_first() {
    let directory = TestDirectory::new();
    let snapshot = directory.snapshot();
    let mut old = CachedHost::new(3);
    for number in 0..180 {
        old.cache_answer(&format!("n{number}.example"), 4000);
    }
    assert!(old.cached_answer("n7.example").is_some());
    let written = old.write(&snapshot).unwrap();
    let max_len = (MAX_ENTRIES_LEN + MAX_HEADER_LEN + CHECKSUM_LEN) as u64;
    assert!((max_len - 200_000..=max_len).contains(&written.octets), "{written:?}");
    assert_eq!(written.entries + written.omitted, 180);
    let mut new = CachedHost::new(0);
    assert_eq!(new.load(&snapshot).unwrap().summary.imported, written.entries);
    assert!(new.cached_answer("n7.example").is_some());
}

#[test]
fn a_failed_write_leaves_the_previous_file() {
    let directory = TestDirectory::new();
    let snapshot = directory.snapshot();
    let old = CachedHost::with_entries(&["a.example"]);
    old.write(&snapshot).unwrap();
    let before = fs::read(snapshot.path()).unwrap();
    let unfinished = directory.path.join(UNFINISHED);

    // Root can write every file, but not a directory.
    fs::create_dir(&unfinished).unwrap();
    old.write(&snapshot).unwrap_err();
    fs::remove_dir(&unfinished).unwrap();
    symlink("/nonexistent/elsewhere", &unfinished).unwrap();
    old.write(&snapshot).unwrap_err();
    fs::remove_file(&unfinished).unwrap();

    let other = File::create(&unfinished).unwrap();
    other.lock().unwrap();
    assert_eq!(old.write(&snapshot).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(other);
    assert_eq!(fs::read(snapshot.path()).unwrap(), before);

    // The partial file of a process that crashed while writing is overwritten.
    fs::write(&unfinished, b"half of something").unwrap();
    old.write(&snapshot).unwrap();
    assert_eq!(directory.names(), [NAME]);
    assert_eq!(CachedHost::new(0).load(&snapshot).unwrap().summary.imported, 1);
    CachedHost::new(0).write(&Snapshot::new(&directory.path.join("none"))).unwrap_err();
}

#[test]
fn a_file_that_cannot_be_renamed_is_removed() {
    let directory = TestDirectory::new();
    let snapshot = directory.snapshot();
    fs::create_dir(snapshot.path()).unwrap();
    CachedHost::with_entries(&["a.example"]).write(&snapshot).unwrap_err();
    assert_eq!(directory.names(), [NAME]);
}
