//! The options of `cache` by which answers are asked again.
//!
//! `prefetch`: an answer that was told AMOUNT times, with no gap longer than DURATION (1m if not given) between
//! two of them, is asked again in the last PERCENT (10% if not given; 10 to 90) of its life. AMOUNT 0 is as if
//! not given.
//!
//! `serve_stale`: an answer that has ended is told for DURATION, 1h if not given, 0 for not at all, while nothing
//! newer can be had: at once with `immediate`, as if not given, or with `verify` when the upstream has failed or
//! has not answered within TIMEOUT. STALE_TTL, 0 if not given, whole seconds, is the TTL it is told with; more
//! than 31 bits are told as the most that 31 bits hold (RFC 2181 section 8). After a refresh that failed the next
//! waits for RECHECK, 0 if not given, 5m at most. With `serve_stale_policy prefer_positive` only an answer that
//! has what was asked for takes the place of one.

use std::time::Duration;

use resolver::policy::{Prefetch, ServeStale, ServeStaleMode};

use super::super::{duration, duration_of, duration_or, integer};
use crate::error::ConfigError;
use crate::lexer::Token;
use crate::tree::Words;

/// A failed refresh is not remembered longer.
const MAX_RECHECK: Duration = Duration::from_secs(300);
/// The longest TTL (RFC 2181 section 8).
const MAX_TTL: u32 = (1 << 31) - 1;

pub(super) fn prefetch(option: &Words) -> Result<Option<Prefetch>, ConfigError> {
    let words = option.arguments(1, 3)?;
    let amount = words.first().map_or(Ok(0), amount)?;
    let within = words.get(1).map_or(Ok(Duration::from_secs(60)), duration)?;
    let percent = words.get(2).map_or(Ok(10), percent)?;
    Ok((amount > 0).then_some(Prefetch { amount, duration: within, percent }))
}

fn amount(token: &Token) -> Result<u32, ConfigError> {
    let number = integer(token)?;
    if number < 0 {
        return Err(ConfigError::at(token, format!("prefetch amount should be positive: {number}")));
    }
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

fn percent(token: &Token) -> Result<u8, ConfigError> {
    let Some(number) = token.text.strip_suffix('%') else {
        let last = token.text.chars().next_back().unwrap_or(' ');
        let reason = format!("last character of percentage should be `%`, but is: {last:?}");
        return Err(ConfigError::at(token, reason));
    };
    let number: i64 =
        number.parse().map_err(|_| ConfigError::at(token, format!("'{number}' is not a whole number")))?;
    let within = u8::try_from(number).ok().filter(|percent| (10..=90).contains(percent));
    within
        .ok_or_else(|| ConfigError::at(token, format!("percentage should fall in range [10, 90]: {number}")))
}

/// What the options about stale answers say together.
#[derive(Default)]
pub(super) struct StaleOptions<'a> {
    /// BlockDirectives, if only to say that there are none.
    stale: Option<Option<ServeStale>>,
    prefer_positive: Option<&'a Token>,
}

impl<'a> StaleOptions<'a> {
    /// Reads `serve_stale`; of several, the last counts.
    pub(super) fn serve_stale(&mut self, option: &Words) -> Result<(), ConfigError> {
        let words = option.arguments(0, 5)?;
        let negative = "invalid negative duration for serve_stale";
        let window =
            words.first().map_or(Ok(Duration::from_secs(3600)), |word| duration_or(word, negative))?;
        let (mode, rest) = match words.get(1) {
            Some(word) => mode(word, words.get(2))?,
            None => (ServeStaleMode::Immediate, 2),
        };
        option.arguments(0, rest + 2)?;
        let ttl = words.get(rest).map_or(Ok(0), ttl)?;
        let recheck = words.get(rest + 1).map_or(Ok(Duration::ZERO), recheck)?;
        let stale =
            ServeStale { duration: window, mode, ttl, failure_recheck: recheck, prefer_positive: false };
        self.stale = Some((!window.is_zero()).then_some(stale));
        Ok(())
    }

    /// Reads `serve_stale_policy`.
    pub(super) fn policy(&mut self, option: &'a Words) -> Result<(), ConfigError> {
        if self.prefer_positive.is_some() {
            let reason = "serve_stale_policy can only be specified once";
            return Err(ConfigError::at(&option.name, reason));
        }
        let token = option.one()?;
        if !token.text.eq_ignore_ascii_case("prefer_positive") {
            return Err(ConfigError::at(token, format!("invalid serve_stale_policy: {}", token.text)));
        }
        self.prefer_positive = Some(&option.name);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Option<ServeStale>, ConfigError> {
        match (self.stale, self.prefer_positive) {
            (None, Some(option)) => Err(ConfigError::at(option, "serve_stale_policy requires serve_stale")),
            (stale, preference) => {
                Ok(stale.flatten().map(|stale| ServeStale { prefer_positive: preference.is_some(), ..stale }))
            }
        }
    }
}

/// The mode, and which argument follows what belongs to it.
fn mode(word: &Token, timeout: Option<&Token>) -> Result<(ServeStaleMode, usize), ConfigError> {
    match word.text.to_lowercase().as_str() {
        "immediate" => Ok((ServeStaleMode::Immediate, 2)),
        "verify" => {
            let timeout = timeout.map_or(Ok(Duration::ZERO), |token| {
                let negative = "invalid negative timeout for serve_stale verify";
                duration_of("serve_stale verify timeout", token, negative)
            });
            Ok((ServeStaleMode::Verify(timeout?), 3))
        }
        other => {
            let reason = format!("invalid value for serve_stale refresh mode: {other}");
            Err(ConfigError::at(word, reason))
        }
    }
}

fn ttl(token: &Token) -> Result<u32, ConfigError> {
    let negative = "invalid negative response TTL for serve_stale";
    let ttl = duration_of("serve_stale response TTL", token, negative)?;
    if ttl.subsec_nanos() > 0 {
        let reason = "serve_stale response TTL must be a whole number of seconds";
        return Err(ConfigError::at(token, reason));
    }
    let beyond = || ConfigError::at(token, "serve_stale response TTL exceeds the DNS TTL range");
    u32::try_from(ttl.as_secs()).map(|ttl| ttl.min(MAX_TTL)).map_err(|_| beyond())
}

fn recheck(token: &Token) -> Result<Duration, ConfigError> {
    let negative = "invalid negative failure recheck for serve_stale";
    let recheck = duration_of("serve_stale failure recheck", token, negative)?;
    if recheck > MAX_RECHECK {
        return Err(ConfigError::at(token, "serve_stale failure recheck cannot exceed 5 minutes"));
    }
    Ok(recheck)
}
