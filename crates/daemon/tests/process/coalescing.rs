//! Many who want the same name when it is not there to be told: the upstream does not hear them all.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use testkit::client::QueryOptions;
use testkit::clock::now;
use testkit::upstream::{LabelScript, ResponseOrder, ServerOptions, Upstream};
use testkit::{Message, RecordType, ResponseCode};

use crate::fixture::{DNS, DaemonCommand, DaemonProcess, READY, WAIT_LIMIT, loopback};
use crate::responses::data;

/// Clients that ask at once, and how many of them share a socket: as many answers as one surely has room for.
const CLIENTS: usize = 1000;
const OF_ONE_SOCKET: usize = 100;

/// Answers that live for a second, told by an upstream that needs as long as `slow200` does.
fn short_lived(mode: &str) -> (Upstream, DaemonProcess) {
    let server_options = ServerOptions { order: ResponseOrder::OutOfOrder, ..ServerOptions::default() };
    let behaviours = LabelScript { ttl: 1, ..LabelScript::default() };
    let upstream = Upstream::start_with(loopback(), server_options, behaviours).unwrap();
    let corefile = format!(
        ".:{DNS} {{
            bind @
            cache {{
                success 9984 30 1
                {mode}
            }}
            forward . {} {{
                force_tcp
            }}
            ready @:{READY}
        }}",
        upstream.addr()
    );
    let daemon = DaemonCommand::new(&corefile).arg("-workers=2").spawn().wait_until_ready();
    (upstream, daemon)
}

/// A socket of somebody who asks.
fn client(daemon: &DaemonProcess) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect(daemon.addr(DNS)).unwrap();
    socket.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    socket
}

fn ask(socket: &UdpSocket, id: usize, name: &str) {
    let query = QueryOptions::default().message(u16::try_from(id).unwrap(), name, RecordType::A).unwrap();
    socket.send(&query.to_vec().unwrap()).unwrap();
}

fn hear(socket: &UdpSocket) -> Message {
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).unwrap();
    Message::from_vec(&answer[..length]).unwrap()
}

/// A thousand clients ask for a name whose life has just ended; the upstream hears of it once, twice if it is asked early
/// for the answer takes longer than usual.
fn herd(mode: &str) {
    let name = "slow200-herd.example.";
    let (upstream, daemon) = short_lived(mode);
    let learned = daemon.query(name);
    assert_eq!(data(&learned), ["192.0.2.1"]);
    let over = now() + Duration::from_secs(1);
    // Time itself is the condition, and asking would renew the answer.
    std::thread::sleep(over.saturating_duration_since(now()));
    let before = upstream.query_count(name);
    let asked_at = now();
    let sockets: Vec<UdpSocket> = (0..CLIENTS / OF_ONE_SOCKET).map(|_| client(&daemon)).collect();
    for (number, socket) in (0..CLIENTS).map(|number| (number, &sockets[number % sockets.len()])) {
        ask(socket, number, name);
    }
    for socket in &sockets {
        for _ in 0..OF_ONE_SOCKET {
            let answer = hear(socket);
            assert_eq!(
                (answer.metadata.response_code, answer.answers.len()),
                (ResponseCode::NoError, 1),
                "{mode}"
            );
        }
    }
    assert!(upstream.wait_for_queries(WAIT_LIMIT, |questions| questions.len() > before));
    let asked = upstream.query_count(name) - before;
    // On a busy machine the new answer may end as well before all have asked.
    let most = 2 + usize::try_from(asked_at.elapsed().as_secs()).unwrap();
    assert!((1..=most).contains(&asked), "{mode}: asked {asked} times for {CLIENTS} clients");
}

#[test]
fn a_thousand_clients_of_an_expired_name_are_one_question() {
    for mode in ["", "serve_stale 1h immediate", "serve_stale 1h verify"] {
        herd(mode);
    }
}

/// Asks for `name` a hundred times a second for three seconds; all get SERVFAIL.
fn insist(daemon: &DaemonProcess, name: &str) -> Duration {
    const EACH: Duration = Duration::from_millis(10);
    let (socket, started): (UdpSocket, Instant) = (client(daemon), now());
    for number in 0..300_u32 {
        ask(&socket, 1, name);
        assert_eq!(hear(&socket).metadata.response_code, ResponseCode::ServFail);
        // Time itself is the condition.
        std::thread::sleep((started + EACH * number).saturating_duration_since(now()));
    }
    started.elapsed()
}

#[test]
fn a_name_that_fails_is_asked_once_a_second_at_most_however_often_clients_ask() {
    let (upstream, daemon) = short_lived("");
    let name = "servfail-1.example.";
    let took = insist(&daemon, name);
    let asked = upstream.query_count(name);
    assert!((1..=took.as_secs() + 1).contains(&u64::try_from(asked).unwrap()), "{asked} in {took:?}");
    drop(upstream);
    // One whose upstream is gone: two dials make a question.
    let took = insist(&daemon, "ok-1.example.");
    let asked = daemon.metric("nodelocaldns_upstream_failures_total");
    assert!((1..=2 * (took.as_secs() + 1)).contains(&asked), "{asked} dials in {took:?}");
}
