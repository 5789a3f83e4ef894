//! Parcels that are none, or not as they were: no panic, and no answer to another question.

use std::time::Instant;

use proptest::prelude::*;

use crate::ZERO;
use crate::worker::{Process, Question};
use resolver::cache::ImportSummary;

/// Names that differ in three octets each.
const NAMES: [&str; 5] = ["aaa.example", "bbb.example", "ccc.example", "ddd.example", "eee.example"];

/// The address at the end of a parcel.
const ADDRESS: usize = 4;

/// Octets of a parcel before its key: of the key itself, five stand before the first letter of the name.
const KEY: usize = 29;
const KEY_LEN: usize = 16;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// A process that knows all names, and one parcel for each, in their order.
fn exported(now: Instant) -> Vec<Vec<u8>> {
    let parcel = |name: &&str| {
        let mut old = Process::plain(0, now);
        old.learn_all(&[name]);
        old.export()
    };
    NAMES.iter().map(parcel).collect()
}

fn import(new: &Process, octets: &[u8]) -> ImportSummary {
    new.cache.import(new.now, ZERO, octets, &[Some(new.import_target())])
}

/// True when the address in an answer is the one of this name.
fn is_address_of(place: usize, answer: &[u8]) -> bool {
    usize::from(answer[answer.len() - 1]) == place + 1
        && answer[answer.len() - ADDRESS..][..3] == [10, 233, 0]
}

fn check_answers(new: &mut Process, may_differ: &[usize]) -> Result<(), TestCaseError> {
    for (place, name) in NAMES.into_iter().enumerate() {
        if let Some(answer) = new.hit(Question::plain(name)) {
            let is_right = is_address_of(place, &answer) || may_differ.contains(&place);
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
    fn octets_that_are_no_parcels_bring_nothing(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        let new = Process::plain(0, testkit::clock::now());
        prop_assert_eq!(import(&new, &octets).imported, 0);
        let framed = [u32::try_from(octets.len()).unwrap().to_be_bytes().to_vec(), octets].concat();
        let summary = import(&new, &framed);
        prop_assert_eq!((summary.imported, summary.truncated), (0, false));
        prop_assert_eq!(new.cache.weight(), 0);
    }

    /// Octets of five parcels are changed in up to four places. What still comes in answers its own question; only its
    /// content can be another, where that was changed: no checksum is in a parcel.
    #[test]
    fn damage_makes_no_answer_another_names(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..5),
    ) {
        let mut new = Process::plain(0, testkit::clock::now());
        let parcels = exported(new.now);
        let (mut octets, parcel) = (parcels.concat(), parcels[0].len());
        let mut content = Vec::new();
        for (at, flip) in &flips {
            let at = at.index(octets.len());
            octets[at] ^= flip;
            // Type, class, TTL, length and address of the record may be changed too, and its owner.
            if at % parcel >= parcel - 16 {
                content.push(at / parcel);
            }
        }
        import(&new, &octets);
        check_answers(&mut new, &content)?;
    }

    #[test]
    fn parcels_torn_anywhere_bring_those_before(end in 0..5 * 85_usize) {
        let mut new = Process::plain(0, testkit::clock::now());
        let parcels = exported(new.now);
        let parcel = parcels[0].len();
        let octets = parcels.concat();
        let end = end.min(octets.len());
        let summary = import(&new, &octets[..end]);
        prop_assert_eq!(summary.imported, u64::try_from(end / parcel).unwrap());
        prop_assert_eq!(summary.truncated, end % parcel != 0);
        check_answers(&mut new, &[])?;
    }
}

#[test]
fn an_answer_under_another_key_is_refused() {
    let mut new = Process::plain(0, testkit::clock::now());
    let parcels = exported(new.now);
    for key in 0..NAMES.len() {
        for message in 0..NAMES.len() {
            let octets = [&parcels[key][..KEY + KEY_LEN], &parcels[message][KEY + KEY_LEN..]].concat();
            let summary = import(&new, &octets);
            assert_eq!((summary.imported == 1, summary.rejected == 1), (key == message, key != message));
        }
    }
    check_answers(&mut new, &[]).unwrap();
}

#[test]
fn each_octet_of_head_and_key_is_looked_at() {
    let now = testkit::clock::now();
    let parcel = exported(now).remove(0);
    for at in 0..KEY + KEY_LEN {
        for flip in [1, 0x20, 0x80] {
            let mut new = Process::plain(0, now);
            let mut octets = parcel.clone();
            octets[at] ^= flip;
            import(&new, &octets);
            if let Some(answer) = new.hit(Question::plain(NAMES[0])) {
                assert!(is_address_of(0, &answer), "octet {at}");
                let ttl = answer.len() - 10;
                assert!(answer[ttl..ttl + 4] <= 3600_u32.to_be_bytes()[..], "octet {at}");
            }
        }
    }
}

#[test]
fn a_lifetime_above_what_the_message_says_is_cut_and_one_of_nothing_refused() {
    let now = testkit::clock::now();
    let parcel = exported(now).remove(0);
    let lifetime = 4 + 2 + 8;
    let with = |seconds: u32| {
        let mut octets = parcel.clone();
        octets[lifetime..lifetime + 4].copy_from_slice(&seconds.to_be_bytes());
        octets
    };
    let mut new = Process::plain(0, now);
    assert_eq!(import(&new, &with(0)), ImportSummary { rejected: 1, ..ImportSummary::default() });
    assert_eq!(import(&new, &with(u32::MAX)).imported, 1);
    new.pass(3599);
    assert!(new.knows(NAMES[0]));
    new.pass(1);
    assert!(!new.knows(NAMES[0]));
    let mut new = Process::plain(0, now);
    assert_eq!(import(&new, &with(10)).imported, 1);
    new.pass(10);
    assert!(!new.knows(NAMES[0]));
}
