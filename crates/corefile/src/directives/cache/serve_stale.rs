//! `serve_stale` and `serve_stale_policy` of `cache` (RFC 8767).
//!
//! An expired entry is served for DURATION (1h by default, 0 disables it) while no fresh response
//! is available: at once with `immediate`, the default, or with `verify` after the upstream failed
//! or has not responded within TIMEOUT. STALE_TTL, 0 by default, in whole seconds, is the TTL of a
//! stale response; values above 31 bits count as 2^31 - 1 (RFC 2181 section 8). After a failed
//! refresh the next one waits for RECHECK, 0 by default, 5m at most. With `serve_stale_policy
//! prefer_positive`, only a positive response replaces a positive entry.

use std::time::Duration;

use resolver::policy::{ServeStale, ServeStaleMode};

use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::Line;
use crate::values::{duration_named, duration_or};

const MAX_RECHECK: Duration = Duration::from_secs(300);
/// The longest TTL (RFC 2181 section 8).
const MAX_TTL: u32 = (1 << 31) - 1;

/// The options as parsed so far.
#[derive(Default)]
pub(super) struct ServeStaleOptions<'a> {
    /// The last `serve_stale`: `Some(None)` if it disables serving stale.
    stale: Option<Option<ServeStale>>,
    prefer_positive: Option<&'a Token>,
}

impl<'a> ServeStaleOptions<'a> {
    /// Parses `serve_stale`; the last of several counts.
    pub(super) fn serve_stale(&mut self, option: &Line) -> Result<(), ConfigError> {
        let arguments = option.arguments(0, 5)?;
        let negative = "invalid negative duration for serve_stale";
        let duration = arguments
            .first()
            .map_or(Ok(Duration::from_secs(3600)), |argument| duration_or(argument, negative))?;
        let (mode, rest) = match arguments.get(1) {
            Some(argument) => mode(argument, arguments.get(2))?,
            None => (ServeStaleMode::Immediate, 2),
        };
        option.arguments(0, rest + 2)?;
        let ttl = arguments.get(rest).map_or(Ok(0), ttl)?;
        let failure_recheck = arguments.get(rest + 1).map_or(Ok(Duration::ZERO), failure_recheck)?;
        let stale = ServeStale { duration, mode, ttl, failure_recheck, prefer_positive: false };
        self.stale = Some((!duration.is_zero()).then_some(stale));
        Ok(())
    }

    /// Parses `serve_stale_policy`.
    pub(super) fn serve_stale_policy(&mut self, option: &'a Line) -> Result<(), ConfigError> {
        if self.prefer_positive.is_some() {
            let reason = "serve_stale_policy can only be specified once";
            return Err(ConfigError::at(&option.name, reason));
        }
        let token = option.single_argument()?;
        if !token.text.eq_ignore_ascii_case("prefer_positive") {
            return Err(ConfigError::at(token, format!("invalid serve_stale_policy: {}", token.text)));
        }
        self.prefer_positive = Some(&option.name);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Option<ServeStale>, ConfigError> {
        match (self.stale, self.prefer_positive) {
            (None, Some(option)) => {
                Err(ConfigError::at(option, "serve_stale_policy requires serve_stale").of_combination())
            }
            (stale, option) => {
                Ok(stale.flatten().map(|stale| ServeStale { prefer_positive: option.is_some(), ..stale }))
            }
        }
    }
}

/// Parses the mode; returns the index of the argument after it and its timeout.
fn mode(token: &Token, timeout: Option<&Token>) -> Result<(ServeStaleMode, usize), ConfigError> {
    match token.text.to_lowercase().as_str() {
        "immediate" => Ok((ServeStaleMode::Immediate, 2)),
        "verify" => {
            let timeout = timeout.map_or(Ok(Duration::ZERO), |token| {
                let negative = "invalid negative timeout for serve_stale verify";
                duration_named(token, "serve_stale verify timeout", negative)
            });
            Ok((ServeStaleMode::Verify(timeout?), 3))
        }
        other => {
            let reason = format!("invalid value for serve_stale refresh mode: {other}");
            Err(ConfigError::at(token, reason))
        }
    }
}

fn ttl(token: &Token) -> Result<u32, ConfigError> {
    let negative = "invalid negative response TTL for serve_stale";
    let ttl = duration_named(token, "serve_stale response TTL", negative)?;
    if ttl.subsec_nanos() > 0 {
        let reason = "serve_stale response TTL must be a whole number of seconds";
        return Err(ConfigError::at(token, reason));
    }
    let out_of_range = || ConfigError::at(token, "serve_stale response TTL exceeds the DNS TTL range");
    u32::try_from(ttl.as_secs()).map(|ttl| ttl.min(MAX_TTL)).map_err(|_| out_of_range())
}

fn failure_recheck(token: &Token) -> Result<Duration, ConfigError> {
    let negative = "invalid negative failure recheck for serve_stale";
    let recheck = duration_named(token, "serve_stale failure recheck", negative)?;
    if recheck > MAX_RECHECK {
        return Err(ConfigError::at(token, "serve_stale failure recheck cannot exceed 5 minutes"));
    }
    Ok(recheck)
}
