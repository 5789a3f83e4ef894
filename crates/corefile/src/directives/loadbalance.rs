//! ```text
//! loadbalance [round_robin] {
//!     prefer CIDRS...
//! }
//! ```
//!
//! Sends the addresses of each response, cached or not, in a random order, those in the networks of
//! `prefer` first. The last of several in a block counts. The policy `weighted` is not supported yet.

use resolver::policy::{LoadBalanceOptions, Network};

use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::Directive;

const POLICIES: [&str; 2] = ["round_robin", "weighted"];
const OPTIONS: [&str; 1] = ["prefer"];

pub(super) fn parse(directive: &Directive) -> Result<LoadBalanceOptions, ConfigError> {
    let (policy, rest) = match directive.line.args.split_first() {
        Some((policy, rest)) => (Some(policy), rest),
        None => (None, [].as_slice()),
    };
    match policy {
        Some(policy) if policy.is("weighted") => {
            let reason = "policy 'weighted' is not supported by nodelocaldns yet";
            return Err(ConfigError::at(policy, reason));
        }
        Some(policy) if !policy.is("round_robin") => {
            return Err(ConfigError::unknown(policy, format!("unknown policy: {}", policy.text), &POLICIES));
        }
        _ => {}
    }
    if let Some(surplus) = rest.first() {
        return Err(ConfigError::at(surplus, "unknown property for round_robin"));
    }
    let mut options = LoadBalanceOptions::default();
    for option in &directive.options {
        match &*option.name.text {
            "prefer" => {
                for argument in option.arguments(1, usize::MAX)? {
                    options.prefer.push(network(argument)?);
                }
            }
            name => {
                return Err(ConfigError::unknown(
                    &option.name,
                    format!("unknown property '{name}'"),
                    &OPTIONS,
                ));
            }
        }
    }
    Ok(options)
}

/// Parses an address prefix.
fn network(token: &Token) -> Result<Network, ConfigError> {
    let parsed = token
        .text
        .split_once('/')
        .and_then(|(address, prefix)| Network::new(address.parse().ok()?, prefix.parse().ok()?));
    parsed.ok_or_else(|| {
        let reason = format!("'{}' is not a network in CIDR notation, such as 10.0.0.0/8", token.text);
        ConfigError::at(token, reason)
    })
}
