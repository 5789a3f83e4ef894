//! ```text
//! timeouts {
//!     read DURATION
//!     write DURATION
//!     idle DURATION
//!     maxtcpqueries N
//! }
//! ```
//!
//! Patience with clients that came by TCP, 1s to 24h each; a bare number is seconds. `read` is for the first question
//! on a connection and, from first octet to last, for every other (3s if not given), `write` for the client to take
//! what it is sent (5s), `idle` from the last answer to the next question (10s). A connection ends after N answers;
//! -1, which is the default, is no limit. At least one must be given. They hold for the whole address and port: of several
//! blocks there, the last counts.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{duration, integer};
use crate::error::ConfigError;
use crate::lexer::Token;
use crate::settings::Timeouts;
use crate::tree::Directive;

const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(24 * 3600);

pub(super) fn read(directive: &Directive, timeouts: &mut Timeouts) -> Result<(), ConfigError> {
    directive.head.bare()?;
    for option in &directive.options {
        let place = match &*option.name.text {
            "read" => &mut timeouts.read,
            "write" => &mut timeouts.write,
            "idle" => &mut timeouts.idle,
            "maxtcpqueries" => {
                timeouts.max_queries = Some(max_queries(option.one()?)?);
                continue;
            }
            other => return Err(ConfigError::at(&option.name, format!("unknown option: '{other}'"))),
        };
        *place = Some(time(option.one()?)?);
    }
    match directive.options.is_empty() {
        true => Err(ConfigError::at(&directive.head.name, "timeouts block with no timeouts specified")),
        false => Ok(()),
    }
}

fn time(token: &Token) -> Result<Duration, ConfigError> {
    let seconds = token.text.parse().ok().map(Duration::from_secs);
    let time = seconds.map_or_else(|| duration(token), Ok)?;
    let reason = || format!("timeout provided '{}' needs to be between 1 second and 24 hours", token.text);
    if (LEAST..=MOST).contains(&time) { Ok(time) } else { Err(ConfigError::at(token, reason())) }
}

/// Nothing is no limit.
fn max_queries(token: &Token) -> Result<Option<NonZeroU32>, ConfigError> {
    let number = integer(token)?;
    if number == -1 {
        return Ok(None);
    }
    let reason = || ConfigError::at(token, format!("maxtcpqueries {number} must be -1 or above 0"));
    u32::try_from(number).ok().and_then(NonZeroU32::new).map(Some).ok_or_else(reason)
}
