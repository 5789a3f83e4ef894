# shellcheck shell=bash
# Outages when others remove link, address or rules, as clients with 1,000 queries a second see them.

what_others_remove_is_restored_with_an_outage_of_100_ms_at_most() {
    local damage table damages="link_deleted link_down address_removed address6_removed table_deleted ruleset_flushed"
    start_both_families || return 0
    table=$(our_table)
    dig_from pod1 "$CACHED_NAME" >/dev/null
    # On a busy machine a measurement may tell how long a process waited for the processor.
    for _ in 1 2 3; do
        measure_outages "$table" "$damages"
        damages=$(for damage in $damages; do [[ ${outages[$damage]} -le 100 ]] || echo "$damage"; done)
    done
    for damage in $damages; do expect_between "milliseconds of the outage, $damage" 0 100 "${outages[$damage]}"; done
}
