//! What plays scenarios must not let through what a scenario does not say.

use testkit::scenario::{Scenario, run};

/// Line and text of the failure of a scenario with these steps.
fn failure(steps: &str) -> String {
    let text = format!("; A title\n{steps}\n");
    let outcome = Scenario::parse("file".to_owned(), &text).and_then(|scenario| run(&scenario));
    outcome.map_or_else(|failed| failed.to_string(), |()| "played".to_owned())
}

/// `steps` fail in `line` with a text that has `what` in it.
fn fails(steps: &str, line: usize, what: &str) {
    let failure = failure(steps);
    assert!(failure.starts_with(&format!("file:{line}: ")), "{failure}");
    assert!(failure.contains(what), "{failure}");
}

const ANSWERED: &str = "ASK a www.example.test A\nEXPECT upstream www.example.test A\nANSWER upstream www.example.test 30 A 192.0.2.7\n";

fn after_answer(steps: &str) -> String {
    format!("{ANSWERED}{steps}")
}

#[test]
fn a_true_scenario_is_played() {
    assert_eq!(failure(&after_answer("RECEIVE a www.example.test 30 A 192.0.2.7\nEND")), "played");
}

#[test]
fn answers_are_compared_whole() {
    let cases = [
        "RECEIVE a www.example.test 29 A 192.0.2.7",
        "RECEIVE a www.example.test 30 A 192.0.2.8",
        "RECEIVE a WWW.example.test 30 A 192.0.2.7",
        "RECEIVE a www.example.test 30 A 192.0.2.7 x2",
        "RECEIVE a authority: www.example.test 30 A 192.0.2.7",
        "RECEIVE a aa www.example.test 30 A 192.0.2.7",
        "RECEIVE a edns www.example.test 30 A 192.0.2.7",
        "RECEIVE a SERVFAIL www.example.test 30 A 192.0.2.7",
        "RECEIVE a bare www.example.test 30 A 192.0.2.7",
    ];
    for receive in cases {
        fails(&after_answer(&format!("{receive}\nEND")), 5, "\nreceived id=1 NOERROR qr rd ra\n");
    }
    fails(&after_answer("RECEIVE b www.example.test 30 A 192.0.2.7\nEND"), 5, "b has no such question");
    fails(&after_answer("RECEIVE a id=2 NOERROR\nEND"), 5, "a has no such question");
}

#[test]
fn questions_are_compared_whole() {
    let asked = |expect: &str| format!("ASK a www.example.test A\n{expect}\nEND");
    fails(&asked("EXPECT upstream www.example.test AAAA"), 3, "expected to upstream by tcp");
    fails(&asked("EXPECT upstream udp www.example.test A"), 3, "expected to upstream by udp");
    fails(&asked("EXPECT upstream fresh www.example.test A"), 3, "expected to upstream by tcp, fresh");
    fails(&asked("EXPECT upstream www.example.test A do"), 3, "edns=1232,do");
    fails(&asked("EXPECT upstream www.example.test A rd=0"), 3, "received to upstream");
    fails(&asked("EXPECT other www.example.test A"), 3, "expected to other");
    let twice = "EXPECT upstream www.example.test A\nEXPECT upstream www.example.test A";
    fails(&asked(twice), 4, "was sent nothing");
}

#[test]
fn nothing_is_skipped() {
    fails("ASK a www.example.test A\nEND", 3, "nobody asked for question to upstream by tcp");
    fails("ASK a www.example.test A\nPASS 1s\nEND", 3, "nobody asked for question");
    fails(&after_answer("NOTHING\nEND"), 5, "nobody asked for answer to a");
    let silent = "ASK a www.example.test A\nEXPECT upstream www.example.test A\nPASS 3s\nEND";
    fails(silent, 4, "1s before the end of this time: question to upstream by tcp on a fresh connection");
    fails(
        &after_answer("RECEIVE a www.example.test 30 A 192.0.2.7\nEXPECT forget upstream\nEND"),
        6,
        "forget",
    );
    fails(
        &after_answer("RECEIVE a www.example.test 30 A 192.0.2.7\nCOUNT coalesced 1\nEND"),
        6,
        "received coalesced 0",
    );
}

#[test]
fn lines_that_make_no_sense_are_named() {
    fails("ASK a www.example.test A", 2, "the last step is END");
    fails("END\nNOTHING", 3, "a step behind END");
    fails("NOTHING\nPOLICY cache none\nEND", 3, "POLICY stands before");
    fails("POLICY cash 30\nEND", 2, "`cash 30` is not a directive");
    fails("POLICY cache none\nPOLICY cache success 9984 30\nEND", 3, "options of `cache none`");
    fails("SAY a www.example.test A\nEND", 2, "`SAY a www.example.test A` is not a step");
    fails("ASK a www..test A\nEND", 2, "`www..test` is not a name");
    fails("ANSWER upstream NOERROR\nEND", 2, "no EXPECT before this names `upstream`");
    fails("PASS 12\nEND", 2, "`12` is not a time");
    fails("COUNT sheep 1\nEND", 2, "`sheep ` is not counted");
    assert!(Scenario::parse("file".to_owned(), "END\n").is_err(), "a scenario has a title");
}
