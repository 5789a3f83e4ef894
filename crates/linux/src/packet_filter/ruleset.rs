//! Content of a packet-filter table: sets, chains and rules.

use super::listing::ListedRule;
use crate::nft::{Chain, Element, Rule, Set};

/// The content of the table.
#[derive(Default)]
pub(super) struct Ruleset {
    pub(super) sets: Vec<Set>,
    pub(super) chains: Vec<Chain>,
    /// Elements that the sets have at first.
    pub(super) elements: Vec<(Set, Element)>,
}

impl Ruleset {
    /// Adds a rule to a chain that exists.
    pub(super) fn add(&mut self, chain: &str, rule: Rule) {
        if let Some(chain) = self.chains.iter_mut().find(|existing| existing.name == chain) {
            chain.rules.push(rule);
        }
    }

    /// Whether the table has these chains with as many rules of the same comments.
    pub(super) fn matches(&self, listed: &[ListedRule]) -> bool {
        let expected: usize = self.chains.iter().map(|chain| chain.rules.len()).sum();
        expected == listed.len()
            && self.chains.iter().all(|chain| {
                let listed = listed.iter().filter(|rule| rule.chain == chain.name);
                listed.map(|rule| rule.comment.as_str()).eq(chain.rules.iter().map(Rule::comment))
            })
    }
}
