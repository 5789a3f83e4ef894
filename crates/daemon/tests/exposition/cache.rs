//! `coredns_cache_*` with a real resolver that fills the cache.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use daemon::counters::{CounterRegistry, DROPPED};
use resolver::action::{Action, Client, Outbox};
use resolver::cache::Usage;
use resolver::policy::{Block, Listener, ListenerId, Policy, Route, Upstream};
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;
use wire::header::{Flags, Header};
use wire::name::Name;

use super::{Page, SERVER};

const ZONE: &str = "example.org.";

fn block(registry: &mut CounterRegistry) -> Block {
    let addr = SocketAddr::from(([10, 233, 0, 3], 53));
    let usage = Arc::new(Usage::default());
    let counters = registry.block(SERVER, ZONE, &usage, 0);
    let forward =
        fixture::forward(Upstream { addr, counters: registry.upstream(addr, 0), ..fixture::upstream() });
    let mut cache = fixture::cache();
    cache.success.max_ttl = 30;
    cache.denial.max_ttl = 30;
    Block { cache: Some(cache), forwards: vec![forward], counters, usage, ..fixture::block() }
}

fn resolver(registry: &mut CounterRegistry) -> Resolver {
    let block = Arc::new(block(registry));
    let (id, counters) = registry.route(SERVER, ZONE, 0);
    let zone = Name::parse(ZONE).unwrap();
    let route = Arc::new(Route { id, zone, block, counters: Some(counters), loop_detector: None });
    let (dropped_id, dropped) = registry.route(SERVER, DROPPED, 0);
    let listener = Listener::new(vec![route], dropped, dropped_id);
    let policy = Arc::new(Policy { listeners: vec![Some(listener)] });
    Resolver::new(ResolverConfig { counters: registry.worker(0), ..fixture::resolver_config(policy) })
}

fn message(flags: Flags, ancount: u16) -> Vec<u8> {
    let header = Header { id: 7, flags, qdcount: 1, ancount, nscount: 0, arcount: 0 };
    [&header.to_bytes()[..], b"\x07example\x03org\0\0\x01\0\x01"].concat()
}

/// A response to `query`: one A record with TTL 3600.
fn response(query: &[u8]) -> Vec<u8> {
    let mut response = message(Flags::QR.with(Flags::RA), 1);
    response[..2].copy_from_slice(&query[..2]);
    let [name, fixed, address] = [&[0xc0, 12][..], &[0, 1, 0, 1, 0, 0, 14, 16, 0, 4], &[192, 0, 2, 7]];
    response.extend([name, fixed, address].concat());
    response
}

#[test]
fn entries_hits_and_misses_are_counted() {
    let page = Page::new();
    let mut resolver = resolver(&mut page.counters.lock().unwrap());
    let client = Client {
        listener: ListenerId(0),
        peer: SocketAddr::from(([10, 0, 0, 9], 4000)),
        local: None,
        connection: None,
    };
    let labels = format!(r#"server="{SERVER}",view="",zones="{ZONE}""#);
    let typed = |kind: &str| format!(r#"server="{SERVER}",type="{kind}",view="",zones="{ZONE}""#);
    let now = Instant::now();
    let mut outbox = Outbox::default();

    resolver.on_query(now, client, &message(Flags::RD, 0), &mut outbox);
    let [.., Action::SendQuery(query)] = *outbox.actions else { unreachable!("{:?}", outbox.actions) };
    assert_eq!(page.series("coredns_cache_entries"), [""; 0]);
    assert_eq!(
        page.series("coredns_cache_misses_total"),
        [format!("coredns_cache_misses_total{{{labels}}} 1")]
    );

    let response = response(outbox.octets(query.message));
    outbox.clear();
    resolver.on_response(now, query.connection, &response, &mut outbox);
    let entries = ["denial} 0", "success} 1"].map(|row| {
        let (kind, count) = row.split_once("} ").unwrap();
        format!("coredns_cache_entries{{{}}} {count}", typed(kind))
    });
    assert_eq!(page.series("coredns_cache_entries"), entries);

    resolver.on_query(now, client, &message(Flags::RD, 0), &mut outbox);
    let hits = [format!("coredns_cache_hits_total{{{}}} 1", typed("success"))];
    assert_eq!(page.series("coredns_cache_hits_total"), hits);
    let requests = [format!("coredns_cache_requests_total{{{labels}}} 2")];
    assert_eq!(page.series("coredns_cache_requests_total"), requests);
}
