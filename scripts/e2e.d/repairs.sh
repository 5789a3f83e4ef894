# shellcheck shell=bash
# What others do to link, address and rules, and the outages of clients.

# The longest outage of a client in milliseconds, by damage.
declare -A outages=()

measure_outages() { # measure_outages TABLE "DAMAGE...": TABLE is that of the daemon; sets outages
    local damage before
    local -A damaged=()
    for damage in $2; do
        before=$(metrics)
        start_cached_load
        await_client_progress
        "make_$damage"
        eventually 5 metric_increased nodelocaldns_node_repairs_total 1 "$before" || fail_case "$damage: repairs counted" "one more" none
        eventually 5 is_restored "$1" || fail_case "$damage: link and rules" "to be restored" "$(addresses_of nodelocaldns) $(our_table)"
        [[ $damage != ruleset_flushed ]] || emulate_kube_proxy
        await_client_progress
        # Those without an answer are waited for at the end.
        end_clients
        damaged[$damage]=$(printf '%s\n' "${clients[@]}")
    done
    for damage in $2; do
        mapfile -t clients <<<"${damaged[$damage]}"
        stop_clients
        outages[$damage]=$(sed -nE 's/.* outage_ms=([0-9]+).*/\1/p' <<<"$summaries" | sort -n | tail -1)
        note "$damage: the longest outage is ${outages[$damage]} ms"
    done
}

is_restored() { # is_restored TABLE
    has_addresses "$LOCAL_IP/32" && has_table "$1" &&
        [[ $(ip -n "node-$RUN_ID" -oneline address show dev nodelocaldns up) == *" $LOCAL_IP6/128 "* ]]
}

make_link_deleted() {
    ip -n "node-$RUN_ID" link delete nodelocaldns
}

make_link_down() {
    ip -n "node-$RUN_ID" link set nodelocaldns down
}

make_address_removed() {
    ip -n "node-$RUN_ID" address delete "$LOCAL_IP/32" dev nodelocaldns
}

make_address6_removed() {
    ip -n "node-$RUN_ID" address delete "$LOCAL_IP6/128" dev nodelocaldns
}

make_table_deleted() {
    netns_exec node nft delete table inet nodelocaldns
}

make_ruleset_flushed() {
    netns_exec node nft flush ruleset
}
