//! What the server under test is told to do: the `POLICY` lines of a scenario, in the Corefile's own words.

use std::time::Duration;

use resolver::policy::{
    CacheOptions, ForwardOptions, HealthCheck, MaxConnectAttempts, Prefetch, ResolverLimits, SelectionPolicy,
    ServeStale, ServeStaleMode, StoreOptions, TransportPreference,
};
use wire::header::Rcode;
use wire::name::Name;

use super::tokens::{duration, number, zone};
use crate::fixture;
use crate::text::{self, TextError, error};

/// What a scenario's server does.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Server blocks; the first takes `.` unless told otherwise.
    pub blocks: Vec<Block>,
    /// ResolverLimits of the worker; no attempt is made early unless told otherwise.
    pub limits: ResolverLimits,
}

/// A server block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Zones it serves.
    pub zones: Vec<Name>,
    /// Its `bufsize` directive.
    pub udp_size: u16,
    /// Its `cache` directive.
    pub cache: Option<CacheOptions>,
    /// Its `forward` directives.
    pub forwards: Vec<Forward>,
    /// The name that its `loop` directive watches for.
    pub loop_probe: Option<Name>,
    /// The forwards are those of the scenario, no longer the one every block begins with.
    chosen: bool,
}

/// A `forward` directive.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Its options; `sequential`, `force_tcp` and no health checks by default.
    pub options: ForwardOptions,
    /// Upstreams by the names the scenario gives them; those written `tls://NAME` are reached by TLS.
    pub upstreams: Vec<String>,
}

impl Forward {
    fn new(from: Name, upstreams: Vec<String>) -> Self {
        let options = ForwardOptions {
            policy: SelectionPolicy::Sequential,
            transport: TransportPreference::ForceTcp,
            health_check: HealthCheck { max_fails: 0, ..HealthCheck::default() },
            ..ForwardOptions::new(from)
        };
        Self { options, upstreams }
    }
}

impl Block {
    fn new(zones: Vec<Name>) -> Self {
        Self {
            zones,
            udp_size: wire::edns::DEFAULT_UDP_SIZE,
            cache: Some(fixture::cache()),
            forwards: vec![Forward::new(Name::root(), vec!["upstream".to_owned()])],
            loop_probe: None,
            chosen: false,
        }
    }

    fn choose(&mut self, forward: Option<Forward>) {
        if !self.chosen {
            self.forwards.clear();
        }
        self.chosen = true;
        self.forwards.extend(forward);
    }
}

impl Default for Settings {
    fn default() -> Self {
        let limits = ResolverLimits { initial_hedges: 0, ..ResolverLimits::default() };
        Self { blocks: vec![Block::new(vec![Name::root()])], limits }
    }
}

/// Reads `POLICY` lines one after another.
#[derive(Debug, Default)]
pub(super) struct SettingsParser {
    settings: Settings,
    /// The first block is the scenario's own.
    zoned: bool,
}

impl SettingsParser {
    pub(super) fn finish(self) -> Settings {
        self.settings
    }

    pub(super) fn line(&mut self, words: &[&str]) -> Result<(), TextError> {
        match *words {
            ["zone", ref zones @ ..] if !zones.is_empty() => {
                if !self.zoned {
                    self.settings.blocks.clear();
                }
                self.zoned = true;
                self.settings.blocks.push(Block::new(parse_zones(zones)?));
                Ok(())
            }
            ["limit", limit, value] => self.limit(limit, value),
            _ => match self.settings.blocks.last_mut() {
                Some(block) => parse_directive(words, block),
                None => error("no block"),
            },
        }
    }

    fn limit(&mut self, limit: &str, value: &str) -> Result<(), TextError> {
        let limits = &mut self.settings.limits;
        match limit {
            "flights" => limits.inflight_queries = number(value)?,
            "refreshes" => limits.refreshes = number(value)?,
            "waiters" => limits.waiters_per_query = number(value)?,
            "client" => limits.queries_per_client = number(value)?,
            "hedges" => limits.initial_hedges = number(value)?,
            "deadline" => limits.query_deadline = duration(value)?,
            _ => {
                return error(format!(
                    "`{limit}` is not a limit: flights, refreshes, waiters, client, hedges, deadline"
                ));
            }
        }
        Ok(())
    }
}

fn parse_directive(words: &[&str], block: &mut Block) -> Result<(), TextError> {
    match *words {
        ["bufsize", octets] => block.udp_size = number(octets)?,
        ["cache", "none"] => block.cache = None,
        ["cache", ref option @ ..] => {
            let Some(cache) = &mut block.cache else { return error("options of `cache none`") };
            return parse_cache(option, cache);
        }
        ["loop", probe] => block.loop_probe = Some(zone(probe)?),
        ["forward", "none"] => block.choose(None),
        ["forward", from, ref upstreams @ ..] if !upstreams.is_empty() => {
            let upstreams = upstreams.iter().map(|name| (*name).to_owned()).collect();
            block.choose(Some(Forward::new(zone(from)?, upstreams)));
        }
        _ => match block.forwards.last_mut() {
            Some(forward) => return parse_forward(words, &mut forward.options),
            None => return error("options of `forward none`"),
        },
    }
    Ok(())
}

fn parse_cache(option: &[&str], cache: &mut CacheOptions) -> Result<(), TextError> {
    match *option {
        ["zones", ref zones @ ..] => cache.zones = parse_zones(zones)?,
        ["success", ref store @ ..] => return parse_store(store, &mut cache.success),
        ["denial", ref store @ ..] => return parse_store(store, &mut cache.denial),
        ["servfail", time] => cache.servfail = duration(time)?,
        ["disable", "success", ref zones @ ..] => cache.success.disabled = parse_zones(zones)?,
        ["disable", "denial", ref zones @ ..] => cache.denial.disabled = parse_zones(zones)?,
        ["keepttl"] => cache.keep_ttl = true,
        ["authoritative"] => cache.authoritative = true,
        ["prefetch", amount, within, percent] => {
            let percent = number(percent.trim_end_matches('%'))?;
            cache.prefetch = Some(Prefetch { amount: number(amount)?, duration: duration(within)?, percent });
        }
        ["serve_stale", window, ref mode @ ..] => cache.serve_stale = Some(parse_stale(window, mode)?),
        ["serve_stale_policy", "prefer_positive"] => match &mut cache.serve_stale {
            Some(stale) => stale.prefer_positive = true,
            None => return error("`serve_stale` comes first"),
        },
        _ => return error(format!("`cache {}` is not understood", option.join(" "))),
    }
    Ok(())
}

fn parse_stale(window: &str, mode: &[&str]) -> Result<ServeStale, TextError> {
    let (mode, rest) = match *mode {
        [] => (ServeStaleMode::Immediate, &[][..]),
        ["immediate", ref rest @ ..] => (ServeStaleMode::Immediate, rest),
        ["verify"] => (ServeStaleMode::Verify(Duration::ZERO), &[][..]),
        ["verify", patience, ref rest @ ..] => (ServeStaleMode::Verify(duration(patience)?), rest),
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

fn parse_store(words: &[&str], store: &mut StoreOptions) -> Result<(), TextError> {
    let mut values = words.iter();
    let places = [&mut store.capacity, &mut store.max_ttl, &mut store.min_ttl];
    for (place, value) in places.into_iter().zip(values.by_ref()) {
        *place = number(value)?;
    }
    if words.is_empty() || values.next().is_some() { error("CAPACITY [TTL [MINTTL]]") } else { Ok(()) }
}

fn parse_forward(words: &[&str], options: &mut ForwardOptions) -> Result<(), TextError> {
    match *words {
        ["except", ref zones @ ..] => options.except = parse_zones(zones)?,
        ["policy", "random"] => options.policy = SelectionPolicy::Random,
        ["policy", "round_robin"] => options.policy = SelectionPolicy::RoundRobin,
        ["policy", "sequential"] => options.policy = SelectionPolicy::Sequential,
        ["force_tcp"] => options.transport = TransportPreference::ForceTcp,
        ["prefer_udp"] => options.transport = TransportPreference::PreferUdp,
        ["as_client"] => options.transport = TransportPreference::SameAsClient,
        ["max_concurrent", limit] => options.max_concurrent = number(limit)?,
        ["read_timeout", time] => options.read_timeout = duration(time)?,
        ["max_connect_attempts", "0"] => options.max_connect_attempts = MaxConnectAttempts::Unlimited,
        ["max_connect_attempts", most] => {
            options.max_connect_attempts = MaxConnectAttempts::Limit(number(most)?)
        }
        ["max_fails", most] => options.health_check.max_fails = number(most)?,
        ["health_check", interval, ref rest @ ..] => {
            options.health_check.interval = duration(interval)?;
            return parse_health_check(rest, &mut options.health_check);
        }
        ["failfast_all_unhealthy_upstreams"] => options.health_check.failfast = true,
        ["failover", ref rcodes @ ..] => options.failover = parse_rcodes(rcodes)?,
        ["next", ref rcodes @ ..] => options.next = parse_rcodes(rcodes)?,
        ["next_on_nodata"] => options.next_on_nodata = true,
        _ => return error(format!("`{}` is not a directive", words.join(" "))),
    }
    Ok(())
}

fn parse_health_check(options: &[&str], health: &mut HealthCheck) -> Result<(), TextError> {
    match *options {
        [] => Ok(()),
        ["no_rec", ref rest @ ..] => {
            health.recursion_desired = false;
            parse_health_check(rest, health)
        }
        ["domain", name, ref rest @ ..] => {
            health.name = zone(name)?;
            parse_health_check(rest, health)
        }
        _ => error(format!("`{}` is not an option of `health_check`", options.join(" "))),
    }
}

fn parse_rcodes(words: &[&str]) -> Result<Vec<Rcode>, TextError> {
    words.iter().map(|word| text::rcode(word).map(Rcode)).collect()
}

/// Zones; none at all means every name, as in a Corefile.
fn parse_zones(words: &[&str]) -> Result<Vec<Name>, TextError> {
    if words.is_empty() { Ok(vec![Name::root()]) } else { words.iter().map(|word| zone(word)).collect() }
}
