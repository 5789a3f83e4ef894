//! ```text
//! dns64 [PREFIX] {
//!     prefix PREFIX
//!     translate_all
//!     allow_ipv4
//! }
//! ```
//!
//! Synthesizes AAAA records from A records for clients with IPv6 addresses (RFC 6147). The options of all
//! in a block count, and the last prefix.

use std::net::IpAddr;

use resolver::policy::{Dns64, Nat64Prefix, Network};

use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::Directive;

/// The options.
const OPTIONS: [&str; 3] = ["prefix", "translate_all", "allow_ipv4"];

/// What the block has without any.
const DEFAULT: Dns64 = Dns64 { prefix: Nat64Prefix::WELL_KNOWN, translate_all: false, allow_ipv4: false };

/// Adds to the directives above.
pub(super) fn parse(directive: &Directive, before: Option<Dns64>) -> Result<Dns64, ConfigError> {
    let mut dns64 = before.unwrap_or(DEFAULT);
    if let Some(argument) = directive.line.optional_argument()? {
        dns64.prefix = prefix_of(argument)?;
    }
    for option in &directive.options {
        match &*option.name.text {
            "prefix" => dns64.prefix = prefix_of(option.single_argument()?)?,
            "translate_all" => {
                option.no_arguments()?;
                dns64.translate_all = true;
            }
            "allow_ipv4" => {
                option.no_arguments()?;
                dns64.allow_ipv4 = true;
            }
            _ => return Err(ConfigError::unknown_property(&option.name, &OPTIONS)),
        }
    }
    Ok(dns64)
}

/// The network of an address with its prefix length.
fn prefix_of(token: &Token) -> Result<Nat64Prefix, ConfigError> {
    let text = &*token.text;
    let reason = |reason: String| ConfigError::at(token, reason);
    let Some(network) = Network::parse(text) else {
        return Err(reason(format!("invalid CIDR address: {text}")));
    };
    let IpAddr::V6(address) = network.address() else {
        return Err(reason(format!("invalid netmask 32 IPv6 address: {text:?}")));
    };
    let len = network.prefix_len();
    Nat64Prefix::new(address, len).ok_or_else(|| {
        let remedy = "the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96";
        reason(format!("invalid prefix length \"{address}/{len}\"")).with_remedy(remedy)
    })
}
