//! Command line of `nodelocaldns uninstall`.

use std::ffi::OsString;
use std::time::Duration;

use super::command_line;
use super::error::UsageError;
use super::sleep::seconds;
use super::subcommand::OwnFlags;
use super::validated::Flags;

const OWN: OwnFlags = OwnFlags {
    help: "\
Removes from the node what this program and node-cache have left behind: the link, the packet-filter
table, rules of iptables with the comment of node-cache, and the files of the hand-over.

Usage: nodelocaldns uninstall [-force] [-wait SECONDS] [-o text|json] [FLAGS]

  -force      even if an instance is active, or a process listens on an address of the link
  -wait SECONDS
              for an active instance or such a process to end, 3600 at most; without it not at all
  -o FORMAT   text (the default) or json
  FLAGS       those of the daemon: -interfacename, -handover-dir, -localip for the addresses to remove
              from a link of another kind; nothing is removed of what -setupinterface=false or
              -setupiptables=false leaves to others

XTABLES_LOCKFILE names the lock of iptables-legacy, /run/xtables.lock by default.

Exit code: 0 if nothing is left, 1 if something could not be removed or is in use, 2 for a wrong command
line.
",
    valued: &["wait"],
    bare: &["force"],
    ..OwnFlags::NONE
};

/// The validated command line of `nodelocaldns uninstall`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UninstallFlags {
    /// The flags of the daemon.
    pub daemon: Flags,
    /// `-force`: even while they are in use.
    pub force: bool,
    /// `-wait`: how long to wait until they are not.
    pub wait: Duration,
    /// `-o json`.
    pub json: bool,
}

/// Parses the command line of `nodelocaldns uninstall`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse(args: Vec<OsString>) -> Result<UninstallFlags, UsageError> {
    let words = OWN.parse(args)?;
    let (force, json) = (words.has("force"), words.json);
    let wait = match words.last("wait") {
        Some(text) => seconds(text).map_err(|reason| UsageError::wrong(&format!("-wait: {reason}")))?,
        None => Duration::ZERO,
    };
    Ok(UninstallFlags { daemon: command_line::parse_without_local_ips(words.others)?, force, wait, json })
}
