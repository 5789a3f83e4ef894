//! Check of Corefiles (`nodelocaldns check`): loads them as the daemon would, without the node.

mod host;
mod report;

use std::io::{self, Write};
use std::process::ExitCode;

use corefile::options::DEFAULT_COREFILE;
use corefile::{Environment, Options};

use self::host::CheckHost;
use self::report::FileReport;
use crate::environment;
use crate::flags::CheckFlags;

/// Checks each configuration, and writes the report to stdout.
pub(super) fn run(flags: &CheckFlags) -> ExitCode {
    let environment = environment::from_process();
    let reports: Vec<FileReport> = flags
        .configurations
        .iter()
        .map(|options| check(options, &environment, &flags.interface_name))
        .collect();
    let text = if flags.json { report::json(&reports) } else { report::text(&reports) };
    let written = io::stdout().write_all(text.as_bytes()).is_ok();
    match written && reports.iter().all(FileReport::is_ok) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn check(options: &Options, environment: &Environment, interface_name: &str) -> FileReport {
    let host = CheckHost::new(options, interface_name);
    FileReport::new(file(options), corefile::load(options, environment, &host))
}

/// The file in the report.
fn file(options: &Options) -> &str {
    if !options.conf.is_empty() {
        &options.conf
    } else if options.corefile != DEFAULT_COREFILE {
        &options.corefile
    } else {
        &options.base_corefile
    }
}
