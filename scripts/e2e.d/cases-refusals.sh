# shellcheck shell=bash
# Starts that cannot be: one clear line, exit code 1, and nothing left behind.

a_port_in_use_is_named_and_nothing_is_left() {
    local transport holder before
    write_corefile
    arguments
    before=$(node_state)
    for transport in udp tcp; do
        start node "$WORK/hold-$transport.log" "$ACTORS" hold "$transport" 0.0.0.0:53
        holder=$!
        eventually 3 grep -q held "$WORK/hold-$transport.log" || complain "port 53 by $transport" "to be held" "$(cat "$WORK/hold-$transport.log")"
        run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}"
        expect_refusal "port 53 by $transport in use" "$LOCAL_IP:53.*(in use|taken)" "$before"
        kill -TERM "$holder"
        wait "$holder" || true
    done
}

a_wrong_corefile_is_refused_with_file_and_line() {
    local before
    before=$(node_state)
    arguments
    write_corefile
    sed -i 's/^    loop$/    wibble/' "$WORK/Corefile"
    run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}"
    expect_refusal "an unknown directive" "Corefile:8 - Error during parsing: Unknown directive 'wibble'" "$before"
    write_corefile
    sed -i 's/denial 9984 5/denial many 5/' "$WORK/Corefile"
    run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}"
    expect_refusal "a wrong argument" "Corefile:5 - .*many" "$before"
    write_corefile
    sed -i '$d' "$WORK/Corefile"
    run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}"
    expect_refusal "a missing brace" "Corefile:[0-9]+ - " "$before"
    run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}" -conf "$WORK/absent"
    expect_refusal "no such file" "$WORK/absent" "$before"
}

a_wrong_command_line_is_refused_with_2() {
    run_to_end "$NODELOCALDNS" -localip here
    expect "exit code" 2 "$daemon_status"
    expect_match "the message" 'localip.*here' "$(cat "$daemon_log")"
    run_to_end "$NODELOCALDNS" -localip "$LOCAL_IP" -wibble
    expect "exit code" 2 "$daemon_status"
    expect_match "the message" wibble "$(cat "$daemon_log")"
}

without_net_admin_it_says_so() {
    local before
    before=$(node_state)
    write_corefile
    arguments
    run_to_end setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$NODELOCALDNS" "${daemon_arguments[@]}"
    expect_refusal "no NET_ADMIN" NET_ADMIN "$before"
}

a_kind_of_link_that_the_kernel_lacks_is_refused_with_the_remedy() {
    local before kind lacking=
    write_corefile
    for kind in ifb dummy; do
        ip -n "node-$RUN_ID" link add probe type $kind 2>/dev/null || lacking=$kind
        ip -n "node-$RUN_ID" link delete probe 2>/dev/null || true
    done
    if [[ -z $lacking ]]; then
        note "NOTHING SHOWN: this kernel has every kind of link that -link-kind takes"
        return
    fi
    before=$(node_state)
    arguments -link-kind "$lacking"
    run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}"
    expect_refusal "no driver for $lacking" "$lacking.*-link-kind" "$before"
}
