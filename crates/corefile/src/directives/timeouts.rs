//! ```text
//! timeouts {
//!     read DURATION
//!     write DURATION
//!     idle DURATION
//!     maxtcpqueries N
//! }
//! ```
//!
//! TCP timeouts for clients, 1s to 24h each; a bare number is in seconds. `read` is for the first
//! query of a connection and, from first octet to last, for every further one (3s by default),
//! `write` for the client to receive a response (5s), `idle` from the last response to the next
//! query (10s). A connection is closed after N responses; -1, the default, is no limit. At least
//! one option is required. They apply to the listener: of several blocks on it, the last value
//! counts.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::error::ConfigError;
use crate::settings::Timeouts;
use crate::token::Token;
use crate::tree::Directive;
use crate::values::{duration, integer};

const OPTIONS: [&str; 4] = ["read", "write", "idle", "maxtcpqueries"];
const MIN_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

pub(super) fn parse(directive: &Directive, timeouts: &mut Timeouts) -> Result<(), ConfigError> {
    directive.line.no_arguments()?;
    for option in &directive.options {
        let value = match &*option.name.text {
            "read" => &mut timeouts.read,
            "write" => &mut timeouts.write,
            "idle" => &mut timeouts.idle,
            "maxtcpqueries" => {
                timeouts.max_queries = Some(max_queries(option.single_argument()?)?);
                continue;
            }
            other => {
                let reason = format!("unknown option: '{other}'");
                return Err(ConfigError::unknown(&option.name, reason, &OPTIONS));
            }
        };
        *value = Some(timeout(option.single_argument()?)?);
    }
    match directive.options.is_empty() {
        true => {
            let reason = "timeouts block with no timeouts specified";
            Err(ConfigError::at(directive.name(), reason).of_combination())
        }
        false => Ok(()),
    }
}

fn timeout(token: &Token) -> Result<Duration, ConfigError> {
    let seconds = token.text.parse().ok().map(Duration::from_secs);
    let timeout = seconds.map_or_else(|| duration(token), Ok)?;
    let reason = || format!("timeout provided '{}' needs to be between 1 second and 24 hours", token.text);
    let valid = (MIN_TIMEOUT..=MAX_TIMEOUT).contains(&timeout);
    if valid { Ok(timeout) } else { Err(ConfigError::at(token, reason())) }
}

/// `None` is no limit.
fn max_queries(token: &Token) -> Result<Option<NonZeroU32>, ConfigError> {
    let number = integer(token)?;
    if number == -1 {
        return Ok(None);
    }
    let reason = || ConfigError::at(token, format!("maxtcpqueries {number} must be -1 or above 0"));
    u32::try_from(number).ok().and_then(NonZeroU32::new).map(Some).ok_or_else(reason)
}
