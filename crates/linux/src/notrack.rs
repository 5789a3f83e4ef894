//! NOTRACK rules: exclude DNS packets to and from our addresses from conntrack, in an nf_tables
//! table of our own.
//!
//! An untracked packet costs no conntrack entry and is not translated by kube-proxy, so that a
//! Service address on our link is served here.

use std::net::IpAddr;

use netlink_packet_netfilter::nftables::InetHookNumber;
use nix::errno::Errno;

pub use crate::nft::FilterError;
use crate::nft::{BaseChain, Batch, NftSocket, Rule, Side, classify, has_rules};

/// Priority `raw`: before conntrack.
const RAW: i32 = -300;
const PREROUTING: BaseChain =
    BaseChain { name: "prerouting", hook: InetHookNumber::PreRouting, priority: RAW };
const OUTPUT: BaseChain = BaseChain { name: "output", hook: InetHookNumber::LocalOut, priority: RAW };
/// node-cache's comment on its rules; clean-up jobs search for it.
const COMMENT: &str = "NodeLocal DNS Cache: skip conntrack";

/// The packets to exclude from conntrack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotrackConfig {
    /// The name of our table in the family `inet`. The content of an existing table is replaced.
    pub table: String,
    /// The service addresses, of both families.
    pub addresses: Vec<IpAddr>,
    /// The DNS port, UDP and TCP.
    pub dns_port: u16,
    /// The TCP port of the health check, which the node itself queries.
    pub health_port: Option<u16>,
}

impl NotrackConfig {
    /// The rules of each chain, equal to node-cache's in the iptables table `raw`.
    fn chains(&self) -> [(BaseChain, Vec<Rule>); 2] {
        let dns = [libc::IPPROTO_UDP, libc::IPPROTO_TCP].map(|protocol| (protocol, self.dns_port));
        let health = self.health_port.map(|port| (libc::IPPROTO_TCP, port));
        let (mut prerouting, mut output) = (Vec::new(), Vec::new());
        for address in &self.addresses {
            let rule = |side, (protocol, port)| {
                Rule::new(COMMENT).address(side, *address).port(protocol, side, port).notrack()
            };
            prerouting.extend(dns.map(|service| rule(Side::Destination, service)));
            for service in dns.into_iter().chain(health) {
                output.extend([rule(Side::Source, service), rule(Side::Destination, service)]);
            }
        }
        [(PREROUTING, prerouting), (OUTPUT, output)]
    }
}

/// The table with the rules of a [`NotrackConfig`].
#[derive(Debug)]
pub struct Notrack {
    config: NotrackConfig,
    socket: NftSocket,
}

impl Notrack {
    /// Changes nothing yet.
    #[must_use]
    pub fn new(config: NotrackConfig) -> Self {
        Self { config, socket: NftSocket::default() }
    }

    /// The name of the table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.config.table
    }

    /// Replaces the content of the table by the rules, atomically.
    ///
    /// # Errors
    ///
    /// See [`FilterError`]; nothing is changed then.
    pub fn install(&mut self) -> Result<(), FilterError> {
        let table = self.config.table.as_str();
        let mut batch = Batch::new();
        // Deleting a missing table would fail the batch; now it exists.
        batch.add_table(table);
        batch.delete_table(table);
        batch.add_table(table);
        for (chain, rules) in self.config.chains() {
            batch.add_chain(table, chain);
            for rule in rules {
                batch.add_rule(table, chain.name, &rule);
            }
        }
        let committed = batch.commit(&mut self.socket);
        committed.map_err(|error| classify(format!("install table {table}"), error, true))
    }

    /// Whether the table has exactly the configured rules.
    ///
    /// # Errors
    ///
    /// See [`FilterError`].
    pub fn is_installed(&mut self) -> Result<bool, FilterError> {
        let table = self.config.table.as_str();
        let chains = self.config.chains().map(|(chain, rules)| (chain.name, rules));
        match has_rules(&mut self.socket, table, &chains) {
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(classify(format!("list table {table}"), error, false)),
            Ok(same) => Ok(same),
        }
    }

    /// Deletes the table with its rules; a missing one is ignored.
    ///
    /// # Errors
    ///
    /// See [`FilterError`].
    pub fn remove(&mut self) -> Result<(), FilterError> {
        let table = self.config.table.as_str();
        let mut batch = Batch::new();
        batch.delete_table(table);
        match batch.commit(&mut self.socket) {
            Err(error) if !is_absent(&error) => Err(classify(format!("delete table {table}"), error, false)),
            _ => Ok(()),
        }
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw) == Some(Errno::ENOENT)
}
