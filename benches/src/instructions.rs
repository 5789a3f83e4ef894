//! Instructions per answer from the cache, counted by valgrind's callgrind: the difference between a long and a
//! short loop, so that start and filling cancel out.

use std::io::ErrorKind;
use std::process::Command;

use crate::{Failed, say};

const SHORT: u32 = 10_000;
const LONG: u32 = 50_000;

/// Counts for few names and for many.
pub(crate) fn measure() -> Result<(), Failed> {
    for names in [50, 2000] {
        let counted = count(names, LONG)?.saturating_sub(count(names, SHORT)?);
        let each = counted / u64::from(LONG - SHORT);
        say(&mut std::io::stdout(), &format!("{names:>5} names: {each} instructions per answer"));
    }
    Ok(())
}

/// Instructions of a whole loop.
fn count(names: u16, hits: u32) -> Result<u64, Failed> {
    let ourselves = std::env::current_exe()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(ourselves)
        .args(["inside", &names.to_string(), &hits.to_string()])
        .output()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Failed("instructions are counted by valgrind, which is not installed".to_owned())
            }
            _ => error.into(),
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.ok_or_else(|| Failed(format!("valgrind did not count: {said}")))
}
