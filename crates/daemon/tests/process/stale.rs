//! `serve_stale` through an outage: everything that was known is told, and what is new as soon as there is something new.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use testkit::client::Response;
use testkit::upstream::{Blackhole, LabelScript, ResponseOrder, ServerOptions, Upstream};
use testkit::{Message, RecordType, ResponseCode};

use crate::fixture::{DNS, DaemonProcess, READY, WAIT_LIMIT, unique_address, wait_until};
use crate::responses::{code, data, extended_error, ttl, with_edns};

/// Names that are known when the outage begins.
const KNOWN: usize = 1000;
/// Asked at a time: as many answers as a socket surely has room for.
const WINDOW: usize = 100;
/// RFC 8914: Stale Answer.
const STALE_ANSWER: u16 = 3;
/// Stub resolvers wait no longer.
const STUB_PATIENCE: Duration = Duration::from_secs(5);

const OLD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NEW: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// What becomes of the address of the upstream.
#[derive(Clone, Copy)]
enum Outage {
    /// Connections are refused: the pods are gone.
    Refusing,
    /// Nothing comes back: the node is gone.
    Silent,
}

fn serve(to: SocketAddr, (address, ttl): (Ipv4Addr, u32)) -> Upstream {
    let server_options = ServerOptions { order: ResponseOrder::OutOfOrder, ..ServerOptions::default() };
    Upstream::start_with(to, server_options, LabelScript { ttl, address }).unwrap()
}

/// A daemon that keeps answers for as long as they say, a second at least.
fn keeping(to: SocketAddr, mode: &str) -> DaemonProcess {
    DaemonProcess::start(&format!(
        ".:{DNS} {{
            bind @
            cache {{
                success 9984 30 1
                serve_stale 1h {mode}
            }}
            forward . {to} {{
                force_tcp
            }}
            prometheus @:9253
            ready @:{READY}
        }}"
    ))
}

fn name(number: usize) -> String {
    format!("ok-{number}.example.")
}

/// Asks for all known names from one socket, each once; every one must be answered before stub resolvers give up.
fn ask_all(daemon: &DaemonProcess) -> Vec<Response> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect(daemon.addr(DNS)).unwrap();
    socket.set_read_timeout(Some(STUB_PATIENCE)).unwrap();
    let (mut sent, mut answers) = (0, HashMap::new());
    while answers.len() < KNOWN {
        while sent < KNOWN && sent - answers.len() < WINDOW {
            let id = u16::try_from(sent).unwrap();
            let query = with_edns().message(id, &name(sent), RecordType::A).unwrap();
            socket.send(&query.to_vec().unwrap()).unwrap();
            sent += 1;
        }
        let mut octets = vec![0; 1232];
        let length = socket.recv(&mut octets).unwrap();
        octets.truncate(length);
        let message = Message::from_vec(&octets).unwrap();
        let number = usize::from(message.metadata.id);
        assert_eq!(message.queries[0].name.to_ascii(), name(number));
        answers.insert(number, Response { message, octets, elapsed: Duration::ZERO });
    }
    (0..KNOWN).map(|number| answers.remove(&number).unwrap()).collect()
}

fn assert_stale(answer: &Response) {
    let told = (code(answer), data(answer), ttl(answer), extended_error(answer));
    assert_eq!(told, (ResponseCode::NoError, vec![OLD.to_string()], 0, Some(STALE_ANSWER)));
}

/// True when an answer says what the upstream says after the outage.
fn is_new(answer: &Response) -> bool {
    data(answer) == [NEW.to_string()]
}

/// Learns a thousand names, loses the upstream, and gets it back with other addresses; gives the daemon and the upstream
/// when the first name is told with its new address.
fn outlives(outage: Outage, mode: &str) -> (DaemonProcess, Upstream) {
    let upstream = serve((unique_address(), 5353).into(), (OLD, 1));
    let to = upstream.addr();
    let daemon = keeping(to, mode);
    assert!(ask_all(&daemon).iter().all(|answer| data(answer) == [OLD.to_string()]));
    drop(upstream);
    let deaf = matches!(outage, Outage::Silent).then(|| Blackhole::bind(to).unwrap());
    // The last of them is over.
    assert!(wait_until(WAIT_LIMIT, || {
        let last = daemon.query_with(&name(KNOWN - 1), &with_edns());
        extended_error(&last) == Some(STALE_ANSWER)
    }));
    let metric = format!("coredns_proxy_conn_cache_misses_total{{to=\"{to}\"}}");
    let before = daemon.metric(&metric);
    ask_all(&daemon).iter().for_each(assert_stale);
    let dials = daemon.metric(&metric) - before;
    assert!(dials <= 2 * u64::try_from(KNOWN).unwrap(), "{dials} dials");
    drop(deaf);
    let upstream = serve(to, (NEW, 30));
    assert!(
        wait_until(WAIT_LIMIT, || is_new(&daemon.query_with(&name(0), &with_edns()))),
        "recovery goes unnoticed"
    );
    (daemon, upstream)
}

/// How many of all names are told as they were before the outage.
fn old_ones(daemon: &DaemonProcess) -> usize {
    let answers = ask_all(daemon);
    let old = answers.iter().filter(|answer| !is_new(answer));
    old.inspect(|answer| assert_stale(answer)).count()
}

/// After one query for each name all of them are new, once the upstream has answered: it is asked no more often than
/// `most` for that.
fn renewed_behind_one_query(daemon: &DaemonProcess, upstream: &Upstream, most: usize) {
    old_ones(daemon);
    assert!(wait_until(WAIT_LIMIT, || old_ones(daemon) == 0), "names stay old");
    let mut asked: HashMap<String, usize> = HashMap::new();
    for question in upstream.queries().iter().filter(|question| question.record_type == RecordType::A) {
        *asked.entry(question.name.clone()).or_default() += 1;
    }
    let often: Vec<_> = asked.iter().filter(|(_, times)| **times > most).collect();
    assert!(often.is_empty(), "{often:?}");
}

#[test]
fn a_thousand_known_names_outlive_their_upstream_and_are_renewed_behind_one_query() {
    let (daemon, upstream) = outlives(Outage::Refusing, "immediate");
    renewed_behind_one_query(&daemon, &upstream, 1);
}

#[test]
fn a_thousand_known_names_outlive_a_silent_upstream_and_are_renewed_behind_one_query() {
    let (daemon, upstream) = outlives(Outage::Silent, "immediate");
    // A question that was open in the outage may arrive late.
    renewed_behind_one_query(&daemon, &upstream, 2);
}

#[test]
fn a_thousand_known_names_outlive_their_upstream_and_are_verified_when_it_is_back() {
    let (daemon, _upstream) = outlives(Outage::Refusing, "verify 500ms");
    assert_eq!(old_ones(&daemon), 0, "told what is old although the upstream can be asked");
}

/// Those whose verification has begun in the outage are still told what is old, as others who ask meanwhile.
#[test]
fn a_thousand_known_names_outlive_a_silent_upstream_and_are_verified_when_it_is_back() {
    let (daemon, upstream) = outlives(Outage::Silent, "verify 500ms");
    renewed_behind_one_query(&daemon, &upstream, 2);
}
