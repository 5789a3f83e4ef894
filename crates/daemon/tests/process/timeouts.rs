//! The directives `timeouts` and `bufsize`, and edns-tcp-keepalive (RFC 7828).

use std::io::{Read, Write};
use std::time::Duration;

use hickory_proto::rr::rdata::opt::EdnsOption;
use testkit::RecordType;
use testkit::client::{QueryOptions, Response};
use testkit::clock::now;
use testkit::upstream::Upstream;

use crate::fixture::{DaemonProcess, WAIT_LIMIT, forward_corefile, upstream, wait_until};
use crate::reload::reload;
use crate::responses::data;
use crate::tcp_pipelining::{closed_after, connect_without_reading, framed, is_closed, receive_ids, send};

/// A daemon whose server block has additional `lines`.
fn daemon_with(upstream: &Upstream, lines: &str) -> DaemonProcess {
    let corefile = forward_corefile(upstream, "force_tcp");
    DaemonProcess::start(&corefile.replacen("errors", &format!("errors\n{lines}\n"), 1))
}

/// The data of the edns-tcp-keepalive option.
fn keepalive(reply: &Response) -> Option<Vec<u8>> {
    let options = reply.message.edns.as_ref()?.options().as_ref();
    options.iter().find_map(|(code, option)| match option {
        EdnsOption::Unknown(11, octets) if u16::from(*code) == 11 => Some(octets.clone()),
        _ => None,
    })
}

/// A query with edns-tcp-keepalive.
fn keepalive_query(id: u16) -> Vec<u8> {
    let mut query = QueryOptions { edns: Some(1232), ..QueryOptions::tcp() }
        .message(id, "ok-1.example.", RecordType::A)
        .unwrap();
    query.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(11, Vec::new()));
    query.to_vec().unwrap()
}

#[test]
fn read_and_idle_timeouts_are_those_of_the_corefile() {
    let upstream = upstream();
    let daemon = daemon_with(&upstream, "timeouts {\n read 1s\n idle 2\n }");
    let since = now();
    let mut silent = daemon.connect();
    let mut idle = daemon.connect();
    idle.send_octets(&keepalive_query(1)).unwrap();
    assert_eq!(keepalive(&idle.receive().unwrap()), Some(vec![0, 20]), "in tenths of a second");
    let idle_since = now();
    let after = closed_after(&mut silent.stream().try_clone().unwrap(), since);
    assert!((900..4000).contains(&after.as_millis()), "{after:?}");
    assert!(is_closed(&idle), "in order, not by a reset");
    let after = idle_since.elapsed();
    assert!((1900..5000).contains(&after.as_millis()), "{after:?}");
    assert!(silent.receive().is_err());
    assert_eq!(daemon.metric("nodelocaldns_tcp_connections_timed_out_total"), 2);
}

#[test]
fn reloaded_timeouts_apply_to_open_connections() {
    let upstream = upstream();
    let daemon = daemon_with(&upstream, "timeouts {\n idle 1h\n }");
    let mut idle = daemon.connect();
    idle.send("ok-1.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    idle.receive().unwrap();
    let corefile = forward_corefile(&upstream, "force_tcp");
    reload(&daemon, &corefile.replacen("errors", "errors\ntimeouts {\n idle 1s\n }", 1));
    closed_after(&mut idle.stream().try_clone().unwrap(), now());
}

#[test]
fn the_keepalive_option_is_sent_over_tcp_only() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let mut pipeline = daemon.connect();
    for id in 1..=2 {
        pipeline.send_octets(&keepalive_query(id)).unwrap();
        assert_eq!(keepalive(&pipeline.receive().unwrap()), Some(vec![0, 100]), "a miss and a hit");
    }
    let by_udp = daemon.client().exchange_octets(&keepalive_query(3)).unwrap();
    assert!(by_udp.ends_with(&[0, 0]), "OPT without options");
}

#[test]
fn the_read_timeout_covers_a_whole_query() {
    let upstream = upstream();
    let daemon = daemon_with(&upstream, "timeouts {\n read 1s\n }");
    for first in [true, false] {
        let mut pipeline = daemon.connect();
        if !first {
            send(&pipeline, &framed(1, "ok-1.example."));
            assert_eq!(receive_ids(&mut pipeline, 1), [1]);
        }
        let query = framed(2, "ok-2.example.");
        let (started, mut sent) = (now(), 0);
        pipeline.stream().set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        // An octet now and then, for much longer than the read timeout.
        let closed = wait_until(WAIT_LIMIT, || {
            sent += 1;
            let broken = pipeline.stream().write_all(&query[sent % 20..=sent % 20]).is_err();
            broken || matches!(pipeline.stream().read(&mut [0; 1]), Ok(0))
        });
        let after = started.elapsed();
        assert!(closed && (900..5000).contains(&after.as_millis()), "first {first}: {after:?}");
        assert!(sent > 3, "{sent} octets");
    }
}

#[test]
fn the_write_timeout_is_not_extended_by_slow_reads() {
    let upstream = upstream();
    let daemon = daemon_with(&upstream, "timeouts {\n write 1s\n }");
    let mut greedy = connect_without_reading(&daemon);
    let started = now();
    greedy.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let timed_out = wait_until(WAIT_LIMIT, || {
        // An octet now and then must not extend the timeout; a failed read is as good.
        drop(greedy.read(&mut [0; 1]));
        daemon.metric("nodelocaldns_tcp_connections_timed_out_total") == 1
    });
    assert!(timed_out && started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(daemon.wait_for_metric("nodelocaldns_tcp_connections", 0));
}

#[test]
fn a_connection_closes_after_exactly_maxtcpqueries_responses() {
    let upstream = upstream();
    let daemon = daemon_with(&upstream, "timeouts {\n maxtcpqueries 3\n }");
    let mut pipeline = daemon.connect();
    let queries: Vec<u8> = (1..=100).flat_map(|id| framed(id, &format!("ok-{id}.example."))).collect();
    send(&pipeline, &queries);
    let mut ids = receive_ids(&mut pipeline, 3);
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3]);
    assert!(is_closed(&pipeline), "in order, although queries were left unread");
    let mut next = daemon.connect();
    for id in 1..=3 {
        send(&next, &framed(id, "ok-1.example."));
        assert_eq!(receive_ids(&mut next, 1), [id]);
    }
    assert!(is_closed(&next));
}

#[test]
fn bufsize_limits_the_size_of_udp_responses() {
    let upstream = upstream();
    let name = "big-200-1.example.";
    for (lines, limit) in [("", 1232), ("bufsize", 1232), ("bufsize 600", 600), ("bufsize 4096", 4096)] {
        let daemon = daemon_with(&upstream, lines);
        for claimed in [600, 1232, 4096, 65535] {
            let options = QueryOptions { edns: Some(claimed), ..QueryOptions::default() };
            let response = daemon.query_with(name, &options);
            let bound = usize::from(claimed.min(limit));
            let whole = data(&response).len() == 200;
            assert!(response.octets.len() <= bound, "{lines}, {claimed}: {}", response.octets.len());
            assert_eq!(response.message.metadata.truncation, !whole);
            // No further record would have fitted.
            assert!(
                whole || response.octets.len() + 32 > bound,
                "{lines}, {claimed}: {}",
                response.octets.len()
            );
            assert_eq!(response.message.edns.unwrap().max_payload(), limit);
        }
        assert_eq!(data(&daemon.query_with(name, &QueryOptions::tcp())).len(), 200);
    }
}
