//! Rules of iptables-legacy and ip6tables-legacy: a table of x_tables is read and replaced as a whole.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use socket2::{Domain, Socket, Type};

use super::entries::{
    COUNTERS, Layout, Shortened, TABLE_NAME, TableInfo, chains as chains_of, without_comment,
};
use super::error::IptablesError;
use super::lock;
use super::removed::{RemovedRules, TABLES};
use crate::nft::Family;
use crate::sys;

/// Attempts while another program, which takes no lock, changes the table.
const MAX_ATTEMPTS: u32 = 10;
/// Numbers of hooks (`enum nf_inet_hooks`).
const INPUT: usize = 1;
const OUTPUT: usize = 3;
/// The verdict of a standard target that drops.
const DROP: i32 = -1;
/// Offset of the entries in `struct ipt_get_entries`, and of the counters in `struct
/// xt_counters_info`.
const CONTENT: usize = TABLE_NAME + 8;

pub(super) fn remove_rules(
    family: Family,
    comment: &str,
    lock_file: &Path,
) -> Result<RemovedRules, IptablesError> {
    let mut removed = RemovedRules::default();
    for table in existing_tables(family, TABLES) {
        let tables = XTables::open(family)?;
        // Nothing is locked for a table without such rules.
        if tables.shortened(table, comment)?.1.removed_from.is_empty() {
            continue;
        }
        let _lock = lock::acquire(lock_file)?;
        for chain in tables.remove(table, comment)? {
            removed.add(table, &chain);
        }
    }
    Ok(removed)
}

/// The chains of the tables `filter` and `nat`, as far as these exist.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct LegacyChains {
    pub(crate) names: BTreeSet<String>,
    /// Whether the chain INPUT drops what no rule decides.
    pub(crate) input_drops: bool,
    /// The same of the chain OUTPUT.
    pub(crate) output_drops: bool,
}

pub(super) fn chains(family: Family) -> Result<LegacyChains, IptablesError> {
    let mut found = LegacyChains::default();
    for table in existing_tables(family, ["filter", "nat"]) {
        let unknown = || IptablesError::UnknownForm(table.to_owned());
        let (info, entries) = XTables::open(family)?.read(table)?;
        let hooks = (Layout::of(family), [INPUT, OUTPUT]);
        let (names, [input, output]) = chains_of(&info, &entries, hooks).ok_or_else(unknown)?;
        found.names.extend(names);
        found.input_drops |= table == "filter" && input == Some(DROP);
        found.output_drops |= table == "filter" && output == Some(DROP);
    }
    Ok(found)
}

/// Those of `tables` that exist: to ask the kernel for another one would create it.
fn existing_tables<const N: usize>(
    family: Family,
    tables: [&'static str; N],
) -> impl Iterator<Item = &'static str> {
    let file = match family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    };
    // A kernel without x_tables has no such file.
    let names = fs::read_to_string(file).unwrap_or_default();
    tables.into_iter().filter(move |table| names.lines().any(|name| name == *table))
}

/// A socket whose options are the tables.
struct XTables {
    socket: Socket,
    family: Family,
}

impl XTables {
    fn open(family: Family) -> io::Result<Self> {
        let domain = match family {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        };
        Ok(Self { socket: Socket::new(domain, Type::DGRAM, None)?, family })
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn level(&self) -> libc::c_int {
        match self.family {
            Family::V4 => libc::SOL_IP,
            Family::V6 => libc::SOL_IPV6,
        }
    }

    /// The table as it is, and without the rules whose comment begins with `comment`.
    fn shortened(&self, table: &str, comment: &str) -> Result<(TableInfo, Shortened), IptablesError> {
        let (info, entries) = self.read(table)?;
        let shortened = without_comment(&info, &entries, Layout::of(self.family), comment);
        Ok((info, shortened.ok_or_else(|| IptablesError::UnknownForm(table.to_owned()))?))
    }

    /// The table and its entries.
    fn read(&self, table: &str) -> Result<(TableInfo, Vec<u8>), IptablesError> {
        let unknown = || IptablesError::UnknownForm(table.to_owned());
        let mut octets = name(table);
        octets.resize(TableInfo::LENGTH, 0);
        sys::xtables::info(self.descriptor(), self.level(), &mut octets)?;
        let info = TableInfo::parse(&octets).ok_or_else(unknown)?;
        let mut octets = name(table);
        octets.extend(info.size.to_ne_bytes());
        octets.resize(CONTENT + usize::try_from(info.size).map_err(|_| unknown())?, 0);
        sys::xtables::entries(self.descriptor(), self.level(), &mut octets)?;
        octets.drain(..CONTENT);
        Ok((info, octets))
    }

    /// Removes the rules whose comment begins with `comment`; returns the chain of each.
    fn remove(&self, table: &str, comment: &str) -> Result<Vec<String>, IptablesError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (info, shortened) = match self.shortened(table, comment) {
                // The size has changed since it was asked for.
                Err(IptablesError::Kernel(error)) if is_changed(&error) && attempts < MAX_ATTEMPTS => {
                    continue;
                }
                found => found?,
            };
            if shortened.removed_from.is_empty() {
                return Ok(Vec::new());
            }
            match self.replace(table, &info, &shortened) {
                Err(error) if is_changed(&error) && attempts < MAX_ATTEMPTS => {}
                replaced => return Ok(replaced.map(|()| shortened.removed_from)?),
            }
        }
    }

    /// Replaces the table. The counters of its entries start at zero; what the former entries have
    /// counted is added, as iptables-legacy does.
    fn replace(&self, table: &str, before: &TableInfo, shortened: &Shortened) -> io::Result<()> {
        let info = &shortened.info;
        let mut octets = name(table);
        for number in
            [&[info.valid_hooks, info.entries, info.size], &info.hook_entries[..], &info.underflows].concat()
        {
            octets.extend(number.to_ne_bytes());
        }
        let counted = sys::xtables::replace(
            self.descriptor(),
            self.level(),
            (&octets, &shortened.entries),
            before.entries,
        )?;
        let mut octets = name(table);
        octets.extend(info.entries.to_ne_bytes());
        octets.resize(CONTENT, 0);
        for (counters, _) in counted.chunks(COUNTERS).zip(&shortened.kept).filter(|(_, kept)| **kept) {
            octets.extend(counters);
        }
        sys::xtables::add_counters(self.descriptor(), self.level(), &octets)
    }
}

/// Whether another program has changed the table meanwhile.
fn is_changed(error: &io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw) == Some(Errno::EAGAIN)
}

/// A table's name as the kernel expects it.
fn name(table: &str) -> Vec<u8> {
    let mut octets = table.as_bytes().to_vec();
    octets.resize(TABLE_NAME, 0);
    octets
}
