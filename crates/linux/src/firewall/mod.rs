//! Host firewalls: whether packets of pods to our addresses, and the responses, get through the chains
//! of the node, which other programs maintain. They are not tracked, which rules about connections do not expect.

mod compat;
mod condition;
mod packet;
mod rule;
mod verdict;
mod walk;

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use crate::iptables::{self, IptablesError, LegacyChains};
use crate::ruleset::{Ruleset, TableFamily};
pub use packet::Direction;
use packet::Packet;
use rule::EvaluatedRule;
pub use verdict::{ChainVerdict, Verdict};

/// The chains of a node through which packets to it and from it come.
#[derive(Debug, Default)]
pub struct Firewall {
    /// What they do with packets of our addresses, by chain and address.
    pub verdicts: Vec<ChainVerdict>,
    /// The names of all tables and chains, by which programs can be recognized.
    pub names: BTreeSet<String>,
}

/// Looks at the chains of nf_tables and of x_tables, for packets to and from port `port` of `addresses`.
/// `except` is our own table; tables of x_tables, which are read as a whole, are looked at only
/// `with_legacy`.
///
/// # Errors
///
/// See [`IptablesError`].
pub fn inspect(
    addresses: &[IpAddr],
    port: u16,
    except: &str,
    with_legacy: bool,
) -> Result<Firewall, IptablesError> {
    let mut firewall = Firewall::default();
    for family in [TableFamily::Inet, TableFamily::Ip, TableFamily::Ip6] {
        let all = Direction::ALL.into_iter().flat_map(|direction| {
            addresses.iter().flat_map(move |address| Packet::both_protocols(direction, *address, port))
        });
        let packets: Vec<Packet> = all.filter(|packet| packet.is_in(family)).collect();
        inspect_family(&mut firewall, family, &packets, except)?;
    }
    if with_legacy {
        for (program, chains) in iptables::legacy_chains()? {
            inspect_legacy(&mut firewall, &program, &chains, addresses);
        }
    }
    Ok(firewall)
}

fn inspect_family(
    firewall: &mut Firewall,
    family: TableFamily,
    packets: &[Packet],
    except: &str,
) -> io::Result<()> {
    let mut ruleset = Ruleset::default();
    let chains = match ruleset.chains(family) {
        // The kernel has no nf_tables.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(()),
        chains => chains?,
    };
    for chain in chains.iter().filter(|chain| chain.table != except) {
        firewall.names.extend([format!("table {family} {}", chain.table), chain.name.clone()]);
        let Some(base) = chain.base else { continue };
        let packets: Vec<Packet> =
            packets.iter().copied().filter(|packet| packet.direction().hook() == base.hook).collect();
        if packets.is_empty() {
            continue;
        }
        let rules = ruleset.rules(family, &chain.table, |rule| EvaluatedRule::new(&rule, &packets))?;
        for (index, packet) in packets.iter().enumerate() {
            let verdict = walk::verdict(&rules, index, &chain.name, base.accepts);
            let verdict = walk::with_pods_to_node(verdict, &rules, packet.direction());
            let chain = format!("{family} {} {}", chain.table, chain.name);
            let (direction, address) = (packet.direction(), packet.address());
            firewall.add(ChainVerdict { chain, direction, address, verdict });
        }
    }
    Ok(())
}

/// Of x_tables only names and policies are looked at.
fn inspect_legacy(firewall: &mut Firewall, program: &str, chains: &LegacyChains, addresses: &[IpAddr]) {
    firewall.names.extend(chains.names.iter().cloned());
    let is_of_family = |address: &&IpAddr| address.is_ipv6() == program.starts_with("ip6");
    for address in addresses.iter().filter(is_of_family) {
        for (direction, name, drops) in [
            (Direction::Queries, "INPUT", chains.input_drops),
            (Direction::Responses, "OUTPUT", chains.output_drops),
        ] {
            let verdict = match drops {
                true => Verdict::MayDrop { by: "its policy".to_owned() },
                false => Verdict::Accepts,
            };
            let chain = format!("{program} filter {name}");
            firewall.add(ChainVerdict { chain, direction, address: *address, verdict });
        }
    }
}

impl Firewall {
    fn add(&mut self, found: ChainVerdict) {
        let same = |known: &&mut ChainVerdict| known.chain == found.chain && known.address == found.address;
        match self.verdicts.iter_mut().find(same) {
            Some(known) => known.verdict = known.verdict.clone().max(found.verdict),
            None => self.verdicts.push(found),
        }
    }
}
