#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]
//! Each reaction of a scripted upstream, seen by a client.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use testkit::client::{Client, ClientError, Pipeline, QueryOptions, Response};
use testkit::upstream::{Blackhole, ClosedPort, LabelScript, ResponseOrder, ServerOptions, Upstream};
use testkit::{RecordType, ResponseCode};

const SOON: Duration = Duration::from_secs(5);
/// The unrelated record in poisoned responses.
const VICTIM: (&str, &str) = ("ok-victim.example.", "203.0.113.66");
const SHORT: Duration = Duration::from_millis(100);

fn start() -> (Upstream, Client) {
    let upstream = Upstream::start("127.0.0.1:0".parse().unwrap()).unwrap();
    let client = Client::new(upstream.addr());
    (upstream, client)
}

fn udp(client: &Client, name: &str) -> Result<Response, ClientError> {
    client.query(name, RecordType::A, &QueryOptions::default())
}

fn tcp(client: &Client, name: &str) -> Result<Response, ClientError> {
    client.query(name, RecordType::A, &QueryOptions::tcp())
}

fn code(reply: &Response) -> ResponseCode {
    reply.message.metadata.response_code
}

#[test]
fn correct_responses() {
    let (_upstream, client) = start();
    for query in [udp, tcp] {
        let ok = query(&client, "ok-1.example.").unwrap();
        assert_eq!(ok.message.answers[0].data.to_string(), "192.0.2.1");
        assert_eq!(code(&query(&client, "nxdomain-1.example.").unwrap()), ResponseCode::NXDomain);
        assert_eq!(code(&query(&client, "servfail-1.example.").unwrap()), ResponseCode::ServFail);
        assert_eq!(code(&query(&client, "refused-1.example.").unwrap()), ResponseCode::Refused);
        assert_eq!(code(&query(&client, "other.example.").unwrap()), ResponseCode::NXDomain);
        let nodata = query(&client, "nodata-1.example.").unwrap();
        assert_eq!((code(&nodata), nodata.message.authorities.len()), (ResponseCode::NoError, 1));
        let slow = query(&client, "slow50-1.example.").unwrap();
        assert!(slow.elapsed >= Duration::from_millis(50) && slow.message.answers.len() == 1);
    }
    let aaaa = client.query("ok-1.example.", RecordType::AAAA, &QueryOptions::default()).unwrap();
    assert_eq!(aaaa.message.answers[0].data.to_string(), "2001:db8::1");
}

#[test]
fn large_responses_are_truncated_over_udp_only() {
    let (_upstream, client) = start();
    assert_eq!(tcp(&client, "big-400-a.example.").unwrap().message.answers.len(), 400);
    let truncated = udp(&client, "big-400-a.example.").unwrap();
    assert!(truncated.message.metadata.truncation && truncated.message.answers.is_empty());
    let options = QueryOptions { edns: Some(1232), ..QueryOptions::default() };
    let fits = client.query("big-40-a.example.", RecordType::A, &options).unwrap();
    assert_eq!((fits.message.answers.len(), fits.message.metadata.truncation), (40, false));
    assert!(udp(&client, "tc-1.example.").unwrap().message.metadata.truncation);
    assert_eq!(tcp(&client, "tc-1.example.").unwrap().message.answers.len(), 1);
}

#[test]
fn missing_responses_and_closed_connections() {
    let (upstream, client) = start();
    let short_timeout = Client { timeout: SHORT, ..client };
    for name in ["silent-1.example.", "fin-1.example.", "rst-1.example."] {
        assert!(matches!(udp(&short_timeout, name), Err(ClientError::Timeout)), "{name}");
    }
    assert!(matches!(tcp(&short_timeout, "silent-1.example."), Err(ClientError::Timeout)));
    assert!(matches!(tcp(&client, "fin-1.example."), Err(ClientError::Closed)));
    let reset = tcp(&client, "rst-1.example.");
    assert!(
        matches!(&reset, Err(ClientError::Io(error)) if error.kind() == ErrorKind::ConnectionReset),
        "{reset:?}"
    );
    assert_eq!(upstream.query_count("silent-1.example"), 2);

    let closed = ClosedPort::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let refused = TcpStream::connect(closed.addr()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn spoofed_responses() {
    let (upstream, client) = start();
    let short_timeout = Client { timeout: SHORT, ..client };
    assert!(matches!(udp(&short_timeout, "wrongid-1.example."), Err(ClientError::Timeout)));
    for query in [udp, tcp] {
        let other = query(&client, "wrongq-1.example.").unwrap();
        assert_eq!(other.message.queries[0].name.to_ascii(), "example.");
        // The client accepts the first response with its ID, which is for another name.
        assert_eq!(
            query(&client, "spoof-1.example.").unwrap().message.queries[0].name.to_ascii(),
            "example."
        );
    }
    let mut pipeline = Pipeline::connect(upstream.addr(), SOON).unwrap();
    let id = pipeline.send("spoof-1.example.", RecordType::A, &QueryOptions::default()).unwrap();
    let ids: Vec<u16> = (0..3).map(|_| pipeline.receive().unwrap().message.metadata.id).collect();
    assert_eq!(ids, [id.wrapping_add(1), id, id]);
    pipeline.send("garbage-1.example.", RecordType::A, &QueryOptions::default()).unwrap();
    assert!(matches!(pipeline.receive(), Err(ClientError::Malformed(octets)) if octets.len() == 40));
}

#[test]
fn malformed_and_poisoned_responses() {
    let (_upstream, client) = start();
    for query in [udp, tcp] {
        let wrong = query(&client, "wrongclass-1.example.").unwrap().message;
        assert_eq!(wrong.queries[0].query_class.to_string(), "CH");
        for name in ["cut-1.example.", "counts-1.example.", "rdlen-1.example."] {
            assert!(matches!(query(&client, name), Err(ClientError::Malformed(_))), "{name}");
        }
        let eleven = query(&client, "eleven-1.example.");
        assert!(matches!(eleven, Err(ClientError::Malformed(octets)) if octets.len() == 11));
        let truncated = query(&client, "trunc-1.example.").unwrap().message;
        assert!(truncated.metadata.truncation && truncated.answers.is_empty());
        let alias_loop = query(&client, "cnameloop-1.example.").unwrap().message;
        assert_eq!(alias_loop.answers[0].data.to_string(), "round.example.");
        assert_eq!(alias_loop.answers[1].data.to_string(), "cnameloop-1.example.");
        let poisoned = query(&client, "poison-1.example.").unwrap().message;
        assert_eq!(poisoned.answers[0].data.to_string(), "192.0.2.1");
        for section in [&poisoned.answers, &poisoned.authorities, &poisoned.additionals] {
            let last = section.last().unwrap();
            assert_eq!((last.name.to_ascii().as_str(), last.data.to_string().as_str()), VICTIM);
        }
    }
    assert_eq!(udp(&client, "huge-1.example.").unwrap().message.answers.len(), 300);
    assert_eq!(tcp(&client, "huge-1.example.").unwrap().message.answers.len(), 1000);
}

#[test]
fn wrong_length_prefixes() {
    let (upstream, client) = start();
    let short_timeout = Client { timeout: SHORT, ..client };
    assert!(matches!(tcp(&short_timeout, "lenbig-1.example."), Err(ClientError::Timeout)));
    let mut pipeline = Pipeline::connect(upstream.addr(), SOON).unwrap();
    pipeline.send("lensmall-1.example.", RecordType::A, &QueryOptions::default()).unwrap();
    assert!(matches!(pipeline.receive(), Err(ClientError::Malformed(_))));
}

#[test]
fn blackhole_neither_accepts_nor_refuses() {
    let blackhole = Blackhole::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let connected = TcpStream::connect_timeout(&blackhole.addr(), SHORT).unwrap_err();
    assert_eq!(connected.kind(), ErrorKind::TimedOut);
    let short_timeout = Client { timeout: SHORT, ..Client::new(blackhole.addr()) };
    assert!(matches!(udp(&short_timeout, "ok-1.example."), Err(ClientError::Timeout)));
}

#[test]
fn drip_sends_octet_by_octet() {
    let (_upstream, client) = start();
    let dripped = tcp(&client, "drip-1.example.").unwrap();
    assert_eq!(dripped.message.answers.len(), 1);
    assert!(dripped.elapsed >= Duration::from_millis(5) * u32::try_from(dripped.octets.len()).unwrap());
}

#[test]
fn slow_query_delays_the_others_unless_out_of_order() {
    for (order, expected) in [
        (ResponseOrder::InOrder, ["slow200-1.example.", "ok-1.example.", "ok-2.example."]),
        (ResponseOrder::OutOfOrder, ["ok-1.example.", "ok-2.example.", "slow200-1.example."]),
    ] {
        let server_options = ServerOptions { order, ..ServerOptions::default() };
        let upstream =
            Upstream::start_with("127.0.0.1:0".parse().unwrap(), server_options, LabelScript::default())
                .unwrap();
        let mut pipeline = Pipeline::connect(upstream.addr(), SOON).unwrap();
        for name in ["slow200-1.example.", "ok-1.example.", "ok-2.example."] {
            pipeline.send(name, RecordType::A, &QueryOptions::default()).unwrap();
        }
        let received = [(); 3].map(|()| pipeline.receive().unwrap().message.queries[0].name.to_ascii());
        assert_eq!(received, expected, "{order:?}");
    }
}

#[test]
fn idle_connections_are_closed() {
    let server_options = ServerOptions { idle: SHORT, ..ServerOptions::default() };
    let upstream = Upstream::start_with(
        "127.0.0.1:0".parse().unwrap(),
        server_options,
        LabelScript { ttl: 1, ..LabelScript::default() },
    )
    .unwrap();
    let mut pipeline = Pipeline::connect(upstream.addr(), SOON).unwrap();
    pipeline.send("ok-1.example.", RecordType::A, &QueryOptions::default()).unwrap();
    assert_eq!(pipeline.receive().unwrap().message.answers[0].ttl, 1);
    assert!(matches!(pipeline.receive_octets(), Err(ClientError::Closed)));
    assert!(upstream.wait_for_connections(SOON, |connections| connections.open == 0));
}
