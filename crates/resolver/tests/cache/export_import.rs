//! Export of a cache and import into another process.

use std::collections::HashMap;
use std::time::Duration;

use resolver::cache::{Cache, ImportSummary, MAX_RECORD_LEN};
use resolver::policy::{BlockId, Prefetch, ServeStale, ServeStaleMode};
use testkit::{clock, fixture};
use wire::name::Name;

use crate::message::{Query, UpstreamResponse};
use crate::process::Process;

const ZERO: Duration = Duration::ZERO;

/// Two processes in which the same block has different numbers.
fn two_processes() -> (Process, Process) {
    let now = clock::now();
    (Process::plain(3, now), Process::plain(9, now))
}

fn import_all(from: &Process, to: &Process) -> ImportSummary {
    to.cache.import(to.now, ZERO, &from.export(), &[Some(to.import_target())])
}

fn imported(imported: u64) -> ImportSummary {
    ImportSummary { imported, ..ImportSummary::default() }
}

#[test]
fn imported_answers_equal_the_originals_octet_for_octet() {
    let (mut old, mut new) = two_processes();
    let queries = ["aaa.example", "bbb.example", "ccc.example"].map(Query::plain);
    let responses = [
        UpstreamResponse::Addresses(1, 30),
        UpstreamResponse::Addresses(40, 7200),
        UpstreamResponse::NxDomain(600),
    ];
    for (query, response) in queries.into_iter().zip(responses) {
        assert!(!old.resolve(query, response));
        old.now += Duration::from_millis(1300);
    }
    let exported = old.export();
    for process in [&mut old, &mut new] {
        process.now += Duration::from_micros(123_456);
    }
    new.now = old.now;
    let elapsed = Duration::from_micros(123_456);
    assert_eq!(new.cache.import(new.now, elapsed, &exported, &[Some(new.import_target())]), imported(3));
    assert_eq!((new.usage.success(), new.usage.denial()), (2, 1));
    assert_eq!(new.cache.weight(), old.cache.weight());
    for _ in 0..40 {
        for Query { name, .. } in queries {
            let upper = name.to_uppercase();
            for (name, dnssec_ok) in [(name, None), (&upper, None), (name, Some(false))] {
                let query = Query { name, cd: false, dnssec_ok };
                assert_eq!(old.hit(query), new.hit(query), "{name} {dnssec_ok:?}");
            }
        }
        old.now += Duration::from_millis(777);
        new.now = old.now;
    }
    assert!(!new.is_cached("aaa.example") && new.is_cached("bbb.example") && new.is_cached("ccc.example"));
}

#[test]
fn answers_to_rewritten_names_are_imported_where_names_are_rewritten() {
    let now = clock::now();
    let [mut old, mut new] = [3, 9].map(|block| Process::with_renamed_prefix(("aaa.", "bbb."), block, now));
    old.resolve(Query::plain("aaa.example"), UpstreamResponse::Addresses(2, 30));
    old.resolve(Query::plain("aaa.test"), UpstreamResponse::NxDomain(60));
    old.resolve(Query::plain("ccc.example"), UpstreamResponse::Addresses(1, 30));
    assert_eq!(import_all(&old, &new), imported(3));
    for name in ["aaa.example", "aaa.test", "ccc.example"] {
        let answer = new.hit(Query::plain(name));
        assert!(answer.is_some() && answer == old.hit(Query::plain(name)), "{name}");
    }
    let plain = Process::plain(9, now);
    let summary = ImportSummary { rejected: 1, ..imported(2) };
    assert_eq!(import_all(&old, &plain), summary, "elsewhere the answer is for another name");
}

#[test]
fn records_age_in_transit() {
    let (mut old, mut new) = two_processes();
    old.resolve(Query::plain("aaa.example"), UpstreamResponse::Addresses(1, 30));
    old.advance(10);
    let exported = old.export();
    new.cache.import(new.now, Duration::from_secs(7), &exported, &[Some(new.import_target())]);
    let answer = new.hit(Query::plain("aaa.example")).unwrap();
    let ttl = answer.len() - 10;
    assert_eq!(answer[ttl..ttl + 4], [0, 0, 0, 13]);
    new.advance(13);
    assert!(!new.is_cached("aaa.example"));
}

#[test]
fn expired_entries_are_neither_exported_nor_imported() {
    let (mut old, new) = two_processes();
    old.resolve(Query::plain("aaa.example"), UpstreamResponse::Addresses(1, 30));
    old.resolve(Query::plain("bbb.example"), UpstreamResponse::Addresses(1, 60));
    old.advance(30);
    assert_eq!(import_all(&old, &new), imported(1));
    let elapsed = Duration::from_secs(30);
    let summary = new.cache.import(new.now, elapsed, &old.export(), &[Some(new.import_target())]);
    assert_eq!(summary, ImportSummary { expired: 1, ..ImportSummary::default() });
    let elapsed = Duration::from_nanos(u64::MAX);
    let summary = new.cache.import(new.now, elapsed, &old.export(), &[Some(new.import_target())]);
    assert_eq!(summary, ImportSummary { expired: 1, ..ImportSummary::default() });
}

#[test]
fn do_and_cd_variants_are_imported_separately() {
    let (mut old, mut new) = two_processes();
    let name = "aaa.example";
    let variants = [(false, None), (true, None), (false, Some(true)), (true, Some(true))];
    let queries = variants.map(|(cd, dnssec_ok)| Query { name, cd, dnssec_ok });
    for (index, query) in queries.into_iter().enumerate() {
        assert!(!old.resolve(query, UpstreamResponse::Addresses(index + 1, 60)));
    }
    assert_eq!(import_all(&old, &new), imported(4));
    for (index, query) in queries.into_iter().enumerate() {
        let answer = new.hit(query).unwrap();
        assert_eq!(usize::from(answer[7]), index + 1);
        assert_eq!(Some(answer), old.hit(query));
    }
}

#[test]
fn most_popular_entries_are_exported_first() {
    let (mut old, _) = two_processes();
    old.resolve_all(&["aaa.example", "bbb.example"]);
    old.advance(1);
    old.resolve_all(&["ccc.example", "ddd.example"]);
    old.advance(1);
    assert!(old.is_cached("bbb.example"));
    let mut small = Process::new(fixture::cache(), 0, 64 << 20, old.now);
    let exported = old.export();
    // The first two records.
    let record_len = exported.len() / 4;
    assert_eq!(
        small.cache.import(small.now, ZERO, &exported[..2 * record_len], &[Some(small.import_target())]),
        imported(2)
    );
    assert!(small.is_cached("bbb.example"));
    assert!(small.is_cached("ccc.example") || small.is_cached("ddd.example"));
    assert!(!small.is_cached("aaa.example"));
}

#[test]
fn popular_entries_fill_a_smaller_store() {
    let (mut old, _) = two_processes();
    let names: Vec<String> = ('a'..='z').map(|letter| format!("{letter}{letter}{letter}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    old.resolve_all(&names);
    let hot: Vec<&str> = names.iter().copied().step_by(5).collect();
    assert!(hot.iter().all(|name| old.is_cached(name)));
    old.resolve(Query::plain("zaz.example"), UpstreamResponse::NxDomain(600));
    let mut options = fixture::cache();
    options.success.capacity = 8;
    let mut new = Process::new(options, 0, 64 << 20, old.now);
    let summary = import_all(&old, &new);
    // The denial store is not full.
    assert_eq!(summary, ImportSummary { imported: 9, store_full: 18, ..ImportSummary::default() });
    assert_eq!((new.usage.success(), new.usage.denial()), (8, 1));
    assert_eq!(new.usage.success_evictions(), 0);
    assert!(hot.iter().all(|name| new.is_cached(name)));
}

#[test]
fn import_stops_at_the_budget_without_evictions() {
    let (mut old, _) = two_processes();
    let names: Vec<String> = (0..4000).map(|number| format!("n{number}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    old.resolve_all(&names);
    assert!(old.is_cached("n7.example"));
    let budget = 320 << 10;
    let mut new = Process::new(fixture::cache(), 0, budget, old.now);
    new.resolve_all(&["zzz.example"]);
    let summary = import_all(&old, &new);
    assert!(summary.budget_reached && (1000..2000).contains(&summary.imported), "{summary:?}");
    assert_eq!(i64::try_from(summary.imported).unwrap() + 1, new.usage.success());
    assert_eq!(new.usage.success_evictions(), 0);
    assert!(new.cache.weight() <= budget);
    assert!(new.is_cached("n7.example") && new.is_cached("zzz.example"));
}

#[test]
fn least_popular_imported_entries_are_evicted_first() {
    let (mut old, _) = two_processes();
    old.resolve_all(&["aaa.example"]);
    old.advance(1);
    old.resolve_all(&["bbb.example"]);
    old.advance(1);
    old.resolve_all(&["ccc.example"]);
    assert!(old.is_cached("bbb.example"));
    let mut options = fixture::cache();
    options.success.capacity = 3;
    let mut new = Process::new(options, 0, 64 << 20, old.now);
    assert_eq!(import_all(&old, &new), imported(3));
    new.resolve_all(&["ddd.example"]);
    let mut after = Process::plain(0, new.now);
    import_all(&new, &after);
    let names = ["aaa.example", "bbb.example", "ccc.example", "ddd.example"];
    assert_eq!(names.map(|name| after.is_cached(name)), [false, true, true, true]);
}

#[test]
fn stale_entries_are_imported_where_serve_stale_applies() {
    let mut options = fixture::cache();
    let (window, ttl, recheck) = (Duration::from_secs(3600), 0, ZERO);
    options.serve_stale = Some(ServeStale {
        duration: window,
        mode: ServeStaleMode::Immediate,
        ttl,
        failure_recheck: recheck,
        prefer_positive: false,
    });
    let now = clock::now();
    let mut old = Process::new(options.clone(), 0, 64 << 20, now);
    old.resolve(Query::plain("aaa.example"), UpstreamResponse::Addresses(1, 30));
    old.advance(100);
    let exported = old.export();
    let mut new = Process::new(options, 0, 64 << 20, old.now);
    assert_eq!(new.cache.import(new.now, ZERO, &exported, &[Some(new.import_target())]), imported(1));
    assert!(new.is_cached("aaa.example"));
    let strict = Process::plain(0, old.now);
    let summary = strict.cache.import(strict.now, ZERO, &exported, &[Some(strict.import_target())]);
    assert_eq!(summary, ImportSummary { expired: 1, ..ImportSummary::default() });
}

#[test]
fn failures_are_not_exported() {
    let (mut old, mut new) = two_processes();
    old.resolve(Query::plain("aaa.example"), UpstreamResponse::Servfail);
    old.fail(Query::plain("bbb.example"));
    assert!(old.is_cached("aaa.example") && old.is_cached("bbb.example"));
    assert_eq!(old.usage.denial(), 2);
    assert!(old.export().is_empty());
    assert_eq!(import_all(&old, &new), imported(0));
    assert!(!new.is_cached("aaa.example"));
}

#[test]
fn popularity_is_exported() {
    let mut options = fixture::cache();
    options.prefetch = Some(Prefetch { amount: 4, duration: Duration::from_secs(60), percent: 20 });
    let now = clock::now();
    let mut old = Process::new(options.clone(), 0, 64 << 20, now);
    old.resolve(Query::plain("aaa.example"), UpstreamResponse::Addresses(1, 100));
    old.resolve(Query::plain("bbb.example"), UpstreamResponse::Addresses(1, 100));
    old.advance(70);
    for _ in 0..3 {
        assert!(!old.triggers_prefetch("aaa.example"));
    }
    let mut new = Process::new(options, 1, 64 << 20, old.now);
    assert_eq!(import_all(&old, &new), imported(2));
    new.advance(15);
    assert!(new.triggers_prefetch("aaa.example"));
    assert!(!new.triggers_prefetch("bbb.example"));
}

#[test]
fn only_newer_records_replace_entries() {
    let (mut old, mut new) = two_processes();
    let query = Query::plain("aaa.example");
    old.resolve(query, UpstreamResponse::Addresses(1, 30));
    let exported = old.export();
    assert_eq!(import_all(&old, &new), imported(1));
    assert_eq!(import_all(&old, &new), ImportSummary { already_cached: 1, ..ImportSummary::default() });
    let before = (new.cache.weight(), new.cache.insertions());
    // It expires and is resolved again with other content, even of the other store.
    for response in [
        UpstreamResponse::Addresses(2, 30),
        UpstreamResponse::NxDomain(30),
        UpstreamResponse::Addresses(3, 30),
    ] {
        old.advance(31);
        new.now = old.now;
        assert!(!old.resolve(query, response));
        assert_eq!(import_all(&old, &new), imported(1));
        assert_eq!(new.usage.success() + new.usage.denial(), 1);
        // The L1 cache still has the expired entry; the imported one is found.
        assert_eq!(new.hit(query), old.hit(query));
    }
    assert_eq!(new.cache.insertions(), before.1 + 3);
    let summary = new.cache.import(new.now, ZERO, &exported, &[Some(new.import_target())]);
    assert_eq!(summary, ImportSummary { already_cached: 1, ..ImportSummary::default() });
    assert_eq!(new.hit(query), old.hit(query));
}

#[test]
fn records_of_unknown_blocks_are_counted() {
    let (mut old, new) = two_processes();
    old.resolve_all(&["aaa.example", "bbb.example"]);
    let exported = old.export();
    let unknown = ImportSummary { unknown_block: 2, ..ImportSummary::default() };
    assert_eq!(new.cache.import(new.now, ZERO, &exported, &[]), unknown);
    assert_eq!(new.cache.import(new.now, ZERO, &exported, &[None, Some(new.import_target())]), unknown);
    // Blocks without a number are not exported.
    assert_eq!(old.cache.export(old.now, &HashMap::from([(BlockId(9), 0)])).remaining(), 0);
}

#[test]
fn uncacheable_records_are_rejected() {
    let (mut old, _) = two_processes();
    old.resolve_all(&["aaa.example"]);
    old.resolve(Query::plain("bbb.test"), UpstreamResponse::NxDomain(600));
    let (now, example, test) = (old.now, Name::parse("example").unwrap(), Name::parse("test").unwrap());
    let rejected = ImportSummary { imported: 1, rejected: 1, ..ImportSummary::default() };
    let mut other_zone = fixture::cache();
    other_zone.zones = vec![test];
    assert_eq!(import_all(&old, &Process::new(other_zone, 0, 64 << 20, now)), rejected);
    let mut disabled = fixture::cache();
    disabled.success.disabled = vec![example];
    assert_eq!(import_all(&old, &Process::new(disabled, 0, 64 << 20, now)), rejected);
    let mut shorter = fixture::cache();
    shorter.success.max_ttl = 60;
    let mut shorter = Process::new(shorter, 0, 64 << 20, now);
    assert_eq!(import_all(&old, &shorter), imported(2));
    shorter.advance(60);
    assert!(!shorter.is_cached("aaa.example") && shorter.is_cached("bbb.test"));
}

#[test]
fn a_large_record_waits_for_a_chunk_that_fits() {
    let (mut old, mut new) = two_processes();
    old.resolve(Query::plain("aaa.example"), UpstreamResponse::Addresses(4094, 60));
    old.resolve(Query::plain("bbb.example"), UpstreamResponse::Addresses(1, 60));
    assert!(old.is_cached("aaa.example"));
    let (mut export, mut chunk) =
        (old.cache.export(old.now, &HashMap::from([(BlockId(3), 0)])), b"front".to_vec());
    assert!(old.export().len() < MAX_RECORD_LEN + 100);
    assert_eq!((export.write_records(60_000, &mut chunk), chunk.len(), export.remaining()), (0, 5, 2));
    let mut summary = ImportSummary::default();
    for remaining in [1, 0] {
        assert_eq!(export.write_records(65_600, &mut chunk), 1);
        assert_eq!(export.remaining(), remaining);
        summary += new.cache.import(new.now, ZERO, &chunk[5..], &[Some(new.import_target())]);
        chunk.truncate(5);
    }
    assert_eq!(summary, imported(2));
    assert!(new.is_cached("aaa.example") && new.is_cached("bbb.example"));
    let tiny = Process::new(fixture::cache(), 0, 1 << 20, old.now);
    assert_eq!(
        import_all(&old, &tiny),
        ImportSummary { rejected: 1, imported: 1, ..ImportSummary::default() }
    );
}

#[test]
fn an_empty_cache_exports_nothing() {
    let (old, new) = two_processes();
    assert!(old.export().is_empty());
    assert_eq!(new.cache.import(new.now, ZERO, &[], &[]), imported(0));
    assert_eq!(Cache::new(0, new.now).export(new.now, &HashMap::from([(BlockId(0), 0)])).remaining(), 0);
}
