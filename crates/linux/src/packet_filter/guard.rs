//! Guard: drops packets to our addresses that come in on an uplink. They are of other hosts, since
//! packets of pods come in on links of their own.

use std::collections::BTreeSet;

use super::config::{Fallback, FilterConfig, FilteredAddress};
use super::counts::Counted;
use super::notrack::PREROUTING;
use super::ruleset::Ruleset;
use crate::nft::{Element, Rule, Set, Side};

/// The set of the uplinks.
pub(super) fn uplinks() -> Set {
    Set::of_interfaces("uplinks")
}

/// The elements of the set.
pub(super) fn elements(names: &BTreeSet<String>) -> Vec<Element> {
    names.iter().cloned().map(Element::Interface).collect()
}

/// Adds the set, and a rule for each address without fail-open rules, which have their own.
pub(super) fn add_rules(config: &FilterConfig, names: &BTreeSet<String>, ruleset: &mut Ruleset) {
    if !config.guard {
        return;
    }
    let set = uplinks();
    ruleset.elements.extend(elements(names).into_iter().map(|element| (set.clone(), element)));
    for FilteredAddress { address, fallback } in &config.addresses {
        if fallback.is_none() {
            let to_address = Rule::new(Counted::Guarded.comment()).address(Side::Destination, *address);
            ruleset.add(PREROUTING, drop_from_uplinks(to_address, &set));
        }
    }
    ruleset.sets.push(set);
}

/// The rule for packets to an address with a fallback. Other hosts may reach a Service through this
/// node.
pub(super) fn rule(config: &FilterConfig, fallback: Fallback) -> Option<Rule> {
    let is_guarded = config.guard && fallback != Fallback::Itself;
    is_guarded.then(|| drop_from_uplinks(Rule::new(Counted::Guarded.comment()), &uplinks()))
}

fn drop_from_uplinks(rule: Rule, set: &Set) -> Rule {
    rule.input_interface_in(set).counter().drop()
}
