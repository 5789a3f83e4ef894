//! The scenario runner fails on every deviation from the scenario.

use testkit::scenario::{Scenario, run};

/// The result of a scenario with these steps: `passed`, or the error.
fn result(steps: &str) -> String {
    let text = format!("; A title\n{steps}\n");
    let result = Scenario::parse("file".to_owned(), &text).and_then(|scenario| run(&scenario));
    result.map_or_else(|error| error.to_string(), |()| "passed".to_owned())
}

/// `steps` fail in `line` with an error that contains `reason`.
fn fails(steps: &str, line: usize, reason: &str) {
    let error = result(steps);
    assert!(error.starts_with(&format!("file:{line}: ")), "{error}");
    assert!(error.contains(reason), "{error}");
}

const REPLIED: &str = "\
QUERY a www.example.test A
CHECK_OUT_QUERY upstream www.example.test A
REPLY upstream www.example.test 30 A 192.0.2.7
";

fn after_reply(steps: &str) -> String {
    format!("{REPLIED}{steps}")
}

#[test]
fn scenario_that_matches_the_resolver_passes() {
    let steps = after_reply("CHECK_ANSWER a www.example.test 30 A 192.0.2.7\nEND");
    assert_eq!(result(&steps), "passed");
}

#[test]
fn responses_are_compared_completely() {
    let cases = [
        "CHECK_ANSWER a www.example.test 29 A 192.0.2.7",
        "CHECK_ANSWER a www.example.test 30 A 192.0.2.8",
        "CHECK_ANSWER a WWW.example.test 30 A 192.0.2.7",
        "CHECK_ANSWER a www.example.test 30 A 192.0.2.7 x2",
        "CHECK_ANSWER a authority: www.example.test 30 A 192.0.2.7",
        "CHECK_ANSWER a aa www.example.test 30 A 192.0.2.7",
        "CHECK_ANSWER a edns www.example.test 30 A 192.0.2.7",
        "CHECK_ANSWER a SERVFAIL www.example.test 30 A 192.0.2.7",
        "CHECK_ANSWER a header_only www.example.test 30 A 192.0.2.7",
    ];
    for check in cases {
        fails(&after_reply(&format!("{check}\nEND")), 5, "\nreceived id=1 NOERROR qr rd ra\n");
    }
    let missing = "CHECK_ANSWER b www.example.test 30 A 192.0.2.7\nEND";
    fails(&after_reply(missing), 5, "b has no such open query");
    fails(&after_reply("CHECK_ANSWER a id=2 NOERROR\nEND"), 5, "a has no such open query");
}

#[test]
fn upstream_queries_are_compared_completely() {
    let with = |check: &str| format!("QUERY a www.example.test A\n{check}\nEND");
    let cases = [
        ("CHECK_OUT_QUERY upstream www.example.test AAAA", "expected to upstream over tcp"),
        ("CHECK_OUT_QUERY upstream udp www.example.test A", "expected to upstream over udp"),
        ("CHECK_OUT_QUERY upstream www.example.test A do", "edns=1232,do"),
        ("CHECK_OUT_QUERY upstream www.example.test A rd=0", "received to upstream"),
        ("CHECK_OUT_QUERY other www.example.test A", "expected to other"),
    ];
    for (check, reason) in cases {
        fails(&with(check), 3, reason);
    }
    let check = "CHECK_OUT_QUERY upstream www.example.test A";
    fails(&with(&format!("{check}\n{check}")), 4, "output: nothing");
}

#[test]
fn connections_of_queries_are_compared() {
    let first = "QUERY a one.test A\nCHECK_OUT_QUERY upstream on=first one.test A\nQUERY a two.test A";
    assert_eq!(result(&format!("{first}\nCHECK_OUT_QUERY upstream on=first two.test A\nEND")), "passed");
    let cases = [
        ("CHECK_OUT_QUERY upstream on=second two.test A", "expected connection `second`\nreceived `first`"),
        ("CHECK_OUT_QUERY upstream fresh two.test A", "expected to upstream over tcp, fresh"),
        ("CLOSED second", "no connection is named `second`"),
    ];
    for (check, reason) in cases {
        fails(&format!("{first}\n{check}\nEND"), 5, reason);
    }
    let closed = format!("{first}\nCHECK_OUT_QUERY upstream two.test A\nRESET first");
    let retried = "CHECK_OUT_QUERY upstream as one on=second one.test A";
    let missing = format!("{closed}\n{retried}\nCHECK_OUT_QUERY upstream on=third two.test A\nEND");
    fails(&missing, 8, "received to upstream over tcp, fresh");
    let known = format!("{closed}\n{retried}\nCHECK_OUT_QUERY upstream fresh on=first two.test A\nEND");
    fails(&known, 8, "expected connection `first`\nreceived a new one");
}

#[test]
fn dials_and_closes_are_checked_on_request() {
    let strict = "CONFIG connections\nQUERY a one.test A";
    let dialled = format!("{strict}\nCHECK_DIAL upstream as first\nCHECK_OUT_QUERY upstream one.test A");
    assert_eq!(result(&format!("{dialled}\nEND")), "passed");
    fails(&format!("{strict}\nCHECK_OUT_QUERY upstream one.test A\nEND"), 5, "the dial of upstream over tcp");
    fails(
        &format!("{strict}\nCHECK_DIAL upstream as first udp\nEND"),
        4,
        "expected a dial of upstream over udp",
    );
    fails(&format!("{dialled}\nCHECK_CLOSE first\nEND"), 6, "expected close of first, connection 1");
    fails(&format!("{dialled}\nTIME_PASSES 8s\nEND"), 6, "before the end of this time: ");
    let closed = format!("{dialled}\nESTABLISHED first\nREPLY upstream NXDOMAIN\nCHECK_ANSWER a NXDOMAIN");
    fails(&format!("{closed}\nTIME_PASSES 1s\nEND"), 9, "close of connection 1 to upstream");
}

#[test]
fn unchecked_actions_fail_the_scenario() {
    let query = "QUERY a www.example.test A";
    fails(&format!("{query}\nEND"), 3, "no step checks the query to upstream over tcp");
    fails(&format!("{query}\nTIME_PASSES 1s\nEND"), 3, "no step checks the query");
    fails(&after_reply("CHECK_NOTHING\nEND"), 5, "no step checks the response to a");
    fails(
        &format!("{query}\nCHECK_OUT_QUERY upstream www.example.test A\nTIME_PASSES 3s\nEND"),
        4,
        "1s before the end of this time: query to upstream over tcp on a fresh connection",
    );
    let answered = after_reply("CHECK_ANSWER a www.example.test 30 A 192.0.2.7");
    fails(&format!("{answered}\nCHECK_COUNTER coalesced 1\nEND"), 6, "received coalesced 0");
}

#[test]
fn lines_that_do_not_parse_are_reported_with_their_number() {
    fails("QUERY a www.example.test A", 2, "the last step must be END");
    fails("END\nCHECK_NOTHING", 3, "a step after END");
    fails("CHECK_NOTHING\nCONFIG cache none\nEND", 3, "CONFIG must precede");
    fails("CONFIG cash 30\nEND", 2, "`cash 30` is not a directive");
    let options = "CONFIG cache none\nCONFIG cache success 9984 30\nEND";
    fails(options, 3, "options after `cache none`");
    fails("SAY a www.example.test A\nEND", 2, "`SAY a www.example.test A` is not a step");
    fails("QUERY a www..test A\nEND", 2, "`www..test` is not a name");
    fails("REPLY upstream NOERROR\nEND", 2, "no CHECK_OUT_QUERY before this names `upstream`");
    fails("TIME_PASSES 12\nEND", 2, "`12` is not a duration");
    fails("CHECK_COUNTER sheep 1\nEND", 2, "no counter `sheep `");
    assert!(Scenario::parse("file".to_owned(), "END\n").is_err(), "a scenario has a title");
}
