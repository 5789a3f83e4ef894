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
//!     nxdomain_cut [ZONES...]
//! }
//! ```
//!
//! Caches responses for names in ZONES (by default the block's zones). TTL is the maximum TTL in
//! seconds, by default 3600 for positive responses (`success`) and 1800 for negative ones
//! (`denial`); MINTTL, 5 by default, is the minimum TTL. CAPACITY, 9984 by default, is in entries;
//! it is rounded down to a multiple of 256, and up to 1024, as in CoreDNS. `servfail` is the TTL of
//! SERVFAIL, 5s by default, 5m at most, 0 to not cache it. `disable` excludes names in its ZONES
//! (all by default). With `keepttl`, hits carry the original TTL, not the remaining one. See
//! `prefetch` and `serve_stale` for these options.
//!
//! `authoritative`, which CoreDNS does not have, sets AA in hits, as node-cache does. Without it,
//! hits have the AA bit of the upstream's response, as since CoreDNS 1.15.
//!
//! `nxdomain_cut`, which CoreDNS does not have either, answers queries for names below one that does not
//! exist, without asking an upstream (RFC 8020): those of search paths, such as
//! `www.example.com.default.svc.cluster.local`, once `com.default.svc.cluster.local` is known not to exist.
//! ZONES, by default those of `cache`, are below the root.

mod prefetch;
mod serve_stale;

use std::time::Duration;

use resolver::policy::{CacheOptions, StoreOptions};
use wire::name::Name;

use self::serve_stale::ServeStaleOptions;
use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::{Directive, Line};
use crate::values::{duration_or, integer};
use crate::zones::parse_all_zones;

const OPTIONS: [&str; 10] = [
    "success",
    "denial",
    "prefetch",
    "serve_stale",
    "serve_stale_policy",
    "servfail",
    "disable",
    "keepttl",
    "authoritative",
    "nxdomain_cut",
];

/// Maximum TTL of SERVFAIL (RFC 2308 section 7.1).
const MAX_SERVFAIL: Duration = Duration::from_secs(300);

pub(super) fn parse(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
) -> Result<CacheOptions, ConfigError> {
    let (ttl, zones) = match directive.line.args.split_first() {
        Some((first, rest)) if first.text.parse::<i64>().is_ok() => (Some(max_ttl(first)?), rest),
        _ => (None, directive.line.args.as_slice()),
    };
    let mut cache = CacheOptions::new(context.zones(zones)?);
    if let Some(ttl) = ttl {
        (cache.success.max_ttl, cache.denial.max_ttl) = (ttl, ttl);
    }
    parse_options(&directive.options, &mut cache)?;
    for store in [&mut cache.success, &mut cache.denial] {
        store.min_ttl = store.min_ttl.min(store.max_ttl);
    }
    Ok(cache)
}

fn parse_options(options: &[Line], cache: &mut CacheOptions) -> Result<(), ConfigError> {
    let mut stale = ServeStaleOptions::default();
    for option in options {
        match &*option.name.text {
            "success" => parse_store(option, &mut cache.success)?,
            "denial" => parse_store(option, &mut cache.denial)?,
            "prefetch" => cache.prefetch = prefetch::parse(option)?,
            "serve_stale" => stale.serve_stale(option)?,
            "serve_stale_policy" => stale.serve_stale_policy(option)?,
            "servfail" => cache.servfail = servfail(option)?,
            "disable" => disable(option, cache)?,
            "keepttl" => {
                option.no_arguments()?;
                cache.keep_ttl = true;
            }
            "authoritative" => {
                option.no_arguments()?;
                cache.authoritative = true;
            }
            "nxdomain_cut" => cache.nxdomain_cut = nxdomain_cut(option, cache)?,
            _ => return Err(ConfigError::unknown_option(&option.name, &OPTIONS)),
        }
    }
    cache.serve_stale = stale.finish()?;
    Ok(())
}

/// CoreDNS's cache has 256 shards of equal size, of at least four entries each.
fn round_capacity(entries: i64) -> u32 {
    u32::try_from((entries / 256).clamp(4, 1 << 23) * 256).unwrap_or(u32::MAX)
}

fn parse_store(option: &Line, store: &mut StoreOptions) -> Result<(), ConfigError> {
    let arguments = option.arguments(1, 3)?;
    if let Some(capacity) = arguments.first() {
        store.capacity = round_capacity(integer(capacity)?);
    }
    if let Some(ttl) = arguments.get(1) {
        store.max_ttl = max_ttl(ttl)?;
    }
    if let Some(ttl) = arguments.get(2) {
        let seconds = integer(ttl)?;
        let negative = || ConfigError::at(ttl, format!("cache min TTL can not be negative: {seconds}"));
        store.min_ttl = ttl_seconds(ttl, seconds, negative)?;
    }
    Ok(())
}

/// Parses a TTL above 0.
fn max_ttl(token: &Token) -> Result<u32, ConfigError> {
    let seconds = integer(token)?;
    let reason = || ConfigError::at(token, format!("cache TTL can not be zero or negative: {seconds}"));
    if seconds == 0 {
        return Err(reason());
    }
    ttl_seconds(token, seconds, reason)
}

/// A TTL of at most 31 bits (RFC 2181 section 8).
fn ttl_seconds(token: &Token, seconds: i64, negative: impl Fn() -> ConfigError) -> Result<u32, ConfigError> {
    let too_long = || ConfigError::at(token, format!("a TTL of {seconds} seconds does not fit in 31 bits"));
    match seconds {
        ..0 => Err(negative()),
        _ => u32::try_from(seconds).ok().filter(|ttl| *ttl < 1 << 31).ok_or_else(too_long),
    }
}

fn servfail(option: &Line) -> Result<Duration, ConfigError> {
    let token = option.single_argument()?;
    let ttl = duration_or(token, "invalid negative ttl for servfail")?;
    if ttl > MAX_SERVFAIL {
        return Err(ConfigError::at(token, "caching SERVFAIL responses over 5 minutes is not permitted"));
    }
    Ok(ttl)
}

fn nxdomain_cut(option: &Line, cache: &CacheOptions) -> Result<Vec<Name>, ConfigError> {
    let zones = parse_all_zones(&option.args)?;
    for (zone, token) in zones.iter().zip(&option.args) {
        if !cache.zones.iter().any(|cached| cached.covers(zone.as_wire())) {
            let reason = format!("nxdomain_cut for {zone}, which is in no zone of cache");
            return Err(ConfigError::at(token, reason).with_remedy("name zones that are cached, or none"));
        }
    }
    let zones = if option.args.is_empty() { cache.zones.clone() } else { zones };
    if zones.contains(&Name::root()) {
        let reason = "nxdomain_cut for the root zone, where many servers deny names below which others exist";
        return Err(ConfigError::at(&option.name, reason).with_remedy("name the zone of the cluster"));
    }
    Ok(zones)
}

fn disable(option: &Line, cache: &mut CacheOptions) -> Result<(), ConfigError> {
    let (class, zones) = match option.args.split_first() {
        Some((class, zones)) => (class, parse_all_zones(zones)?),
        None => return Err(ConfigError::argument_count(&option.name)),
    };
    let zones = if zones.is_empty() { vec![Name::root()] } else { zones };
    match &*class.text {
        "success" => cache.success.disabled = zones,
        "denial" => cache.denial.disabled = zones,
        _ => return Err(ConfigError::at(class, "cache type for disable must be \"success\" or \"denial\"")),
    }
    Ok(())
}
