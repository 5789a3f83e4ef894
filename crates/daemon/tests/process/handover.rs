//! Hand-over between real instances: upgrades under load, crashes, shutdowns, snapshots.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use testkit::RecordType;
use testkit::client::{Client, Pipeline, QueryOptions};
use testkit::upstream::{LabelScript, ResponseOrder, ServerOptions, Upstream};

use crate::fixture::{
    DNS, DaemonProcess, HEALTH, Node, WAIT_LIMIT, forward_corefile, loopback, upstream, wait_until,
};
use crate::load::Load;
use crate::responses::{data, get, ttl};

/// A Corefile with `/health`.
fn health_corefile(upstream: &Upstream) -> String {
    forward_corefile(upstream, "force_tcp").replace("ready", &format!("health @:{HEALTH}\n ready"))
}

/// Starts a successor, which takes over.
fn start_successor(node: &Node, corefile: &str) -> DaemonProcess {
    let successor = node.command(corefile).spawn();
    successor.wait_for_log("took over");
    successor.wait_until_ready()
}

#[test]
fn upgrades_under_load_lose_no_query_and_no_probe() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream));
    let mut daemon = node.command(&corefile).arg("-workers=2").spawn().wait_until_ready();
    let load = Load::start((node.ip, DNS).into());
    let (health, page) = ((node.ip, HEALTH).into(), (node.ip, 9353).into());
    for workers in [2, 1, 3, 2] {
        load.wait_for_progress();
        let successor = node.command(&corefile).arg(&format!("-workers={workers}")).spawn();
        successor.wait_for_log("took over");
        assert_eq!(get(health, "/health").unwrap().0, 200);
        assert_eq!(get(page, "/metrics").unwrap().0, 200);
        let successor = successor.wait_until_ready();
        load.wait_for_progress();
        let end = daemon.terminate();
        assert_eq!((end.code, end.stderr), (Some(0), Vec::new()), "{:?}", end.stdout);
        daemon = successor;
    }
    load.wait_for_progress();
    load.stop().assert_no_loss();
    assert_eq!(daemon.metric("nodelocaldns_handovers_total{event=\"taken_over\"}"), 1);
    assert_eq!(daemon.terminate().code, Some(0));
    assert_eq!(node.files(), Vec::<String>::new());
}

#[test]
fn cache_entries_are_handed_over_with_their_remaining_ttl() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    let names: Vec<String> = (0..300).map(|number| format!("ok-{number}.example.")).collect();
    for name in &names {
        predecessor.query(name);
    }
    let queries = upstream.queries().len();
    let remaining_ttl = ttl(&predecessor.query("ok-0.example."));
    let successor = start_successor(&node, &corefile);
    successor.wait_for_log("300 cache entries");
    for name in &names {
        assert_eq!(data(&successor.query(name)), ["192.0.2.1"]);
    }
    assert!(ttl(&successor.query("ok-0.example.")) <= remaining_ttl);
    assert_eq!(upstream.queries().len(), queries, "no query is sent upstream again");
    assert_eq!(successor.metric("coredns_cache_hits_total"), 301);
    assert_eq!(predecessor.terminate().code, Some(0));
}

#[test]
fn predecessor_answers_its_open_queries() {
    let server_options = ServerOptions { order: ResponseOrder::OutOfOrder, ..ServerOptions::default() };
    let upstream = Upstream::start_with(loopback(), server_options, LabelScript::default()).unwrap();
    let (node, corefile) = (Node::new(), health_corefile(&upstream));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    let mut pipeline = predecessor.connect();
    // Connected before the hand-over; the query arrives after it.
    let mut late = predecessor.connect();
    let names: Vec<String> = (0..8).map(|number| format!("slow500-{number}.example.")).collect();
    thread::scope(|scope| {
        let client = predecessor.client();
        for name in &names {
            scope.spawn(move || {
                let reply = client.query(name, RecordType::A, &QueryOptions::default()).unwrap();
                assert_eq!(data(&reply), ["192.0.2.1"]);
            });
        }
        pipeline.send("slow500-tcp.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
        assert!(upstream.wait_for_queries(WAIT_LIMIT, |questions| questions.len() == 9));
        let successor = start_successor(&node, &corefile);
        late.send("ok-late.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
        assert_eq!(data(&late.receive().unwrap()), ["192.0.2.1"]);
        assert_eq!(data(&pipeline.receive().unwrap()), ["192.0.2.1"]);
        assert_eq!(successor.metric("coredns_dns_requests_total"), 0, "the predecessor answered everything");
        assert!(pipeline.receive().is_err() && late.receive().is_err(), "idle connections are closed");
        let end = predecessor.terminate();
        assert_eq!(end.code, Some(0));
        assert_eq!(data(&successor.query_with("ok-late.example.", &QueryOptions::tcp())), ["192.0.2.1"]);
    });
}

#[test]
fn predecessor_serves_again_after_its_successor_is_killed() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    for round in 1..=2 {
        let successor = start_successor(&node, &corefile);
        predecessor.wait_for_log("on standby");
        assert_eq!(data(&successor.query(&format!("ok-{round}.example."))), ["192.0.2.1"]);
        successor.signal(Signal::SIGKILL);
        assert_eq!(successor.wait_for_exit().code, None);
        assert!(wait_until(WAIT_LIMIT, || predecessor
            .metric("nodelocaldns_handovers_total{event=\"resumed\"}")
            == round));
        assert_eq!(data(&predecessor.query(&format!("ok-again-{round}.example."))), ["192.0.2.1"]);
        assert_eq!(predecessor.ready(), Some(200));
        assert_eq!(get(predecessor.addr(HEALTH), "/health").unwrap().0, 200);
    }
    assert_eq!(predecessor.terminate().code, Some(0));
}

#[test]
fn terminated_successor_hands_back_without_loss() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    let load = Load::start((node.ip, DNS).into());
    // Sockets that a successor with more workers binds beside ours must outlive it.
    for workers in [1, 3, 3, 2, 4] {
        let successor = node.command(&corefile).arg(&format!("-workers={workers}")).spawn();
        successor.wait_for_log("took over");
        load.wait_for_progress();
        let end = successor.terminate();
        assert_eq!(end.code, Some(0), "{end:?}");
        assert!(end.stdout.iter().any(|line| line.contains("the predecessor keeps serving")), "{end:?}");
        load.wait_for_progress();
    }
    load.stop().assert_no_loss();
    let end = predecessor.terminate();
    assert_eq!((end.code, end.stderr), (Some(0), Vec::new()));
    assert_eq!(node.files(), Vec::<String>::new());
}

#[test]
fn third_instance_dismisses_the_first() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream));
    let first = node.command(&corefile).spawn().wait_until_ready();
    let second = start_successor(&node, &corefile);
    let third = start_successor(&node, &corefile);
    second.wait_for_log("on standby");
    third.signal(Signal::SIGKILL);
    assert_eq!(third.wait_for_exit().code, None);
    second.wait_for_log("active again");
    assert_eq!(data(&second.query("ok-1.example.")), ["192.0.2.1"]);
    assert!(
        !first.log_lines().iter().any(|line| line.contains("active again")),
        "the first instance was dismissed"
    );
    assert_eq!(first.terminate().code, Some(0));
    assert_eq!(data(&second.query("ok-2.example.")), ["192.0.2.1"]);
    assert_eq!(second.terminate().code, Some(0));
}

#[test]
fn predecessor_and_successor_terminated_together_both_exit() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream));
    for order in [[0, 1], [1, 0]] {
        let predecessor = node.command(&corefile).spawn().wait_until_ready();
        let successor = start_successor(&node, &corefile);
        let both = [&predecessor, &successor];
        for index in order {
            both[index].signal(Signal::SIGTERM);
        }
        assert_eq!((predecessor.wait_for_exit().code, successor.wait_for_exit().code), (Some(0), Some(0)));
        assert_eq!(node.files(), Vec::<String>::new());
    }
}

#[test]
fn failed_start_does_not_affect_the_active_instance() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    let end = node.command("nonsense {").spawn().wait_for_exit();
    assert_eq!(end.code, Some(1));
    // This one receives the predecessor's sockets before it fails.
    let end = node.command(&health_corefile(&upstream).replace("@:5300", "192.0.2.1:5300")).spawn();
    drop(end);
    assert_eq!(data(&predecessor.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(predecessor.ready(), Some(200));
    assert_eq!(predecessor.metric("nodelocaldns_handovers_total{event=\"handed_over\"}"), 0);
    let successor = start_successor(&node, &corefile);
    assert_eq!(predecessor.terminate().code, Some(0));
    assert_eq!(successor.terminate().code, Some(0));
}

#[test]
fn instance_starts_beside_a_hung_predecessor() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    predecessor.signal(Signal::SIGSTOP);
    let successor = node.command(&corefile).spawn();
    successor.wait_for_log(
        "the predecessor does not hand over: no message from the peer for 2s; starting beside it",
    );
    successor.wait_for_log("nodelocaldns-");
    let answered = wait_until(WAIT_LIMIT, || {
        let client = Client { timeout: Duration::from_millis(200), ..Client::new((node.ip, DNS).into()) };
        client.query("ok-1.example.", RecordType::A, &QueryOptions::default()).is_ok()
    });
    assert!(answered, "{:?}", successor.log_lines());
    predecessor.signal(Signal::SIGCONT);
    // On exit it detects the other instance and keeps what that uses.
    assert_eq!(predecessor.terminate().code, Some(0));
    let successor = successor.wait_until_ready();
    assert_eq!(node.files(), ["control.sock", "handover.sock"]);
    assert_eq!(data(&successor.query("ok-2.example.")), ["192.0.2.1"]);
    let next = start_successor(&node, &corefile);
    assert_eq!(successor.terminate().code, Some(0));
    assert_eq!(next.terminate().code, Some(0));
}

#[test]
fn cache_entries_of_unchanged_server_blocks_are_handed_over() {
    let upstream = upstream();
    let node = Node::new();
    let block = |zone: &str, options: &str| {
        format!(
            "{zone}:{DNS} {{\n bind @\n cache 30 {{\n {options}\n }}\n forward . {}\n ready @:8181\n }}\n",
            upstream.addr()
        )
    };
    let corefile = format!("{}{}", block("one.example", ""), block("two.example", ""));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    for name in ["ok-1.one.example.", "ok-2.two.example."] {
        assert_eq!(data(&predecessor.query(name)), ["192.0.2.1"]);
    }
    let changed = format!("{}{}", block("one.example", ""), block("two.example", "success 100 10"));
    let successor = start_successor(&node, &changed);
    successor.wait_for_log("1 cache entries (1 rejected)");
    assert_eq!(upstream.queries().len(), 2);
    successor.query("ok-1.one.example.");
    assert_eq!(upstream.queries().len(), 2);
    successor.query("ok-2.two.example.");
    assert_eq!(upstream.queries().len(), 3);
    assert_eq!(predecessor.terminate().code, Some(0));
}

#[test]
fn handover_is_disabled_without_its_directory() {
    let upstream = upstream();
    let node = Node::new();
    let directory = node.directory.join("absent");
    let command = node.command(&health_corefile(&upstream));
    let daemon = command.arg(&format!("-handover-dir={}", directory.display())).spawn().wait_until_ready();
    daemon.wait_for_log("upgrades are without hand-over");
    assert_eq!(daemon.terminate().code, Some(0));
    assert!(!directory.exists());
}

#[test]
fn idle_client_connections_are_closed_in_time() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    let mut idle: Vec<Pipeline> = (0..20).map(|_| predecessor.connect()).collect();
    for (number, pipeline) in idle.iter_mut().enumerate() {
        pipeline.send(&format!("ok-{number}.example."), RecordType::A, &QueryOptions::tcp()).unwrap();
        pipeline.receive().unwrap();
    }
    let successor = start_successor(&node, &corefile);
    let end = predecessor.terminate();
    assert_eq!(end.code, Some(0));
    assert!(idle.iter_mut().all(|pipeline| pipeline.receive().is_err()));
    assert_eq!(successor.terminate().code, Some(0));
}

#[test]
fn snapshot_is_imported_after_a_crash() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    for number in 0..50 {
        predecessor.query(&format!("ok-{number}.example."));
    }
    assert!(wait_until(WAIT_LIMIT, || node.files().contains(&"cache.snapshot".to_owned())));
    predecessor.signal(Signal::SIGKILL);
    assert_eq!(predecessor.wait_for_exit().code, None);
    assert_eq!(node.files(), ["cache.snapshot", "control.sock", "handover.sock"]);
    let successor = node.command(&corefile).spawn().wait_until_ready();
    successor.wait_for_log("50 cache entries from a snapshot");
    let queries = upstream.queries().len();
    for number in 0..50 {
        assert_eq!(data(&successor.query(&format!("ok-{number}.example."))), ["192.0.2.1"]);
    }
    assert_eq!(upstream.queries().len(), queries);
    assert_eq!(successor.terminate().code, Some(0));
    assert_eq!(node.files(), Vec::<String>::new());
}
