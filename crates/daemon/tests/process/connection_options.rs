//! How connections to upstreams live: how long, how many, from where, and what a hostile upstream can do to them.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::{self, Builder};
use std::time::Duration;

use testkit::client::QueryOptions;
use testkit::clock::now;
use testkit::upstream::{
    ClosedPort, LabelScript, ReceivedQuery, ResponseOrder, ServerOptions, Transport, Upstream,
};
use testkit::{Message, RecordType, ResponseCode};

use crate::fixture::{DNS, DaemonProcess, READY, WAIT_LIMIT, loopback, unique_address, upstream};
use crate::responses::{code, data};

/// Connections of one worker to one upstream at most, silent ones included.
const HARD_LIMIT: u64 = 16;

/// An upstream that answers each question when it is ready.
fn unordered() -> Upstream {
    let server_options = ServerOptions { order: ResponseOrder::OutOfOrder, ..ServerOptions::default() };
    Upstream::start_with(loopback(), server_options, LabelScript::default()).unwrap()
}

/// Asks for all `names`, so many at a time, each once, and gives the answers; each has the question it was asked.
fn ask_all(daemon: &DaemonProcess, names: &[String], window: usize) -> Vec<Message> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect(daemon.addr(DNS)).unwrap();
    socket.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    let mut answers = Vec::new();
    let mut sent = 0;
    while answers.len() < names.len() {
        while sent < names.len() && sent - answers.len() < window {
            let id = u16::try_from(sent).unwrap();
            let query = QueryOptions::default().message(id, &names[sent], RecordType::A).unwrap();
            socket.send(&query.to_vec().unwrap()).unwrap();
            sent += 1;
        }
        let mut answer = [0; 4096];
        let length = socket.recv(&mut answer).unwrap();
        let answer = Message::from_vec(&answer[..length]).unwrap();
        let asked = &names[usize::from(answer.metadata.id)];
        assert_eq!(answer.queries[0].name.to_ascii(), *asked, "the answer to another question");
        answers.push(answer);
    }
    answers
}

fn names(behaviour: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{behaviour}-{number}.example.")).collect()
}

#[test]
fn a_connection_is_not_used_beyond_its_age_however_busy() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp\n expire 500ms\n max_age 500ms");
    let mut number = 0;
    let started = now();
    while upstream.connections().accepted < 4 {
        assert!(started.elapsed() < WAIT_LIMIT);
        assert_eq!(data(&daemon.query(&format!("ok-{number}.example."))), ["192.0.2.1"]);
        number += 1;
    }
    let mut ages: HashMap<u64, Vec<ReceivedQuery>> = HashMap::new();
    for question in upstream.queries() {
        ages.entry(question.connection).or_default().push(question);
    }
    for (connection, questions) in ages {
        let used = questions.last().unwrap().received_at - questions.first().unwrap().received_at;
        assert!(used < Duration::from_secs(1), "{connection}: {used:?}");
    }
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    assert_eq!(daemon.metric("nodelocaldns_upstream_retries_total"), 0, "they were left before they ended");
}

#[test]
fn an_idle_connection_is_closed_when_it_expires() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp\n expire 200ms");
    for number in 1..=2 {
        assert_eq!(data(&daemon.query(&format!("ok-{number}.example."))), ["192.0.2.1"]);
        assert!(upstream.wait_for_connections(WAIT_LIMIT, |now| now.accepted == number && now.open == 0));
    }
    assert_eq!(daemon.metric("nodelocaldns_upstream_retries_total"), 0, "we closed them");
}

#[test]
fn no_more_idle_connections_are_kept_than_wanted() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp\n max_idle_conns 2");
    ask_all(&daemon, &names("slow100", 16), 16);
    assert!(upstream.connections().max_open > 2);
    assert!(upstream.wait_for_connections(WAIT_LIMIT, |now| now.open <= 2), "{:?}", upstream.connections());
    let opened = upstream.connections().accepted;
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(upstream.connections().accepted, opened, "one that was kept is used");
}

#[test]
fn questions_leave_from_the_address_they_are_told() {
    let upstream = upstream();
    let source = unique_address();
    let daemon = DaemonProcess::forwarding_to(&upstream, &format!("prefer_udp\n source_address {source}"));
    assert_eq!(data(&daemon.query("tc-1.example.")), ["192.0.2.1"]);
    let asked: Vec<_> = upstream.queries().iter().map(|one| (one.transport, one.peer.ip())).collect();
    assert_eq!(asked, [(Transport::Udp, source.into()), (Transport::Tcp, source.into())]);
}

#[test]
fn a_refused_dial_is_shared_by_those_who_wait_for_it() {
    let closed = ClosedPort::bind(loopback()).unwrap();
    let to = closed.addr();
    let daemon = DaemonProcess::start(&format!(
        ".:{DNS} {{\n bind @\n forward . {to} {{\n force_tcp\n }}\n prometheus @:9253\n ready @:{READY}\n }}"
    ));
    let asked = now();
    let answers = ask_all(&daemon, &names("ok", 200), 200);
    assert!(answers.iter().all(|answer| answer.metadata.response_code == ResponseCode::ServFail));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    let dials = daemon.metric(&format!("coredns_proxy_conn_cache_misses_total{{to=\"{to}\"}}"));
    assert!(dials <= 200, "{dials} dials for 200 questions");
}

#[test]
fn whatever_an_upstream_does_everyone_gets_the_answer_to_their_own_question() {
    thread::scope(|scope| {
        for upstream in [upstream(), unordered()] {
            scope.spawn(move || everyone_gets_their_own_answer(&upstream));
        }
    });
}

fn everyone_gets_their_own_answer(upstream: &Upstream) {
    let daemon = DaemonProcess::forwarding_to(upstream, "force_tcp");
    ask_all(&daemon, &names("ok", 8), 8);
    let honest = ["ok", "slow20", "drip", "big-40"];
    let hostile = ["wrongid", "wrongq", "garbage", "rst", "fin", "silent"];
    let mixed: Vec<String> = (0..10)
        .flat_map(|round| {
            let all = honest.iter().chain(&hostile);
            all.map(move |behaviour| format!("{behaviour}-{round}.mixed.example."))
        })
        .collect();
    for answer in ask_all(&daemon, &mixed, mixed.len()) {
        let name = answer.queries[0].name.to_ascii();
        // An honest one may share the fate of a connection that others had reset under it twice.
        if hostile.iter().any(|behaviour| name.starts_with(behaviour)) {
            assert_eq!(answer.metadata.response_code, ResponseCode::ServFail, "{name}");
        }
    }
    assert!(daemon.metric("nodelocaldns_upstream_mismatches_total") > 0);
    let honest = daemon.query("ok-after.example.");
    assert_eq!((code(&honest), data(&honest)), (ResponseCode::NoError, vec!["192.0.2.1".to_owned()]));
    assert!(upstream.wait_for_connections(WAIT_LIMIT, |now| now.open <= HARD_LIMIT));
}

/// A Service whose first connections lead to a pod that is gone, and the others to `behind`; gives its address.
fn with_dead_pod(behind: SocketAddr) -> SocketAddr {
    // Shorter than the time after which anything is asked again.
    const DEAD: Duration = Duration::from_millis(300);
    let listener = TcpListener::bind(loopback()).unwrap();
    let service = listener.local_addr().unwrap();
    let serving = Builder::new().name(format!("service {service}")).spawn(move || {
        let (mut dead, mut first) = (Vec::new(), None);
        for stream in listener.incoming().map_while(Result::ok) {
            if first.get_or_insert_with(now).elapsed() < DEAD {
                dead.push(stream);
                continue;
            }
            let back = TcpStream::connect(behind).unwrap();
            for (mut from, mut to) in
                [(stream.try_clone().unwrap(), back.try_clone().unwrap()), (back, stream)]
            {
                let relaying = Builder::new().spawn(move || {
                    // Either side may end it in whatever way.
                    drop(io::copy(&mut from, &mut to));
                    drop(to.shutdown(Shutdown::Both));
                });
                drop(relaying.unwrap());
            }
        }
    });
    drop(serving.unwrap());
    service
}

#[test]
fn questions_caught_by_a_dead_pod_are_answered_by_another_and_later_ones_do_not_meet_it() {
    let upstream = upstream();
    let service = with_dead_pod(upstream.addr());
    let daemon = DaemonProcess::start(&format!(
        ".:{DNS} {{\n bind @\n forward . {service} {{\n force_tcp\n }}\n prometheus @:9253\n ready @:{READY}\n }}"
    ));
    let answers = ask_all(&daemon, &names("ok", 64), 64);
    assert!(answers.iter().all(|answer| answer.answers.len() == 1));
    for number in 0..20 {
        let later = daemon.query(&format!("ok-later-{number}.example."));
        assert_eq!(data(&later), ["192.0.2.1"]);
        assert!(later.elapsed < Duration::from_secs(1), "{:?}", later.elapsed);
    }
    assert!(upstream.connections().max_open <= HARD_LIMIT, "{:?}", upstream.connections());
}

/// RFC 5452 section 9.2 wants IDs that cannot be guessed; RFC 7766 section 6.2.1 wants them apart on a connection.
#[test]
fn a_thousand_questions_share_few_connections_and_no_two_open_ones_an_id() {
    const SLOW: Duration = Duration::from_millis(60);
    let upstream = unordered();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let answers = ask_all(&daemon, &names("slow60", 1000), 1000);
    assert!(answers.iter().all(|answer| answer.answers.len() == 1));
    assert!(upstream.connections().max_open <= HARD_LIMIT, "{:?}", upstream.connections());
    let mut open: HashMap<(u64, u16), ReceivedQuery> = HashMap::new();
    for question in upstream.queries() {
        let id = question.message.metadata.id;
        if let Some(before) = open.get(&(question.connection, id)) {
            assert!(
                question.received_at - before.received_at >= SLOW,
                "{} and {} share an ID",
                before.name,
                question.name
            );
        }
        open.insert((question.connection, id), question);
    }
}
