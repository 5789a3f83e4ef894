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
        let names_argument = names.to_string();
        let count = |hits: u32| {
            Tool::Instructions.count(&[
                "resolver-loop",
                &names_argument,
                &hits.to_string(),
                directives.argument(),
            ])
        };
        let each = count(LONG)?.saturating_sub(count(SHORT)?) / u64::from(LONG - SHORT);
        let directives = directives.title();
        print(&mut std::io::stdout(), &format!("{names:>5} names{directives}: {each} instructions per hit"));
    }
    Ok(())
}

/// What valgrind counts.
#[derive(Clone, Copy)]
pub(crate) enum Tool {
    Instructions,
    Allocations,
}

impl Tool {
    /// The count of a whole process: this program with `arguments`.
    pub(crate) fn count(self, arguments: &[&str]) -> Result<u64, BenchError> {
        let (options, before) = match self {
            Self::Instructions => (["--tool=callgrind", "--callgrind-out-file=/dev/null"], "Collected : "),
            Self::Allocations => (["--tool=dhat", "--dhat-out-file=/dev/null"], "Total: "),
        };
        let output = Command::new("valgrind")
            .args(options)
            .arg(std::env::current_exe()?)
            .args(arguments)
            .output()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => BenchError("valgrind is not installed".to_owned()),
                _ => error.into(),
            })?;
        let log = String::from_utf8_lossy(&output.stderr);
        let line = log.lines().find_map(|line| Some(line.split_once(before)?.1.trim()));
        // "1,234 bytes in 56 blocks", or the number of instructions.
        let count = line.and_then(|line| match self {
            Self::Instructions => line.parse().ok(),
            Self::Allocations => {
                line.split_once(" bytes in ")?.1.split(' ').next()?.replace(',', "").parse().ok()
            }
        });
        count.ok_or_else(|| BenchError(format!("valgrind did not count: {log}")))
    }
}
