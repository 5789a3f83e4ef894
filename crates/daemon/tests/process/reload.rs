//! Reload of the Corefile.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use testkit::client::uninterrupted;

use nix::sys::signal::Signal;
use testkit::RecordType;
use testkit::client::{Client, ClientError, QueryOptions, Response};
use testkit::upstream::{LabelScript, ResponseOrder, ServerOptions, Upstream};

use crate::fixture::{
    DNS, DaemonCommand, DaemonProcess, READY, WAIT_LIMIT, forward_corefile, loopback, upstream, wait_until,
    within,
};
use crate::responses::{code, data};
use testkit::clock::now;

const SECOND: u16 = DNS + 1;
const FAILED: &str = "coredns_reload_failed_total";

/// A server block with a cache.
fn block(zone: &str, port: u16, upstream: &Upstream) -> String {
    format!("{zone}:{port} {{\n bind @\n cache 30\n forward . {} {{\n force_tcp\n }}\n}}\n", upstream.addr())
}

fn ask_at(daemon: &DaemonProcess, port: u16, name: &str) -> Result<Response, ClientError> {
    Client::new(daemon.addr(port)).query(name, RecordType::A, &QueryOptions::default())
}

/// Whether nothing listens on the port, over UDP and TCP.
fn is_closed(daemon: &DaemonProcess, port: u16) -> bool {
    let client = Client { timeout: Duration::from_millis(200), ..Client::new(daemon.addr(port)) };
    let by_udp = client.query("ok-closed.example.", RecordType::A, &QueryOptions::default());
    matches!(by_udp, Err(ClientError::Io(_))) && TcpStream::connect(daemon.addr(port)).is_err()
}

/// Edits the Corefile and reloads it by signal.
pub(crate) fn reload(daemon: &DaemonProcess, corefile: &str) {
    daemon.write_corefile(corefile);
    let lines = || {
        daemon
            .log_lines()
            .iter()
            .filter(|line| line.contains("reload failed") || line.contains("Reloading complete"))
            .count()
    };
    let before = lines();
    daemon.signal(Signal::SIGUSR1);
    assert!(wait_until(WAIT_LIMIT, || lines() > before), "{:?}", daemon.log_lines());
}

#[test]
fn reload_applies_only_the_changed_parts() {
    let (first, second) = (upstream(), upstream());
    let corefile = forward_corefile(&first, "force_tcp").replace("ready", "reload 2s 1s\n ready");
    let daemon = DaemonCommand::new(&corefile).arg("-workers=2").spawn().wait_until_ready();
    daemon.query("ok-kept.example.");
    let mut connection = daemon.connect();
    connection.send("ok-1.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    connection.receive().unwrap();
    assert!(is_closed(&daemon, SECOND));

    let more = format!("{corefile}{}{}", block("new.test", DNS, &second), block(".", SECOND, &second));
    daemon.write_corefile(&more);
    daemon.wait_for_log("Reloading complete");
    assert_eq!(data(&daemon.query("ok-1.new.test.")), ["192.0.2.1"]);
    assert_eq!((first.query_count("ok-1.new.test."), second.query_count("ok-1.new.test.")), (0, 1));
    assert_eq!(data(&ask_at(&daemon, SECOND, "ok-2.example.").unwrap()), ["192.0.2.1"]);
    assert_eq!(second.query_count("ok-2.example."), 1);
    for _ in 0..10 {
        assert_eq!(data(&daemon.query("ok-kept.example.")), ["192.0.2.1"]);
    }
    assert_eq!(first.query_count("ok-kept.example."), 1, "an unchanged block keeps its cache");
    connection.send("ok-2.new.test.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert_eq!(data(&connection.receive().unwrap()), ["192.0.2.1"], "connections stay open");
    assert_eq!((second.query_count("ok-2.new.test."), daemon.metric(FAILED)), (1, 0));
    assert!(wait_until(WAIT_LIMIT, || daemon.ready() == Some(200)));

    reload(&daemon, &corefile);
    assert!(wait_until(WAIT_LIMIT, || is_closed(&daemon, SECOND)));
    assert_eq!(data(&daemon.query("ok-3.new.test.")), ["192.0.2.1"]);
    assert_eq!((first.query_count("ok-3.new.test."), second.query_count("ok-3.new.test.")), (1, 0));
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn unchanged_upstreams_keep_their_sockets() {
    let (first, second) = (upstream(), upstream());
    let corefile = forward_corefile(&first, "prefer_udp");
    let daemon = DaemonCommand::new(&corefile).arg("-workers=1").spawn().wait_until_ready();
    let ports = |names: std::ops::Range<u8>| -> BTreeSet<u16> {
        let before = first.queries().len();
        names.for_each(|number| drop(daemon.query(&format!("ok-{number}.example."))));
        first.queries().iter().skip(before).map(|query| query.peer.port()).collect()
    };
    let sockets = ports(0..8);
    reload(
        &daemon,
        &format!("{}{}", corefile.replace("ready", "errors\n ready"), block("new.test", DNS, &second)),
    );
    assert!(ports(8..16).is_subset(&sockets));
}

#[test]
fn changed_upstreams_have_a_cache_of_their_own() {
    let (first, second) = (upstream(), upstream());
    let daemon = DaemonProcess::forwarding_to(&first, "force_tcp");
    daemon.query("ok-1.example.");
    reload(&daemon, &forward_corefile(&second, "force_tcp"));
    daemon.query("ok-1.example.");
    assert_eq!((first.query_count("ok-1.example."), second.query_count("ok-1.example.")), (1, 1));
    reload(&daemon, &forward_corefile(&first, "force_tcp"));
    daemon.query("ok-1.example.");
    assert_eq!(first.query_count("ok-1.example."), 1, "the cache of the first block is kept");
}

#[test]
fn warnings_of_a_reload_are_logged_once() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let edited = forward_corefile(&upstream, "doh_method POST");
    reload(&daemon, &edited);
    reload(&daemon, &edited);
    let warnings = daemon.warnings();
    assert!(matches!(&warnings[..], [one] if one.contains("doh_method has no effect")), "{warnings:?}");
}

#[test]
fn invalid_corefile_is_logged_counted_and_not_applied() {
    let upstream = upstream();
    let corefile = forward_corefile(&upstream, "force_tcp");
    let daemon = DaemonProcess::start(&corefile);
    assert_eq!(
        daemon.metric("coredns_plugin_enabled"),
        4,
        "errors, cache, forward, prometheus handle queries"
    );
    let port_holder = TcpListener::bind(loopback()).unwrap();
    let taken = port_holder.local_addr().unwrap();
    let edits = [
        (corefile.replace("errors", "wibble"), "Unknown directive 'wibble'"),
        (corefile.replace("cache 30", "cache 30 {\n foo\n }"), "after 'foo'"),
        (format!("{corefile}{}", block(".", DNS, &upstream)), "already defined"),
        (corefile.replace('}', ""), "Unexpected EOF"),
        (
            format!("{corefile}.:{} {{\n bind {}\n log\n}}\n", taken.port(), taken.ip()),
            "address already in use",
        ),
        (corefile.replace(&format!("@:{READY}"), &taken.to_string()), "address already in use"),
    ];
    for (count, (edit, part)) in (1..).zip(&edits) {
        reload(&daemon, edit);
        assert!(daemon.wait_for_metric(FAILED, count), "{edit}: {:?}", daemon.log_lines());
        let line = daemon.log_lines().into_iter().rfind(|line| line.starts_with("[ERROR]")).unwrap();
        assert!(line.contains("reload failed") && line.contains(part), "{line}");
        assert_eq!(data(&daemon.query(&format!("ok-{count}.example."))), ["192.0.2.1"]);
        assert_eq!(
            daemon.metric("coredns_plugin_enabled{name=\"log\"}"),
            0,
            "the configuration is not applied"
        );
    }
    drop(port_holder);
    reload(&daemon, &corefile);
    daemon.wait_for_log("Reloading complete");
    assert_eq!((daemon.metric(FAILED), daemon.ready()), (edits.len() as u64, Some(200)));
    assert_eq!(data(&daemon.query("ok-again.example.")), ["192.0.2.1"]);
}

#[test]
fn a_reload_logs_the_hash_and_the_upstreams_in_effect() {
    let (first, second) = (upstream(), upstream());
    let corefile = forward_corefile(&first, "force_tcp").replace("cache 30", "cache 30\nreload 1h");
    let daemon = DaemonProcess::start(&corefile);
    let upstreams = |upstream: &Upstream| format!("plugin/forward: upstreams of .: {}", upstream.addr());
    let before = daemon.wait_for_log("Running configuration SHA512 = ");
    daemon.wait_for_log(&upstreams(&first));
    assert!(!daemon.metrics_page().contains("coredns_reload_version_info{"), "no reload yet");
    reload(&daemon, &forward_corefile(&second, "force_tcp"));
    let lines = daemon.log_lines();
    let loaded = lines.iter().position(|line| line.ends_with("Reloading complete")).unwrap();
    let hash =
        lines[loaded - 1].strip_prefix("[INFO] plugin/reload: Running configuration SHA512 = ").unwrap();
    assert_eq!((hash.len(), before.ends_with(hash)), (128, false), "{lines:?}");
    let version = |hash: &str| format!("coredns_reload_version_info{{hash=\"sha512\",value=\"{hash}\"}} 1");
    assert!(daemon.metrics_page().contains(&version(hash)), "{}", daemon.metrics_page());
    daemon.wait_for_log(&upstreams(&second));
    reload(&daemon, "nonsense {");
    assert!(daemon.metrics_page().contains(&version(hash)), "the running configuration");
}

#[test]
fn missing_corefile_at_reload_changes_nothing() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    std::fs::remove_file(daemon.file("Corefile")).unwrap();
    daemon.signal(Signal::SIGUSR1);
    assert!(daemon.wait_for_log("reload failed").contains("does not exist"));
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
}

#[test]
fn open_queries_of_a_removed_listener_are_answered() {
    let server_options = ServerOptions { order: ResponseOrder::OutOfOrder, ..ServerOptions::default() };
    let upstream = Upstream::start_with(loopback(), server_options, LabelScript::default()).unwrap();
    let corefile = forward_corefile(&upstream, "force_tcp");
    let daemon = DaemonProcess::start(&format!("{corefile}{}", block(".", SECOND, &upstream)));
    let at = daemon.addr(SECOND);
    let socket = UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(at).unwrap();
    socket.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    let query = QueryOptions::default().message(5, "slow500-udp.example.", RecordType::A).unwrap();
    socket.send(&query.to_vec().unwrap()).unwrap();
    let mut busy = testkit::client::Pipeline::connect(at, WAIT_LIMIT).unwrap();
    busy.send("slow500-tcp.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    let mut idle = testkit::client::Pipeline::connect(at, WAIT_LIMIT).unwrap();
    assert!(upstream.wait_for_queries(WAIT_LIMIT, |questions| questions.len() == 2));
    reload(&daemon, &corefile);
    let reloaded = now();
    assert!(TcpStream::connect(at).is_err(), "no new connections");
    assert!(matches!(idle.receive(), Err(ClientError::Closed)), "an idle connection is closed");
    assert!(within(Duration::from_secs(2), reloaded), "{:?}", reloaded.elapsed());
    let mut response = [0; 512];
    let length = uninterrupted(|| socket.recv(&mut response)).expect("the response to an open query");
    assert_eq!(testkit::Message::from_vec(&response[..length]).unwrap().answers.len(), 1);
    assert_eq!(data(&busy.receive().unwrap()), ["192.0.2.1"]);
    assert!(
        matches!(busy.receive(), Err(ClientError::Closed)),
        "the connection is closed after the response"
    );
    assert!(within(Duration::from_secs(2), reloaded), "{:?}", reloaded.elapsed());
    assert!(wait_until(WAIT_LIMIT, || is_closed(&daemon, SECOND)));
    assert_eq!(code(&daemon.query("ok-1.example.")), testkit::ResponseCode::NoError);
}
