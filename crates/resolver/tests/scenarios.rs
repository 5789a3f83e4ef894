//! The resolver's behaviour, told as DNS conversations in `scenarios/*.rpl`; `testkit::scenario` has the format.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use testkit::scenario::{Failed, Scenario, play};

/// One test per file, of the same name.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                if let Err(failed) = load(stringify!($name)).and_then(|scenario| play(&scenario)) {
                    panic!("{failed}");
                }
            }
        )*

        const LISTED: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    absurd_ttl_counts_as_zero
    answer_in_other_case_counts
    bare_answers_and_delegations_live_five_seconds
    caches_nodata
    caches_nxdomain
    client_options_do_not_split_a_question
    coalesces_equal_questions
    do_and_cd_are_other_questions
    hits_age
    joins_whatever_the_case
    junk_on_a_stream_ends_it
    junk_over_udp_is_ignored
    long_lives_are_capped
    nxdomain_without_soa_is_not_kept
    one_ttl_for_all_records
    refusals_of_upstreams_are_not_kept
    servfail_0_keeps_no_failure
    short_lives_last_five_seconds
    truncated_answer_is_never_kept
    truncated_udp_answer_is_fetched_by_tcp
    upstream_servfail_is_kept_for_a_while
    waiters_keep_what_is_theirs
    zero_ttl_is_not_kept_where_told
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn load(name: &str) -> Result<Scenario, Failed> {
    Scenario::load(&folder().join(name).with_extension("rpl"))
}

#[test]
fn every_file_is_listed() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| {
            entry.unwrap().path().with_extension("").file_name().unwrap().to_str().unwrap().to_owned()
        })
        .collect();
    let listed: BTreeSet<String> = LISTED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files, listed, "a file and a test for each");
}

#[test]
fn titles_are_unique() {
    let mut titles = BTreeMap::new();
    for name in LISTED {
        let title = load(name).unwrap().title;
        if let Some(other) = titles.insert(title, name) {
            panic!("{name} and {other} have the same title");
        }
    }
}
