//! The resolver's behaviour, told as DNS conversations in `scenarios/*.rpl`; `testkit::scenario` has the format.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use testkit::scenario::{Scenario, ScenarioError, run};

/// One test per file, of the same name.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                if let Err(failed) = load(stringify!($name)).and_then(|scenario| run(&scenario)) {
                    panic!("{failed}");
                }
            }
        )*

        const LISTED: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    aa_forced_on_hits_where_told
    aa_is_the_upstreams
    absurd_ttl_is_a_long_one
    ad_for_who_asked
    all_who_wait_share_one_failure
    answer_ends_a_kept_failure_for_good
    answer_in_other_case_counts
    answers_stay_in_their_block
    any_is_not_pieced_together
    asks_as_the_client_came
    bare_answers_and_delegations_live_five_seconds
    bare_formerr_is_asked_without_opt
    block_without_forward_refuses
    broken_stream_is_no_reason_to_wait
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
    cookies_of_odd_lengths_are_ignored
    cut_from_the_end
    dangling_cname_is_not_kept
    deadline_cuts_attempts_short
    denials_are_capped
    denials_live_as_long_as_their_soa
    disable_denial_in_a_zone
    disable_denial_keeps_no_failure
    disable_success_everywhere
    disable_success_in_a_zone
    do_and_cd_are_other_questions
    doubt_ends_with_the_attempt
    early_attempt_goes_to_the_next_upstream
    early_attempts_are_bounded
    expired_signatures_are_not_kept
    extended_rcodes_of_upstreams_are_failures
    failed_prefetch_costs_nothing
    failfast_asks_nobody
    failover_answer_is_better_than_none
    failover_asks_each_upstream_once
    failover_takes_a_better_answer
    failover_waits_for_who_is_being_asked
    failure_at_once_is_told_again_longer_each_time
    failure_ends_when_an_upstream_answers
    failure_is_told_again_for_a_while
    failure_of_one_name_stands_beside_answers
    failures_are_never_stale
    failures_carry_no_opt_unasked
    failures_free_their_place
    failures_leave_stale_denials
    failures_never_take_the_place_of_stale
    failures_of_our_own_do_not_hide_answers
    failures_of_this_node_start_no_probe
    first_answer_wins
    first_attempt_may_still_win
    flood_of_junk_closes_the_port
    force_tcp_probes_by_tcp
    formerr_to_opt_is_asked_without
    formerr_without_opt_is_told
    forwards_by_zone
    handed_over_questions_let_go_of_the_rest
    hits_age
    hits_are_spelled_as_asked
    icmp_ends_an_attempt_not_its_question
    joins_whatever_the_case
    junk_does_not_answer_a_probe
    junk_on_a_stream_ends_it
    junk_over_udp_is_ignored
    junk_over_udp_moves_a_question_to_tcp
    keepalive_is_told_on_streams
    keepalive_with_a_value_is_no_query
    keepttl_shows_the_whole_life
    keys_and_signatures_are_no_questions
    last_forward_has_the_last_word
    last_upstream_is_asked_even_when_down
    late_answer_ends_a_kept_failure
    late_answer_fills_the_cache
    late_answer_serves_the_next_question
    late_answers_that_are_not_good_enough_are_not_kept
    late_failure_hides_no_answer
    lives_stay_between_least_and_longest
    local_failures_are_not_kept
    local_failures_are_not_the_upstreams
    localhost_is_a_name_like_others
    long_lives_are_capped
    longer_lives_where_told
    longest_names_are_asked
    longest_zone_takes_the_name
    loop_question_comes_back
    lost_answer_starts_one_probe
    lost_datagram_is_repeated_early
    max_concurrent_counts_where_a_question_is
    max_concurrent_refuses
    max_connect_attempts_counts_all_upstreams
    max_fails_0_never_probes
    name_left_out_of_forward_fails
    name_without_zone_is_refused
    names_beyond_their_limits_get_formerr
    names_outside_cache_zones_pass_by
    next_asks_the_following_forward
    next_on_nodata_asks_the_following_forward
    next_upstream_at_once_after_refusal
    no_class_is_told_from_another
    nothing_but_junk_over_udp_ends_soon
    nsec_denies_no_other_name
    nxdomain_without_soa_is_not_kept
    odd_bits_in_a_query_do_not_matter
    odd_octets_in_names_pass
    one_attempt_when_all_are_down
    one_client_cannot_have_all_the_room
    one_good_upstream_of_three_is_found
    one_names_junk_starts_no_probe
    one_ttl_for_all_records
    open_questions_are_bounded
    opt_for_who_sent_opt
    other_classes_have_no_part_in_the_cache
    overtaken_stream_fails_in_its_time
    overtaken_upstream_is_probed
    passing_records_are_not_reused
    patience_follows_the_round_trip
    patience_has_a_floor
    prefer_positive_ends_with_the_window
    prefer_positive_keeps_nothing_for_nothing
    prefer_positive_keeps_the_last_good_answer
    prefer_positive_verifies_too
    prefetch_counts_anew_after_a_gap
    prefetch_of_a_short_life
    prefetch_once_at_a_time
    prefetch_renews_before_the_end
    prefetch_repeats_do_and_cd
    probe_asks_what_it_is_told
    probe_outlives_a_closed_connection
    questions_of_any_type_pass
    rcode_of_one_upstream_is_the_answer
    recheck_after_a_failed_refresh
    records_in_a_query_are_not_echoed
    records_of_any_type_pass
    recursion_is_available
    redone_once_per_attempt
    refreshes_are_bounded
    refreshes_ask_for_authentic_data
    refusals_of_upstreams_are_not_kept
    refused_early_attempt_moves_on
    refused_upstream_is_asked_twice
    refusing_upstream_is_dialled_twice
    resetting_upstream_is_dialled_twice
    right_answer_follows_on_a_distrusted_stream
    round_robin_takes_turns
    senseless_queries_get_formerr
    servfail_0_keeps_no_failure
    servfail_0_keeps_no_silence
    short_lives_last_five_seconds
    silence_for_responses_and_scraps
    silence_of_all_is_asked_twice
    silent_upstream_ends_in_servfail
    slow_upstream_is_asked_again_early
    small_sizes_count_as_512
    stale_denial_hides_no_renewed_answer
    stale_gives_way_to_news
    stale_nxdomain_says_so
    stale_refresh_once_at_a_time
    stale_ttl_as_configured
    stale_when_there_is_no_room_to_ask
    stale_while_the_upstream_is_dead
    strays_are_not_told
    tcp_gets_everything
    three_upstreams_are_asked_twice_each
    tls_upstreams_are_probed_and_asked_on_streams
    transfers_are_refused
    truncated_answer_is_never_kept
    truncated_tcp_retry_may_fail
    truncated_udp_answer_is_fetched_by_tcp
    two_attempts_per_upstream
    two_targets_at_one_owner_are_not_kept
    udp_attempts_end_with_their_question
    unknown_edns_flags_are_not_echoed
    unknown_edns_version
    unknown_opcodes
    unlimited_attempts_pause_longer_each_time
    upstream_is_down_after_more_than_max_fails
    upstream_servfail_is_kept_for_a_while
    verify_asks_first
    verify_joins_those_who_wait
    verify_keeps_no_one_waiting_who_comes_later
    verify_tells_a_quick_answer
    verify_tells_stale_rather_than_refusals
    verify_timeout_as_configured
    verify_waits_no_longer_than_a_client_would
    waiters_are_bounded
    waiters_keep_what_is_theirs
    who_joins_late_is_told_with_the_others
    with_opt_1232_octets
    without_cache_everything_is_asked
    without_opt_512_octets
    without_prefetch_an_answer_ends
    without_rd_nothing_is_joined_or_kept
    without_rd_stale_is_told_too
    without_rd_the_cache_still_answers
    zero_ttl_denial_is_not_kept_where_told
    zero_ttl_is_not_kept_where_told
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn load(name: &str) -> Result<Scenario, ScenarioError> {
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
