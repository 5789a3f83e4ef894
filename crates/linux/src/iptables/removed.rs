//! Removed rules of iptables, counted.

use std::collections::BTreeMap;
use std::fmt;

/// The tables in which rules are looked for.
pub(super) const TABLES: [&str; 2] = ["raw", "filter"];

/// The number of rules that were removed, by table and chain.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RemovedRules(BTreeMap<(String, String), usize>);

impl RemovedRules {
    /// Whether there were none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, table: &str, chain: &str) {
        *self.0.entry((table.to_owned(), chain.to_owned())).or_default() += 1;
    }
}

impl fmt::Display for RemovedRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ((table, chain), count)) in self.0.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(f, "{separator}{count} of {table} {chain}")?;
        }
        Ok(())
    }
}
