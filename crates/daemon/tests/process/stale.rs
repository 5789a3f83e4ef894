//! Stale answers during an outage of the upstream, with `serve_stale` and without, and the refresh
//! after it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use testkit::client::Response;
use testkit::upstream::{Blackhole, LabelScript, Upstream};
use testkit::{RecordType, ResponseCode};

use crate::fixture::{
    DNS, DaemonProcess, READY, STUB_TIMEOUT, WAIT_LIMIT, out_of_order_upstream, query_names, unique_address,
    wait_until,
};
use crate::responses::{code, data, extended_error, ttl, with_edns};

/// Names that are cached when the outage begins.
const CACHED: usize = 1000;
/// Queries in flight: as many responses as the receive buffer of a socket holds.
const WINDOW: usize = 100;
/// RFC 8914: Stale Answer.
const STALE_ANSWER: u16 = 3;

const OLD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NEW: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

#[derive(Clone, Copy)]
enum Outage {
    /// Connections are refused: no pods.
    Refusing,
    /// Packets are lost: no node.
    Silent,
}

fn serve(to: SocketAddr, (address, ttl): (Ipv4Addr, u32)) -> Upstream {
    out_of_order_upstream(to, LabelScript { ttl, address })
}

/// A daemon with a minimum TTL of 1 s and one more option of `cache`.
fn start_daemon(to: SocketAddr, option: &str) -> DaemonProcess {
    DaemonProcess::start(&format!(
        ".:{DNS} {{
            bind @
            cache {{
                success 9984 30 1
                {option}
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

/// Queries all cached names, each once; every response must arrive within the stub timeout.
fn query_all(daemon: &DaemonProcess) -> Vec<Response> {
    let names: Vec<String> = (0..CACHED).map(name).collect();
    query_names(&daemon.udp_socket(STUB_TIMEOUT), &names, WINDOW, &with_edns())
}

fn assert_stale(response: &Response) {
    assert_stale_with_ttl(response, 0);
}

fn assert_stale_with_ttl(response: &Response, expected: u32) {
    let found = (code(response), data(response), ttl(response), extended_error(response));
    assert_eq!(found, (ResponseCode::NoError, vec![OLD.to_string()], expected, Some(STALE_ANSWER)));
}

/// True for the address that the upstream has after the outage.
fn is_new(response: &Response) -> bool {
    data(response) == [NEW.to_string()]
}

/// Caches a thousand names with an option of `cache`, stops the upstream at the address that it
/// returns, and waits until all entries are stale.
fn begin_outage(outage: Outage, option: &str) -> (DaemonProcess, SocketAddr, Option<Blackhole>) {
    let upstream = serve((unique_address(), 5353).into(), (OLD, 1));
    let to = upstream.addr();
    let daemon = start_daemon(to, option);
    assert!(query_all(&daemon).iter().all(|response| data(response) == [OLD.to_string()]));
    drop(upstream);
    let blackhole = matches!(outage, Outage::Silent).then(|| Blackhole::bind(to).unwrap());
    // All entries are stale when the last one is.
    assert!(wait_until(WAIT_LIMIT, || {
        let last = daemon.query_with(&name(CACHED - 1), &with_edns());
        extended_error(&last) == Some(STALE_ANSWER)
    }));
    (daemon, to, blackhole)
}

/// An outage, after which the upstream has another address for all names; returns when the first name
/// has its new address.
fn run_outage(outage: Outage, mode: &str) -> (DaemonProcess, Upstream) {
    let (daemon, to, blackhole) = begin_outage(outage, &format!("serve_stale 1h {mode}"));
    let metric = format!("coredns_proxy_conn_cache_misses_total{{to=\"{to}\"}}");
    let before = daemon.metric(&metric);
    query_all(&daemon).iter().for_each(assert_stale);
    let dials = daemon.metric(&metric) - before;
    assert!(dials <= 2 * u64::try_from(CACHED).unwrap(), "{dials} dials");
    drop(blackhole);
    let upstream = serve(to, (NEW, 30));
    assert!(
        wait_until(WAIT_LIMIT, || is_new(&daemon.query_with(&name(0), &with_edns()))),
        "the recovery is not detected"
    );
    (daemon, upstream)
}

/// The number of names that still have the address from before the outage.
fn stale_count(daemon: &DaemonProcess) -> usize {
    let responses = query_all(daemon);
    let old = responses.iter().filter(|response| !is_new(response));
    old.inspect(|response| assert_stale(response)).count()
}

/// One query for each name refreshes all of them, with at most `most` upstream queries each.
fn assert_refreshed(daemon: &DaemonProcess, upstream: &Upstream, most: usize) {
    stale_count(daemon);
    assert!(wait_until(WAIT_LIMIT, || stale_count(daemon) == 0), "names stay stale");
    let mut counts: HashMap<String, usize> = HashMap::new();
    for query in upstream.queries().iter().filter(|query| query.record_type == RecordType::A) {
        *counts.entry(query.name.clone()).or_default() += 1;
    }
    let often: Vec<_> = counts.iter().filter(|(_, times)| **times > most).collect();
    assert!(often.is_empty(), "{often:?}");
}

#[test]
fn stale_answers_bridge_a_refusing_upstream_and_are_refreshed_behind_one_query() {
    let (daemon, upstream) = run_outage(Outage::Refusing, "immediate");
    assert_refreshed(&daemon, &upstream, 1);
}

#[test]
fn stale_answers_bridge_a_silent_upstream_and_are_refreshed_behind_one_query() {
    let (daemon, upstream) = run_outage(Outage::Silent, "immediate");
    // A query sent during the outage may arrive late.
    assert_refreshed(&daemon, &upstream, 2);
}

#[test]
fn stale_answers_bridge_a_refusing_upstream_and_are_verified_when_it_recovers() {
    let (daemon, _upstream) = run_outage(Outage::Refusing, "verify 500ms");
    assert_eq!(stale_count(&daemon), 0, "stale although the upstream responds");
}

/// Queries whose verification began during the outage still get stale answers.
#[test]
fn stale_answers_bridge_a_silent_upstream_and_are_verified_when_it_recovers() {
    let (daemon, upstream) = run_outage(Outage::Silent, "verify 500ms");
    assert_refreshed(&daemon, &upstream, 2);
}

/// Without `serve_stale`: names that expired a moment ago are answered, until the upstream is back.
fn run_outage_without_serve_stale(outage: Outage) {
    let (daemon, to, blackhole) = begin_outage(outage, "");
    query_all(&daemon).iter().for_each(|response| assert_stale_with_ttl(response, 5));
    let served = daemon.metric("nodelocaldns_cache_outage_stale_total");
    assert!(served > u64::try_from(CACHED).unwrap(), "{served} counted");
    drop(blackhole);
    let _upstream = serve(to, (NEW, 30));
    assert!(wait_until(WAIT_LIMIT, || query_all(&daemon).iter().all(is_new)), "names stay stale");
}

#[test]
fn expired_answers_bridge_a_refusing_upstream_without_serve_stale() {
    run_outage_without_serve_stale(Outage::Refusing);
}

#[test]
fn expired_answers_bridge_a_silent_upstream_without_serve_stale() {
    run_outage_without_serve_stale(Outage::Silent);
}
