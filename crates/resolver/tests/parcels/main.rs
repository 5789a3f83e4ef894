//! What one process has in its cache goes over to another.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

mod damage;
mod worker;

use std::collections::HashMap;
use std::time::Duration;

use resolver::cache::{Cache, ImportSummary, MAX_RECORD_LEN};
use resolver::policy::{BlockId, Prefetch, ServeStale, ServeStaleMode};
use testkit::{clock, fixture};
use wire::name::Name;

use worker::{Process, Question, Says};

const ZERO: Duration = Duration::ZERO;

/// Two processes at the same moment, in which the same block has different numbers.
fn two() -> (Process, Process) {
    let now = clock::now();
    (Process::plain(3, now), Process::plain(9, now))
}

/// All of `from` taken in by `to` at once.
fn hand_over(from: &Process, to: &Process) -> ImportSummary {
    to.cache.import(to.now, ZERO, &from.export(), &[Some(to.import_target())])
}

fn taken(taken: u64) -> ImportSummary {
    ImportSummary { imported: taken, ..ImportSummary::default() }
}

#[test]
fn the_successor_answers_octet_for_octet() {
    let (mut old, mut new) = two();
    let questions = ["aaa.example", "bbb.example", "ccc.example"].map(Question::plain);
    let says = [Says::Addresses(1, 30), Says::Addresses(40, 7200), Says::NoName(600)];
    for (question, says) in questions.into_iter().zip(says) {
        assert!(!old.learn(question, says));
        old.now += Duration::from_millis(1300);
    }
    let exported = old.export();
    for process in [&mut old, &mut new] {
        process.now += Duration::from_micros(123_456);
    }
    new.now = old.now;
    let waited = Duration::from_micros(123_456);
    assert_eq!(new.cache.import(new.now, waited, &exported, &[Some(new.import_target())]), taken(3));
    assert_eq!((new.usage.success(), new.usage.denial()), (2, 1));
    assert_eq!(new.cache.weight(), old.cache.weight());
    for _ in 0..40 {
        for Question { name, .. } in questions {
            let upper = name.to_uppercase();
            for (name, dnssec_ok) in [(name, None), (&upper, None), (name, Some(false))] {
                let question = Question { name, cd: false, dnssec_ok };
                assert_eq!(old.hit(question), new.hit(question), "{name} {dnssec_ok:?}");
            }
        }
        old.now += Duration::from_millis(777);
        new.now = old.now;
    }
    assert!(!new.knows("aaa.example") && new.knows("bbb.example") && new.knows("ccc.example"));
}

#[test]
fn ages_go_on_while_parcels_are_on_their_way() {
    let (mut old, mut new) = two();
    old.learn(Question::plain("aaa.example"), Says::Addresses(1, 30));
    old.pass(10);
    let exported = old.export();
    new.cache.import(new.now, Duration::from_secs(7), &exported, &[Some(new.import_target())]);
    let answer = new.hit(Question::plain("aaa.example")).unwrap();
    let ttl = answer.len() - 10;
    assert_eq!(answer[ttl..ttl + 4], [0, 0, 0, 13]);
    new.pass(13);
    assert!(!new.knows("aaa.example"));
}

#[test]
fn what_is_over_stays_behind_or_is_dropped_on_arrival() {
    let (mut old, new) = two();
    old.learn(Question::plain("aaa.example"), Says::Addresses(1, 30));
    old.learn(Question::plain("bbb.example"), Says::Addresses(1, 60));
    old.pass(30);
    assert_eq!(hand_over(&old, &new), taken(1));
    let late = Duration::from_secs(30);
    let summary = new.cache.import(new.now, late, &old.export(), &[Some(new.import_target())]);
    assert_eq!(summary, ImportSummary { expired: 1, ..ImportSummary::default() });
    let ages = Duration::from_nanos(u64::MAX);
    let summary = new.cache.import(new.now, ages, &old.export(), &[Some(new.import_target())]);
    assert_eq!(summary, ImportSummary { expired: 1, ..ImportSummary::default() });
}

#[test]
fn signatures_and_unchecked_answers_are_kept_apart() {
    let (mut old, mut new) = two();
    let name = "aaa.example";
    let variants = [(false, None), (true, None), (false, Some(true)), (true, Some(true))];
    let questions = variants.map(|(cd, dnssec_ok)| Question { name, cd, dnssec_ok });
    for (place, question) in questions.into_iter().enumerate() {
        assert!(!old.learn(question, Says::Addresses(place + 1, 60)));
    }
    assert_eq!(hand_over(&old, &new), taken(4));
    for (place, question) in questions.into_iter().enumerate() {
        let answer = new.hit(question).unwrap();
        assert_eq!(usize::from(answer[7]), place + 1);
        assert_eq!(Some(answer), old.hit(question));
    }
}

#[test]
fn who_is_wanted_most_comes_first() {
    let (mut old, _) = two();
    old.learn_all(&["aaa.example", "bbb.example"]);
    old.pass(1);
    old.learn_all(&["ccc.example", "ddd.example"]);
    old.pass(1);
    assert!(old.knows("bbb.example"));
    let mut small = Process::new(fixture::cache(), 0, 64 << 20, old.now);
    let exported = old.export();
    // The first two parcels.
    let parcel = exported.len() / 4;
    assert_eq!(
        small.cache.import(small.now, ZERO, &exported[..2 * parcel], &[Some(small.import_target())]),
        taken(2)
    );
    assert!(small.knows("bbb.example"));
    assert!(small.knows("ccc.example") || small.knows("ddd.example"));
    assert!(!small.knows("aaa.example"));
}

#[test]
fn hot_names_come_into_a_smaller_store() {
    let (mut old, _) = two();
    let names: Vec<String> = ('a'..='z').map(|letter| format!("{letter}{letter}{letter}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    old.learn_all(&names);
    let hot: Vec<&str> = names.iter().copied().step_by(5).collect();
    assert!(hot.iter().all(|name| old.knows(name)));
    old.learn(Question::plain("zaz.example"), Says::NoName(600));
    let mut policy = fixture::cache();
    policy.success.capacity = 8;
    let mut new = Process::new(policy, 0, 64 << 20, old.now);
    let summary = hand_over(&old, &new);
    // The other store has places left, whatever this one has.
    assert_eq!(summary, ImportSummary { imported: 9, store_full: 18, ..ImportSummary::default() });
    assert_eq!((new.usage.success(), new.usage.denial()), (8, 1));
    assert_eq!(new.usage.success_evictions(), 0);
    assert!(hot.iter().all(|name| new.knows(name)));
}

#[test]
fn a_smaller_budget_ends_it_and_nobody_leaves() {
    let (mut old, _) = two();
    let names: Vec<String> = (0..4000).map(|number| format!("n{number}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    old.learn_all(&names);
    assert!(old.knows("n7.example"));
    let mut new = Process::new(fixture::cache(), 0, 1 << 20, old.now);
    new.learn_all(&["zzz.example"]);
    let summary = hand_over(&old, &new);
    assert!(summary.budget_reached && (1000..2000).contains(&summary.imported), "{summary:?}");
    assert_eq!(i64::try_from(summary.imported).unwrap() + 1, new.usage.success());
    assert_eq!(new.usage.success_evictions(), 0);
    assert!(new.cache.weight() <= 1 << 20);
    assert!(new.knows("n7.example") && new.knows("zzz.example"));
}

#[test]
fn when_room_is_wanted_those_who_were_wanted_least_leave() {
    let (mut old, _) = two();
    old.learn_all(&["aaa.example"]);
    old.pass(1);
    old.learn_all(&["bbb.example"]);
    old.pass(1);
    old.learn_all(&["ccc.example"]);
    assert!(old.knows("bbb.example"));
    let mut policy = fixture::cache();
    policy.success.capacity = 3;
    let mut new = Process::new(policy, 0, 64 << 20, old.now);
    assert_eq!(hand_over(&old, &new), taken(3));
    new.learn_all(&["ddd.example"]);
    let mut after = Process::plain(0, new.now);
    hand_over(&new, &after);
    let names = ["aaa.example", "bbb.example", "ccc.example", "ddd.example"];
    assert_eq!(names.map(|name| after.knows(name)), [false, true, true, true]);
}

#[test]
fn stale_answers_go_where_they_may_be_told() {
    let mut policy = fixture::cache();
    let (window, ttl, recheck) = (Duration::from_secs(3600), 0, ZERO);
    policy.serve_stale = Some(ServeStale {
        duration: window,
        mode: ServeStaleMode::Immediate,
        ttl,
        failure_recheck: recheck,
        prefer_positive: false,
    });
    let now = clock::now();
    let mut old = Process::new(policy.clone(), 0, 64 << 20, now);
    old.learn(Question::plain("aaa.example"), Says::Addresses(1, 30));
    old.pass(100);
    let exported = old.export();
    let mut new = Process::new(policy, 0, 64 << 20, old.now);
    assert_eq!(new.cache.import(new.now, ZERO, &exported, &[Some(new.import_target())]), taken(1));
    assert!(new.knows("aaa.example"));
    let strict = Process::plain(0, old.now);
    let summary = strict.cache.import(strict.now, ZERO, &exported, &[Some(strict.import_target())]);
    assert_eq!(summary, ImportSummary { expired: 1, ..ImportSummary::default() });
}

#[test]
fn failures_stay_behind() {
    let (mut old, mut new) = two();
    old.learn(Question::plain("aaa.example"), Says::Servfail);
    old.fail(Question::plain("bbb.example"));
    assert!(old.knows("aaa.example") && old.knows("bbb.example"));
    assert_eq!(old.usage.denial(), 2);
    assert!(old.export().is_empty());
    assert_eq!(hand_over(&old, &new), taken(0));
    assert!(!new.knows("aaa.example"));
}

#[test]
fn what_is_popular_stays_popular() {
    let mut policy = fixture::cache();
    policy.prefetch = Some(Prefetch { amount: 4, duration: Duration::from_secs(60), percent: 20 });
    let now = clock::now();
    let mut old = Process::new(policy.clone(), 0, 64 << 20, now);
    old.learn(Question::plain("aaa.example"), Says::Addresses(1, 100));
    old.learn(Question::plain("bbb.example"), Says::Addresses(1, 100));
    old.pass(70);
    for _ in 0..3 {
        assert!(!old.prefetches("aaa.example"));
    }
    let mut new = Process::new(policy, 1, 64 << 20, old.now);
    assert_eq!(hand_over(&old, &new), taken(2));
    new.pass(15);
    assert!(new.prefetches("aaa.example"));
    assert!(!new.prefetches("bbb.example"));
}

#[test]
fn what_comes_twice_is_known_and_what_is_newer_wins() {
    let (mut old, mut new) = two();
    let question = Question::plain("aaa.example");
    old.learn(question, Says::Addresses(1, 30));
    let exported = old.export();
    assert_eq!(hand_over(&old, &new), taken(1));
    assert_eq!(hand_over(&old, &new), ImportSummary { already_cached: 1, ..ImportSummary::default() });
    let before = (new.cache.weight(), new.cache.insertions());
    // It ends, and is there anew with another content, of the other kind even.
    for says in [Says::Addresses(2, 30), Says::NoName(30), Says::Addresses(3, 30)] {
        old.pass(31);
        new.now = old.now;
        assert!(!old.learn(question, says));
        assert_eq!(hand_over(&old, &new), taken(1));
        assert_eq!(new.usage.success() + new.usage.denial(), 1);
        // A worker still has the entry that is over, and finds the one that came.
        assert_eq!(new.hit(question), old.hit(question));
    }
    assert_eq!(new.cache.insertions(), before.1 + 3);
    let summary = new.cache.import(new.now, ZERO, &exported, &[Some(new.import_target())]);
    assert_eq!(summary, ImportSummary { already_cached: 1, ..ImportSummary::default() });
    assert_eq!(new.hit(question), old.hit(question));
}

#[test]
fn parcels_without_a_home_are_counted() {
    let (mut old, new) = two();
    old.learn_all(&["aaa.example", "bbb.example"]);
    let exported = old.export();
    let homeless = ImportSummary { unknown_block: 2, ..ImportSummary::default() };
    assert_eq!(new.cache.import(new.now, ZERO, &exported, &[]), homeless);
    assert_eq!(new.cache.import(new.now, ZERO, &exported, &[None, Some(new.import_target())]), homeless);
    // And a block that the old process does not give away stays there.
    assert_eq!(old.cache.export(old.now, &HashMap::from([(BlockId(9), 0)])).remaining(), 0);
}

#[test]
fn what_the_block_would_not_keep_is_refused() {
    let (mut old, _) = two();
    old.learn_all(&["aaa.example"]);
    old.learn(Question::plain("bbb.test"), Says::NoName(600));
    let (now, example, test) = (old.now, Name::parse("example").unwrap(), Name::parse("test").unwrap());
    let refused = ImportSummary { imported: 1, rejected: 1, ..ImportSummary::default() };
    let mut elsewhere = fixture::cache();
    elsewhere.zones = vec![test];
    assert_eq!(hand_over(&old, &Process::new(elsewhere, 0, 64 << 20, now)), refused);
    let mut disabled = fixture::cache();
    disabled.success.disabled = vec![example];
    assert_eq!(hand_over(&old, &Process::new(disabled, 0, 64 << 20, now)), refused);
    let mut shorter = fixture::cache();
    shorter.success.max_ttl = 60;
    let mut shorter = Process::new(shorter, 0, 64 << 20, now);
    assert_eq!(hand_over(&old, &shorter), taken(2));
    shorter.pass(60);
    assert!(!shorter.knows("aaa.example") && shorter.knows("bbb.test"));
}

#[test]
fn a_large_answer_goes_in_a_piece_that_has_room_for_it() {
    let (mut old, mut new) = two();
    old.learn(Question::plain("aaa.example"), Says::Addresses(4094, 60));
    old.learn(Question::plain("bbb.example"), Says::Addresses(1, 60));
    assert!(old.knows("aaa.example"));
    let (mut export, mut piece) =
        (old.cache.export(old.now, &HashMap::from([(BlockId(3), 0)])), b"front".to_vec());
    assert!(old.export().len() < MAX_RECORD_LEN + 100);
    assert_eq!((export.write_records(60_000, &mut piece), piece.len(), export.remaining()), (0, 5, 2));
    let mut sum = ImportSummary::default();
    for left in [1, 0] {
        assert_eq!(export.write_records(65_600, &mut piece), 1);
        assert_eq!(export.remaining(), left);
        sum += new.cache.import(new.now, ZERO, &piece[5..], &[Some(new.import_target())]);
        piece.truncate(5);
    }
    assert_eq!(sum, taken(2));
    assert!(new.knows("aaa.example") && new.knows("bbb.example"));
    let tiny = Process::new(fixture::cache(), 0, 1 << 20, old.now);
    assert_eq!(
        hand_over(&old, &tiny),
        ImportSummary { rejected: 1, imported: 1, ..ImportSummary::default() }
    );
}

#[test]
fn an_empty_cache_is_no_octets() {
    let (old, new) = two();
    assert!(old.export().is_empty());
    assert_eq!(new.cache.import(new.now, ZERO, &[], &[]), taken(0));
    assert_eq!(Cache::new(0).export(new.now, &HashMap::from([(BlockId(0), 0)])).remaining(), 0);
}
