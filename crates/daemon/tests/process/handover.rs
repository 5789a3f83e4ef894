//! One instance after another on one node.

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

/// With `/health` too.
fn served(upstream: &Upstream) -> String {
    forward_corefile(upstream, "force_tcp").replace("ready", &format!("health @:{HEALTH}\n ready"))
}

/// A successor that has taken over.
fn upgraded(node: &Node, corefile: &str) -> DaemonProcess {
    let successor = node.command(corefile).spawn();
    successor.wait_for_log("took over");
    successor.wait_until_ready()
}

#[test]
fn upgrades_under_load_lose_no_query_and_no_probe() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream));
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
    let (node, corefile) = (Node::new(), served(&upstream));
    let before = node.command(&corefile).spawn().wait_until_ready();
    let names: Vec<String> = (0..300).map(|number| format!("ok-{number}.example.")).collect();
    for name in &names {
        before.query(name);
    }
    let asked = upstream.queries().len();
    let life = ttl(&before.query("ok-0.example."));
    let after = upgraded(&node, &corefile);
    after.wait_for_log("300 cache entries");
    for name in &names {
        assert_eq!(data(&after.query(name)), ["192.0.2.1"]);
    }
    assert!(ttl(&after.query("ok-0.example.")) <= life);
    assert_eq!(upstream.queries().len(), asked, "nothing is asked again");
    assert_eq!(after.metric("coredns_cache_hits_total"), 301);
    assert_eq!(before.terminate().code, Some(0));
}

#[test]
fn predecessor_answers_its_open_queries() {
    let server_options = ServerOptions { order: ResponseOrder::OutOfOrder, ..ServerOptions::default() };
    let upstream = Upstream::start_with(loopback(), server_options, LabelScript::default()).unwrap();
    let (node, corefile) = (Node::new(), served(&upstream));
    let before = node.command(&corefile).spawn().wait_until_ready();
    let mut pipeline = before.connect();
    // Connected, but nothing asked yet: the question is on its way.
    let mut late = before.connect();
    let names: Vec<String> = (0..8).map(|number| format!("slow500-{number}.example.")).collect();
    thread::scope(|scope| {
        let client = before.client();
        for name in &names {
            scope.spawn(move || {
                let reply = client.query(name, RecordType::A, &QueryOptions::default()).unwrap();
                assert_eq!(data(&reply), ["192.0.2.1"]);
            });
        }
        pipeline.send("slow500-tcp.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
        assert!(upstream.wait_for_queries(WAIT_LIMIT, |questions| questions.len() == 9));
        let after = upgraded(&node, &corefile);
        late.send("ok-late.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
        assert_eq!(data(&late.receive().unwrap()), ["192.0.2.1"]);
        assert_eq!(data(&pipeline.receive().unwrap()), ["192.0.2.1"]);
        assert_eq!(after.metric("coredns_dns_requests_total"), 0, "all of it came to the one before");
        assert!(
            pipeline.receive().is_err() && late.receive().is_err(),
            "it lets go of those who ask no more"
        );
        let end = before.terminate();
        assert_eq!(end.code, Some(0));
        assert_eq!(data(&after.query_with("ok-late.example.", &QueryOptions::tcp())), ["192.0.2.1"]);
    });
}

#[test]
fn predecessor_serves_again_after_its_successor_is_killed() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream));
    let before = node.command(&corefile).spawn().wait_until_ready();
    for round in 1..=2 {
        let after = upgraded(&node, &corefile);
        before.wait_for_log("on standby");
        assert_eq!(data(&after.query(&format!("ok-{round}.example."))), ["192.0.2.1"]);
        after.signal(Signal::SIGKILL);
        assert_eq!(after.wait_for_exit().code, None);
        assert!(wait_until(WAIT_LIMIT, || before.metric("nodelocaldns_handovers_total{event=\"resumed\"}")
            == round));
        assert_eq!(data(&before.query(&format!("ok-again-{round}.example."))), ["192.0.2.1"]);
        assert_eq!(before.ready(), Some(200));
        assert_eq!(get(before.addr(HEALTH), "/health").unwrap().0, 200);
    }
    assert_eq!(before.terminate().code, Some(0));
}

#[test]
fn terminated_successor_hands_back_without_loss() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream));
    let before = node.command(&corefile).spawn().wait_until_ready();
    let load = Load::start((node.ip, DNS).into());
    // Sockets that one with more workers opens beside ours must outlive it.
    for workers in [1, 3, 3, 2, 4] {
        let after = node.command(&corefile).arg(&format!("-workers={workers}")).spawn();
        after.wait_for_log("took over");
        load.wait_for_progress();
        let end = after.terminate();
        assert_eq!(end.code, Some(0), "{end:?}");
        assert!(end.stdout.iter().any(|line| line.contains("the predecessor keeps serving")), "{end:?}");
        load.wait_for_progress();
    }
    load.stop().assert_no_loss();
    let end = before.terminate();
    assert_eq!((end.code, end.stderr), (Some(0), Vec::new()));
    assert_eq!(node.files(), Vec::<String>::new());
}

#[test]
fn third_instance_dismisses_the_first() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream));
    let first = node.command(&corefile).spawn().wait_until_ready();
    let second = upgraded(&node, &corefile);
    let third = upgraded(&node, &corefile);
    second.wait_for_log("on standby");
    third.signal(Signal::SIGKILL);
    assert_eq!(third.wait_for_exit().code, None);
    second.wait_for_log("active again");
    assert_eq!(data(&second.query("ok-1.example.")), ["192.0.2.1"]);
    assert!(!first.log_lines().iter().any(|line| line.contains("active again")), "it was dismissed");
    assert_eq!(first.terminate().code, Some(0));
    assert_eq!(data(&second.query("ok-2.example.")), ["192.0.2.1"]);
    assert_eq!(second.terminate().code, Some(0));
}

#[test]
fn predecessor_and_successor_terminated_together_both_exit() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream));
    for order in [[0, 1], [1, 0]] {
        let before = node.command(&corefile).spawn().wait_until_ready();
        let after = upgraded(&node, &corefile);
        let both = [&before, &after];
        for who in order {
            both[who].signal(Signal::SIGTERM);
        }
        assert_eq!((before.wait_for_exit().code, after.wait_for_exit().code), (Some(0), Some(0)));
        assert_eq!(node.files(), Vec::<String>::new());
    }
}

#[test]
fn failed_start_does_not_affect_the_active_instance() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream));
    let before = node.command(&corefile).spawn().wait_until_ready();
    let end = node.command("nonsense {").spawn().wait_for_exit();
    assert_eq!(end.code, Some(1));
    // It gets as far as the sockets of the one before.
    let end = node.command(&served(&upstream).replace("@:5300", "192.0.2.1:5300")).spawn();
    drop(end);
    assert_eq!(data(&before.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(before.ready(), Some(200));
    assert_eq!(before.metric("nodelocaldns_handovers_total{event=\"handed_over\"}"), 0);
    let after = upgraded(&node, &corefile);
    assert_eq!(before.terminate().code, Some(0));
    assert_eq!(after.terminate().code, Some(0));
}

#[test]
fn instance_starts_beside_a_hung_predecessor() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream));
    let before = node.command(&corefile).spawn().wait_until_ready();
    before.signal(Signal::SIGSTOP);
    let after = node.command(&corefile).spawn();
    after.wait_for_log(
        "the predecessor does not hand over: no message from the peer for 2s; starting beside it",
    );
    after.wait_for_log("nodelocaldns-");
    let answered = wait_until(WAIT_LIMIT, || {
        let client = Client { timeout: Duration::from_millis(200), ..Client::new((node.ip, DNS).into()) };
        client.query("ok-1.example.", RecordType::A, &QueryOptions::default()).is_ok()
    });
    assert!(answered, "{:?}", after.log_lines());
    before.signal(Signal::SIGCONT);
    // It does not take away what another instance uses, and finds that out by itself.
    assert_eq!(before.terminate().code, Some(0));
    let after = after.wait_until_ready();
    assert_eq!(node.files(), ["handover.sock"]);
    assert_eq!(data(&after.query("ok-2.example.")), ["192.0.2.1"]);
    let next = upgraded(&node, &corefile);
    assert_eq!(after.terminate().code, Some(0));
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
    let before = format!("{}{}", block("one.example", ""), block("two.example", ""));
    let before = node.command(&before).spawn().wait_until_ready();
    for name in ["ok-1.one.example.", "ok-2.two.example."] {
        assert_eq!(data(&before.query(name)), ["192.0.2.1"]);
    }
    let after = format!("{}{}", block("one.example", ""), block("two.example", "success 100 10"));
    let after = upgraded(&node, &after);
    after.wait_for_log("1 cache entries (1 rejected)");
    assert_eq!(upstream.queries().len(), 2);
    after.query("ok-1.one.example.");
    assert_eq!(upstream.queries().len(), 2);
    after.query("ok-2.two.example.");
    assert_eq!(upstream.queries().len(), 3);
    assert_eq!(before.terminate().code, Some(0));
}

#[test]
fn handover_is_disabled_without_its_directory() {
    let upstream = upstream();
    let node = Node::new();
    let directory = node.directory.join("absent");
    let command = node.command(&served(&upstream));
    let daemon = command.arg(&format!("-handover-dir={}", directory.display())).spawn().wait_until_ready();
    daemon.wait_for_log("upgrades are without hand-over");
    assert_eq!(daemon.terminate().code, Some(0));
    assert!(!directory.exists());
}

#[test]
fn idle_client_connections_are_closed_in_time() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream));
    let before = node.command(&corefile).spawn().wait_until_ready();
    let mut idle: Vec<Pipeline> = (0..20).map(|_| before.connect()).collect();
    for (number, pipeline) in idle.iter_mut().enumerate() {
        pipeline.send(&format!("ok-{number}.example."), RecordType::A, &QueryOptions::tcp()).unwrap();
        pipeline.receive().unwrap();
    }
    let after = upgraded(&node, &corefile);
    let end = before.terminate();
    assert_eq!(end.code, Some(0));
    assert!(idle.iter_mut().all(|pipeline| pipeline.receive().is_err()));
    assert_eq!(after.terminate().code, Some(0));
}

#[test]
fn snapshot_is_imported_after_a_crash() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream));
    let before = node.command(&corefile).spawn().wait_until_ready();
    for number in 0..50 {
        before.query(&format!("ok-{number}.example."));
    }
    assert!(wait_until(WAIT_LIMIT, || node.files().contains(&"cache.snapshot".to_owned())));
    before.signal(Signal::SIGKILL);
    assert_eq!(before.wait_for_exit().code, None);
    assert_eq!(node.files(), ["cache.snapshot", "handover.sock"]);
    let after = node.command(&corefile).spawn().wait_until_ready();
    after.wait_for_log("50 cache entries from a snapshot");
    let asked = upstream.queries().len();
    for number in 0..50 {
        assert_eq!(data(&after.query(&format!("ok-{number}.example."))), ["192.0.2.1"]);
    }
    assert_eq!(upstream.queries().len(), asked);
    assert_eq!(after.terminate().code, Some(0));
    assert_eq!(node.files(), Vec::<String>::new());
}
