//! Loading a snapshot: what is imported and what is rejected.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::Duration;

use proptest::prelude::*;
use resolver::cache::ImportSummary;
use sha2::{Digest, Sha256};

use super::fixture::{BLOCK, CachedHost, TestDirectory, load_error};
use crate::snapshot::file::{MAX_AGE, MODE, NAME};
use crate::snapshot::format::CHECKSUM_LEN;
use crate::snapshot::host_state::HostState;
use crate::snapshot::{LoadError, Snapshot};

/// Changes the content of a valid file and adds the matching checksum.
fn forge(snapshot: &Snapshot, change: impl FnOnce(&mut Vec<u8>)) {
    let mut octets = fs::read(snapshot.path()).unwrap();
    octets.truncate(octets.len() - CHECKSUM_LEN);
    change(&mut octets);
    let checksum = Sha256::digest(&octets);
    octets.extend(checksum);
    fs::write(snapshot.path(), octets).unwrap();
}

#[test]
fn entries_are_imported_with_their_remaining_ttl() {
    let directory = TestDirectory::new();
    let snapshot = directory.snapshot();
    let old = CachedHost::with_entries(&["a.example", "b.example"]);
    let written = old.write(&snapshot).unwrap();
    let metadata = fs::metadata(snapshot.path()).unwrap();
    assert_eq!((written.entries, written.octets), (2, metadata.len()));
    assert_eq!(metadata.mode() & 0o7777, MODE);
    assert_eq!(directory.names(), [NAME]);

    let mut new = CachedHost::new(0);
    new.host.since_boot = old.host.since_boot + Duration::from_secs(100);
    let loaded = new.load(&snapshot).unwrap();
    assert_eq!(loaded.summary, ImportSummary { imported: 2, ..ImportSummary::default() });
    assert_eq!(loaded.age, Duration::from_secs(100));
    assert_eq!(new.cached_answer("a.example"), Some((3500, b'a')));
    assert_eq!(new.cached_answer("b.example"), Some((3500, b'b')));
    assert_eq!(new.usage.success(), 2);
}

#[test]
fn boot_id_and_time_of_this_host_are_accepted() {
    let directory = TestDirectory::new();
    let snapshot = directory.snapshot();
    let (old, new) = (CachedHost::with_entries(&["a.example"]), CachedHost::new(0));
    snapshot.write(&old.cache, &old.blocks()).unwrap();
    let loaded = snapshot.load(&new.cache, &new.import_targets()).unwrap();
    assert_eq!(loaded.summary.imported, 1);
    assert_eq!(HostState::now().unwrap().boot_id.len(), 36);
}

#[test]
fn a_missing_file_is_not_found() {
    let directory = TestDirectory::new();
    let new = CachedHost::new(0);
    assert!(matches!(new.load(&directory.snapshot()), Err(LoadError::NotFound)));
    assert!(matches!(new.load(&Snapshot::new(&directory.path.join("none"))), Err(LoadError::NotFound)));
    directory.snapshot().remove().unwrap();
}

#[test]
fn every_corrupt_octet_and_every_truncation_is_rejected() {
    let directory = TestDirectory::new();
    let snapshot = directory.snapshot();
    CachedHost::with_entries(&["a.example"]).write(&snapshot).unwrap();
    let new = CachedHost::new(0);
    let good = fs::read(snapshot.path()).unwrap();
    for at in 0..good.len() {
        let mut octets = good.clone();
        octets[at] ^= 1 << (at % 8);
        fs::write(snapshot.path(), octets).unwrap();
        let refused = new.load(&snapshot).unwrap_err();
        let expected = if at < 10 { "not a snapshot" } else { "checksum" };
        assert!(refused.to_string().contains(expected), "octet {at}: {refused}");
    }
    for len in 0..good.len() {
        fs::write(snapshot.path(), &good[..len]).unwrap();
        assert!(
            matches!(new.load(&snapshot), Err(LoadError::UnknownFormat | LoadError::ChecksumMismatch)),
            "{len} octets"
        );
    }
    assert_eq!(new.cache.weight(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Content with a valid checksum is still validated. Only what a well-formed response says can
    /// be forged, so its one record, which is at the end, is cut off.
    #[test]
    fn forged_content_causes_no_panic_and_no_wrong_answer(
        tail in prop::collection::vec(any::<u8>(), 0..400),
        from in any::<prop::sample::Index>(),
    ) {
        const RECORD: usize = 16;
        let directory = TestDirectory::new();
        let snapshot = directory.snapshot();
        CachedHost::with_entries(&["a.example"]).write(&snapshot).unwrap();
        forge(&snapshot, |octets| {
            octets.truncate(10 + from.index(octets.len() - RECORD - 10));
            octets.extend(&tail);
        });
        let mut new = CachedHost::new(0);
        let taken = new.load(&snapshot).map_or(0, |loaded| loaded.summary.imported);
        prop_assert_eq!(taken, 0);
        prop_assert_eq!(new.cached_answer("a.example"), None);
    }
}

#[test]
fn a_snapshot_of_an_earlier_boot_is_rejected() {
    let directory = TestDirectory::new();
    let snapshot = directory.snapshot();
    CachedHost::with_entries(&["a.example"]).write(&snapshot).unwrap();
    let mut new = CachedHost::new(0);
    new.host.boot_id = "7d4b2b3c-0000-4000-8000-000000000000".to_owned();
    assert_eq!(load_error(new.load(&snapshot)), "it was written before the last boot");
}

#[test]
fn a_snapshot_is_accepted_up_to_ten_minutes_of_age() {
    let directory = TestDirectory::new();
    let snapshot = directory.snapshot();
    let old = CachedHost::with_entries(&["a.example"]);
    old.write(&snapshot).unwrap();
    let mut new = CachedHost::new(0);
    new.host.since_boot = old.host.since_boot + MAX_AGE + Duration::from_nanos(1);
    assert_eq!(load_error(new.load(&snapshot)), "it is 600 s old");
    new.host.since_boot = old.host.since_boot.saturating_sub(Duration::from_nanos(1));
    assert_eq!(load_error(new.load(&snapshot)), "it was written later than now");
    assert_eq!(new.cache.weight(), 0);
    new.host.since_boot = old.host.since_boot + MAX_AGE;
    assert_eq!(new.load(&snapshot).unwrap().summary.imported, 1);
}

#[test]
fn entries_of_unknown_server_blocks_are_skipped() {
    let directory = TestDirectory::new();
    let snapshot = directory.snapshot();
    CachedHost::with_entries(&["a.example"]).write(&snapshot).unwrap();
    let mut new = CachedHost::new(0);
    let target = new.import_targets().remove(BLOCK).unwrap();
    let import_targets =
        HashMap::from([("other".to_owned(), target.clone()), ("a third".to_owned(), target)]);
    let loaded = snapshot.load_at(&new.host, &new.cache, &import_targets).unwrap();
    assert_eq!(loaded.summary, ImportSummary { unknown_block: 1, ..ImportSummary::default() });
    assert_eq!(new.cached_answer("a.example"), None);
}

#[test]
fn only_a_regular_file_is_read() {
    let directory = TestDirectory::new();
    let (snapshot, new) = (directory.snapshot(), CachedHost::new(0));
    let elsewhere = TestDirectory::new();
    CachedHost::with_entries(&["a.example"]).write(&elsewhere.snapshot()).unwrap();
    symlink(elsewhere.snapshot().path(), snapshot.path()).unwrap();
    assert_eq!(load_error(new.load(&snapshot)), "it is not a regular file");
    snapshot.remove().unwrap();
    assert_eq!(elsewhere.names(), [NAME]);
    fs::create_dir(snapshot.path()).unwrap();
    assert_eq!(load_error(new.load(&snapshot)), "it is not a regular file");
    fs::remove_dir(snapshot.path()).unwrap();
    nix::unistd::mkfifo(&snapshot.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(load_error(new.load(&snapshot)), "it is not a regular file");
}

#[test]
fn a_file_that_others_own_or_may_write_is_not_read() {
    let directory = TestDirectory::new();
    let snapshot = directory.snapshot();
    let old = CachedHost::with_entries(&["a.example"]);
    let mut new = CachedHost::new(0);
    for (mode, shown) in [(0o620, "0620"), (0o602, "0602"), (0o666, "0666")] {
        old.write(&snapshot).unwrap();
        fs::set_permissions(snapshot.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(load_error(new.load(&snapshot)), format!("others may write it: its mode is {shown}"));
    }
    old.write(&snapshot).unwrap();
    let uid = new.host.uid;
    new.host.uid = uid + 1;
    assert_eq!(load_error(new.load(&snapshot)), format!("it belongs to user {uid}"));
    new.host.uid = uid;
    assert_eq!(new.load(&snapshot).unwrap().summary.imported, 1);
}

#[test]
fn a_file_longer_than_any_snapshot_is_not_read() {
    let directory = TestDirectory::new();
    let snapshot = directory.snapshot();
    CachedHost::with_entries(&["a.example"]).write(&snapshot).unwrap();
    let file = OpenOptions::new().write(true).open(snapshot.path()).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(
        load_error(CachedHost::new(0).load(&snapshot)),
        "it has 1099511627776 octets, more than a snapshot can have"
    );
}
