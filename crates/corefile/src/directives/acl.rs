//! ```text
//! acl [ZONES...] {
//!     ACTION [type TYPES...] [net NETWORKS...]
//! }
//! ```
//!
//! Says which queries for names in ZONES (by default the block's zones) are answered, in front of the
//! cache. ACTION is `allow`, `block` (REFUSED), `filter` (no records) or `drop` (no response) for
//! queries of these types from clients in these networks, by default of all; `*` stands for all. The
//! first line of all `acl` directives that matches counts; without one, a query is allowed.

use resolver::policy::{AclAction, AclPolicy, AclRule, Network};
use wire::header::RecordType;

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::{Directive, Line};

const SECTIONS: [&str; 2] = ["type", "net"];

/// What the words of a line list.
#[derive(Clone, Copy)]
enum Section {
    Types,
    Networks,
}

impl Section {
    /// The section that a word begins.
    fn of(token: &Token) -> Option<Self> {
        match &*token.text.to_ascii_lowercase() {
            "type" => Some(Self::Types),
            "net" => Some(Self::Networks),
            _ => None,
        }
    }
}

pub(super) fn parse(directive: &Directive, context: &DirectiveContext<'_>) -> Result<AclRule, ConfigError> {
    let zones = context.zones(&directive.line.args)?;
    let policies = directive.options.iter().map(policy).collect::<Result<_, _>>()?;
    Ok(AclRule { zones, policies })
}

fn policy(line: &Line) -> Result<AclPolicy, ConfigError> {
    let Some(action) = AclAction::from_name(&line.name.text.to_ascii_lowercase()) else {
        let reason =
            format!("unexpected token \"{}\"; expect 'allow', 'block', 'filter' or 'drop'", line.name.text);
        return Err(ConfigError::unknown(&line.name, reason, &AclAction::ALL.map(AclAction::name)));
    };
    let mut policy = AclPolicy { action, types: Vec::new(), networks: Vec::new() };
    // A section with `*` stands for all, whatever else it lists.
    let (mut all_types, mut all_networks) = (false, false);
    let (mut section, mut empty) = (None, None);
    for token in &line.args {
        if let Some(next) = Section::of(token) {
            no_empty_section(empty)?;
            (section, empty) = (Some(next), Some(token));
            continue;
        }
        empty = None;
        match section {
            None => {
                let reason = format!("unexpected token \"{}\"; expect 'type | net'", token.text);
                return Err(ConfigError::unknown(token, reason, &SECTIONS));
            }
            Some(Section::Types) if token.is("*") => all_types = true,
            Some(Section::Networks) if token.is("*") => all_networks = true,
            Some(Section::Types) => policy.types.push(record_type(token)?),
            Some(Section::Networks) => policy.networks.push(network(token)?),
        }
    }
    no_empty_section(empty)?;
    if all_types {
        policy.types.clear();
    }
    if all_networks {
        policy.networks.clear();
    }
    Ok(policy)
}

/// Rejects a section without an entry.
fn no_empty_section(section: Option<&Token>) -> Result<(), ConfigError> {
    section.map_or(Ok(()), |section| {
        let name = section.text.to_ascii_lowercase();
        Err(ConfigError::at(section, format!("no token specified in \"{name}\" section")))
    })
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
