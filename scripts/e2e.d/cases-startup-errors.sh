# shellcheck shell=bash
# Failing starts: one clear line, exit code 1, and a clean node.

a_port_in_use_is_reported_and_nothing_is_left() {
    local transport holder before
    write_corefile
    set_arguments
    before=$(node_state)
    for transport in udp tcp; do
        start node "$WORK/hold-$transport.log" "$DNSTOOL" hold-port "$transport" 0.0.0.0:53
        holder=$!
        eventually 3 grep -q held "$WORK/hold-$transport.log" || fail_case "port 53 by $transport" "to be held" "$(cat "$WORK/hold-$transport.log")"
        run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}"
        expect_startup_error "port 53 by $transport in use" "$LOCAL_IP:53.*(in use|taken)" "$before"
        kill -TERM "$holder"
        wait "$holder" || true
    done
}

an_invalid_corefile_is_rejected_with_file_and_line() {
    local before
    before=$(node_state)
    set_arguments
    write_corefile
    sed -i '0,/^    loop$/s//    wibble/' "$WORK/Corefile"
    run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}"
    expect_startup_error "an unknown directive" "Corefile:8 - Error during parsing: Unknown directive 'wibble'" "$before"
    write_corefile
    sed -i 's/denial 9984 5/denial many 5/' "$WORK/Corefile"
    run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}"
    expect_startup_error "a wrong argument" "Corefile:5 - .*many" "$before"
    write_corefile
    sed -i '$d' "$WORK/Corefile"
    run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}"
    expect_startup_error "a missing brace" "Corefile:[0-9]+ - " "$before"
    run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}" -conf "$WORK/absent"
    expect_startup_error "no such file" "$WORK/absent" "$before"
}

an_invalid_command_line_exits_2() {
    run_to_end "$NODELOCALDNS" -localip here
    expect "exit code" 2 "$daemon_status"
    expect_match "the message" 'localip.*here' "$(cat "$daemon_log")"
    run_to_end "$NODELOCALDNS" -localip "$LOCAL_IP" -wibble
    expect "exit code" 2 "$daemon_status"
    expect_match "the message" wibble "$(cat "$daemon_log")"
}

missing_net_admin_is_reported() {
    local before
    before=$(node_state)
    write_corefile
    set_arguments
    run_to_end setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$NODELOCALDNS" "${daemon_arguments[@]}"
    expect_startup_error "no NET_ADMIN" NET_ADMIN "$before"
}

an_unsupported_link_kind_is_rejected_with_the_remedy() {
    local before kind unsupported=
    write_corefile
    for kind in ifb dummy; do
        ip -n "node-$RUN_ID" link add testlink type $kind 2>/dev/null || unsupported=$kind
        ip -n "node-$RUN_ID" link delete testlink 2>/dev/null || true
    done
    if [[ -z $unsupported ]]; then
        note "NOT TESTED: this kernel supports every -link-kind"
        return
    fi
    before=$(node_state)
    set_arguments -link-kind "$unsupported"
    run_to_end "$NODELOCALDNS" "${daemon_arguments[@]}"
    expect_startup_error "no driver for $unsupported" "$unsupported.*-link-kind" "$before"
}
