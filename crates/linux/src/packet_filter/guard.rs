//! Guard: drops packets to our addresses that come in on an uplink. They are of other hosts, since
//! packets of pods come in on links of their own.

use std::collections::BTreeSet;

use super::config::{Fallback, FilterConfig, FilteredAddress};
use super::notrack::PREROUTING;
use super::ruleset::Ruleset;
use crate::nft::{Element, ListedRule, Rule, Set, Side};

const COMMENT: &str = "from another host";

/// The set of the uplinks.
pub(super) fn uplinks() -> Set {
    Set::of_interfaces("uplinks")
}

/// The elements of the set.
pub(super) fn elements(names: &BTreeSet<String>) -> Vec<Element> {
    names.iter().cloned().map(Element::Interface).collect()
}

/// Adds the set and a rule for each address but those of Services, which other hosts may reach
/// through this node.
pub(super) fn add_rules(config: &FilterConfig, names: &BTreeSet<String>, ruleset: &mut Ruleset) {
    if !config.guard {
        return;
    }
    let set = uplinks();
    ruleset.elements.extend(elements(names).into_iter().map(|element| (set.clone(), element)));
    let is_guarded = |filtered: &&FilteredAddress| filtered.fallback != Some(Fallback::Itself);
    for FilteredAddress { address, .. } in config.addresses.iter().filter(is_guarded) {
        let rule = Rule::new(COMMENT).address(Side::Destination, *address).input_interface_in(&set);
        ruleset.add(PREROUTING, rule.counter().drop());
    }
    ruleset.sets.push(set);
}

/// Packets dropped since the table was installed.
pub(super) fn dropped_packets(listed: &[ListedRule]) -> u64 {
    listed.iter().filter(|rule| rule.comment == COMMENT).filter_map(|rule| rule.packets).sum()
}
