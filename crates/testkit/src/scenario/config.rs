//! Configuration of a scenario: the `CONFIG` lines, with the Corefile's directives.

mod front;
mod hosts;
mod template;

use std::time::Duration;

use resolver::policy::rewrite::RewriteRule;
use resolver::policy::{
    AclRule, CacheOptions, Dns64, ForwardOptions, FrontPlugin, HealthCheck, LoadBalanceOptions, LocalPlugin,
    MaxConnectAttempts, MessageChanges, Nat64Prefix, Network, PoolOptions, Prefetch, ResolverLimits,
    SelectionPolicy, ServeStale, ServeStaleMode, StoreOptions, TransportPreference,
};
use wire::header::Rcode;
use wire::name::Name;

use super::rewrite;
use super::tokens::{duration, number, zone};
use crate::fixture;
use crate::text::{self, TextError, error};

/// Configuration of the resolver under test.
#[derive(Clone, Debug)]
pub struct Config {
    /// Server blocks; one for `.` if the scenario has no `zone`.
    pub blocks: Vec<Block>,
    /// Limits of the worker; hedging is off by default.
    pub limits: ResolverLimits,
    /// Limit of the memory of waiting queries; the default without one.
    pub waiting_octets: Option<usize>,
    /// `connections`: steps establish connections and check each dial and close.
    pub check_connections: bool,
}

/// A server block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Zones it serves.
    pub zones: Vec<Name>,
    /// Its `bufsize` directive.
    pub udp_size: u16,
    /// Its `dns64` directive.
    pub dns64: Option<Dns64>,
    /// Its `cache` directive.
    pub cache: Option<CacheOptions>,
    /// Its `forward` directives.
    pub forwards: Vec<Forward>,
    /// Its `rewrite` directives.
    pub rewrites: Vec<RewriteRule>,
    /// Its `acl` directives.
    pub acl: Vec<AclRule>,
    /// `localhost_prefix` of its `local` directive.
    pub local: Option<bool>,
    /// Its directives in front of the cache but for `local` and `acl`.
    pub front: Vec<FrontPlugin>,
    /// Its `nsid` directive.
    pub nsid: Option<String>,
    /// Its `loadbalance` directive.
    pub load_balance: Option<LoadBalanceOptions>,
    /// Its `header` and `minimal` directives.
    pub message_changes: MessageChanges,
    /// Its directives that answer queries themselves.
    pub plugins: Vec<LocalPlugin>,
    /// The QNAME of its `loop` directive.
    pub loop_query: Option<Name>,
    /// `forwards` are the scenario's, not the default.
    has_forward: bool,
}

/// A `forward` directive.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Its options; `sequential`, `force_tcp` and no health checks by default.
    pub options: ForwardOptions,
    /// Its options about connections.
    pub pool: PoolOptions,
    /// Names of upstreams; `tls://NAME` is reached over TLS.
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
        Self { options, pool: PoolOptions::default(), upstreams }
    }
}

impl Block {
    /// Its directives in front of the cache, in the order of the plugin chain.
    pub(super) fn all_in_front(&self) -> Vec<FrontPlugin> {
        let local = self.local.map(|localhost_prefix| FrontPlugin::Local { localhost_prefix });
        let acl = (!self.acl.is_empty()).then(|| FrontPlugin::Acl(self.acl.as_slice().into()));
        local.into_iter().chain(acl).chain(self.front.iter().cloned()).collect()
    }

    fn new(zones: Vec<Name>) -> Self {
        Self {
            zones,
            udp_size: wire::edns::DEFAULT_UDP_SIZE,
            dns64: None,
            cache: Some(fixture::cache()),
            forwards: vec![Forward::new(Name::root(), vec!["upstream".to_owned()])],
            rewrites: Vec::new(),
            acl: Vec::new(),
            local: None,
            front: Vec::new(),
            nsid: None,
            load_balance: None,
            message_changes: MessageChanges::default(),
            plugins: Vec::new(),
            loop_query: None,
            has_forward: false,
        }
    }

    fn set_forward(&mut self, forward: Option<Forward>) {
        if !self.has_forward {
            self.forwards.clear();
        }
        self.has_forward = true;
        self.forwards.extend(forward);
    }
}

impl Default for Config {
    fn default() -> Self {
        let limits = ResolverLimits { initial_hedges: 0, ..ResolverLimits::default() };
        Self {
            blocks: vec![Block::new(vec![Name::root()])],
            limits,
            waiting_octets: None,
            check_connections: false,
        }
    }
}

/// Parser of `CONFIG` lines.
#[derive(Debug, Default)]
pub(super) struct ConfigParser {
    config: Config,
    /// `zone` has replaced the default block.
    has_zone: bool,
}

impl ConfigParser {
    pub(super) fn finish(self) -> Config {
        self.config
    }

    pub(super) fn line(&mut self, tokens: &[&str]) -> Result<(), TextError> {
        match *tokens {
            ["zone", ref zones @ ..] if !zones.is_empty() => {
                if !self.has_zone {
                    self.config.blocks.clear();
                }
                self.has_zone = true;
                self.config.blocks.push(Block::new(parse_zones(zones)?));
                Ok(())
            }
            ["limit", limit, value] => self.limit(limit, value),
            ["connections"] => {
                self.config.check_connections = true;
                Ok(())
            }
            _ => match self.config.blocks.last_mut() {
                Some(block) => parse_directive(tokens, block),
                None => error("no server block"),
            },
        }
    }

    fn limit(&mut self, limit: &str, value: &str) -> Result<(), TextError> {
        let limits = &mut self.config.limits;
        match limit {
            "waiting_octets" => self.config.waiting_octets = Some(number(value)?),
            "refreshes" => limits.refreshes = number(value)?,
            "waiters_per_query" => limits.waiters_per_query = number(value)?,
            "initial_hedges" => limits.initial_hedges = number(value)?,
            "query_deadline" => limits.query_deadline = duration(value)?,
            _ => {
                return error(format!(
                    "`{limit}` is not a limit: waiting_octets, refreshes, waiters_per_query, initial_hedges, query_deadline"
                ));
            }
        }
        Ok(())
    }
}

fn parse_directive(tokens: &[&str], block: &mut Block) -> Result<(), TextError> {
    match *tokens {
        ["bufsize", octets] => block.udp_size = number(octets)?,
        ["cache", "none"] => block.cache = None,
        ["cache", ref option @ ..] => {
            let Some(cache) = &mut block.cache else { return error("options after `cache none`") };
            return parse_cache(option, cache);
        }
        ["rewrite", ref rule @ ..] => block.rewrites.push(rewrite::parse(rule)?),
        ["header", "response", action, "aa"] => {
            block.message_changes.authoritative = Some(action == "set");
        }
        ["header", "query", action, "rd"] => {
            block.message_changes.recursion_desired = Some(action == "set");
        }
        ["any"] => block.front.push(FrontPlugin::Any),
        ["chaos", version, ref authors @ ..] => block.front.push(front::chaos(version, authors)),
        ["local"] => block.local = Some(true),
        ["local", "localhost_prefix", "off"] => block.local = Some(false),
        ["acl", name, ref words @ ..] => block.acl.push(front::acl_rule(name, words)?),
        ["nsid", text] => block.nsid = Some(text.to_owned()),
        ["loadbalance", ref prefer @ ..] => block.load_balance = Some(load_balance(prefer)?),
        ["dns64", ref options @ ..] => {
            let has = |option| options.contains(&option);
            let (translate_all, allow_ipv4) = (has("translate_all"), has("allow_ipv4"));
            block.dns64 = Some(Dns64 { prefix: Nat64Prefix::WELL_KNOWN, translate_all, allow_ipv4 });
        }
        ["minimal"] => block.message_changes.minimal = true,
        ["hosts", ref words @ ..] => return hosts::parse(words, &mut block.plugins),
        ["template", ref words @ ..] => return template::parse(words, &mut block.plugins),
        ["whoami"] => block.plugins.push(LocalPlugin::Whoami),
        ["loop", name] => block.loop_query = Some(zone(name)?),
        ["forward", "none"] => block.set_forward(None),
        ["forward", from, ref upstreams @ ..] if !upstreams.is_empty() => {
            let upstreams = upstreams.iter().map(|name| (*name).to_owned()).collect();
            block.set_forward(Some(Forward::new(zone(from)?, upstreams)));
        }
        _ => match block.forwards.last_mut() {
            Some(forward) => return parse_forward(tokens, forward),
            None => return error("options after `forward none`"),
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

fn parse_forward(tokens: &[&str], forward: &mut Forward) -> Result<(), TextError> {
    let Forward { options, pool, .. } = forward;
    match *tokens {
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
        ["expire", time] => pool.idle_timeout = duration(time)?,
        ["max_age", time] => pool.max_age = Some(duration(time)?),
        ["max_idle_conns", most] => pool.max_idle = Some(number(most)?),
        ["max_fails", most] => options.health_check.max_fails = number(most)?,
        ["health_check", interval, ref rest @ ..] => {
            options.health_check.interval = duration(interval)?;
            return parse_health_check(rest, &mut options.health_check);
        }
        ["failfast_all_unhealthy_upstreams"] => options.health_check.failfast = true,
        ["failover", ref rcodes @ ..] => options.failover = parse_rcodes(rcodes)?,
        ["next", ref rcodes @ ..] => options.next = parse_rcodes(rcodes)?,
        ["next_on_nodata"] => options.next_on_nodata = true,
        _ => return error(format!("`{}` is not a directive", tokens.join(" "))),
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

fn parse_rcodes(tokens: &[&str]) -> Result<Vec<Rcode>, TextError> {
    tokens.iter().map(|word| text::rcode(word).map(Rcode)).collect()
}

fn parse_networks(words: &[&str]) -> Option<Vec<Network>> {
    words.iter().map(|word| Network::parse(word)).collect()
}

/// `loadbalance [PREFIX/LENGTH…]`: with the networks that it prefers.
fn load_balance(prefer: &[&str]) -> Result<LoadBalanceOptions, TextError> {
    match parse_networks(prefer) {
        Some(prefer) => Ok(LoadBalanceOptions { prefer, weights: None }),
        None => error("loadbalance [PREFIX/LENGTH...]"),
    }
}

/// Zones; none means the root, as in a Corefile.
fn parse_zones(tokens: &[&str]) -> Result<Vec<Name>, TextError> {
    if tokens.is_empty() { Ok(vec![Name::root()]) } else { tokens.iter().map(|word| zone(word)).collect() }
}
