//! Packet-filter table: NOTRACK rules for DNS packets to and from our addresses, and fail-open
//! rules, in an nf_tables table of our own.
//!
//! An untracked packet costs no conntrack entry and is not translated by kube-proxy, so that a
//! Service address on our link is served here.
//!
//! The table is not owned (NFT_TABLE_F_OWNER): the kernel would remove it with its owner, and the
//! fail-open rules are for the time after it. Other programs can change it, which is noticed and
//! repaired.

mod config;
mod counts;
mod fail_open;
mod features;
mod guard;
mod listing;
mod notrack;
mod ruleset;
mod tag;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use nix::errno::Errno;

use self::counts::Totals;
use self::listing::{ListedRule, list};
use self::ruleset::Ruleset;

pub use self::config::{Fallback, FilterConfig, FilteredAddress};
pub use self::counts::{FallbackCount, PacketCounters, PacketCounts};
pub use self::fail_open::HEARTBEAT_TIMEOUT;
pub use crate::nft::FilterError;
use crate::nft::{Batch, Chain, NftSocket, Rule, classify};

fn ruleset(config: &FilterConfig, uplinks: &BTreeSet<String>) -> Ruleset {
    let mut ruleset = Ruleset { chains: notrack::chains(), ..Ruleset::default() };
    // First, so that it comes before any other rule.
    guard::add_rules(config, uplinks, &mut ruleset);
    notrack::add_rules(config, &mut ruleset);
    fail_open::add_rules(config, &mut ruleset);
    ruleset.chains.push(fingerprint_chain(config));
    ruleset
}

/// A chain without packets whose name tells the configuration of the table. The kernel lists
/// expressions in other forms than they were sent, and other ones for each version, so that rules
/// are not compared one by one.
fn fingerprint_chain(config: &FilterConfig) -> Chain {
    // The same for equal configurations of one build.
    let mut hasher = DefaultHasher::new();
    (
        env!("CARGO_PKG_VERSION"),
        &config.addresses,
        config.dns_port,
        config.health_port,
        config.first_zone,
        config.mark_mask,
        config.guard,
        config.notrack,
    )
        .hash(&mut hasher);
    let name = format!("config_{:016x}", hasher.finish());
    Chain { name, hook: None, rules: vec![Rule::new("configuration of this table")] }
}

/// The table with the rules of a [`FilterConfig`].
#[derive(Debug)]
pub struct PacketFilter {
    config: FilterConfig,
    socket: NftSocket,
    uplinks: BTreeSet<String>,
    totals: Totals,
    rejected: Option<RejectedFallbacks>,
}

/// Fail-open rules that the kernel did not accept.
#[derive(Debug)]
struct RejectedFallbacks {
    addresses: Vec<FilteredAddress>,
    error: FilterError,
}

impl PacketFilter {
    /// Changes nothing yet.
    #[must_use]
    pub fn new(mut config: FilterConfig) -> Self {
        tag::limit_fallbacks(&mut config);
        Self {
            config,
            socket: NftSocket::default(),
            uplinks: BTreeSet::new(),
            totals: Totals::default(),
            rejected: None,
        }
    }

    /// The name of the table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.config.table
    }

    /// The configuration in effect: without fallbacks if the kernel did not accept the fail-open
    /// rules.
    #[must_use]
    pub const fn config(&self) -> &FilterConfig {
        &self.config
    }

    /// Why the kernel did not accept the fail-open rules of these addresses.
    #[must_use]
    pub fn fail_open_error(&self) -> Option<&FilterError> {
        self.rejected.as_ref().map(|rejected| &rejected.error)
    }

    /// Changes the addresses; the table stays as it is until [`install`](Self::install). Fail-open
    /// rules that the kernel did not accept are not tried again.
    pub fn set_addresses(&mut self, addresses: Vec<FilteredAddress>) {
        let mut config = FilterConfig { addresses, ..self.config.clone() };
        tag::limit_fallbacks(&mut config);
        if self.rejected.as_ref().is_some_and(|rejected| rejected.addresses == config.addresses) {
            return;
        }
        self.config = config;
        self.rejected = None;
    }

    /// Replaces the content of the table by the rules, atomically. If the kernel does not accept the
    /// fail-open rules, the others are installed, and the configuration has no fallbacks any more.
    ///
    /// # Errors
    ///
    /// See [`FilterError`]; nothing is changed then.
    pub fn install(&mut self) -> Result<(), FilterError> {
        let has_fallback = self.config.addresses.iter().any(|filtered| filtered.fallback.is_some());
        match self.replace_table() {
            Err(FilterError::NoPermission) => Err(FilterError::NoPermission),
            Err(error) if has_fallback => {
                let error = with_features(error, &mut self.socket);
                if self.config.first_zone != 0 && lacks_only_zones(&error) {
                    self.config.first_zone = 0;
                    tag::limit_fallbacks(&mut self.config);
                    return self.install();
                }
                let addresses = self.config.addresses.clone();
                for filtered in &mut self.config.addresses {
                    filtered.fallback = None;
                }
                self.rejected = Some(RejectedFallbacks { addresses, error });
                self.replace_table()
            }
            replaced => replaced,
        }
    }

    fn replace_table(&mut self) -> Result<(), FilterError> {
        let table = self.config.table.as_str();
        let batch = replacement(&self.config, &self.uplinks);
        let replaced = self.totals.replace(table, &mut self.socket, batch);
        replaced.map_err(|error| classify(format!("install table {table}"), error, true))
    }

    /// Whether the table is as [`install`](Self::install) makes it: the same configuration, no rule
    /// removed or added.
    ///
    /// # Errors
    ///
    /// See [`FilterError`].
    pub fn is_installed(&mut self) -> Result<bool, FilterError> {
        Ok(ruleset(&self.config, &self.uplinks).matches(&self.list()?))
    }

    /// Puts the names of the uplinks in force, for the guard. False if they are in force already, or the
    /// table is not installed.
    ///
    /// # Errors
    ///
    /// See [`FilterError`]; nothing is changed then.
    pub fn set_uplinks(&mut self, names: BTreeSet<String>) -> Result<bool, FilterError> {
        if names == self.uplinks || !self.config.guard {
            return Ok(false);
        }
        let (table, set) = (self.config.table.as_str(), guard::uplinks());
        let mut batch = Batch::new();
        batch.flush_set(table, &set);
        for element in guard::elements(&names) {
            batch.add_element(table, &set, &element);
        }
        match batch.commit(&mut self.socket) {
            // The table has gone; the next installation has the names.
            Err(error) if is_absent(&error) => {
                self.uplinks = names;
                Ok(false)
            }
            Err(error) => Err(classify(format!("change uplinks of table {table}"), error, false)),
            Ok(()) => {
                self.uplinks = names;
                Ok(true)
            }
        }
    }

    /// Whether the table exists, with whatever rules.
    ///
    /// # Errors
    ///
    /// See [`FilterError`].
    pub fn exists(&mut self) -> Result<bool, FilterError> {
        Ok(!self.list()?.is_empty())
    }

    /// What the rules count, also in tables that are replaced from now on.
    #[must_use]
    pub fn counters(&self) -> PacketCounters {
        PacketCounters::new(&self.config.table, self.totals.clone())
    }

    /// Deletes the table with its rules; a missing one is ignored.
    ///
    /// # Errors
    ///
    /// See [`FilterError`].
    pub fn remove(&mut self) -> Result<(), FilterError> {
        delete_table(&mut self.socket, &self.config.table).map(|_| ())
    }

    /// The rules of the table; none without a table.
    fn list(&mut self) -> Result<Vec<ListedRule>, FilterError> {
        let table = self.config.table.as_str();
        list(&mut self.socket, table).map_err(|error| classify(format!("list table {table}"), error, false))
    }
}

/// Whether the kernel accepts a table with these rules. None is installed, and one of its name stays as
/// it is.
///
/// # Errors
///
/// See [`FilterError`].
pub fn check_support(config: &FilterConfig) -> Result<(), FilterError> {
    let rehearsed = FilterConfig { table: format!("{} (check)", config.table), ..config.clone() };
    let mut socket = NftSocket::default();
    let result = replacement(&rehearsed, &BTreeSet::new()).rehearse(&mut socket);
    let Err(error) = result else { return Ok(()) };
    let error = classify(format!("install table {}", config.table), error, true);
    if config.addresses.iter().all(|filtered| filtered.fallback.is_none()) {
        return Err(error);
    }
    match with_features(error, &mut socket) {
        error if config.first_zone != 0 && lacks_only_zones(&error) => {
            check_support(&FilterConfig { first_zone: 0, ..config.clone() })
        }
        error => Err(error),
    }
}

/// Why the kernel rejects fail-open rules: the features that it lacks, or `error`.
fn with_features(error: FilterError, socket: &mut NftSocket) -> FilterError {
    if matches!(error, FilterError::NoPermission) {
        return error;
    }
    let missing = features::missing(socket);
    if missing.is_empty() { error } else { FilterError::MissingFeatures(missing) }
}

/// True when marks can be used instead of what the kernel lacks.
fn lacks_only_zones(error: &FilterError) -> bool {
    matches!(error, FilterError::MissingFeatures(missing) if *missing == [features::ZONES])
}

/// The changes that replace the table.
fn replacement(config: &FilterConfig, uplinks: &BTreeSet<String>) -> Batch {
    let (table, ruleset) = (config.table.as_str(), ruleset(config, uplinks));
    let mut batch = Batch::new();
    // Deleting a missing table would fail the batch; now it exists.
    batch.add_table(table);
    batch.delete_table(table);
    batch.add_table(table);
    for set in &ruleset.sets {
        batch.add_set(table, set);
    }
    for (set, element) in &ruleset.elements {
        batch.add_element(table, set, element);
    }
    // All chains first: rules name others.
    for chain in &ruleset.chains {
        batch.add_chain(table, chain);
    }
    for chain in &ruleset.chains {
        for rule in &chain.rules {
            batch.add_rule(table, &chain.name, rule);
        }
    }
    batch
}

/// Deletes a table of this name with its rules, whatever they are; false if there is none.
///
/// # Errors
///
/// See [`FilterError`].
pub fn remove_table(table: &str) -> Result<bool, FilterError> {
    delete_table(&mut NftSocket::default(), table)
}

fn delete_table(socket: &mut NftSocket, table: &str) -> Result<bool, FilterError> {
    let mut batch = Batch::new();
    batch.delete_table(table);
    match batch.commit(socket) {
        Ok(()) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(classify(format!("delete table {table}"), error, false)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw) == Some(Errno::ENOENT)
}
