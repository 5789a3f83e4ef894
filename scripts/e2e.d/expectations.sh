# shellcheck shell=bash
# Expectations and the test runner.

passed=0
failed=0
# Set by the first failed expectation of a case.
case_failed=

fail_case() { # fail_case WHAT EXPECTED RECEIVED
    case_failed=yes
    printf '    failed: %s\n      expected: %s\n      received: %s\n' "$1" "${2//$'\n'/$'\n'                }" "${3//$'\n'/$'\n'                }"
}

expect() { # expect WHAT EXPECTED RECEIVED
    [[ $2 == "$3" ]] || fail_case "$@"
}

expect_match() { # expect_match WHAT EXTENDED_REGEX TEXT: some line matches
    grep -qE -- "$2" <<<"$3" || fail_case "$1" "a line like $2" "$3"
}

expect_no_match() { # expect_no_match WHAT EXTENDED_REGEX TEXT: no line matches
    ! grep -qE -- "$2" <<<"$3" || fail_case "$1" "no line like $2" "$(grep -E -- "$2" <<<"$3")"
}

expect_between() { # expect_between WHAT LEAST MOST NUMBER
    if [[ ! $4 =~ ^[0-9]+$ ]] || (($4 < $2 || $4 > $3)); then fail_case "$1" "$2 to $3" "$4"; fi
}

note() {
    printf '    %s\n' "$*"
}

eventually() { # eventually SECONDS COMMAND...: retries until it succeeds; fails after SECONDS
    local deadline=$((${EPOCHREALTIME//[!0-9]/} + $1 * 1000000))
    shift
    until "$@" >/dev/null 2>&1; do
        ((${EPOCHREALTIME//[!0-9]/} < deadline)) || return 1
        sleep 0.02
    done
}

run_case() { # run_case FUNCTION
    local began=${EPOCHREALTIME//[!0-9]/} title=${1//_/ } took
    case_failed=
    "$1" || fail_case "the test function" "to return 0" "status $?"
    clean_node
    printf -v took '%d.%02d s' $(((${EPOCHREALTIME//[!0-9]/} - began) / 1000000)) $(((${EPOCHREALTIME//[!0-9]/} - began) / 10000 % 100))
    if [[ -z $case_failed ]]; then
        passed=$((passed + 1))
        echo "PASS $title ($took)"
    else
        failed=$((failed + 1))
        show_daemon_log
        echo "FAIL $title ($took)"
    fi
}
