//! Bursts of one client: thousands of new names at once, and more than the kernel queues.

use std::net::UdpSocket;

use linux::udp::UdpListener;
use nix::sys::signal::Signal;
use testkit::RecordType;
use testkit::client::QueryOptions;
use testkit::upstream::Blackhole;

use crate::fixture::{DNS, DaemonProcess, WAIT_LIMIT, loopback, upstream, wait_until};

const OVERFLOWS: &str = "nodelocaldns_udp_queue_overflows_total";

/// Sends queries for new names with as few calls as possible, while the daemon is stopped.
fn send_burst(daemon: &DaemonProcess, names: u16) {
    let query = |number| {
        let name = format!("new-{number}.example.");
        QueryOptions::default().message(number, &name, RecordType::A).unwrap().to_vec().unwrap()
    };
    let queries: Vec<Vec<u8>> = (0..names).map(query).collect();
    let client = UdpListener::bind(loopback()).unwrap();
    daemon.signal(Signal::SIGSTOP);
    let sent = client.send(queries.iter().map(|query| (&**query, daemon.addr(DNS), None))).sent;
    daemon.signal(Signal::SIGCONT);
    assert_eq!(sent, usize::from(names));
}

/// True when all queries of a burst were received, or dropped and counted by the kernel.
fn is_received(daemon: &DaemonProcess, names: u16) -> bool {
    let received = || daemon.metric("coredns_dns_requests_total") + daemon.metric(OVERFLOWS);
    wait_until(WAIT_LIMIT, || received() == u64::from(names))
}

#[test]
fn of_a_burst_of_5000_new_names_all_are_asked() {
    for options in ["force_tcp", "prefer_udp"] {
        let silent = Blackhole::bind(loopback()).unwrap();
        let daemon = DaemonProcess::forwarding_to_addr(silent.addr(), options);
        send_burst(&daemon, 5000);
        assert!(is_received(&daemon, 5000));
        assert_eq!(daemon.metric("nodelocaldns_limit_hits_total"), 0, "{options}");
        assert_eq!(daemon.metric("nodelocaldns_upstream_queue_full_total"), 0, "{options}");
    }
}

#[test]
fn what_the_kernel_dropped_is_in_the_next_scrape() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    assert_eq!(daemon.metric(OVERFLOWS), 0);
    send_burst(&daemon, 7000);
    // At most 4 MiB are queued, of about 770 octets each.
    assert!(daemon.metric(OVERFLOWS) >= 1000);
    assert!(is_received(&daemon, 7000));
}

#[test]
fn the_memory_plan_is_logged_and_in_the_metrics() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    assert!(daemon.wait_for_log("memory: ").contains(", waiting queries "));
    for part in ["cache", "l1", "waiting", "tcp_clients", "udp_queues", "snapshot", "insight"] {
        assert!(daemon.metric(&format!("nodelocaldns_memory_limit_bytes{{part=\"{part}\"}}")) > 0, "{part}");
    }
    daemon.query("ok-1.example.");
    for part in ["cache", "l1", "insight"] {
        assert!(daemon.metric(&format!("nodelocaldns_memory_used_bytes{{part=\"{part}\"}}")) > 0, "{part}");
    }
    let waits = UdpSocket::bind(loopback()).unwrap();
    let query = QueryOptions::default().message(1, "silent-1.example.", RecordType::A).unwrap();
    waits.send_to(&query.to_vec().unwrap(), daemon.addr(DNS)).unwrap();
    let used = || daemon.metric("nodelocaldns_memory_used_bytes{part=\"waiting\"}");
    assert!(wait_until(WAIT_LIMIT, || used() > 2000), "while it waits");
    assert!(wait_until(WAIT_LIMIT, || used() == 0), "until its deadline");
}
