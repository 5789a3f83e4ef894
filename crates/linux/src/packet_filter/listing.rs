//! Rules of the packet-filter table as the kernel lists them.

use std::io;

use crate::nft::NftSocket;
use crate::ruleset::{self, TableFamily};

/// A rule of the table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ListedRule {
    pub(super) chain: String,
    pub(super) comment: String,
    /// Packets of its counter, if it has one.
    pub(super) packets: Option<u64>,
}

impl ListedRule {
    fn new(rule: &ruleset::Rule) -> Self {
        let comment = rule.comment().unwrap_or_default();
        Self { chain: rule.chain.clone(), comment, packets: rule.packets() }
    }
}

/// The rules of the table, in order within each chain; none without a table.
pub(super) fn list(socket: &mut NftSocket, table: &str) -> io::Result<Vec<ListedRule>> {
    ruleset::rules(socket, TableFamily::Inet, table, |rule| Some(ListedRule::new(&rule)))
}
