//! Instructions per cache hit, counted by valgrind's callgrind: the difference between a long and a
//! short loop, so that start-up and cache fill cancel out.

use std::io::ErrorKind;
use std::process::Command;

use crate::directives::Directives;
use crate::output::{BenchError, print};

const SHORT: u32 = 10_000;
const LONG: u32 = 50_000;

/// Counts with few names and with many, and with directives that change or answer queries.
pub(crate) fn measure() -> Result<(), BenchError> {
    for (names, directives) in [
        (50, Directives::None),
        (2000, Directives::None),
        (50, Directives::EmptyBlock),
        (50, Directives::OtherBlock),
        (50, Directives::SameBlock),
        (50, Directives::InFrontOfOther),
        (50, Directives::InFrontOfSame),
    ] {
        let count = |hits| count(names, hits, directives);
        let each = count(LONG)?.saturating_sub(count(SHORT)?) / u64::from(LONG - SHORT);
        let directives = directives.title();
        print(&mut std::io::stdout(), &format!("{names:>5} names{directives}: {each} instructions per hit"));
    }
    Ok(())
}

/// Instructions of a whole process.
fn count(names: u16, hits: u32, directives: Directives) -> Result<u64, BenchError> {
    let ourselves = std::env::current_exe()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(ourselves)
        .args(["resolver-loop", &names.to_string(), &hits.to_string(), directives.argument()])
        .output()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => BenchError("valgrind is not installed".to_owned()),
            _ => error.into(),
        })?;
    let log = String::from_utf8_lossy(&output.stderr);
    let collected = log.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.ok_or_else(|| BenchError(format!("valgrind did not count: {log}")))
}
