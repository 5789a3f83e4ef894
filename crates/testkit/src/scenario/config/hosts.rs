//! The `hosts` directive of a scenario: `CONFIG hosts ADDRESS NAME...` for an entry, and its options.

use std::net::IpAddr;
use std::sync::Arc;

use resolver::policy::{Hosts, HostsTable, LocalPlugin};
use wire::name::Name;

use crate::scenario::tokens::{number, parse_zones, zone};
use crate::text::{TextError, error};

/// An entry or an option, for the `hosts` directive among `plugins`.
pub(super) fn parse(words: &[&str], plugins: &mut Vec<LocalPlugin>) -> Result<(), TextError> {
    let hosts = of_plugins(plugins)?;
    match *words {
        ["zones", ref zones @ ..] => hosts.zones = parse_zones(zones)?,
        ["ttl", seconds] => hosts.ttl = number(seconds)?,
        ["fallthrough", ref zones @ ..] => hosts.fallthrough = parse_zones(zones)?,
        ["fallthrough_unsupported"] => hosts.passes_other_types = true,
        ["no_reverse", address, ref names @ ..] => return add(address, names, false, &mut hosts.table),
        [address, ref names @ ..] => return add(address, names, true, &mut hosts.table),
        [] => {}
    }
    Ok(())
}

/// The `hosts` directive; a new one without entries is behind the directives before it.
fn of_plugins(plugins: &mut Vec<LocalPlugin>) -> Result<&mut Hosts, TextError> {
    let is_hosts = |plugin: &LocalPlugin| matches!(plugin, LocalPlugin::Hosts(_));
    if !plugins.iter().any(is_hosts) {
        let (zones, table) = (vec![Name::root()], HostsTable::default());
        let hosts = Hosts { zones, ttl: 3600, fallthrough: Vec::new(), passes_other_types: false, table };
        plugins.push(LocalPlugin::Hosts(Arc::new(hosts)));
    }
    let mut hosts = plugins.iter_mut().filter_map(|plugin| match plugin {
        LocalPlugin::Hosts(hosts) => Some(Arc::make_mut(hosts)),
        _ => None,
    });
    hosts.next().map_or_else(|| error("no `hosts`"), Ok)
}

fn add(address: &str, names: &[&str], reverse: bool, table: &mut HostsTable) -> Result<(), TextError> {
    let Ok(address) = address.parse::<IpAddr>() else {
        return error(format!("`{address}` is neither an address nor an option of `hosts`"));
    };
    for name in names {
        let name = zone(name)?;
        table.add(&name, address);
        if reverse {
            table.add_reverse(address, &name);
        }
    }
    Ok(())
}
