# shellcheck shell=bash
# TCP connections that clients hold open.

# Each with one query after the other.
streams=()

start_streams() { # start_streams [ADDRESS4 [ADDRESS6]]: of pods and of the node; returns when all are answered
    local address4=${1:-$LOCAL_IP} address6=${2-$LOCAL_IP6}
    start_stream pod1 "$address4"
    start_stream node "$address4"
    if [[ -n $address6 ]]; then
        start_stream pod6 "$address6"
        start_stream node "$address6"
    fi
    await_streams
}

start_stream() { # start_stream NAMESPACE ADDRESS
    local log=$WORK/stream-$starts-${#streams[@]}.log
    rm -f "$log"
    start "$1" "$log" "$DNSTOOL" hold-stream "$2" "s%d-$RANDOM.fresh.default.svc.cluster.local"
    streams+=("$! $log $1 $2")
}

await_streams() { # returns after five more answers on each connection
    local held pid log name number least=()
    for held in "${streams[@]}"; do
        read -r pid log name <<<"$held"
        least+=("$(($(stream_answers "$log") + 5)) $log $name")
    done
    for held in "${least[@]}"; do
        read -r number log name <<<"$held"
        eventually 8 has_stream_answers "$log" "$number" ||
            fail_case "the TCP connection of $name" "five more answers" "$(tail -1 "$log")"
    done
}

stream_answers() { # stream_answers LOG
    grep -c '^answered' "$1" 2>/dev/null || true
}

has_stream_answers() { # has_stream_answers LOG LEAST
    (($(stream_answers "$1") >= $2))
}

# Ends the connections; sets summaries.
stop_streams() {
    collect_summaries "${streams[@]}"
    streams=()
}

streams_have_ended() {
    have_ended "${streams[@]}"
}

have_ended() { # have_ended "PID ..."...
    local held
    for held in "$@"; do has_exited "${held%% *}" || return 1; done
}

# TCP connections with queries whose answers are not awaited.
writers=()

start_writers() { # of pods and of the node; returns when all have sent a query
    local name number=0 log
    writers=()
    for name in "pod1 $LOCAL_IP" "node $LOCAL_IP" "pod6 $LOCAL_IP6" "node $LOCAL_IP6"; do
        number=$((number + 1))
        log=$WORK/writer-$starts-$number.log
        start "${name% *}" "$log" "$DNSTOOL" write-stream "${name#* }" myweb-svc.default.svc.cluster.local
        writers+=("$! $log $name")
        eventually 3 grep -q sent "$log" || fail_case "the TCP connection of $name" "a query" "$(tail -1 "$log")"
    done
}

expect_writers_reset() {
    local writer pid log name
    eventually 3 have_ended "${writers[@]}" || fail_case "connections with more queries" "to be reset" "open after 3 s"
    for writer in "${writers[@]}"; do
        read -r pid log name <<<"$writer"
        kill -TERM "$pid" 2>/dev/null || true
        expect_match "the connection of $name with more queries" 'connection reset|broken pipe' "$(tail -1 "$log")"
    done
}

expect_streams() { # expect_streams open|closed SLOWEST_MS WAITED_MS: in summaries
    local line name
    while IFS= read -r line; do
        [[ -n $line ]] || continue
        name="the TCP connection of ${line%% answered=*}"
        expect_match "$name" "^[^ ]+ [^ ]+ $1 " "$line"
        expect_between "milliseconds until an answer on $name" 0 "$2" "$(summary_field "$line" slowest_ms)"
        expect_between "milliseconds that it waited at last on $name" 0 "$3" "$(summary_field "$line" waited_ms)"
    done <<<"$summaries"
}

# What pods asked last on their held connections came to CoreDNS from them, not from the daemon.
expect_streams_at_coredns() {
    local held pid log name address
    for held in "${streams[@]}"; do
        read -r pid log name <<<"$held"
        [[ $name == pod* ]] || continue
        address=${name#* }
        address=$(ip -n "${name%% *}-$RUN_ID" route get "$address" | sed -nE 's/.* src ([^ ]+).*/\1/p')
        name=$(awk '/^answered/ { name = $2 } END { print name }' "$log")
        expect "queries of $address for $name that CoreDNS saw" 1 \
            "$(count_lines "$(queries_at_coredns "$name" A | grep -E " \[?$address\]?:[0-9]+ ")")"
    done
}
