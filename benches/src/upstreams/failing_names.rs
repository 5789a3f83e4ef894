//! Names for which the upstream fails, beside slow and fast names on the same upstream: whether the
//! queries of other clients fail or are delayed.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Args;
use testkit::upstream::{LabelScript, ResponseOrder, ServerOptions, Upstream};

use crate::cpu;
use crate::figures::now;
use crate::hit;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::servers::{self, Program, TempDir};
use crate::upstream::ADDRESS;

use super::bounds::Bounds;
use super::closed_loops::{self, Group, Tally};

/// The options of `forward` that select the transport.
const TRANSPORTS: [&str; 2] = ["force_tcp", "prefer_udp"];
/// Reactions to the failing names.
const KINDS: &str = "rst,fin,eleven,wrongid,garbage,trunc,lenbig";
/// Loops of failing and of slow names.
const LOOPS: u8 = 10;
/// Loops of fast names.
const FAST_LOOPS: u8 = 3;
/// Names that are answered after a second, and at once.
const SLOW: &str = "slow1000";
const FAST: &str = "ok";

/// The size of the measurement.
#[derive(Args)]
pub(crate) struct FailingNamesOptions {
    /// Seconds per row
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// The upstream answers the queries of a connection in order, as CoreDNS does
    #[arg(long)]
    in_order: bool,
    /// Reactions to the failing names: labels of `testkit::upstream::LabelScript`
    #[arg(long, value_delimiter = ',', default_value = KINDS)]
    kinds: Vec<String>,
    /// Milliseconds between a response to a fast name and the next query
    #[arg(long, default_value_t = 0)]
    fast_pause: u64,
    /// Workers of the daemon
    #[arg(long, default_value_t = 1)]
    workers: u32,
}

/// Prints a table per transport and program; fails when the daemon failed a slow or fast name.
pub(crate) fn measure(options: &FailingNamesOptions) -> Result<(), BenchError> {
    let mut bounds = Bounds::default();
    for transport in TRANSPORTS {
        for program in Program::all()? {
            print(&mut std::io::stdout(), &title(transport, program.name, options));
            let kinds = options.kinds.chunks(1);
            for kind in [[].as_slice()].into_iter().chain(kinds) {
                let row = Row::measure(&program, (transport, kind), options)?;
                let kind = kind.first().map_or("none", String::as_str);
                print(&mut std::io::stdout(), &row.text(kind));
                let failed = row.slow.failed() + row.fast.failed();
                bounds.check(&program, failed == 0, &format!("{transport}, {kind}: {failed}"));
            }
            print(&mut std::io::stdout(), "");
        }
    }
    bounds.result("no slow or fast name fails")
}

/// A second with names of all kinds at once, by each transport; fails when a slow or fast name does.
pub(crate) fn smoke() -> Result<(), BenchError> {
    let kinds: Vec<String> = KINDS.split(',').map(str::to_owned).collect();
    let options = FailingNamesOptions { seconds: 1, in_order: false, kinds, fast_pause: 0, workers: 1 };
    let (program, mut bounds) = (Program::daemon()?, Bounds::default());
    for transport in TRANSPORTS {
        let row = Row::measure(&program, (transport, &options.kinds), &options)?;
        let failed = row.slow.failed() + row.fast.failed();
        bounds.check(&program, failed == 0, &format!("{transport}, all kinds: {failed}"));
        print(&mut std::io::stdout(), &title(transport, program.name, &options));
        print(&mut std::io::stdout(), &row.text("all"));
    }
    bounds.result("no slow or fast name fails")
}

/// Title and column titles.
fn title(transport: &str, name: &str, options: &FailingNamesOptions) -> String {
    let order = if options.in_order { "in order" } else { "out of order" };
    format!(
        "{name}, {transport}, upstream {order}, {} s per row\n{:<10}{:>9}{:>9}{:>10}{:>12}{:>9}{:>10}{:>12}{:>9}{:>9}{:>9}{:>10}",
        options.seconds,
        "failing",
        "queries",
        "slow",
        "SERVFAIL",
        "unanswered",
        "fast",
        "SERVFAIL",
        "unanswered",
        "p50 ms",
        "p99 ms",
        "max ms",
        "upstream"
    )
}

/// The loops beside failing names.
struct Row {
    /// Queries of failing names.
    failing: u64,
    slow: Tally,
    fast: Tally,
    /// CPU time of the upstream's thread in per cent of the run.
    upstream_load: f64,
}

impl Row {
    fn measure(
        program: &Program,
        (transport, kinds): (&str, &[String]),
        options: &FailingNamesOptions,
    ) -> Result<Self, BenchError> {
        let order = if options.in_order { ResponseOrder::InOrder } else { ResponseOrder::OutOfOrder };
        let upstream = Upstream::start_with(
            (Ipv4Addr::LOCALHOST, 0).into(),
            ServerOptions { order, ..ServerOptions::default() },
            LabelScript::default(),
        )?;
        let dir = TempDir::new()?;
        let forward = format!("forward . {} {{\n        {transport}\n    }}", upstream.addr());
        let corefile = servers::corefile("cache 3600", &forward);
        let server = program.start_with(&corefile, &["-workers", &options.workers.to_string()], &dir)?;
        hit::fill(&server, &[TestQuery::named("ok-ready.example", ADDRESS, false)?])?;
        let (fast_pause, pause) = (Duration::from_millis(options.fast_pause), Duration::ZERO);
        let mut groups = vec![
            Group { label: SLOW, loops: LOOPS, pause },
            Group { label: FAST, loops: FAST_LOOPS, pause: fast_pause },
        ];
        let each = LOOPS.div_ceil(u8::try_from(kinds.len().max(1)).unwrap_or(u8::MAX));
        groups.extend(kinds.iter().map(|label| Group { label, loops: each, pause }));
        let start = now();
        let mut tallies =
            closed_loops::run(server.addr, &groups, Duration::from_secs(options.seconds))?.into_iter();
        let run_time = start.elapsed();
        let busy = Duration::from_nanos(cpu::named_time_ns("upstream")?);
        let [slow, fast] = [(); 2].map(|()| tallies.next().unwrap_or_default());
        let failing = tallies.map(|tally| tally.queries).sum();
        let upstream_load = busy.as_secs_f64() / run_time.as_secs_f64() * 100.0;
        Ok(Self { failing, slow, fast, upstream_load })
    }

    fn text(&self, kind: &str) -> String {
        let Self { failing, slow, fast, upstream_load } = self;
        let mut text = format!("{kind:<10}{failing:>9}");
        for tally in [slow, fast] {
            let Tally { queries, servfail, unanswered, .. } = tally;
            // Writing to a String does not fail.
            write!(text, "{queries:>9}{servfail:>10}{unanswered:>12}").ok();
        }
        for milliseconds in fast.latencies() {
            write!(text, "{milliseconds:>9.2}").ok();
        }
        write!(text, "{upstream_load:>9.0}%").ok();
        text
    }
}
