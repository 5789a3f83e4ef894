//! Rules of iptables-nft and ip6tables-nft: rules of nf_tables with the match `comment`.

use std::io;

use nix::errno::Errno;

use super::error::IptablesError;
use super::removed::{RemovedRules, TABLES};
use crate::nft::Family;
use crate::ruleset::{Deletion, Ruleset, TableFamily};

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

fn find_in_table(
    ruleset: &mut Ruleset,
    (family, table): (TableFamily, &str),
    comment: &str,
    (removed, deletion): (&mut RemovedRules, &mut Deletion),
) -> io::Result<()> {
    let rules = ruleset.rules(family, table)?;
    let (found, others): (Vec<_>, Vec<_>) =
        rules.iter().partition(|rule| rule.comment().is_some_and(|of_rule| of_rule.starts_with(comment)));
    for rule in &found {
        removed.add(table, &rule.chain);
    }
    if !found.is_empty() && others.is_empty() && has_only_base_chains(ruleset, family, table)? {
        deletion.table(table, family);
    } else {
        found.iter().for_each(|rule| deletion.rule(rule, family));
    }
    Ok(())
}

/// Whether a table consists of base chains that accept what no rule decides, as iptables-nft creates
/// them for its first rule.
fn has_only_base_chains(ruleset: &mut Ruleset, family: TableFamily, table: &str) -> io::Result<bool> {
    let chains = ruleset.chains(family)?;
    let chains: Vec<_> = chains.iter().filter(|chain| chain.table == table).collect();
    let tables = ruleset.tables(family)?;
    let objects = tables.iter().find(|listed| listed.name == table).map(|listed| listed.objects);
    Ok(chains.iter().all(|chain| chain.accepts)
        && objects.is_some_and(|objects| u32::try_from(chains.len()) == Ok(objects)))
}
