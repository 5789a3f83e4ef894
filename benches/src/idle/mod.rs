//! An idle node: wake-ups, CPU time and new sockets of a process that gets no queries, in a network
//! namespace with a link, packet-filter rules and the Corefile of the add-on.

pub(crate) mod node;
mod sockets;

use std::thread::sleep;
use std::time::Duration;

use clap::Args;

use crate::cpu;
use crate::output::{BenchError, print};
use crate::servers::{Program, Server};
use crate::upstreams::bounds::Bounds;
use crate::upstreams::namespace;
use node::Node;

/// Until loop detection has ended and the connections to upstreams are closed.
const SETTLE: Duration = Duration::from_secs(20);
/// Seconds between two probes of the kubelet, as in `daemonset/base`.
const PROBE_INTERVAL: u64 = 5;
/// Maximum wake-ups per second, and CPU time in thousandths of one core, without probes.
const MAX_IDLE: Usage = Usage { wakeups: 4.0, millicores: 0.5 };
/// The same with the probes of a kubelet, each of which takes a few.
const MAX_PROBED: Usage = Usage { wakeups: 6.0, millicores: 0.7 };

#[derive(Args)]
pub(crate) struct IdleOptions {
    /// Seconds per row, a multiple of 5
    #[arg(long, default_value = "60", value_parser = clap::value_parser!(u64).range(PROBE_INTERVAL..))]
    seconds: u64,
}

/// The probes of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Probes {
    None,
    /// `/health`, `/ready` and `-probe`, each every 5 s.
    Kubelet,
}

/// What a process used in a row, per second.
struct Usage {
    wakeups: f64,
    /// Thousandths of one core.
    millicores: f64,
}

/// Prints two rows per program; fails when the daemon exceeds a bound.
pub(crate) fn measure(options: &IdleOptions) -> Result<(), BenchError> {
    let upstream = namespace::enter()?;
    let node = Node::new(upstream)?;
    print(
        &mut std::io::stdout(),
        &format!(
            "No queries, link of kind {}, {} s per row\n{:<14}{:<10}{:>12}{:>12}{:>15}",
            node.link_kind(),
            options.seconds,
            "",
            "probes",
            "wake-ups/s",
            "millicores",
            "new sockets/s"
        ),
    );
    let mut bounds = Bounds::default();
    for program in Program::all()? {
        let server = node.start(&program)?;
        sleep(SETTLE);
        for (probes, name) in [(Probes::None, "none"), (Probes::Kubelet, "kubelet")] {
            let probe = || if probes == Probes::Kubelet { node.probe(&program) } else { Ok(()) };
            let usage = usage(&server, options.seconds, probe)?;
            let opened = sockets::opened(server.pid(), options.seconds, || wait(options.seconds, probe))?;
            print(
                &mut std::io::stdout(),
                &format!(
                    "{:<14}{name:<10}{:>12.2}{:>12.3}{:>15}",
                    program.name,
                    usage.wakeups,
                    usage.millicores,
                    opened.map_or_else(|| "-".to_owned(), |opened| format!("{opened:.2}"))
                ),
            );
            let most = if probes == Probes::None { MAX_IDLE } else { MAX_PROBED };
            let holds = usage.wakeups <= most.wakeups && usage.millicores <= most.millicores;
            bounds.check(&program, holds, &format!("probes: {name}"));
        }
    }
    bounds.result("4 wake-ups per second and 0.5 millicores without probes, 6 and 0.7 with them")
}

fn usage(
    server: &Server,
    seconds: u64,
    probe: impl Fn() -> Result<(), BenchError>,
) -> Result<Usage, BenchError> {
    let (wakeups, time) = (cpu::wakeups(server.pid())?, server.cpu_ns()?);
    wait(seconds, probe)?;
    let wakeups = cpu::wakeups(server.pid())?.saturating_sub(wakeups);
    let time = server.cpu_ns()?.saturating_sub(time);
    Ok(Usage {
        wakeups: sockets::per_second(wakeups, seconds),
        millicores: sockets::per_second(time, seconds) / 1e6,
    })
}

/// Waits, with a probe every [`PROBE_INTERVAL`].
fn wait(seconds: u64, probe: impl Fn() -> Result<(), BenchError>) -> Result<(), BenchError> {
    for _ in 0..seconds / PROBE_INTERVAL {
        probe()?;
        sleep(Duration::from_secs(PROBE_INTERVAL));
    }
    Ok(())
}
