//! Command line of `nodelocaldns doctor`.

use std::ffi::OsString;

use super::command_line;
use super::error::UsageError;
use super::subcommand::OwnFlags;
use super::validated::Flags;

/// The exit code for a wrong command line: 0 to 2 say what was found.
const WRONG: u8 = 3;

const OWN: OwnFlags = OwnFlags {
    help: "\
Examines whether this node can run the cache, or why it does not work. It changes nothing, and runs
beside an active instance and without one.

Usage: nodelocaldns doctor [-o text|json] [FLAGS]

  -o FORMAT   text (the default) or json
  FLAGS       those of the daemon, as in its DaemonSet; without -localip the addresses of the link

Exit code: 0 if all is well, 1 for warnings, 2 for problems, 3 for a wrong command line.
",
    ..OwnFlags::NONE
};

/// The validated command line of `nodelocaldns doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoctorFlags {
    /// The flags of the daemon.
    pub daemon: Flags,
    /// `-o json`.
    pub json: bool,
}

/// Parses the command line of `nodelocaldns doctor`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse(args: Vec<OsString>) -> Result<DoctorFlags, UsageError> {
    let parsed = OWN.parse(args).and_then(|words| {
        let daemon = command_line::parse_without_local_ips(words.others)?;
        Ok(DoctorFlags { daemon, json: words.json })
    });
    parsed.map_err(|usage| UsageError { code: if usage.code == 0 { 0 } else { WRONG }, ..usage })
}
