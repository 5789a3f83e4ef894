//! Rules that keep DNS packets to and from our addresses out of conntrack, in an nf_tables table of our own.
//!
//! An untracked packet costs no conntrack entry, and kube-proxy's address translation passes it by, so that a Service
//! address that stands on our link is answered here.

use std::net::IpAddr;

use netlink_packet_netfilter::nftables::InetHookNumber;
use nix::errno::Errno;

pub use crate::nft::FilterError;
use crate::nft::{BaseChain, Batch, Rule, Side, explain, has_rules};

/// The priority `raw`: before conntrack.
const RAW: i32 = -300;
const PREROUTING: BaseChain =
    BaseChain { name: "prerouting", hook: InetHookNumber::PreRouting, priority: RAW };
const OUTPUT: BaseChain = BaseChain { name: "output", hook: InetHookNumber::LocalOut, priority: RAW };
/// node-cache marks its rules with this prefix, and clean-up jobs look for it.
const COMMENT: &str = "NodeLocal DNS Cache: skip conntrack";

/// Which packets are not tracked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotrackConfig {
    /// The name of our table in the family `inet`. Whatever is in a table of that name is replaced.
    pub table: String,
    /// The addresses that we answer on, of both families.
    pub addresses: Vec<IpAddr>,
    /// The port that we answer on by UDP and TCP.
    pub dns_port: u16,
    /// The TCP port of the health check, which the node itself asks.
    pub health_port: Option<u16>,
}

impl NotrackConfig {
    /// The rules of each chain: what node-cache installs into iptables' table `raw`.
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

/// Installs the rules, in place of whatever the table holds, in one step.
///
/// # Errors
///
/// See [`FilterError`]; nothing is changed then.
pub fn install(plan: &NotrackConfig) -> Result<(), FilterError> {
    let table = plan.table.as_str();
    let mut batch = Batch::new();
    // Deleting a table that does not exist would fail the batch; after this it exists.
    batch.add_table(table);
    batch.delete_table(table);
    batch.add_table(table);
    for (chain, rules) in plan.chains() {
        batch.add_chain(table, chain);
        for rule in rules {
            batch.add_rule(table, chain.name, &rule);
        }
    }
    batch.commit().map_err(|error| explain(format!("install table {table}"), error, true))
}

/// Whether the table holds exactly the planned rules.
///
/// # Errors
///
/// See [`FilterError`].
pub fn is_installed(plan: &NotrackConfig) -> Result<bool, FilterError> {
    let chains = plan.chains().map(|(chain, rules)| (chain.name, rules));
    match has_rules(&plan.table, &chains) {
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(explain(format!("list table {}", plan.table), error, false)),
        Ok(same) => Ok(same),
    }
}

/// Deletes the table with all its rules; an absent one is fine.
///
/// # Errors
///
/// See [`FilterError`].
pub fn remove(table: &str) -> Result<(), FilterError> {
    let mut batch = Batch::new();
    batch.delete_table(table);
    match batch.commit() {
        Err(error) if !is_absent(&error) => Err(explain(format!("delete table {table}"), error, false)),
        _ => Ok(()),
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw) == Some(Errno::ENOENT)
}
