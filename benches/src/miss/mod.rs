//! CPU time per cache miss: rounds of fresh names with each server in turn, one table per transport
//! and number of outstanding queries; then upstream connections and coalescing.
//!
//! Reading order: [`testbed`], [`upstream`], [`rows`].

mod rows;
pub(crate) mod testbed;
pub(crate) mod upstream;

use clap::Args;

use crate::output::{BenchError, print};
use rows::Row;
use testbed::{IDENTICAL, INFLIGHT, Testbed};

/// The options of `forward` that select the transport.
const TRANSPORTS: [&str; 2] = ["force_tcp", "prefer_udp"];
/// The size of the measurement.
#[derive(Args, Clone, Copy)]
pub(crate) struct MissOptions {
    /// Rounds; in each, every server gets the same queries, one server after another
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Queries per round with 16 and 256 outstanding; a quarter of it with one
    #[arg(long, default_value_t = 8000)]
    queries: usize,
}

/// Measures and prints the tables.
pub(crate) fn measure(options: MissOptions) -> Result<(), BenchError> {
    run(options).map(drop)
}

/// A short run that fails on unanswered queries.
pub(crate) fn smoke() -> Result<(), BenchError> {
    match run(MissOptions { rounds: 1, queries: 1024 })? {
        0 => Ok(()),
        unanswered => Err(BenchError(format!("{unanswered} cache misses without a correct response"))),
    }
}

/// The number of queries without a correct response.
fn run(options: MissOptions) -> Result<u64, BenchError> {
    let mut unanswered = 0;
    for transport in TRANSPORTS {
        let mut testbed = Testbed::start(transport, "1")?;
        for (window, queries) in [(256, options.queries), (16, options.queries), (1, options.queries / 4)] {
            let rows = testbed.rounds(options.rounds, window, queries)?;
            let title = format!("{transport}: {window} outstanding, {queries} queries per round");
            print(&mut std::io::stdout(), &rows::table(&title, &rows));
            unanswered += rows.iter().map(Row::unanswered).sum::<u64>();
        }
        let inflight = testbed.inflight()?;
        drop(testbed);
        let identical = Testbed::start(transport, "2")?.identical()?;
        for (title, bursts) in [
            (format!("{INFLIGHT} queries in flight, 1 worker"), inflight),
            (format!("{IDENTICAL} identical queries at once, 2 workers"), identical),
        ] {
            print(&mut std::io::stdout(), &rows::burst_table(&format!("{transport}: {title}"), &bursts));
            unanswered += bursts.iter().map(|burst| burst.unanswered).sum::<u64>();
        }
    }
    Ok(unanswered)
}
