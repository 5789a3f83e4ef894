//! Rules of iptables and ip6tables, of either back end (nf_tables, and x_tables, called legacy):
//! removed by their comment.

mod entries;
mod error;
mod legacy;
mod lock;
mod nft;
mod removed;

use std::fmt;
use std::path::Path;

pub use error::IptablesError;
pub(crate) use legacy::LegacyChains;
pub use removed::RemovedRules;

use crate::nft::Family;

/// The lock of iptables-legacy (iptables(8)).
pub const LOCK_FILE: &str = "/run/xtables.lock";

/// Where a program of iptables keeps its rules.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    /// nf_tables: `iptables-nft`.
    NfTables,
    /// x_tables: `iptables-legacy`.
    Legacy,
}

/// A program of iptables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Iptables {
    family: Family,
    backend: Backend,
}

impl Iptables {
    /// All programs.
    pub const ALL: [Self; 4] = [
        Self { family: Family::V4, backend: Backend::NfTables },
        Self { family: Family::V6, backend: Backend::NfTables },
        Self { family: Family::V4, backend: Backend::Legacy },
        Self { family: Family::V6, backend: Backend::Legacy },
    ];

    /// Where it keeps its rules.
    #[must_use]
    pub const fn backend(self) -> Backend {
        self.backend
    }

    /// Removes the rules of the tables `raw` and `filter` whose comment begins with `comment`; of
    /// nf_tables also base chains and a table that have nothing else. Other rules and their counters
    /// stay as they are. `lock` is the file that programs lock which change rules of
    /// x_tables ([`LOCK_FILE`]).
    ///
    /// # Errors
    ///
    /// See [`IptablesError`].
    pub fn remove_rules(self, comment: &str, lock: &Path) -> Result<RemovedRules, IptablesError> {
        match self.backend {
            Backend::NfTables => nft::remove_rules(self.family, comment),
            Backend::Legacy => legacy::remove_rules(self.family, comment, lock),
        }
    }

    /// The shell command that removes these rules on the node.
    #[must_use]
    pub fn removal_command(self, comment: &str) -> String {
        format!("{self}-save -c | grep -v -- '{comment}' | {self}-restore -c")
    }
}

/// The chains of iptables-legacy and ip6tables-legacy, by program, as far as they have tables.
///
/// # Errors
///
/// See [`IptablesError`].
pub(crate) fn legacy_chains() -> Result<Vec<(String, LegacyChains)>, IptablesError> {
    let programs = Iptables::ALL.into_iter().filter(|program| program.backend == Backend::Legacy);
    let chains = programs.map(|program| Ok((program.to_string(), legacy::chains(program.family)?)));
    chains.filter(|found| found.as_ref().map_or(true, |(_, chains)| !chains.names.is_empty())).collect()
}

impl fmt::Display for Iptables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.family, self.backend) {
            (Family::V4, Backend::NfTables) => "iptables-nft",
            (Family::V6, Backend::NfTables) => "ip6tables-nft",
            (Family::V4, Backend::Legacy) => "iptables-legacy",
            (Family::V6, Backend::Legacy) => "ip6tables-legacy",
        })
    }
}
