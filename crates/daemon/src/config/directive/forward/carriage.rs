//! How the upstreams of a `forward` are reached: the scheme before an address, and the options about
//! connections.

use std::time::Duration;

use super::super::super::error::ConfigError;
use super::super::super::lexer::Token;
use super::super::super::settings::Carriage;
use super::super::super::tree::Words;
use super::super::{duration, option_not_yet};

/// Options of CoreDNS up to 1.15.0 that are not built.
const NOT_YET: [&str; 5] = ["max_age", "max_idle_conns", "source_address", "tls", "tls_servername"];

/// What a directive without options about connections says.
pub(super) fn unset() -> Carriage {
    Carriage { expire: Duration::from_secs(10) }
}

/// Reads an option about connections; false for any other.
pub(super) fn read_option(option: &Words, carriage: &mut Carriage) -> Result<bool, ConfigError> {
    match &*option.name.text {
        "expire" => carriage.expire = duration(option.one()?)?,
        name if NOT_YET.contains(&name) => return Err(option_not_yet(&option.name)),
        _ => return Ok(false),
    }
    Ok(true)
}

/// The address in a word of TO.
pub(super) fn without_scheme(entry: &Token) -> Result<&str, ConfigError> {
    match entry.text.split_once("://") {
        Some(("dns", rest)) => Ok(rest),
        Some((transport @ ("tls" | "https" | "quic" | "grpc" | "unix"), _)) => {
            let reason =
                format!("{transport}:// upstreams are not supported by nodelocaldns yet: {}", entry.text);
            Err(ConfigError::at(entry, reason))
        }
        _ => Ok(&entry.text),
    }
}
