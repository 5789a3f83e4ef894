//! Shutdown on signals: drain, lameduck, exit codes.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use testkit::RecordType;
use testkit::client::QueryOptions;
use testkit::clock::now;
use testkit::upstream::{LabelScript, ResponseOrder, ServerOptions, Upstream};

use crate::fixture::{
    DNS, DaemonCommand, DaemonProcess, HEALTH, READY, WAIT_LIMIT, forward_corefile, loopback, upstream,
    wait_until, within,
};
use crate::readiness::unread_sockets;
use crate::responses::{data, get};

#[test]
fn signal_drains_open_queries_and_exits_with_code_zero() {
    let server_options = ServerOptions { order: ResponseOrder::OutOfOrder, ..ServerOptions::default() };
    let upstream = Upstream::start_with(loopback(), server_options, LabelScript::default()).unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let corefile = forward_corefile(&upstream, "force_tcp");
        let daemon = DaemonCommand::new(&corefile).arg("-workers=2").spawn().wait_until_ready();
        let names: Vec<String> =
            (0..16).map(|number| format!("slow500-{signal}-{}.example.", number / 2)).collect();
        let mut idle = daemon.connect();
        let mut pipeline = daemon.connect();
        pipeline.send("slow500-tcp.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
        thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| assert_eq!(data(&daemon.query(name)), ["192.0.2.1"]));
            }
            assert!(upstream.wait_for_queries(WAIT_LIMIT, |questions| {
                names.iter().all(|name| questions.iter().any(|question| question.is_for(name)))
            }));
            assert!(daemon.wait_for_metric("coredns_dns_requests_total", 17));
            daemon.signal(signal);
        });
        assert_eq!(data(&pipeline.receive().unwrap()), ["192.0.2.1"]);
        assert!(pipeline.receive().is_err() && idle.receive().is_err(), "connections are closed");
        let end = daemon.wait_for_exit();
        assert_eq!((end.code, end.stderr), (Some(0), Vec::new()), "{signal}: {:?}", end.stdout);
    }
}

#[test]
fn silent_upstream_does_not_prevent_the_exit() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let mut pipeline = daemon.connect();
    pipeline.send("silent-1.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert!(upstream.wait_for_queries(WAIT_LIMIT, |questions| questions.len() == 1));
    let signalled = now();
    let end = daemon.terminate();
    assert_eq!(end.code, Some(0));
    assert!(within(Duration::from_secs(6), signalled));
    let response = pipeline.receive().unwrap();
    assert_eq!(response.message.metadata.response_code, testkit::ResponseCode::ServFail);
}

#[test]
fn other_clients_are_answered_while_draining() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let mut waiting = daemon.connect();
    waiting.send("ok-1.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert_eq!(data(&waiting.receive().unwrap()), ["192.0.2.1"]);
    waiting.send("silent-tcp.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert!(upstream.wait_for_queries(WAIT_LIMIT, |questions| questions.len() >= 2));
    daemon.signal(Signal::SIGTERM);
    // New connections are refused from then on.
    assert!(wait_until(WAIT_LIMIT, || TcpStream::connect(daemon.addr(DNS)).is_err()));
    assert_eq!(data(&daemon.query("ok-2.example.")), ["192.0.2.1"]);
    assert_eq!(daemon.wait_for_exit().code, Some(0));
}

/// A Corefile with `/health` and a lameduck.
fn with_lameduck(upstream: &Upstream, time: &str) -> String {
    forward_corefile(upstream, "force_tcp")
        .replace("ready", &format!("health @:{HEALTH} {{\n lameduck {time}\n }}\n ready"))
}

#[test]
fn lameduck_serves_without_being_ready() {
    let upstream = upstream();
    let daemon = DaemonProcess::start(&with_lameduck(&upstream, "1s"));
    let signalled = now();
    daemon.signal(Signal::SIGTERM);
    assert!(wait_until(WAIT_LIMIT, || daemon.ready() == Some(503)));
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(data(&daemon.query_with("ok-2.example.", &QueryOptions::tcp())), ["192.0.2.1"]);
    assert_eq!(get(daemon.addr(HEALTH), "/health").unwrap().0, 200);
    assert!(within(Duration::from_secs(1), signalled), "all of this during the lameduck");
    daemon.wait_for_log("Going into lameduck mode for 1s");
    let end = daemon.wait_for_exit();
    assert_eq!((end.code, end.stderr), (Some(0), Vec::new()));
    assert!(!within(Duration::from_secs(1), signalled));
}

/// One second for each listener that does not respond, one after another, would be longer than the
/// exit is waited for.
#[test]
fn a_self_check_without_responses_does_not_delay_the_exit() {
    let upstream = upstream();
    let ports = 5301..5325;
    let keys: Vec<String> = ports.clone().map(|port| format!(".:{port}")).collect();
    let corefile = format!(
        "{}\n{} {{\n bind @\n forward . {}\n}}\n",
        forward_corefile(&upstream, "force_tcp"),
        keys.join(" "),
        upstream.addr()
    );
    let daemon = DaemonProcess::start(&corefile);
    let unread: Vec<_> = ports.map(|port| unread_sockets(daemon.addr(port), 15)).collect();
    let is_queried = || unread.iter().flatten().any(|socket| socket.recv(&mut [0; 16]).is_ok());
    unread.iter().flatten().for_each(|socket| socket.set_nonblocking(true).unwrap());
    assert!(wait_until(WAIT_LIMIT, is_queried), "a self-check runs");
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn second_signal_exits_at_once_with_code_two() {
    let upstream = upstream();
    for second in [Signal::SIGTERM, Signal::SIGINT] {
        let daemon = DaemonProcess::start(&with_lameduck(&upstream, "30s"));
        daemon.signal(Signal::SIGINT);
        daemon.wait_for_log("lameduck");
        let signalled = now();
        daemon.signal(second);
        assert_eq!(daemon.wait_for_exit().code, Some(2));
        assert!(within(Duration::from_secs(2), signalled));
    }
}

#[test]
fn sighup_is_ignored_and_the_pid_file_is_removed_on_exit() {
    let upstream = upstream();
    let path = std::env::temp_dir().join(format!("nodelocaldns-{}.pid", std::process::id()));
    let command = DaemonCommand::new(&forward_corefile(&upstream, "force_tcp"));
    let daemon = command.arg(&format!("-pidfile={}", path.display())).spawn().wait_until_ready();
    let number: u32 = std::fs::read_to_string(&path).unwrap().trim().parse().unwrap();
    assert_eq!(number, daemon.id());
    daemon.signal(Signal::SIGHUP);
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(daemon.terminate().code, Some(0));
    assert!(!path.exists());
}

#[test]
fn ports_are_free_after_the_exit() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let at = daemon.addr(DNS);
    let ready = daemon.addr(READY);
    assert_eq!(daemon.terminate().code, Some(0));
    drop(std::net::UdpSocket::bind(at).unwrap());
    drop(std::net::TcpListener::bind(at).unwrap());
    drop(std::net::TcpListener::bind(ready).unwrap());
}
