//! The `errors` directive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use corefile::settings::{Consolidate, Errors};
use daemon::logging::errors::{Consolidator, ErrorLog, LogLine};
use regex::Regex;
use resolver::action::{AttemptFailure, Cause, QueryError, Transport};
use resolver::policy::RouteId;
use tracing::Level;
use wire::header::{Rcode, RecordType};
use wire::name::{Name, NameError};

const TIMED_OUT: Cause = upstream(AttemptFailure::TimedOut, Transport::Udp);

const fn upstream(failure: AttemptFailure, transport: Transport) -> Cause {
    let to = std::net::SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 1), 53));
    Cause::Upstream(failure, transport, to)
}

fn query_error(cause: Cause) -> QueryError {
    QueryError { route: RouteId(3), rcode: Rcode::SERVFAIL, qtype: RecordType::A, name: (0, 0), cause }
}

fn consolidate(pattern: &str, seconds: u64, level: Level, show_first: bool) -> Consolidate {
    let period = Duration::from_secs(seconds);
    Consolidate { pattern: Regex::new(pattern).unwrap(), period, level, show_first }
}

fn consolidator(rules: Vec<Consolidate>) -> Consolidator {
    Consolidator::new(&Errors { stacktrace: false, consolidate: rules })
}

/// The line logged at once for a failed query of `nimek.com.br.`.
fn report(consolidator: &Consolidator, cause: Cause, now: Instant) -> Option<LogLine> {
    let name = Name::parse("nimek.com.br.").unwrap();
    consolidator.report(&query_error(cause), name.as_wire(), now)
}

fn line(level: Level, text: &str) -> LogLine {
    LogLine { level, text: format!("plugin/errors: {text}") }
}

#[test]
fn causes_have_the_wording_of_coredns() {
    let all = consolidator(Vec::new());
    for (cause, message) in [
        (TIMED_OUT, "read udp 10.0.0.1:53: i/o timeout"),
        (
            upstream(AttemptFailure::Filtered, Transport::Udp),
            "write udp 10.0.0.1:53: a packet filter of this node rejected the query",
        ),
        (upstream(AttemptFailure::TimedOut, Transport::Tcp), "read tcp 10.0.0.1:53: i/o timeout"),
        (upstream(AttemptFailure::DialTimedOut, Transport::Tcp), "dial tcp 10.0.0.1:53: i/o timeout"),
        (
            upstream(AttemptFailure::Refused, Transport::Tcp),
            "dial tcp 10.0.0.1:53: connect: connection refused",
        ),
        (upstream(AttemptFailure::Refused, Transport::Udp), "read udp 10.0.0.1:53: read: connection refused"),
        (
            upstream(AttemptFailure::Unreachable, Transport::Tcp),
            "dial tcp 10.0.0.1:53: connect: no route to host",
        ),
        (
            upstream(AttemptFailure::Unreachable, Transport::Udp),
            "read udp 10.0.0.1:53: read: no route to host",
        ),
        (upstream(AttemptFailure::Closed, Transport::Tcp), "read tcp 10.0.0.1:53: EOF"),
        (Cause::TooManyConcurrent(1000), "concurrent queries exceeded maximum 1000"),
        (Cause::NoNextDirective("forward"), "plugin/forward: no next plugin found"),
        (
            Cause::InvalidName(NameError::LabelTooLong),
            "invalid name after rewrite: a label of more than 63 octets",
        ),
        (
            Cause::Template("answer", "error calling index: index out of range"),
            "template: answer: error calling index: index out of range",
        ),
    ] {
        let expected = line(Level::ERROR, &format!("2 nimek.com.br. A: {message}"));
        assert_eq!(report(&all, cause, Instant::now()), Some(expected));
    }
}

#[test]
fn a_name_is_escaped() {
    let name = [6, b'a', b'"', b'\n', 0x1b, 0xff, b'.', 0];
    let logged = consolidator(Vec::new()).report(&query_error(TIMED_OUT), &name, Instant::now()).unwrap();
    assert_eq!(logged, line(Level::ERROR, r#"2 a\"\010\027\255\.. A: read udp 10.0.0.1:53: i/o timeout"#));
}

#[test]
fn matching_failures_are_summarised_after_the_period() {
    let start = Instant::now();
    let five_minutes = Duration::from_secs(300);
    let errors = consolidator(vec![consolidate("^read .* i/o timeout$", 300, Level::WARN, false)]);
    assert_eq!(errors.next_due(), None);
    for second in 0..5 {
        assert_eq!(report(&errors, TIMED_OUT, start + Duration::from_secs(second)), None);
    }
    assert!(report(&errors, upstream(AttemptFailure::Refused, Transport::Tcp), start).is_some());

    assert_eq!(errors.next_due(), Some(start + five_minutes));
    assert_eq!(errors.take_due(start + five_minutes - Duration::from_nanos(1)), []);
    let expected = line(Level::WARN, "5 errors like '^read .* i/o timeout$' occurred in last 5m0s");
    assert_eq!(errors.take_due(start + five_minutes), [expected]);
    assert_eq!(errors.next_due(), None);

    let again = start + five_minutes * 2;
    assert_eq!(report(&errors, TIMED_OUT, again), None);
    assert_eq!(errors.next_due(), Some(again + five_minutes));
}

/// In a flood, a limit rejects each query.
#[test]
fn queries_that_a_limit_rejects_are_summarised() {
    let start = Instant::now();
    let period = Duration::from_secs(10);
    let all = consolidator(Vec::new());
    for (cause, message) in [
        (Cause::TooManyConcurrent(1000), "concurrent queries exceeded maximum"),
        (Cause::TooManyInFlight, "too many queries are waiting"),
        (Cause::TooManyPerClient, "too many queries of this client are waiting"),
        (Cause::TooManyWaiters, "too many clients are waiting for this query"),
    ] {
        assert!(report(&all, cause, start).is_some_and(|line| line.text.contains(message)));
        for _ in 1..1000 {
            assert_eq!(report(&all, cause, start), None);
        }
        assert_eq!(all.next_due(), Some(start + period));
        let summary = format!("1000 errors like '{message}' occurred in last 10s");
        assert_eq!(all.take_due(start + period), [line(Level::ERROR, &summary)]);
        assert_eq!(all.next_due(), None);
    }
    // `consolidate` applies to them.
    let configured = consolidator(vec![consolidate("waiting$", 60, Level::WARN, false)]);
    assert_eq!(report(&configured, Cause::TooManyInFlight, start), None);
    assert_eq!(configured.next_due(), Some(start + Duration::from_secs(60)));
}

#[test]
fn the_first_matching_pattern_counts() {
    let now = Instant::now();
    let errors = consolidator(vec![
        consolidate("refused", 10, Level::ERROR, false),
        consolidate("timeout", 20, Level::INFO, false),
        consolidate("udp", 30, Level::INFO, false),
    ]);
    assert_eq!(report(&errors, TIMED_OUT, now), None);
    let lines = errors.take_due(now + Duration::from_secs(60));
    assert_eq!(lines, [line(Level::INFO, "1 errors like 'timeout' occurred in last 20s")]);
}

#[test]
fn show_first_logs_the_first_failure_and_a_single_one_only_once() {
    let now = Instant::now();
    let later = now + Duration::from_secs(10);
    let errors = consolidator(vec![consolidate("timeout", 10, Level::WARN, true)]);
    let first = line(Level::WARN, "2 nimek.com.br. A: read udp 10.0.0.1:53: i/o timeout");
    assert_eq!(report(&errors, TIMED_OUT, now), Some(first.clone()));
    assert_eq!(errors.take_due(later), []);

    assert_eq!(report(&errors, TIMED_OUT, later), Some(first));
    assert_eq!(report(&errors, TIMED_OUT, later), None);
    let lines = errors.take_due(later + Duration::from_secs(10));
    assert_eq!(lines, [line(Level::WARN, "2 errors like 'timeout' occurred in last 10s")]);
}

#[test]
fn closing_logs_all_summaries_and_stops_consolidation() {
    let now = Instant::now();
    let errors = consolidator(vec![consolidate("timeout", 300, Level::INFO, false)]);
    assert_eq!(report(&errors, TIMED_OUT, now), None);
    assert_eq!(errors.close(), [line(Level::INFO, "1 errors like 'timeout' occurred in last 5m0s")]);
    assert_eq!(report(&errors, TIMED_OUT, now).unwrap().level, Level::ERROR);
    assert_eq!(errors.close(), []);
}

#[test]
fn only_routes_with_the_directive_are_logged_and_share_counts() {
    let now = Instant::now();
    let block = Arc::new(consolidator(vec![consolidate("timeout", 10, Level::INFO, false)]));
    let mut log = ErrorLog::new();
    log.set(RouteId(3), &block);
    log.set(RouteId(4), &block);
    let name = Name::root();
    for route in [3, 4, 5] {
        let error = QueryError { route: RouteId(route), ..query_error(TIMED_OUT) };
        assert_eq!(log.report(&error, name.as_wire(), now), None);
    }
    assert_eq!(log.next_due(), Some(now + Duration::from_secs(10)));
    let lines = log.take_due(now + Duration::from_secs(10));
    assert_eq!(lines, [line(Level::INFO, "2 errors like 'timeout' occurred in last 10s")]);
    assert_eq!(log.close(), []);
}
