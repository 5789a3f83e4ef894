//! What it says while it serves, as CoreDNS says it.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use testkit::RecordType;
use testkit::client::QueryOptions;
use testkit::clock::now;
use testkit::upstream::ClosedPort;

use crate::environment::{DNS, Daemon, Launch, PATIENCE, READY, forwarding, localhost, upstream, within};
use crate::responses::with_edns;

/// A Corefile whose block has one more directive.
fn with_directive(upstream: &testkit::upstream::Upstream, directive: &str) -> String {
    forwarding(upstream, "force_tcp").replace("errors", directive)
}

/// The words of a line of the query log whose last, the duration, is checked and taken off.
fn without_duration(line: &str) -> String {
    let (words, duration) = line.rsplit_once(' ').unwrap();
    let seconds = duration.strip_suffix('s').unwrap();
    assert!(seconds.parse::<f64>().unwrap() < 5.0, "{line}");
    words.to_owned()
}

#[test]
fn the_query_log_has_coredns_form() {
    let upstream = upstream();
    let daemon = Daemon::start(&with_directive(&upstream, "log"));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    socket.connect(daemon.at(DNS)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for (id, options) in [(7, QueryOptions::default()), (8, QueryOptions { dnssec_ok: true, ..with_edns() })]
    {
        let query = options.message(id, "OK-log.example.", RecordType::A).unwrap().to_vec().unwrap();
        socket.send(&query).unwrap();
        socket.recv(&mut [0; 512]).unwrap();
    }
    let first = without_duration(&daemon.says(" - 7 "));
    let rest = "\"A IN ok-log.example. udp 32 false 512\" NOERROR qr,rd,ra";
    assert!(first.starts_with(&format!("[INFO] 127.0.0.1:{port} - 7 {rest} ")), "{first}");
    let second = without_duration(&daemon.says(" - 8 "));
    assert!(second.contains(" - 8 \"A IN ok-log.example. udp 43 true 1232\" NOERROR qr,rd,ra "), "{second}");
    daemon.ask_with("nxdomain-1.example.", &QueryOptions::tcp());
    let denied = without_duration(&daemon.says("nxdomain-1"));
    assert!(
        denied.contains("\"A IN nxdomain-1.example. tcp 36 false 65535\" NXDOMAIN qr,rd,ra "),
        "{denied}"
    );
}

#[test]
fn failures_alike_are_told_as_one_when_their_time_is_over_or_the_process_ends() {
    let closed = ClosedPort::bind(localhost()).unwrap();
    let start = |period: &str| {
        let errors = format!("errors {{\n consolidate {period} \"^dial .* refused$\" warning\n }}");
        let forward = format!("forward . {} {{\n force_tcp\n }}", closed.addr());
        Daemon::start(&format!(".:{DNS} {{\n bind @\n {errors}\n {forward}\n ready @:{READY}\n}}"))
    };
    let ask_three = |daemon: &Daemon| {
        for number in 0..3 {
            daemon.ask(&format!("ok-{number}.example."));
        }
    };
    let told = |period: &str| {
        format!("[WARNING] plugin/errors: 3 errors like '^dial .* refused$' occurred in last {period}")
    };
    let daemon = start("1s");
    ask_three(&daemon);
    assert_eq!(daemon.says("plugin/errors"), told("1s"));
    let daemon = start("1h");
    ask_three(&daemon);
    let end = daemon.terminate();
    let lines: Vec<&String> = end.stdout.iter().filter(|line| line.contains("plugin/errors")).collect();
    assert_eq!(lines, [&told("1h0m0s")]);
}

#[test]
fn the_start_is_told_zone_by_zone_or_not_at_all() {
    let upstream = upstream();
    let corefile = forwarding(&upstream, "force_tcp");
    let daemon = Daemon::start(&corefile);
    let line = daemon.says(&format!(".:{DNS} on {}", daemon.ip));
    assert_eq!(line, format!("[INFO] .:{DNS} on {}", daemon.ip));
    daemon.says("[INFO] plugin/reload: Running configuration SHA512 = ");
    daemon.says("[INFO] nodelocaldns-");
    let quiet = Launch::new(&corefile).arg("-quiet").start().when_ready();
    quiet.says("[INFO] nodelocaldns-");
    assert!(!quiet.heard().iter().any(|line| line.contains(" on 127.")), "{:?}", quiet.heard());
}

#[test]
fn a_reader_that_does_not_read_stalls_nobody() {
    let upstream = upstream();
    let daemon = Launch::new(&with_directive(&upstream, "log")).unread().start().when_ready();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(daemon.at(DNS)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let query = QueryOptions::default().message(1, "ok-1.example.", RecordType::A).unwrap().to_vec().unwrap();
    // More than the pipe and the queue of lines hold.
    for _ in 0..6000 {
        socket.send(&query).unwrap();
        socket.recv(&mut [0; 512]).unwrap();
    }
    assert!(daemon.metric("nodelocaldns_log_lines_dropped_total") > 0);
    let answer = daemon.ask("ok-2.example.");
    assert!(answer.elapsed < Duration::from_secs(1));
    let told = now();
    assert_eq!(daemon.terminate().code, Some(0));
    assert!(within(Duration::from_secs(5), told));
}
