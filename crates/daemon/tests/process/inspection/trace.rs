//! `nodelocaldns trace`.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::Value;
use testkit::RecordType;
use testkit::client::QueryOptions;
use wire::name::PresentationFormat;

use super::{command, json, output, run, start};
use crate::fixture::{DaemonProcess, Node, WAIT_LIMIT, forward_corefile, upstream, wait_until};
use crate::responses::data;

/// A trace that has begun.
struct Trace {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Trace {
    /// Queries from `probe` until the trace prints one of them: it has begun then.
    fn start(node: &Node, daemon: &DaemonProcess, words: &[&str]) -> Self {
        let words = [&["trace", "-o", "json"], words].concat();
        let mut child = command(node, &words).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut trace = Self { child, lines };
        let is_seen = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                wait_until(WAIT_LIMIT, || {
                    daemon.query("ok-probe.example.");
                    is_seen.load(Relaxed)
                });
            });
            trace.next();
            is_seen.store(true, Relaxed);
        });
        trace
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    /// The next event for a name.
    fn next_for(&mut self, name: &str) -> Value {
        loop {
            let event = self.next();
            if event["name"] == name {
                return event;
            }
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_trace_prints_queries_as_they_are_answered() {
    let (upstream, node) = (upstream(), Node::new());
    let daemon = start(&node, &forward_corefile(&upstream, "force_tcp"));
    let mut trace = Trace::start(&node, &daemon, &[]);
    for (name, way, rcode) in [
        ("ok-1.example.", "miss", "NOERROR"),
        ("ok-1.example.", "hit", "NOERROR"),
        ("nxdomain-1.example.", "miss", "NXDOMAIN"),
        ("servfail-1.example.", "miss", "SERVFAIL"),
    ] {
        daemon.query(name);
        let event = trace.next_for(name);
        assert_eq!((&event["way"], &event["rcode"]), (&way.into(), &rcode.into()), "{event}");
        assert!(event["client"].as_str().unwrap().starts_with("127."), "{event}");
        assert!(event["ms"].as_f64().is_some(), "{event}");
    }
    drop(trace);
    let ended = || json(&node, &["query", "ok-1.example"])["way"] == "hit";
    assert!(ended(), "traces end with their subcommand, so that others may begin");
    let one = run(&node, &["trace", "-n", "0"]);
    assert_eq!(one.status.code(), Some(0));
}

#[test]
fn a_trace_flags_queries_without_a_response() {
    let (upstream, node) = (upstream(), Node::new());
    let acl = "errors\nacl silent.example {\n drop\n}";
    let daemon = start(&node, &forward_corefile(&upstream, "").replacen("errors", acl, 1));
    let mut trace = Trace::start(&node, &daemon, &["-zone", "example"]);
    let socket = daemon.udp_socket(WAIT_LIMIT);
    let options = QueryOptions::default();
    let query = options.message(7, "a.silent.example.", RecordType::A).unwrap();
    socket.send(&query.to_vec().unwrap()).unwrap();
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    let event = trace.next_for("a.silent.example.");
    assert_eq!((&event["unanswered"], &event["type"]), (&true.into(), &"A".into()), "{event}");
}

#[test]
fn control_characters_and_markup_in_names_are_escaped() {
    let (upstream, node) = (upstream(), Node::new());
    let daemon = start(&node, &forward_corefile(&upstream, "force_tcp"));
    let mut trace = Trace::start(&node, &daemon, &[]);
    let name = b"\x0eok-\x1b[2m\x07\n\"<b>\xff\x07example\0";
    let expected = PresentationFormat(name).to_string();
    assert!(expected.bytes().all(|octet| octet.is_ascii_graphic()), "{expected}");
    let query = [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0", &name[..], b"\0\x01\0\x01"].concat();
    let socket = daemon.udp_socket(WAIT_LIMIT);
    socket.send(&query).unwrap();
    socket.recv(&mut [0; 512]).unwrap();
    assert_eq!(trace.next_for(&expected)["type"], "A");
    let top = json(&node, &["top", "-n", "1"]);
    let asked = top["insight"]["names"]["asked"].as_array().unwrap();
    assert!(asked.iter().any(|row| row["name"] == *expected), "{top}");
    for words in [&["top", "-n", "1"][..], &["cache", "list"]] {
        let (_, text) = output(&node, words);
        assert!(text.contains(&expected), "{text}");
        assert!(text.chars().all(|one| one == '\n' || !one.is_control()), "{text:?}");
    }
}
