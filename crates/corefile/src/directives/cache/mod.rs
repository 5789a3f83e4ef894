//! ```text
//! cache [TTL] [ZONES...] {
//!     success CAPACITY [TTL] [MINTTL]
//!     denial  CAPACITY [TTL] [MINTTL]
//!     prefetch AMOUNT [DURATION [PERCENT%]]
//!     serve_stale [DURATION [immediate [STALE_TTL [RECHECK]]]]
//!     serve_stale DURATION verify [TIMEOUT [STALE_TTL [RECHECK]]]
//!     serve_stale_policy prefer_positive
//!     servfail DURATION
//!     disable success|denial [ZONES...]
//!     keepttl
//!     authoritative
//! }
//! ```
//!
//! Answers for names in ZONES (those of the block if none are named) are kept. TTL is the longest life of an
//! answer in seconds, 3600 for answers with records (`success`) and 1800 for those without (`denial`) if not
//! given; MINTTL, 5 if not given, is the shortest. CAPACITY, 9984 if not given, counts answers; it is made a
//! multiple of 256 and at least 1024, as CoreDNS does. `servfail` is the life of a SERVFAIL, 5s if not given,
//! 5m at most, 0 for none. `disable` keeps nothing for names in its ZONES (all if none are named). `keepttl`
//! shows clients the whole life of an answer, not what is left. `refresh` has `prefetch` and `serve_stale`.
//!
//! `authoritative` is no option of CoreDNS: kept answers are told with AA set, as node-cache does. Without it
//! they have the AA of the upstream, as since CoreDNS 1.15.

use std::time::Duration;

use resolver::policy::{CacheOptions, StoreOptions};
use wire::name::Name;

use super::{DirectiveContext, duration_or, integer};
use crate::error::ConfigError;
use crate::keys;
use crate::lexer::Token;
use crate::tree::{Directive, Words};

mod refresh;

use refresh::StaleOptions;

/// A SERVFAIL is not kept longer (RFC 2308 section 7.1).
const MAX_SERVFAIL: Duration = Duration::from_secs(300);

pub(super) fn read(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
) -> Result<CacheOptions, ConfigError> {
    let (ttl, zones) = match directive.head.args.split_first() {
        Some((first, rest)) if first.text.parse::<i64>().is_ok() => (Some(life(first)?), rest),
        _ => (None, directive.head.args.as_slice()),
    };
    let zones = match zones_of(zones)? {
        zones if zones.is_empty() => context.keys.iter().map(|key| key.zone.clone()).collect(),
        zones => zones,
    };
    let mut policy = CacheOptions::new(zones);
    if let Some(ttl) = ttl {
        (policy.success.max_ttl, policy.denial.max_ttl) = (ttl, ttl);
    }
    read_options(&directive.options, &mut policy)?;
    for store in [&mut policy.success, &mut policy.denial] {
        store.min_ttl = store.min_ttl.min(store.max_ttl);
    }
    Ok(policy)
}

fn read_options(options: &[Words], policy: &mut CacheOptions) -> Result<(), ConfigError> {
    let mut stale = StaleOptions::default();
    for option in options {
        match &*option.name.text {
            "success" => limits(option, &mut policy.success)?,
            "denial" => limits(option, &mut policy.denial)?,
            "prefetch" => policy.prefetch = refresh::prefetch(option)?,
            "serve_stale" => stale.serve_stale(option)?,
            "serve_stale_policy" => stale.policy(option)?,
            "servfail" => policy.servfail = servfail(option)?,
            "disable" => disable(option, policy)?,
            "keepttl" => {
                option.bare()?;
                policy.keep_ttl = true;
            }
            "authoritative" => {
                option.bare()?;
                policy.authoritative = true;
            }
            _ => return Err(ConfigError::argument(&option.name)),
        }
    }
    policy.serve_stale = stale.finish()?;
    Ok(())
}

fn zones_of(words: &[Token]) -> Result<Vec<Name>, ConfigError> {
    let mut zones = Vec::new();
    for word in words {
        zones.extend(keys::zones(word)?);
    }
    Ok(zones)
}

/// CoreDNS keeps 256 shards of equal size, of at least four answers each.
fn capacity_of(wanted: i64) -> u32 {
    u32::try_from((wanted / 256).clamp(4, 1 << 23) * 256).unwrap_or(u32::MAX)
}

fn limits(option: &Words, store: &mut StoreOptions) -> Result<(), ConfigError> {
    let words = option.arguments(1, 3)?;
    if let Some(capacity) = words.first() {
        store.capacity = capacity_of(integer(capacity)?);
    }
    if let Some(ttl) = words.get(1) {
        store.max_ttl = life(ttl)?;
    }
    if let Some(ttl) = words.get(2) {
        let seconds = integer(ttl)?;
        let negative = || ConfigError::at(ttl, format!("cache min TTL can not be negative: {seconds}"));
        store.min_ttl = seconds_of(ttl, seconds, negative)?;
    }
    Ok(())
}

/// Reads a TTL above 0.
fn life(token: &Token) -> Result<u32, ConfigError> {
    let seconds = integer(token)?;
    let reason = || ConfigError::at(token, format!("cache TTL can not be zero or negative: {seconds}"));
    if seconds == 0 {
        return Err(reason());
    }
    seconds_of(token, seconds, reason)
}

/// A TTL as RFC 2181 section 8 bounds it, 31 bits.
fn seconds_of(token: &Token, seconds: i64, negative: impl Fn() -> ConfigError) -> Result<u32, ConfigError> {
    let too_long = || ConfigError::at(token, format!("a TTL of {seconds} seconds does not fit in 31 bits"));
    match seconds {
        ..0 => Err(negative()),
        _ => u32::try_from(seconds).ok().filter(|ttl| *ttl < 1 << 31).ok_or_else(too_long),
    }
}

fn servfail(option: &Words) -> Result<Duration, ConfigError> {
    let token = option.one()?;
    let life = duration_or(token, "invalid negative ttl for servfail")?;
    if life > MAX_SERVFAIL {
        return Err(ConfigError::at(token, "caching SERVFAIL responses over 5 minutes is not permitted"));
    }
    Ok(life)
}

fn disable(option: &Words, policy: &mut CacheOptions) -> Result<(), ConfigError> {
    let (class, zones) = match option.args.split_first() {
        Some((class, zones)) => (class, zones_of(zones)?),
        None => return Err(ConfigError::argument(&option.name)),
    };
    let zones = if zones.is_empty() { vec![Name::root()] } else { zones };
    match &*class.text {
        "success" => policy.success.disabled = zones,
        "denial" => policy.denial.disabled = zones,
        _ => return Err(ConfigError::at(class, "cache type for disable must be \"success\" or \"denial\"")),
    }
    Ok(())
}
