//! Command lines of the subcommands that watch the active instance: `top` and `trace`.

use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Duration;

use wire::name::Name;

use super::error::UsageError;
use super::inspect::{InspectFlags, count, name_of_zone};
use super::subcommand::OwnFlags;

const TOP: OwnFlags = OwnFlags {
    help: "\
Prints every second what the active instance of this node does: queries per second, hit ratio, latency, and
the names and clients that cause most of it.

Usage: nodelocaldns top [-n COUNT] [-d SECONDS] [-rows COUNT] [-o text|json] [-handover-dir DIRECTORY]

  -n COUNT      end after so many screens
  -d SECONDS    between two screens, 1 to 3600; 1 by default
  -rows COUNT   rows of each list, 1 to 100; 8 by default

Names and clients are those of the last minutes, counted from samples of the responses.

Exit code: 0, 2 for a wrong command line, 3 if no instance answers.
",
    valued: &["n", "d", "rows"],
    ..OwnFlags::NONE
};

/// The validated command line of `nodelocaldns top`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopFlags {
    /// What all share.
    pub inspect: InspectFlags,
    /// `-n`: screens, if they end.
    pub count: Option<u64>,
    /// `-d`
    pub interval: Duration,
    /// `-rows`: of each list, 1 to 100.
    pub rows: u64,
}

/// Parses the command line of `nodelocaldns top`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse_top(args: Vec<OsString>) -> Result<TopFlags, UsageError> {
    let words = TOP.parse(args)?;
    let number = |flag: &str, default: u64, most: u64| -> Result<u64, UsageError> {
        let Some(text) = words.value(flag) else { return Ok(default) };
        let value = text.parse().ok().filter(|value| (1..=most).contains(value));
        value.ok_or_else(|| UsageError::wrong(&format!("-{flag}: {text} is not 1 to {most}")))
    };
    let (interval, rows) = (Duration::from_secs(number("d", 1, 3600)?), number("rows", 8, 100)?);
    let count = words.value("n").map(count).transpose()?;
    Ok(TopFlags { inspect: InspectFlags::new(words)?, count, interval, rows })
}

const TRACE: OwnFlags = OwnFlags {
    help: "\
Prints the queries of clients of the active instance of this node as they are answered, and those that are
not answered within 5 s, until it is interrupted.

Usage: nodelocaldns trace [-client ADDRESS] [-zone ZONE] [-n COUNT] [-o text|json]
                          [-handover-dir DIRECTORY]

  -client ADDRESS   queries of this address only
  -zone ZONE        queries for the zone's name and those below it only
  -n COUNT          end after so many lines

Exit code: 0, 2 for a wrong command line, 3 if no instance answers.
",
    valued: &["client", "zone", "n"],
    ..OwnFlags::NONE
};

/// The validated command line of `nodelocaldns trace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceFlags {
    /// What all share.
    pub inspect: InspectFlags,
    /// `-client`
    pub client: Option<IpAddr>,
    /// `-zone`
    pub zone: Option<Name>,
    /// `-n`
    pub count: Option<u64>,
}

/// Parses the command line of `nodelocaldns trace`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse_trace(args: Vec<OsString>) -> Result<TraceFlags, UsageError> {
    let words = TRACE.parse(args)?;
    let client = words.value("client").map(|text| {
        text.parse().map_err(|_| UsageError::wrong(&format!("-client: {text} is not an IP address")))
    });
    let (client, zone) = (client.transpose()?, words.value("zone").map(name_of_zone).transpose()?);
    let count = words.value("n").map(count).transpose()?;
    Ok(TraceFlags { inspect: InspectFlags::new(words)?, client, zone, count })
}
