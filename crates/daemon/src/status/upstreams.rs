//! Upstreams in effect: state, RTT, and counts since the start of the process.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use resolver::counters::UpstreamCounters;
use resolver::policy::{TransportPreference, Upstream, UpstreamStatus};
use serde_json::{Value, json};

use crate::counters::{ActiveBlock, CounterRegistry};

/// One row for each `forward` of a server block and upstream of it.
pub(super) fn report(counters: &CounterRegistry) -> Vec<Value> {
    let counts: HashMap<SocketAddr, Counts> =
        counters.upstreams().map(|(addr, workers)| (addr, Counts::of(workers))).collect();
    let (mut rows, mut listed) = (Vec::new(), BTreeSet::new());
    for ActiveBlock { server, zones, block } in counters.active_blocks() {
        for forward in &block.forwards {
            for (index, upstream) in forward.upstreams.iter().enumerate() {
                let from = forward.options.from.to_string();
                if !listed.insert((server, zones, from.clone(), upstream.addr)) {
                    continue;
                }
                let counts = counts.get(&upstream.addr).copied().unwrap_or_default();
                rows.push(json!({
                    "server": server,
                    "zones": zones,
                    "from": from,
                    "to": upstream.addr.to_string(),
                    "transport": transport(upstream, forward.options.transport),
                    "state": state(forward.status(index)),
                    "rtt_ms": upstream.state.srtt().map(|rtt| rtt.as_secs_f64() * 1000.0),
                    "responses": counts.responses,
                    "failures": counts.failures,
                    "hedges": counts.hedges,
                }));
            }
        }
    }
    rows
}

/// Of all server blocks that forward to an upstream.
#[derive(Clone, Copy, Default)]
struct Counts {
    responses: u64,
    failures: u64,
    hedges: u64,
}

impl Counts {
    fn of(workers: &[std::sync::Arc<UpstreamCounters>]) -> Self {
        let mut counts = Self::default();
        for worker in workers {
            let responses = worker.request_durations.iter().flat_map(|durations| durations.buckets());
            counts.responses += responses.sum::<u64>();
            counts.failures += worker.failures.get();
            counts.hedges += worker.hedged.get();
        }
        counts
    }
}

fn transport(upstream: &Upstream, preference: TransportPreference) -> &'static str {
    match preference {
        _ if upstream.encrypted => "tls",
        TransportPreference::ForceTcp => "tcp",
        TransportPreference::PreferUdp => "udp",
        TransportPreference::SameAsClient => "as client",
    }
}

fn state(status: UpstreamStatus) -> &'static str {
    match status {
        UpstreamStatus::Up => "up",
        UpstreamStatus::Silent => "silent",
        UpstreamStatus::Down => "down",
    }
}
