//! Log lines in service: query log, errors, start-up, slow reader of stdout.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;
use testkit::client::uninterrupted;

use testkit::RecordType;
use testkit::client::QueryOptions;
use testkit::clock::now;
use testkit::upstream::ClosedPort;

use crate::fixture::{
    DNS, DaemonCommand, DaemonProcess, READY, WAIT_LIMIT, forward_corefile, loopback, upstream, within,
};
use crate::responses::with_edns;

/// A Corefile with `directive` in place of `errors`.
fn with_directive(upstream: &testkit::upstream::Upstream, directive: &str) -> String {
    forward_corefile(upstream, "force_tcp").replace("errors", directive)
}

/// A query-log line without its last field, the duration, which is checked.
fn without_duration(line: &str) -> String {
    let (fields, duration) = line.rsplit_once(' ').unwrap();
    let seconds = duration.strip_suffix('s').unwrap();
    assert!(seconds.parse::<f64>().unwrap() < 5.0, "{line}");
    fields.to_owned()
}

#[test]
fn the_query_log_equals_coredns() {
    let upstream = upstream();
    let daemon = DaemonProcess::start(&with_directive(&upstream, "log"));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    socket.connect(daemon.addr(DNS)).unwrap();
    socket.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    for (id, options) in [(7, QueryOptions::default()), (8, QueryOptions { dnssec_ok: true, ..with_edns() })]
    {
        let query = options.message(id, "OK-log.example.", RecordType::A).unwrap().to_vec().unwrap();
        socket.send(&query).unwrap();
        uninterrupted(|| socket.recv(&mut [0; 512])).unwrap();
    }
    let first = without_duration(&daemon.wait_for_log(" - 7 "));
    let rest = "\"A IN ok-log.example. udp 32 false 512\" NOERROR qr,rd,ra";
    assert!(first.starts_with(&format!("[INFO] 127.0.0.1:{port} - 7 {rest} ")), "{first}");
    let second = without_duration(&daemon.wait_for_log(" - 8 "));
    assert!(second.contains(" - 8 \"A IN ok-log.example. udp 43 true 1232\" NOERROR qr,rd,ra "), "{second}");
    daemon.query_with("nxdomain-1.example.", &QueryOptions::tcp());
    let denied = without_duration(&daemon.wait_for_log("nxdomain-1"));
    assert!(
        denied.contains("\"A IN nxdomain-1.example. tcp 36 false 65535\" NXDOMAIN qr,rd,ra "),
        "{denied}"
    );
}

#[test]
fn the_query_log_names_the_upstream_with_metadata() {
    let upstream = upstream();
    let format = r#"log . "{name} from {/forward/upstream} {/log/class}""#;
    let daemon = DaemonProcess::start(&with_directive(&upstream, &format!("metadata\n{format}")));
    for _ in 0..2 {
        daemon.query("ok-1.example.");
    }
    let from = |upstream: &str| format!("[INFO] ok-1.example. from {upstream} success");
    daemon.wait_for_log(&from(&upstream.addr().to_string()));
    daemon.wait_for_log(&from("-"));
}

#[test]
fn consolidated_errors_are_logged_after_the_period_or_at_exit() {
    let closed = ClosedPort::bind(loopback()).unwrap();
    let start = |period: &str| {
        let errors = format!("errors {{\n consolidate {period} \"^dial .* refused$\" warning\n }}");
        let forward = format!("forward . {} {{\n force_tcp\n }}", closed.addr());
        DaemonProcess::start(&format!(".:{DNS} {{\n bind @\n {errors}\n {forward}\n ready @:{READY}\n}}"))
    };
    let ask_three = |daemon: &DaemonProcess| {
        for number in 0..3 {
            daemon.query(&format!("ok-{number}.example."));
        }
    };
    let summary = |period: &str| {
        format!("[WARNING] plugin/errors: 3 errors like '^dial .* refused$' occurred in last {period}")
    };
    let daemon = start("1s");
    ask_three(&daemon);
    assert_eq!(daemon.wait_for_log("plugin/errors"), summary("1s"));
    let daemon = start("1h");
    ask_three(&daemon);
    let end = daemon.terminate();
    let lines: Vec<&String> = end.stdout.iter().filter(|line| line.contains("plugin/errors")).collect();
    assert_eq!(lines, [&summary("1h0m0s")]);
}

#[test]
fn start_up_logs_the_hash_of_the_configuration_with_reload_only() {
    let upstream = upstream();
    let corefile = forward_corefile(&upstream, "force_tcp");
    let hash = "[INFO] plugin/reload: Running configuration SHA512 = ";
    let with = DaemonProcess::start(&corefile.replace("cache 30", "cache 30\nreload"));
    with.wait_for_log(hash);
    let without = DaemonProcess::start(&corefile).terminate();
    assert!(!without.stdout.iter().any(|line| line.starts_with(hash)), "{:?}", without.stdout);
}

#[test]
fn start_up_lists_the_zones_unless_quiet() {
    let upstream = upstream();
    let corefile = forward_corefile(&upstream, "force_tcp");
    let daemon = DaemonProcess::start(&corefile);
    let line = daemon.wait_for_log(&format!(".:{DNS} on {}", daemon.ip));
    assert_eq!(line, format!("[INFO] .:{DNS} on {}", daemon.ip));
    daemon.wait_for_log("[INFO] nodelocaldns-");
    let quiet = DaemonCommand::new(&corefile).arg("-quiet").spawn().wait_until_ready();
    quiet.wait_for_log("[INFO] nodelocaldns-");
    assert!(!quiet.log_lines().iter().any(|line| line.contains(" on 127.")), "{:?}", quiet.log_lines());
}

#[test]
fn a_blocked_reader_of_stdout_does_not_delay_responses() {
    let upstream = upstream();
    let daemon =
        DaemonCommand::new(&with_directive(&upstream, "log")).stdout_unread().spawn().wait_until_ready();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(daemon.addr(DNS)).unwrap();
    socket.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    let query = QueryOptions::default().message(1, "ok-1.example.", RecordType::A).unwrap().to_vec().unwrap();
    // More lines than the pipe and the log queue hold.
    for _ in 0..6000 {
        socket.send(&query).unwrap();
        uninterrupted(|| socket.recv(&mut [0; 512])).unwrap();
    }
    assert!(daemon.metric("nodelocaldns_log_lines_dropped_total") > 0);
    let answer = daemon.query("ok-2.example.");
    assert!(answer.elapsed < Duration::from_secs(1));
    let terminated = now();
    assert_eq!(daemon.terminate().code, Some(0));
    assert!(within(Duration::from_secs(5), terminated));
}
