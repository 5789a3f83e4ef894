//! A snapshot is read to its parts, which have all of its octets, and one octet changed makes it invalid;
//! what is written is read again. The first two octets choose that change; the checksum is added.
#![no_main]

#[path = "../../src/snapshot/format.rs"]
mod format;
#[expect(dead_code, reason = "of the file, which is not read here")]
#[path = "../../src/snapshot/load_error.rs"]
mod load_error;

/// The part of `snapshot::host_state` that a snapshot has.
mod host_state {
    pub(super) struct HostState {
        pub(super) boot_id: String,
        pub(super) since_boot: std::time::Duration,
    }
}

use std::time::Duration;

use format::{CHECKSUM_LEN, Header, MAX_HEADER_LEN};
use host_state::HostState;
use libfuzzer_sys::fuzz_target;
use load_error::LoadError;
use resolver::policy::BlockId;
use sha2::{Digest, Sha256};

/// Magic, version, length of the boot ID, time and number of blocks.
const FIXED_LEN: usize = 8 + 2 + 1 + 8 + 2;

fn with_checksum(content: &[u8]) -> Vec<u8> {
    [content, Sha256::digest(content).as_slice()].concat()
}

fn check_changed(snapshot: &[u8], at: u8, by: u8) {
    let mut changed = snapshot.to_vec();
    let at = usize::from(at) * snapshot.len() / 256;
    changed[at] ^= by.max(1);
    assert!(Header::read(&changed).is_err(), "octet {at} of {}", snapshot.len());
    assert!(Header::read(&snapshot[..snapshot.len() - 1]).is_err(), "truncated");
}

fn check_written(boot_id: &str, seconds: u64, fingerprints: &[&str], records: &[u8]) {
    let host = HostState { boot_id: boot_id.to_owned(), since_boot: Duration::from_secs(seconds) };
    let blocks: Vec<(String, BlockId)> =
        fingerprints.iter().map(|text| (*text).to_owned()).zip((0..).map(BlockId)).collect();
    let mut out = Vec::new();
    let numbers = format::write_header(&host, &blocks, &mut out);
    assert!(out.len() <= MAX_HEADER_LEN);
    assert!(blocks.iter().zip(0..).all(|((_, id), number)| numbers.get(id) == Some(&number)));
    out.extend(records);
    let snapshot = with_checksum(&out);
    let (header, read) = Header::read(&snapshot).expect("a snapshot that was written");
    let kept = boot_id.as_bytes().get(..255).unwrap_or(boot_id.as_bytes());
    assert_eq!((header.boot_id, header.since_boot, read), (kept, host.since_boot, records));
    assert!(header.blocks().copied().eq(fingerprints.iter().map(|text| format::digest(text))));
}

fuzz_target!(|input: &[u8]| {
    let Some(([at, by], content)) = input.split_first_chunk() else { return };
    let snapshot = with_checksum(content);
    match Header::read(&snapshot) {
        Ok((header, records)) => {
            let blocks = header.blocks().count() * CHECKSUM_LEN;
            assert_eq!(FIXED_LEN + header.boot_id.len() + blocks + records.len(), content.len());
            check_changed(&snapshot, *at, *by);
        }
        Err(error) => assert!(matches!(error, LoadError::UnknownFormat | LoadError::ChecksumMismatch), "{error}"),
    }
    let text = String::from_utf8_lossy(content);
    let mut lines = text.lines();
    let boot_id = lines.next().unwrap_or_default();
    let fingerprints: Vec<&str> = lines.take(8).collect();
    check_written(boot_id, u64::from(*at) << (by % 24), &fingerprints, content);
});
