//! Instructions per cache hit, counted by valgrind's callgrind: the difference between a long and a
//! short loop, so that start-up and cache fill cancel out.

use std::io::ErrorKind;
use std::process::Command;

use crate::output::{BenchError, print};

const SHORT: u32 = 10_000;
const LONG: u32 = 50_000;

/// Counts with few names and with many.
pub(crate) fn measure() -> Result<(), BenchError> {
    for names in [50, 2000] {
        let counted = count(names, LONG)?.saturating_sub(count(names, SHORT)?);
        let each = counted / u64::from(LONG - SHORT);
        print(&mut std::io::stdout(), &format!("{names:>5} names: {each} instructions per hit"));
    }
    Ok(())
}

/// Instructions of a whole process.
fn count(names: u16, hits: u32) -> Result<u64, BenchError> {
    let ourselves = std::env::current_exe()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(ourselves)
        .args(["resolver-loop", &names.to_string(), &hits.to_string()])
        .output()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => BenchError("valgrind is not installed".to_owned()),
            _ => error.into(),
        })?;
    let log = String::from_utf8_lossy(&output.stderr);
    let collected = log.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.ok_or_else(|| BenchError(format!("valgrind did not count: {log}")))
}
