//! Supervision of a process: exit codes, signals, the watchdog, orphans.
//!
//! A supervised process is duplicated while it has one thread, so that each test runs this program
//! again, without the test harness.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking; a supervised program reports to its test on its standard output"
)]

mod cases;
mod fixture;
mod program;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let [_, option, task] = std::env::args().collect::<Vec<_>>().as_slice()
        && option == fixture::RUN_AS_PROGRAM
    {
        return program::run(task);
    }
    let trials = cases::ALL.iter().map(|(name, case)| {
        Trial::test(*name, || {
            case();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
