//! The resolver's behaviour, told as DNS conversations in `scenarios/*.rpl`; `testkit::scenario` has the format.

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
    aa_is_the_upstreams
    absurd_ttl_counts_as_zero
    ad_for_who_asked
    answer_in_other_case_counts
    answers_stay_in_their_block
    asks_as_the_client_came
    bare_answers_and_delegations_live_five_seconds
    block_without_forward_refuses
    bufsize_lowers_the_limit
    bufsize_raises_the_limit
    caches_nodata
    caches_nxdomain
    cd_is_copied
    client_options_are_not_echoed
    client_options_do_not_split_a_question
    closed_idle_connection_is_redone
    cname_chain_keeps_its_order
    cname_to_nothing_is_a_denial
    coalesces_equal_questions
    cut_from_the_end
    dangling_cname_is_not_kept
    deadline_cuts_attempts_short
    disable_denial_in_a_zone
    disable_success_everywhere
    do_and_cd_are_other_questions
    extended_rcodes_of_upstreams_are_failures
    failures_carry_no_opt_unasked
    failures_free_their_place
    failures_of_our_own_do_not_hide_answers
    first_answer_wins
    forwards_by_zone
    hits_age
    joins_whatever_the_case
    junk_on_a_stream_ends_it
    junk_over_udp_is_ignored
    keepalive_is_told_on_streams
    keepalive_with_a_value_is_no_query
    keepttl_shows_the_whole_life
    keys_and_signatures_are_no_questions
    late_answer_ends_a_kept_failure
    late_answer_fills_the_cache
    late_answer_serves_the_next_question
    late_failure_hides_no_answer
    local_failures_are_not_the_upstreams
    long_lives_are_capped
    longer_lives_where_told
    longest_zone_takes_the_name
    loop_question_comes_back
    max_concurrent_refuses
    name_left_out_of_forward_fails
    name_without_zone_is_refused
    names_outside_cache_zones_pass_by
    next_upstream_at_once_after_refusal
    nxdomain_without_soa_is_not_kept
    odd_bits_in_a_query_do_not_matter
    one_ttl_for_all_records
    open_questions_are_bounded
    opt_for_who_sent_opt
    other_classes_have_no_part_in_the_cache
    passing_records_are_not_reused
    rcode_of_one_upstream_is_the_answer
    records_of_any_type_pass
    recursion_is_available
    redone_once_per_attempt
    refusals_of_upstreams_are_not_kept
    refused_upstream_is_asked_twice
    round_robin_takes_turns
    senseless_queries_get_formerr
    servfail_0_keeps_no_failure
    short_lives_last_five_seconds
    silence_for_responses_and_scraps
    silent_upstream_ends_in_servfail
    tcp_gets_everything
    transfers_are_refused
    truncated_answer_is_never_kept
    truncated_tcp_retry_may_fail
    truncated_udp_answer_is_fetched_by_tcp
    two_attempts_per_upstream
    udp_attempts_end_with_their_question
    unknown_edns_version
    unknown_opcodes
    upstream_servfail_is_kept_for_a_while
    waiters_are_bounded
    waiters_keep_what_is_theirs
    who_joins_late_is_told_with_the_others
    with_opt_1232_octets
    without_cache_everything_is_asked
    without_opt_512_octets
    without_rd_nothing_is_joined_or_kept
    without_rd_the_cache_still_answers
    zero_ttl_denial_is_not_kept_where_told
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
