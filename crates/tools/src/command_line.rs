//! Command line: arguments of the programs that compare name servers, and exit codes.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of every comparison of the daemon with other servers.
#[derive(Debug, clap::Args)]
pub struct ComparisonArguments {
    /// Path of nodelocaldns
    #[arg(long)]
    pub daemon: PathBuf,
    /// Path of coredns
    #[arg(long)]
    pub coredns: PathBuf,
    /// Absolute path of a directory for configuration files and logs
    #[arg(long)]
    pub work: PathBuf,
    /// Only names that contain this text
    #[arg(long, default_value = "")]
    pub only: String,
}

/// The exit code of `program`: success for `Ok(true)`. Prints an error.
pub fn exit_code(program: &str, result: Result<bool, impl Display>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Stderr may be closed; the exit code reports the failure.
            drop(writeln!(io::stderr(), "{program}: {error}"));
            ExitCode::FAILURE
        }
    }
}
