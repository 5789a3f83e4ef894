//! Runs the resolver's scenarios in `scenarios/*.rpl`; `testkit::scenario` documents the format.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use testkit::scenario::{Scenario, ScenarioError, run};

/// One test per scenario file, with its name.
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
    aa_is_copied_from_the_upstream
    aa_tc_ra_and_z_in_a_query_are_ignored
    ad_is_set_for_clients_that_set_ad_or_do
    additional_records_are_not_cached_as_answers
    all_records_have_the_minimum_ttl
    answer_in_other_case_is_accepted
    answer_revokes_a_cached_failure
    answers_are_cached_per_server_block
    answers_with_expired_signatures_are_not_cached
    any_is_not_synthesized_from_the_cache
    any_octet_in_a_name_is_forwarded
    any_qtype_is_forwarded
    attempt_is_retried_once
    authoritative_sets_aa_on_cache_hits
    block_without_forward_is_refused
    bufsize_above_1232_raises_the_udp_limit
    bufsize_below_1232_lowers_the_udp_limit
    cached_failure_is_answered_until_it_expires
    cached_failure_leaves_stale_denials
    cached_failure_ttl_doubles_with_each_failure
    caches_nodata
    caches_nxdomain
    cd_is_copied
    classes_are_not_answered_from_in
    client_edns_options_are_not_echoed
    client_edns_options_do_not_split_the_cache
    client_quota_limits_waiting_queries
    client_response_timer_is_1800_ms
    closed_idle_connection_is_retried
    closed_stream_after_a_mismatch_is_retried_at_once
    cname_chain_keeps_its_order
    cname_chain_to_a_denial_is_cached_as_a_denial
    coalesced_clients_are_served_in_an_outage
    coalesced_queries_share_one_failure
    coalesces_equal_queries
    coalesces_regardless_of_case
    conflicting_cnames_are_not_cached
    cookies_of_invalid_lengths_are_ignored
    dangling_cname_is_not_cached
    deadline_ends_pending_attempts
    denial_ttl_0_is_not_cached_with_minimum_0
    denial_ttl_is_capped
    denial_ttl_is_the_soa_ttl
    disable_denial_caches_no_failure
    disable_denial_in_a_zone
    disable_success_everywhere
    disable_success_in_a_zone
    do_and_cd_are_part_of_the_cache_key
    empty_answers_and_delegations_are_cached_for_five_seconds
    empty_refresh_keeps_the_live_answer
    error_in_response_to_a_probe_is_not_used
    error_responses_are_not_an_outage
    expired_failures_are_not_served_stale
    extended_rcodes_become_servfail
    failed_prefetch_is_not_repeated_on_every_hit
    failed_queries_leave_max_concurrent
    failed_refresh_keeps_the_stale_answer
    failed_refresh_suppresses_refreshes
    failfast_sends_no_query
    failfast_serves_expired_answers_in_an_outage
    failing_names_are_not_an_outage
    failover_and_next_responses_are_not_an_outage
    failover_fallback_response_is_used_when_others_fail
    failover_queries_each_upstream_once
    failover_queries_the_next_upstream
    failover_waits_for_pending_attempts
    failure_does_not_hide_other_types
    failure_of_one_name_survives_responses_for_others
    failures_carry_no_opt_without_edns
    filtered_queries_are_local_failures
    first_response_wins
    force_tcp_health_checks_use_tcp
    formerr_is_retried_without_opt
    formerr_without_edns_fallback_is_relayed
    forward_is_selected_by_zone
    four_mismatches_close_the_udp_port
    header_only_formerr_is_retried_without_opt
    health_check_ends_silence
    health_check_is_retried_on_a_fresh_connection
    health_check_options_are_used
    healthy_upstream_of_three_is_found
    hedge_goes_to_the_next_upstream
    hedged_attempt_may_still_win
    hedges_are_limited_by_a_budget
    hedges_count_as_attempts
    hedges_pass_over_silent_upstreams
    hits_age
    hits_echo_the_query_name
    icmp_unreachable_ends_one_attempt
    inflight_queries_are_limited
    keepalive_is_sent_on_tcp
    keepalive_with_a_value_gets_formerr
    keepttl_shows_the_original_ttl
    known_outage_serves_expired_answers_at_once
    last_upstream_is_queried_even_when_down
    late_answer_completes_the_next_query
    late_answer_is_cached
    late_answer_replaces_a_cached_failure
    late_coalesced_query_shares_the_outcome
    late_empty_response_does_not_replace_an_answer
    late_failure_does_not_replace_an_answer
    late_next_responses_are_not_cached
    late_response_ends_silence
    local_failures_are_not_an_outage
    local_failures_are_not_cached
    local_failures_are_not_counted_against_the_upstream
    local_failures_start_no_health_check
    localhost_is_forwarded
    longest_zone_match_wins
    lost_datagram_is_hedged
    lost_response_starts_one_health_check
    malformed_names_get_formerr
    malformed_queries_get_formerr
    matching_response_follows_on_a_quarantined_stream
    max_concurrent_counts_the_current_forward
    max_concurrent_is_not_an_outage
    max_concurrent_refuses
    max_connect_attempts_counts_all_upstreams
    max_fails_0_disables_health_checks
    maximum_ttl_above_the_default_is_used
    mismatch_does_not_answer_a_health_check
    mismatch_on_a_stream_quarantines_it
    mismatch_over_udp_falls_back_to_tcp
    mismatch_starts_no_health_check
    mismatch_wait_ends_with_the_attempt
    mismatched_datagrams_are_ignored
    mismatches_only_end_within_two_seconds
    misplaced_opt_is_removed
    name_excepted_from_forward_fails
    name_without_zone_is_refused
    names_of_maximum_length_are_forwarded
    names_outside_cache_zones_are_not_cached
    next_forward_abandons_pending_attempts
    next_on_nodata_passes_nodata_to_the_following_forward
    next_passes_listed_rcodes_to_the_following_forward
    next_without_a_following_forward_is_relayed
    no_query_joins_one_from_an_outage
    nsec_is_not_used_for_other_names
    nxdomain_without_soa_is_not_cached
    one_attempt_when_all_upstreams_are_down
    only_class_in_is_cached
    opt_is_sent_to_edns_clients
    outage_begins_under_a_waiting_query
    outage_checks_are_100_ms_apart
    outage_checks_end_after_a_second
    outage_checks_query_every_upstream
    outage_ends_cached_failures_at_the_next_response
    outage_ends_with_the_first_response
    outage_reveals_what_a_cached_failure_hides
    outage_serves_expired_denials
    outage_serves_nothing_older_than_30_s
    outages_of_server_blocks_are_independent
    outrun_tcp_attempt_fails_at_its_timeout
    outrun_upstream_is_health_checked
    prefer_positive_ends_with_the_stale_window
    prefer_positive_keeps_the_last_positive_answer
    prefer_positive_replaces_nodata
    prefer_positive_with_verify_serves_stale
    prefetch_is_coalesced
    prefetch_popularity_resets_after_a_gap
    prefetch_refreshes_before_expiry
    prefetch_repeats_do_and_cd
    prefetch_threshold_is_rounded_up
    probe_is_not_an_attempt
    probe_outlives_its_query
    probe_response_is_used
    ra_is_always_set
    rcode_is_relayed_without_failover
    records_in_a_query_are_ignored
    records_of_any_type_are_relayed
    refresh_replaces_the_stale_answer
    refreshes_are_limited
    refreshes_set_ad
    refused_and_formerr_are_not_cached
    refused_connection_fails_over_at_once
    refused_hedge_fails_over
    refused_outage_serves_expired_answers_at_once
    refused_tcp_retry_queries_the_next_upstream
    refusing_upstream_is_dialled_twice
    refusing_upstream_is_retried_once
    resetting_upstream_gets_one_retry_and_one_attempt
    responses_and_short_packets_are_dropped
    retransmission_goes_to_the_next_upstream
    retransmission_timeout_follows_the_round_trip
    retransmissions_count_as_attempts
    round_robin_rotates_upstreams
    rto_backs_off_without_responses
    rto_follows_the_round_trip
    rto_has_a_floor
    second_return_of_a_loop_query_is_a_loop
    serve_stale_replaces_the_outage_window
    servfail_0_does_not_cache_timeouts
    servfail_0_does_not_cache_upstream_failures
    silent_outage_serves_expired_answers_after_200_ms
    silent_upstream_ends_in_servfail
    silent_upstream_is_last_under_round_robin
    silent_upstream_is_queried_last
    silent_upstreams_without_another_are_queried_in_order
    slow_name_is_not_retransmitted
    slow_names_are_not_an_outage
    slow_upstream_is_hedged
    stale_is_served_within_the_window
    stale_nxdomain_does_not_hide_a_new_answer
    stale_nxdomain_has_its_own_ede
    stale_on_outage_may_be_off
    stale_refresh_is_coalesced
    stale_ttl_as_configured
    tcp_responses_are_not_truncated
    three_upstreams_are_queried_twice_each
    tkey_and_tsig_queries_get_notimp
    tls_upstreams_use_streams
    truncated_response_ends_silence
    truncated_response_is_preferred_to_an_error_over_tcp
    truncated_response_is_relayed_when_tcp_fails
    truncated_responses_are_not_an_outage
    truncated_responses_of_an_upstream_cause_one_query_over_tcp
    truncated_tcp_response_is_not_cached
    truncated_udp_response_is_retried_over_tcp
    truncation_drops_additional_then_authority_then_answer
    ttl_0_is_not_cached_with_minimum_0
    ttl_above_the_maximum_is_capped
    ttl_below_the_minimum_is_raised
    ttl_is_clamped_between_min_and_max
    ttl_with_the_high_bit_set_is_capped
    two_attempts_per_upstream
    udp_limit_with_opt_is_1232_octets
    udp_limit_without_opt_is_512_octets
    udp_ports_close_on_servfail
    udp_sizes_below_512_count_as_512
    unknown_edns_flags_are_not_echoed
    unknown_edns_version_gets_badvers
    unknown_opcodes_get_notimp
    unlimited_attempts_back_off
    unrelated_records_are_scrubbed
    upstream_is_down_after_more_than_max_fails
    upstream_servfail_is_cached
    upstream_transport_follows_the_client
    useless_prefetches_are_not_repeated_on_every_hit
    verify_coalesces_waiting_clients
    verify_queries_the_upstream_first
    verify_serves_stale_instead_of_failures
    verify_serves_stale_when_max_concurrent_is_reached
    verify_timeout_as_configured
    verify_timer_runs_from_the_first_client
    verify_uses_a_quick_response
    waiters_are_limited
    waiters_get_their_own_response
    without_cache_everything_is_forwarded
    without_prefetch_entries_expire
    without_rd_cache_hits_are_answered
    without_rd_nothing_is_coalesced_or_cached
    without_rd_stale_is_served
    zone_transfers_are_refused
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
