//! Option `prefetch AMOUNT [DURATION [PERCENT%]]` of `cache`.
//!
//! An entry with AMOUNT hits, no two of them more than DURATION apart (1m by default), is refreshed
//! in the last PERCENT (10% by default; 10 to 90) of its TTL. AMOUNT 0 disables it.

use std::time::Duration;

use resolver::policy::Prefetch;

use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::Line;
use crate::values::{duration, integer};

pub(super) fn parse(option: &Line) -> Result<Option<Prefetch>, ConfigError> {
    let arguments = option.arguments(1, 3)?;
    let amount = arguments.first().map_or(Ok(0), amount)?;
    let duration = arguments.get(1).map_or(Ok(Duration::from_secs(60)), duration)?;
    let percent = arguments.get(2).map_or(Ok(10), percent)?;
    Ok((amount > 0).then_some(Prefetch { amount, duration, percent }))
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
    let percent = u8::try_from(number).ok().filter(|percent| (10..=90).contains(percent));
    let out_of_range = || format!("percentage should fall in range [10, 90]: {number}");
    percent.ok_or_else(|| ConfigError::at(token, out_of_range()))
}
