//! ```text
//! health [ADDRESS] {
//!     lameduck DURATION
//! }
//! ready [ADDRESS]
//! prometheus [ADDRESS]
//! ```
//!
//! Where `/health`, `/ready` and `/metrics` are served: `HOST:PORT`, a missing HOST stands for every address
//! of the node. If ADDRESS is not given it is `:8080` for `health`, `:8181` for `ready` and `localhost:9153`
//! for `prometheus`. `lameduck` is how long DNS is still served when the process was told to end.

use std::net::SocketAddr;
use std::time::Duration;

use super::{duration, no_options, option_not_yet};
use crate::address::parse_listen_address;
use crate::error::ConfigError;
use crate::settings::Health;
use crate::tree::Directive;

pub(super) fn health(directive: &Directive) -> Result<Health, ConfigError> {
    let address = address(directive, ":8080")?;
    let mut lameduck = Duration::ZERO;
    for option in &directive.options {
        if !option.name.is("lameduck") {
            return Err(ConfigError::argument(&option.name));
        }
        lameduck = duration(option.one()?)?;
    }
    Ok(Health { address, lameduck })
}

pub(super) fn ready(directive: &Directive) -> Result<SocketAddr, ConfigError> {
    refuse_options(directive, &["monitor"])?;
    address(directive, ":8181")
}

pub(super) fn prometheus(directive: &Directive) -> Result<SocketAddr, ConfigError> {
    refuse_options(directive, &["tls", "runtime_metrics"])?;
    address(directive, "localhost:9153")
}

fn refuse_options(directive: &Directive, not_yet: &[&str]) -> Result<(), ConfigError> {
    match directive.options.first() {
        Some(option) if not_yet.contains(&&*option.name.text) => Err(option_not_yet(&option.name)),
        _ => no_options(directive),
    }
}

fn address(directive: &Directive, default: &str) -> Result<SocketAddr, ConfigError> {
    let word = directive.head.optional()?;
    let token = word.unwrap_or(&directive.head.name);
    parse_listen_address(word.map_or(default, |word| &word.text))
        .map_err(|reason| ConfigError::at(token, reason))
}
