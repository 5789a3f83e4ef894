//! Stale answers, prefetch and coalescing at the same time.

use std::thread;
use std::time::Duration;

use testkit::clock::now;
use testkit::upstream::{LabelScript, ServerOptions, Upstream};

use crate::fixture::{DaemonProcess, WAIT_LIMIT, forward_corefile, loopback, wait_until};
use crate::responses::{data, ttl};

/// Eight clients query the same few names repeatedly, and each query is answered.
fn query_concurrently(daemon: &DaemonProcess, duration: Duration) {
    let started = now();
    thread::scope(|scope| {
        for client in 0..8 {
            scope.spawn(move || {
                let mut number = client;
                while started.elapsed() < duration {
                    number += 1;
                    let name = format!("ok-{}.example.", number % 10);
                    assert_eq!(data(&daemon.query(&name)), ["192.0.2.1"], "{name}");
                }
            });
        }
    });
}

#[test]
fn concurrent_queries_for_expiring_names_are_all_answered() {
    let upstream = Upstream::start_with(
        loopback(),
        ServerOptions::default(),
        LabelScript { ttl: 1, ..LabelScript::default() },
    )
    .unwrap();
    let corefile = forward_corefile(&upstream, "force_tcp")
        .replace("cache 30", "cache {\n success 9984 1 1\n serve_stale 1h\n prefetch 1 1m 50%\n }")
        .replace("errors", "log . \"{name} {rcode} {/forward/upstream}\"");
    let daemon = DaemonProcess::with_two_workers(&corefile);
    query_concurrently(&daemon, Duration::from_millis(1500));
    assert!(upstream.query_count("ok-1.example.") > 1, "it expired and was refreshed");
    drop(upstream);
    assert!(wait_until(WAIT_LIMIT, || ttl(&daemon.query("ok-1.example.")) == 0), "the response is stale");
    query_concurrently(&daemon, Duration::from_millis(500));
    assert_eq!(daemon.wait_for_log("ok-1.example."), "[INFO] ok-1.example. NOERROR -");
    assert_eq!(daemon.metric("coredns_panics_total"), 0);
}
