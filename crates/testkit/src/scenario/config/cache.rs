//! `CONFIG cache`: options of the directive.

use std::time::Duration;

use resolver::policy::{CacheOptions, Prefetch, ServeStale, ServeStaleMode, StoreOptions};

use super::super::tokens::{duration, number, parse_zones};
use crate::text::{TextError, error};

pub(super) fn parse_option(option: &[&str], cache: &mut CacheOptions) -> Result<(), TextError> {
    match *option {
        ["zones", ref zones @ ..] => cache.zones = parse_zones(zones)?,
        ["success", ref store @ ..] => return parse_store(store, &mut cache.success),
        ["denial", ref store @ ..] => return parse_store(store, &mut cache.denial),
        ["servfail", time] => cache.servfail = duration(time)?,
        ["disable", "success", ref zones @ ..] => cache.success.disabled = parse_zones(zones)?,
        ["disable", "denial", ref zones @ ..] => cache.denial.disabled = parse_zones(zones)?,
        ["keepttl"] => cache.keep_ttl = true,
        ["nxdomain_cut", ref zones @ ..] => cache.nxdomain_cut = parse_zones(zones)?,
        ["authoritative"] => cache.authoritative = true,
        ["prefetch", amount, within, percent] => {
            let percent = number(percent.trim_end_matches('%'))?;
            cache.prefetch = Some(Prefetch { amount: number(amount)?, duration: duration(within)?, percent });
        }
        ["serve_stale", window, ref mode @ ..] => cache.serve_stale = Some(parse_stale(window, mode)?),
        ["stale_on_outage", "off"] => cache.stale_on_outage = false,
        ["serve_stale_policy", "prefer_positive"] => match &mut cache.serve_stale {
            Some(stale) => stale.prefer_positive = true,
            None => return error("`serve_stale` must precede it"),
        },
        _ => return error(format!("`{}` is not an option of `cache`", option.join(" "))),
    }
    Ok(())
}

fn parse_stale(window: &str, mode: &[&str]) -> Result<ServeStale, TextError> {
    let (mode, rest) = match *mode {
        [] => (ServeStaleMode::Immediate, &[][..]),
        ["immediate", ref rest @ ..] => (ServeStaleMode::Immediate, rest),
        ["verify"] => (ServeStaleMode::Verify(Duration::ZERO), &[][..]),
        ["verify", timeout, ref rest @ ..] => (ServeStaleMode::Verify(duration(timeout)?), rest),
        _ => {
            return error(
                "serve_stale WINDOW [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]",
            );
        }
    };
    let ttl = rest.first().map_or(Ok(0), |ttl| number(ttl))?;
    let recheck = rest.get(1).map_or(Ok(Duration::ZERO), |recheck| duration(recheck))?;
    Ok(ServeStale {
        duration: duration(window)?,
        mode,
        ttl,
        failure_recheck: recheck,
        prefer_positive: false,
    })
}

fn parse_store(tokens: &[&str], store: &mut StoreOptions) -> Result<(), TextError> {
    let mut values = tokens.iter();
    let fields = [&mut store.capacity, &mut store.max_ttl, &mut store.min_ttl];
    for (field, value) in fields.into_iter().zip(values.by_ref()) {
        *field = number(value)?;
    }
    if tokens.is_empty() || values.next().is_some() { error("CAPACITY [TTL [MINTTL]]") } else { Ok(()) }
}
