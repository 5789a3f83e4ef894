//! Command lines of the subcommands that look into the active instance.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use corefile::parse_listen_address;
use wire::header::RecordType;
use wire::name::Name;

use super::command_line;
use super::error::UsageError;
use super::subcommand::{OwnFlags, Words};

/// What all of them share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectFlags {
    /// `-handover-dir`: the directory of the control socket.
    pub directory: PathBuf,
    /// `-o json`.
    pub json: bool,
}

impl InspectFlags {
    pub(super) fn new(words: Words) -> Result<Self, UsageError> {
        let json = words.json;
        let directory = command_line::parse_without_local_ips(words.others)?.handover_dir;
        let missing = || UsageError::wrong("without -handover-dir there is no control socket");
        Ok(Self { directory: directory.ok_or_else(missing)?, json })
    }
}

const STATUS: OwnFlags = OwnFlags {
    help: "\
Prints the state of the active instance of this node: addresses, link, rules, fail-open, upstreams, cache,
memory, limits that were reached, and the last reload.

Usage: nodelocaldns status [-o text|json] [-handover-dir DIRECTORY]

Exit code: 0 if the instance is ready and its last reload did not fail, 1 if not, 2 for a wrong command
line, 3 if no instance answers.
",
    ..OwnFlags::NONE
};

const CONFIG: OwnFlags = OwnFlags {
    help: "\
Prints the Corefile and the flags in effect in the active instance of this node.

Usage: nodelocaldns config [-o text|json] [-handover-dir DIRECTORY]

Exit code: 0, 2 for a wrong command line, 3 if no instance answers.
",
    ..OwnFlags::NONE
};

const CACHE: OwnFlags = OwnFlags {
    help: "\
Lists, shows or removes entries of the cache of the active instance of this node.

Usage: nodelocaldns cache list [-zone ZONE] [-n COUNT] [-o text|json] [-handover-dir DIRECTORY]
       nodelocaldns cache get NAME [-o text|json] [-handover-dir DIRECTORY]
       nodelocaldns cache flush [NAME] [-zone ZONE] [-o text|json] [-handover-dir DIRECTORY]

  -zone ZONE   the zone's name and those below it
  -n COUNT     entries to list, 100 by default; 0 for all

'get' prints the entries of all types with their records. 'flush' without NAME and -zone removes all
entries. Names have no search path: kubernetes.default.svc.cluster.local, not kubernetes.

Exit code: 0, 1 if no entry was found by 'get', 2 for a wrong command line, 3 if no instance answers.
",
    valued: &["zone", "n"],
    operands: 2,
    ..OwnFlags::NONE
};

const QUERY: OwnFlags = OwnFlags {
    help: "\
Has the active instance of this node query itself, and tells the way of the response: the server block,
whether it came from the cache or which upstream, how long it took, and its TTL.

Usage: nodelocaldns query NAME [TYPE] [-server ADDRESS] [-o text|json] [-handover-dir DIRECTORY]

  TYPE              A by default
  -server ADDRESS   a listener, such as 169.254.25.10:53; the first of the Corefile by default

Exit code: 0 for NOERROR and NXDOMAIN, 1 for another response or none, 2 for a wrong command line, 3 if no
instance answers.
",
    valued: &["server"],
    operands: 2,
    ..OwnFlags::NONE
};

const DUMP: OwnFlags = OwnFlags {
    help: "\
Writes what the other commands print about the active instance of this node, its metrics and a diagnosis of
the node into one tar archive, for a bug report.

Usage: nodelocaldns dump [-f FILE] [-hash-names] [-n COUNT] [-handover-dir DIRECTORY]

  -f FILE       of the archive; standard output by default
  -hash-names   replace labels of queried names by hashes, but not those of zones in the Corefile
  -n COUNT      cache entries, 10000 by default; 0 for all. Their records are not in the archive

Addresses of clients and the Corefile are in the archive as they are.

Exit code: 0, 1 if the archive cannot be written, 2 for a wrong command line, 3 if no instance answers.
",
    valued: &["f", "n"],
    bare: &["hash-names"],
    ..OwnFlags::NONE
};

/// The validated command line of `nodelocaldns dump`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpFlags {
    /// What all share.
    pub inspect: InspectFlags,
    /// `-f`: the archive; `None` for standard output.
    pub file: Option<PathBuf>,
    /// `-hash-names`
    pub hash_names: bool,
    /// `-n`: cache entries; 0 for all.
    pub count: u64,
}

/// Cache entries in an archive unless `-n` says otherwise.
const DUMPED_ENTRIES: u64 = 10_000;

/// Parses the command line of `nodelocaldns dump`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse_dump(args: Vec<OsString>) -> Result<DumpFlags, UsageError> {
    let words = DUMP.parse(args)?;
    let (file, hash_names) = (words.value("f").map(PathBuf::from), words.has("hash-names"));
    let count = words.value("n").map(count).transpose()?.unwrap_or(DUMPED_ENTRIES);
    Ok(DumpFlags { inspect: InspectFlags::new(words)?, file, hash_names, count })
}

/// The validated command line of `nodelocaldns cache`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheFlags {
    /// What all share.
    pub inspect: InspectFlags,
    /// What to do.
    pub action: CacheAction,
    /// The name, of `get` and `flush`.
    pub name: Option<Name>,
    /// `-zone`
    pub zone: Option<Name>,
    /// `-n`: entries to list; 0 for all.
    pub count: u64,
}

/// What `nodelocaldns cache` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheAction {
    /// List entries.
    List,
    /// Show the entries of a name.
    Get,
    /// Remove entries.
    Flush,
}

/// The validated command line of `nodelocaldns query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryFlags {
    /// What all share.
    pub inspect: InspectFlags,
    /// QNAME.
    pub name: Name,
    /// QTYPE.
    pub qtype: RecordType,
    /// `-server`
    pub server: Option<SocketAddr>,
}

/// Entries that are listed unless `-n` says otherwise.
const DEFAULT_COUNT: u64 = 100;

/// Parses the command line of `nodelocaldns cache`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse_cache(args: Vec<OsString>) -> Result<CacheFlags, UsageError> {
    let words = CACHE.parse(args)?;
    let action = match words.operands.first().map(String::as_str) {
        Some("list") => CacheAction::List,
        Some("get") => CacheAction::Get,
        Some("flush") => CacheAction::Flush,
        _ => return Err(UsageError::wrong("one of list, get and flush is expected, see -help")),
    };
    let name = words.operands.get(1).map(|text| name(text)).transpose()?;
    let zone = words.value("zone").map(name_of_zone).transpose()?;
    let count = words.value("n").map(count).transpose()?;
    let is_wrong = match action {
        CacheAction::List => name.is_some(),
        CacheAction::Get => name.is_none() || zone.is_some(),
        CacheAction::Flush => name.is_some() && zone.is_some(),
    };
    if is_wrong || (count.is_some() && action != CacheAction::List) {
        return Err(UsageError::wrong("these words do not go together, see -help"));
    }
    let count = count.unwrap_or(DEFAULT_COUNT);
    Ok(CacheFlags { inspect: InspectFlags::new(words)?, action, name, zone, count })
}

/// Parses the command line of `nodelocaldns query`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse_query(args: Vec<OsString>) -> Result<QueryFlags, UsageError> {
    let words = QUERY.parse(args)?;
    let name_of_query =
        words.operands.first().ok_or_else(|| UsageError::wrong("a name is expected, see -help"))?;
    let name = name(name_of_query)?;
    let qtype = words.operands.get(1).map_or(Ok(RecordType::A), |text| {
        RecordType::parse(text).ok_or_else(|| UsageError::wrong(&format!("{text} is no record type")))
    })?;
    let server = words.value("server").map(server).transpose()?;
    Ok(QueryFlags { inspect: InspectFlags::new(words)?, name, qtype, server })
}

fn name(text: &str) -> Result<Name, UsageError> {
    Name::parse(text).map_err(|error| UsageError::wrong(&format!("{text} is no domain name: {error}")))
}

pub(super) fn name_of_zone(text: &str) -> Result<Name, UsageError> {
    name(text).map_err(|error| UsageError::wrong(&format!("-zone: {}", error.text.trim_end())))
}

pub(super) fn count(text: &str) -> Result<u64, UsageError> {
    text.parse().map_err(|_| UsageError::wrong(&format!("-n: {text} is no number")))
}

/// An address with port, 53 by default.
fn server(text: &str) -> Result<SocketAddr, UsageError> {
    let with_default_port = || text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 53));
    let address = with_default_port().or_else(|| parse_listen_address(text).ok());
    address.ok_or_else(|| UsageError::wrong(&format!("-server: {text} is not an address")))
}

/// Parses the command line of `nodelocaldns status`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse_status(args: Vec<OsString>) -> Result<InspectFlags, UsageError> {
    InspectFlags::new(STATUS.parse(args)?)
}

/// Parses the command line of `nodelocaldns config`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse_config(args: Vec<OsString>) -> Result<InspectFlags, UsageError> {
    InspectFlags::new(CONFIG.parse(args)?)
}
