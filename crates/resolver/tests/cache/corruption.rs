//! Import of corrupted records: no panic, and no answer under another name.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use resolver::cache::ImportSummary;

use crate::message::Query;
use crate::process::Process;

/// Names that differ in three octets each.
const NAMES: [&str; 5] = ["aaa.example", "bbb.example", "ccc.example", "ddd.example", "eee.example"];

/// Octets of the address at the end of a record.
const ADDRESS_LEN: usize = 4;

/// Octets of the resource record at the end of a record.
const RECORD_LEN: usize = 16;

/// Octets of a record before its key, and of the key: DO and CD (1), type (2), name (13).
const KEY_START: usize = 29;
const KEY_LEN: usize = 16;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// One record for each name, in their order.
fn exported_records(now: Instant) -> Vec<Vec<u8>> {
    let record = |name: &&str| {
        let mut old = Process::plain(0, now);
        old.resolve_all(&[name]);
        old.export()
    };
    NAMES.iter().map(record).collect()
}

fn import(new: &Process, octets: &[u8]) -> ImportSummary {
    new.cache.import(new.now, Duration::ZERO, octets, &[Some(new.import_target())])
}

/// True when `answer` has the address of the name with this index.
fn is_address_of(index: usize, answer: &[u8]) -> bool {
    usize::from(answer[answer.len() - 1]) == index + 1
        && answer[answer.len() - ADDRESS_LEN..][..3] == [10, 233, 0]
}

fn check_answers(new: &mut Process, may_differ: &[usize]) -> Result<(), TestCaseError> {
    for (index, name) in NAMES.into_iter().enumerate() {
        if let Some(answer) = new.hit(Query::plain(name)) {
            let is_right = is_address_of(index, &answer) || may_differ.contains(&index);
            prop_assert!(is_right, "{name}: {answer:?}");
            let ttl = answer.len() - 10;
            prop_assert!(u32::from_be_bytes(answer[ttl..ttl + 4].try_into().unwrap()) <= 3600);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn random_octets_import_nothing(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        let new = Process::plain(0, testkit::clock::now());
        prop_assert_eq!(import(&new, &octets).imported, 0);
        let framed = [u32::try_from(octets.len()).unwrap().to_be_bytes().to_vec(), octets].concat();
        let summary = import(&new, &framed);
        prop_assert_eq!((summary.imported, summary.truncated), (0, false));
        prop_assert_eq!(new.cache.weight(), 0);
    }

    /// Up to four octets of five records are changed. Entries still imported answer their own name;
    /// only their data may differ, where that was changed: records have no checksum.
    #[test]
    fn corruption_never_answers_another_name(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..5),
    ) {
        let mut new = Process::plain(0, testkit::clock::now());
        let records = exported_records(new.now);
        let (mut octets, record_len) = (records.concat(), records[0].len());
        let mut changed_data = Vec::new();
        for (at, flip) in &flips {
            let at = at.index(octets.len());
            octets[at] ^= flip;
            // The resource record: owner, type, class, TTL, length and address.
            if at % record_len >= record_len - RECORD_LEN {
                changed_data.push(at / record_len);
            }
        }
        import(&new, &octets);
        check_answers(&mut new, &changed_data)?;
    }

    #[test]
    fn truncated_input_imports_the_whole_records(end in 0..5 * 85_usize) {
        let mut new = Process::plain(0, testkit::clock::now());
        let records = exported_records(new.now);
        let record_len = records[0].len();
        let octets = records.concat();
        let end = end.min(octets.len());
        let summary = import(&new, &octets[..end]);
        prop_assert_eq!(summary.imported, u64::try_from(end / record_len).unwrap());
        prop_assert_eq!(summary.truncated, end % record_len != 0);
        check_answers(&mut new, &[])?;
    }
}

#[test]
fn a_message_under_another_key_is_rejected() {
    let mut new = Process::plain(0, testkit::clock::now());
    let records = exported_records(new.now);
    for key in 0..NAMES.len() {
        for message in 0..NAMES.len() {
            let octets =
                [&records[key][..KEY_START + KEY_LEN], &records[message][KEY_START + KEY_LEN..]].concat();
            let summary = import(&new, &octets);
            assert_eq!((summary.imported == 1, summary.rejected == 1), (key == message, key != message));
        }
    }
    check_answers(&mut new, &[]).unwrap();
}

#[test]
fn every_octet_before_the_resource_record_is_validated() {
    let now = testkit::clock::now();
    let record = exported_records(now).remove(0);
    for at in 0..record.len() - RECORD_LEN {
        for flip in [1, 2, 0x10, 0x20, 0x80] {
            let mut new = Process::plain(0, now);
            let mut octets = record.clone();
            octets[at] ^= flip;
            import(&new, &octets);
            if let Some(answer) = new.hit(Query::plain(NAMES[0])) {
                assert!(is_address_of(0, &answer), "octet {at}");
                let ttl = answer.len() - 10;
                assert!(answer[ttl..ttl + 4] <= 3600_u32.to_be_bytes()[..], "octet {at}");
            }
        }
    }
}

#[test]
fn a_ttl_above_the_message_is_capped_and_zero_rejected() {
    let now = testkit::clock::now();
    let record = exported_records(now).remove(0);
    let ttl = 4 + 2 + 8;
    let with = |seconds: u32| {
        let mut octets = record.clone();
        octets[ttl..ttl + 4].copy_from_slice(&seconds.to_be_bytes());
        octets
    };
    let mut new = Process::plain(0, now);
    assert_eq!(import(&new, &with(0)), ImportSummary { rejected: 1, ..ImportSummary::default() });
    assert_eq!(import(&new, &with(u32::MAX)).imported, 1);
    new.advance(3599);
    assert!(new.is_cached(NAMES[0]));
    new.advance(1);
    assert!(!new.is_cached(NAMES[0]));
    let mut new = Process::plain(0, now);
    assert_eq!(import(&new, &with(10)).imported, 1);
    new.advance(10);
    assert!(!new.is_cached(NAMES[0]));
}
