//! `timeouts` and `bufsize` of a Corefile, and edns-tcp-keepalive (RFC 7828), as clients see them.

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
use crate::tcp_pipelining::{answered, closed_after, does_not_read, framed, is_closed, send};

/// A daemon whose block says `lines` more.
fn told(upstream: &Upstream, lines: &str) -> DaemonProcess {
    let corefile = forward_corefile(upstream, "force_tcp");
    DaemonProcess::start(&corefile.replacen("errors", &format!("errors\n{lines}\n"), 1))
}

/// The data of the edns-tcp-keepalive option, if the answer has one.
fn keepalive(reply: &Response) -> Option<Vec<u8>> {
    let options = reply.message.edns.as_ref()?.options().as_ref();
    options.iter().find_map(|(code, option)| match option {
        EdnsOption::Unknown(11, octets) if u16::from(*code) == 11 => Some(octets.clone()),
        _ => None,
    })
}

/// A query with edns-tcp-keepalive.
fn asking_for_keepalive(id: u16) -> Vec<u8> {
    let mut query = QueryOptions { edns: Some(1232), ..QueryOptions::tcp() }
        .message(id, "ok-1.example.", RecordType::A)
        .unwrap();
    query.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(11, Vec::new()));
    query.to_vec().unwrap()
}

#[test]
fn a_question_and_a_pause_may_last_as_long_as_the_corefile_says() {
    let upstream = upstream();
    let daemon = told(&upstream, "timeouts {\n read 1s\n idle 2\n }");
    let since = now();
    let mut mute = daemon.connect();
    let mut idle = daemon.connect();
    idle.send_octets(&asking_for_keepalive(1)).unwrap();
    assert_eq!(keepalive(&idle.receive().unwrap()), Some(vec![0, 20]), "told in tenths of a second");
    let idle_since = now();
    let after = closed_after(&mut mute.stream().try_clone().unwrap(), since);
    assert!((900..4000).contains(&after.as_millis()), "{after:?}");
    assert!(is_closed(&idle), "in order, not by a reset");
    let after = idle_since.elapsed();
    assert!((1900..5000).contains(&after.as_millis()), "{after:?}");
    assert!(mute.receive().is_err());
    assert_eq!(daemon.metric("nodelocaldns_tcp_connections_timed_out_total"), 2);
}

#[test]
fn an_edit_of_timeouts_holds_for_connections_that_are_open() {
    let upstream = upstream();
    let daemon = told(&upstream, "timeouts {\n idle 1h\n }");
    let mut idle = daemon.connect();
    idle.send("ok-1.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    idle.receive().unwrap();
    let corefile = forward_corefile(&upstream, "force_tcp");
    reload(&daemon, &corefile.replacen("errors", "errors\ntimeouts {\n idle 1s\n }", 1));
    closed_after(&mut idle.stream().try_clone().unwrap(), now());
}

#[test]
fn keepalive_is_for_streams() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let mut pipeline = daemon.connect();
    for id in 1..=2 {
        pipeline.send_octets(&asking_for_keepalive(id)).unwrap();
        assert_eq!(keepalive(&pipeline.receive().unwrap()), Some(vec![0, 100]), "a miss and a hit");
    }
    let by_udp = daemon.client().exchange_octets(&asking_for_keepalive(3)).unwrap();
    assert!(by_udp.ends_with(&[0, 0]), "OPT without options");
}

#[test]
fn a_question_must_be_whole_in_time_however_its_octets_come() {
    let upstream = upstream();
    let daemon = told(&upstream, "timeouts {\n read 1s\n }");
    for first in [true, false] {
        let mut pipeline = daemon.connect();
        if !first {
            send(&pipeline, &framed(1, "ok-1.example."));
            assert_eq!(answered(&mut pipeline, 1), [1]);
        }
        let question = framed(2, "ok-2.example.");
        let (started, mut sent) = (now(), 0);
        pipeline.stream().set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        // An octet now and then, for much longer than a question may take.
        let hung_up = wait_until(WAIT_LIMIT, || {
            sent += 1;
            let gone = pipeline.stream().write_all(&question[sent % 20..=sent % 20]).is_err();
            gone || matches!(pipeline.stream().read(&mut [0; 1]), Ok(0))
        });
        let after = started.elapsed();
        assert!(hung_up && (900..5000).contains(&after.as_millis()), "first {first}: {after:?}");
        assert!(sent > 3, "{sent} octets");
    }
}

#[test]
fn answers_must_be_taken_in_time_however_slowly_they_are_read() {
    let upstream = upstream();
    let daemon = told(&upstream, "timeouts {\n write 1s\n }");
    let mut greedy = does_not_read(&daemon);
    let started = now();
    greedy.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let given_up = wait_until(WAIT_LIMIT, || {
        // An octet now and then is no reason for more patience.
        drop(greedy.read(&mut [0; 1]));
        daemon.metric("nodelocaldns_tcp_connections_timed_out_total") == 1
    });
    assert!(given_up && started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(daemon.wait_for_metric("nodelocaldns_tcp_connections", 0));
}

#[test]
fn a_connection_ends_after_exactly_maxtcpqueries_answers() {
    let upstream = upstream();
    let daemon = told(&upstream, "timeouts {\n maxtcpqueries 3\n }");
    let mut pipeline = daemon.connect();
    let queries: Vec<u8> = (1..=100).flat_map(|id| framed(id, &format!("ok-{id}.example."))).collect();
    send(&pipeline, &queries);
    let mut ids = answered(&mut pipeline, 3);
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3]);
    assert!(is_closed(&pipeline), "in order, though questions were left unread");
    let mut next = daemon.connect();
    for id in 1..=3 {
        send(&next, &framed(id, "ok-1.example."));
        assert_eq!(answered(&mut next, 1), [id]);
    }
    assert!(is_closed(&next));
}

#[test]
fn bufsize_is_the_most_a_datagram_has() {
    let upstream = upstream();
    let name = "big-200-1.example.";
    for (lines, limit) in [("", 1232), ("bufsize", 1232), ("bufsize 600", 600), ("bufsize 4096", 4096)] {
        let daemon = told(&upstream, lines);
        for claimed in [600, 1232, 4096, 65535] {
            let options = QueryOptions { edns: Some(claimed), ..QueryOptions::default() };
            let answer = daemon.query_with(name, &options);
            let bound = usize::from(claimed.min(limit));
            let whole = data(&answer).len() == 200;
            assert!(answer.octets.len() <= bound, "{lines}, {claimed}: {}", answer.octets.len());
            assert_eq!(answer.message.metadata.truncation, !whole);
            // No record more would have fitted.
            assert!(whole || answer.octets.len() + 32 > bound, "{lines}, {claimed}: {}", answer.octets.len());
            assert_eq!(answer.message.edns.unwrap().max_payload(), limit);
        }
        assert_eq!(data(&daemon.query_with(name, &QueryOptions::tcp())).len(), 200);
    }
}
