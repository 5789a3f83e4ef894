//! How it ends when it is told to.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use testkit::RecordType;
use testkit::client::QueryOptions;
use testkit::clock::now;
use testkit::upstream::{LabelScript, ResponseOrder, ServerOptions, Upstream};

use crate::environment::{
    DNS, Daemon, HEALTH, Launch, PATIENCE, READY, forwarding, localhost, reached, upstream, within,
};
use crate::responses::{data, get};

#[test]
fn told_to_end_it_answers_what_is_open_and_succeeds() {
    let server_options = ServerOptions { order: ResponseOrder::OutOfOrder, ..ServerOptions::default() };
    let upstream = Upstream::start_with(localhost(), server_options, LabelScript::default()).unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let corefile = forwarding(&upstream, "force_tcp");
        let daemon = Launch::new(&corefile).arg("-workers=2").start().when_ready();
        let names: Vec<String> =
            (0..16).map(|number| format!("slow500-{signal}-{}.example.", number / 2)).collect();
        let mut idle = daemon.connect();
        let mut pipeline = daemon.connect();
        pipeline.send("slow500-tcp.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
        thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| assert_eq!(data(&daemon.ask(name)), ["192.0.2.1"]));
            }
            assert!(upstream.wait_for_queries(PATIENCE, |questions| {
                names.iter().all(|name| questions.iter().any(|question| question.is_for(name)))
            }));
            assert!(daemon.metric_becomes("coredns_dns_requests_total", 17));
            daemon.signal(signal);
        });
        assert_eq!(data(&pipeline.receive().unwrap()), ["192.0.2.1"]);
        assert!(pipeline.receive().is_err() && idle.receive().is_err(), "connections are closed");
        let end = daemon.end();
        assert_eq!((end.code, end.stderr), (Some(0), Vec::new()), "{signal}: {:?}", end.stdout);
    }
}

#[test]
fn an_upstream_that_says_nothing_does_not_keep_it_from_ending() {
    let upstream = upstream();
    let daemon = Daemon::forwarding_to(&upstream, "force_tcp");
    let mut pipeline = daemon.connect();
    pipeline.send("silent-1.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert!(upstream.wait_for_queries(PATIENCE, |questions| questions.len() == 1));
    let told = now();
    let end = daemon.terminate();
    assert_eq!(end.code, Some(0));
    assert!(within(Duration::from_secs(6), told));
    let answer = pipeline.receive().unwrap();
    assert_eq!(answer.message.metadata.response_code, testkit::ResponseCode::ServFail);
}

#[test]
fn while_it_waits_for_a_client_it_answers_others() {
    let upstream = upstream();
    let daemon = Daemon::forwarding_to(&upstream, "force_tcp");
    let mut waiting = daemon.connect();
    waiting.send("ok-1.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert_eq!(data(&waiting.receive().unwrap()), ["192.0.2.1"]);
    waiting.send("silent-tcp.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert!(upstream.wait_for_queries(PATIENCE, |questions| questions.len() >= 2));
    daemon.signal(Signal::SIGTERM);
    // It takes no new connections from then on.
    assert!(reached(PATIENCE, || TcpStream::connect(daemon.at(DNS)).is_err()));
    assert_eq!(data(&daemon.ask("ok-2.example.")), ["192.0.2.1"]);
    assert_eq!(daemon.end().code, Some(0));
}

/// A Corefile with a lameduck.
fn with_lameduck(upstream: &Upstream, time: &str) -> String {
    forwarding(upstream, "force_tcp")
        .replace("ready", &format!("health @:{HEALTH} {{\n lameduck {time}\n }}\n ready"))
}

#[test]
fn in_lameduck_it_is_not_ready_and_serves_nevertheless() {
    let upstream = upstream();
    let daemon = Daemon::start(&with_lameduck(&upstream, "1s"));
    let told = now();
    daemon.signal(Signal::SIGTERM);
    assert!(reached(PATIENCE, || daemon.ready() == Some(503)));
    assert_eq!(data(&daemon.ask("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(data(&daemon.ask_with("ok-2.example.", &QueryOptions::tcp())), ["192.0.2.1"]);
    assert_eq!(get(daemon.at(HEALTH), "/health").unwrap().0, 200);
    assert!(within(Duration::from_secs(1), told), "all of this during the lameduck");
    daemon.says("Going into lameduck mode for 1s");
    let end = daemon.end();
    assert_eq!((end.code, end.stderr), (Some(0), Vec::new()));
    assert!(!within(Duration::from_secs(1), told));
}

#[test]
fn told_twice_it_ends_at_once_and_says_so_by_its_code() {
    let upstream = upstream();
    for second in [Signal::SIGTERM, Signal::SIGINT] {
        let daemon = Daemon::start(&with_lameduck(&upstream, "30s"));
        daemon.signal(Signal::SIGINT);
        daemon.says("lameduck");
        let told = now();
        daemon.signal(second);
        assert_eq!(daemon.end().code, Some(2));
        assert!(within(Duration::from_secs(2), told));
    }
}

#[test]
fn hang_up_is_ignored_and_the_pid_file_lives_as_long_as_the_process() {
    let upstream = upstream();
    let path = std::env::temp_dir().join(format!("nodelocaldns-{}.pid", std::process::id()));
    let launch = Launch::new(&forwarding(&upstream, "force_tcp"));
    let daemon = launch.arg(&format!("-pidfile={}", path.display())).start().when_ready();
    let number: u32 = std::fs::read_to_string(&path).unwrap().trim().parse().unwrap();
    assert_eq!(number, daemon.id());
    daemon.signal(Signal::SIGHUP);
    assert_eq!(data(&daemon.ask("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(daemon.terminate().code, Some(0));
    assert!(!path.exists());
}

#[test]
fn after_the_end_the_port_is_free() {
    let upstream = upstream();
    let daemon = Daemon::forwarding_to(&upstream, "force_tcp");
    let at = daemon.at(DNS);
    let ready = daemon.at(READY);
    assert_eq!(daemon.terminate().code, Some(0));
    drop(std::net::UdpSocket::bind(at).unwrap());
    drop(std::net::TcpListener::bind(at).unwrap());
    drop(std::net::TcpListener::bind(ready).unwrap());
}
