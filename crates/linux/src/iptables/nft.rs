//! Rules of iptables-nft and ip6tables-nft: rules of nf_tables with the match `comment`.

use std::io;

use nix::errno::Errno;

use super::error::IptablesError;
use super::removed::{RemovedRules, TABLES};
use crate::nft::Family;
use crate::ruleset::{Chain, Deletion, Rule, Ruleset, TableFamily};

pub(super) fn remove_rules(family: Family, comment: &str) -> Result<RemovedRules, IptablesError> {
    let family = match family {
        Family::V4 => TableFamily::Ip,
        Family::V6 => TableFamily::Ip6,
    };
    let removed = Ruleset::default().delete(|ruleset| {
        let (mut removed, mut deletion) = (RemovedRules::default(), Deletion::default());
        for table in TABLES {
            find_in_table(ruleset, (family, table), comment, (&mut removed, &mut deletion))?;
        }
        Ok((removed, deletion))
    });
    match removed {
        // The kernel has no nf_tables.
        Err(error) if error.raw_os_error().map(Errno::from_raw) == Some(Errno::EINVAL) => {
            Ok(RemovedRules::default())
        }
        removed => Ok(removed?),
    }
}

/// Finds the rules, and chains and a table that have nothing else: iptables-nft creates them for its
/// first rule.
fn find_in_table(
    ruleset: &mut Ruleset,
    (family, table): (TableFamily, &str),
    comment: &str,
    (removed, deletion): (&mut RemovedRules, &mut Deletion),
) -> io::Result<()> {
    let rules = ruleset.rules(family, table, Some)?;
    let is_found = |rule: &&Rule| rule.comment().is_some_and(|of_rule| of_rule.starts_with(comment));
    let (found, others): (Vec<_>, Vec<_>) = rules.iter().partition(is_found);
    if found.is_empty() {
        return Ok(());
    }
    let is_emptied = |chain: &&Chain| {
        chain.base.is_some_and(|base| base.accepts)
            && found.iter().any(|rule| rule.chain == chain.name)
            && !others.iter().any(|rule| rule.chain == chain.name)
    };
    let chains = ruleset.chains(family)?;
    let (emptied, kept): (Vec<_>, Vec<_>) =
        chains.iter().filter(|chain| chain.table == table).partition(is_emptied);
    // Whether the table has no other chains, nor sets, objects or flow tables.
    let has_no_others = ruleset.tables(family)?.iter().any(|listed| {
        listed.name == table && kept.is_empty() && u32::try_from(emptied.len()) == Ok(listed.objects)
    });
    for rule in &found {
        removed.add(table, &rule.chain);
    }
    if has_no_others {
        deletion.table(table, family);
    } else {
        found.iter().for_each(|rule| deletion.rule(rule, family));
        emptied.iter().for_each(|chain| deletion.chain(chain, family));
    }
    Ok(())
}
