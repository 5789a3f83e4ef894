//! ```text
//! acl [ZONES...] {
//!     ACTION [type TYPES...] [net NETWORKS...]
//! }
//! ```
//!
//! Says which queries for names in ZONES (by default the block's zones) are answered, in front of the
//! cache. ACTION is `allow`, `block` (REFUSED), `filter` (no records) or `drop` (no response) for
//! queries of these types from clients in these networks, by default of all; `*` and the type ANY stand
//! for all. The first line of all `acl` directives that matches counts; without one, a query is allowed.

use resolver::policy::{AclAction, AclPolicy, AclRule, Network};
use wire::header::RecordType;

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::{Directive, Line};
use crate::zones::parse_zones;

const SECTIONS: [&str; 2] = ["type", "net"];

pub(super) fn parse(directive: &Directive, context: &DirectiveContext<'_>) -> Result<AclRule, ConfigError> {
    let mut zones = Vec::new();
    for zone in &directive.line.args {
        zones.extend(parse_zones(zone)?);
    }
    if zones.is_empty() {
        zones = context.keys.iter().map(|key| key.zone.clone()).collect();
    }
    let policies = directive.options.iter().map(policy).collect::<Result<_, _>>()?;
    Ok(AclRule { zones, policies })
}

fn policy(line: &Line) -> Result<AclPolicy, ConfigError> {
    let Some(action) = AclAction::from_name(&line.name.text.to_ascii_lowercase()) else {
        let known = AclAction::ALL.map(AclAction::name);
        let reason = format!("unexpected token \"{}\"; expect one of {}", line.name.text, known.join(", "));
        return Err(ConfigError::unknown(&line.name, reason, &known));
    };
    let mut policy = AclPolicy { action, types: Vec::new(), networks: Vec::new() };
    // A section with `*` stands for all, whatever else it lists.
    let (mut all_types, mut all_networks) = (false, false);
    let mut section = None;
    let mut is_empty = false;
    for token in &line.args {
        match (&*token.text.to_ascii_lowercase(), section) {
            (name @ ("type" | "net"), _) if !is_empty => {
                section = Some(name == "type");
                is_empty = true;
                continue;
            }
            (_, None) => {
                let reason = format!("unexpected token \"{}\"; expect \"type\" or \"net\"", token.text);
                return Err(ConfigError::unknown(token, reason, &SECTIONS));
            }
            ("*", Some(true)) => all_types = true,
            ("*", Some(false)) => all_networks = true,
            (_, Some(true)) if token.is("ANY") => all_types = true,
            (_, Some(true)) => policy.types.push(record_type(token)?),
            (_, Some(false)) => policy.networks.push(network(token)?),
        }
        is_empty = false;
    }
    if let Some(last) = line.args.last().filter(|_| is_empty) {
        return Err(ConfigError::at(last, format!("no token specified in the section \"{}\"", last.text)));
    }
    if all_types {
        policy.types.clear();
    }
    if all_networks {
        policy.networks.clear();
    }
    Ok(policy)
}

fn record_type(token: &Token) -> Result<RecordType, ConfigError> {
    let reason = || format!("unexpected token \"{}\"; expect legal QTYPE", token.text);
    RecordType::from_mnemonic(&token.text).ok_or_else(|| ConfigError::at(token, reason()))
}

/// An address prefix, or an address.
fn network(token: &Token) -> Result<Network, ConfigError> {
    let of_address = || token.text.parse().ok().and_then(Network::of_address);
    let reason = || format!("illegal CIDR notation \"{}\"", token.text);
    Network::parse(&token.text).or_else(of_address).ok_or_else(|| ConfigError::at(token, reason()))
}
