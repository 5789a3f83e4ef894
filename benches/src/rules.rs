//! Cost of the packet-filter rules: CPU time per cache hit of server and client together, with and
//! without them, since packets on loopback are filtered in the sender's time.

use clap::Args;

use crate::clients::{LoadConfig, udp};
use crate::cpu;
use crate::figures::{count, median, micros, sorted};
use crate::hit;
use crate::idle::node::Node;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::servers::Program;
use crate::upstreams::namespace;

/// Outstanding queries.
const WINDOW: usize = 32;
const NAMES: u8 = 50;

/// The rows: a title, and the flags of the daemon.
const ROWS: [(&str, &[&str]); 3] = [
    ("no rules", &["-setupiptables=false"]),
    ("notrack", &["-fail-open=false", "-guard=false"]),
    ("notrack, fail-open, guard", &[]),
];

/// Removes the table of the daemon, if it exists.
const REMOVE_RULES: &str = "table inet nodelocaldns {}\ndelete table inet nodelocaldns\n";

#[derive(Args)]
pub(crate) struct RulesOptions {
    /// Rounds; in each, the daemon is started with every set of rules
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Queries per row and round
    #[arg(long, default_value_t = 200_000)]
    queries: u64,
}

/// Prints a row for each set of rules.
pub(crate) fn measure(options: &RulesOptions) -> Result<(), BenchError> {
    let node = Node::new(namespace::enter()?)?;
    let daemon = Program::daemon()?;
    let queries: Vec<TestQuery> = (0..NAMES)
        .map(|number| TestQuery::named(&format!("ok-{number}.example."), [192, 0, 2, 1], false))
        .collect::<Result<_, _>>()?;
    let mut costs: Vec<Vec<f64>> = ROWS.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.rounds {
        for ((_, flags), costs) in ROWS.iter().zip(&mut costs) {
            // The rules of a process that was killed stay.
            namespace::run("nft", &["-f", "-"], REMOVE_RULES)?;
            let server = node.start_with(&daemon, flags)?;
            hit::fill(&server, &queries)?;
            let used = || Ok::<_, BenchError>(server.cpu_ns()? + cpu::time_ns(std::process::id())?);
            let before = used()?;
            let outcome = udp::run(&server, &queries, LoadConfig::new(options.queries, WINDOW))?;
            if outcome.answered != options.queries {
                return Err(BenchError(format!("{} of {} answered", outcome.answered, options.queries)));
            }
            costs.push(micros(used()?.saturating_sub(before)) / count(options.queries));
        }
    }
    print(
        &mut std::io::stdout(),
        &format!(
            "{WINDOW} outstanding, {} queries per round, {} rounds\n{:<28}{:>14}{:>10}",
            options.queries, options.rounds, "rules", "CPU us/query", "x none"
        ),
    );
    let medians = costs.into_iter().map(|costs| median(&sorted(costs.into_iter())));
    let mut none = None;
    for ((title, _), cost) in ROWS.iter().zip(medians) {
        let ratio = cost / *none.get_or_insert(cost);
        print(&mut std::io::stdout(), &format!("{title:<28}{cost:>14.2}{ratio:>10.2}"));
    }
    Ok(())
}
