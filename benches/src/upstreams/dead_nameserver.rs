//! A nameserver that never responds, listed before one that does: response times of a cold cache.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use testkit::upstream::{Blackhole, LabelScript, ServerOptions, Upstream};

use super::bounds::Bounds;
use super::latency::{Latencies, failed, ms};
use super::pace::{Pace, Sample};
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::servers::{Program, TempDir};

/// Names, each queried once, and queries per second.
const NAMES: u16 = 200;
const RATE: u32 = 50;

/// Bounds of the first query, and of the 99th percentile.
const MAX_FIRST: Duration = Duration::from_millis(600);
const MAX_P99: Duration = Duration::from_millis(300);

const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Prints a row per program, policy and transport.
pub(crate) fn measure() -> Result<(), BenchError> {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let dead = Blackhole::bind(loopback)?;
    let script = LabelScript { ttl: 30, address: ADDRESS };
    let live = Upstream::start_with(loopback, ServerOptions::default(), script)?;
    print(
        &mut std::io::stdout(),
        &format!(
            "{NAMES} new names at {RATE}/s, the first of two nameservers never responds; milliseconds\n{:<14}{:<12}{:<11}{:>9}{:>9}{:>9}{:>9}{:>8}",
            "", "policy", "transport", "first", "p50", "p99", "max", "failed"
        ),
    );
    let mut bounds = Bounds::default();
    for program in Program::all()? {
        for policy in ["sequential", "random"] {
            for transport in ["", "force_tcp"] {
                let forward = format!(
                    "forward . {} {} {{\n policy {policy}\n {transport}\n }}",
                    dead.addr(),
                    live.addr()
                );
                let samples = query_all(&program, &forward)?;
                report(&program, [policy, transport], &samples, &mut bounds);
            }
        }
    }
    bounds.result("first 600 ms, p99 300 ms, none failed")
}

fn query_all(program: &Program, forward: &str) -> Result<Vec<Sample>, BenchError> {
    let dir = TempDir::new()?;
    let corefile =
        format!(".:PORT {{\n errors\n cache 30\n bind 127.0.0.1\n {forward}\n prometheus METRICS\n}}\n");
    let server = program.start(&corefile, &dir)?;
    let queries: Vec<TestQuery> = (0..NAMES)
        .map(|number| TestQuery::named(&format!("ok-{number}.example"), ADDRESS.octets(), false))
        .collect::<Result<_, _>>()?;
    let pace = Pace { server: server.addr, rate: RATE };
    pace.run(&queries)
}

fn report(program: &Program, [policy, transport]: [&str; 2], samples: &[Sample], bounds: &mut Bounds) {
    let latencies = Latencies::new(samples);
    let first = samples.first().map_or(Duration::MAX, Sample::latency);
    let (p99, failed) = (latencies.percentile(99), failed(samples));
    let transport = if transport.is_empty() { "client's" } else { transport };
    let row = format!(
        "{:<14}{policy:<12}{transport:<11}{:>9}{:>9}{:>9}{:>9}{failed:>8}",
        program.name,
        ms(first),
        ms(latencies.percentile(50)),
        ms(p99),
        ms(latencies.max()),
    );
    print(&mut std::io::stdout(), &row);
    let holds = first <= MAX_FIRST && p99 <= MAX_P99 && failed == 0;
    bounds.check(program, holds, &format!("{policy}, {transport}"));
}
