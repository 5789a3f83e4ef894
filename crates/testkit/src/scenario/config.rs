//! Configuration of a scenario: the `CONFIG` lines, with the Corefile's directives.

mod cache;
mod forward;
mod front;
mod hosts;
mod rewrite;
mod template;

use resolver::policy::rewrite::RewriteRule;
use resolver::policy::{
    AclRule, CacheOptions, Dns64, FrontPlugin, LoadBalanceOptions, LocalPlugin, MessageChanges, Nat64Prefix,
    ResolverLimits,
};
use wire::name::Name;

pub use self::forward::Forward;
use super::tokens::{duration, number, parse_networks, parse_zones, zone};
use crate::fixture;
use crate::text::{TextError, error};

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

impl Block {
    /// Its directives in front of the cache, in the order of the plugin chain.
    pub(super) fn all_in_front(&self) -> Vec<FrontPlugin> {
        let local = self.local.map(|localhost_prefix| FrontPlugin::Local { localhost_prefix });
        let acl = (!self.acl.is_empty()).then(|| FrontPlugin::Acl(self.acl.as_slice().into()));
        local.into_iter().chain(acl).chain(self.front.iter().cloned()).collect()
    }

    /// The last directive of its plugin chain, as far as scenarios tell.
    pub(super) fn last_directive(&self) -> Option<&'static str> {
        let names = [
            ("whoami", self.plugins.iter().any(|plugin| matches!(plugin, LocalPlugin::Whoami))),
            ("forward", !self.forwards.is_empty()),
            ("hosts", self.plugins.iter().any(|plugin| matches!(plugin, LocalPlugin::Hosts(_)))),
            ("template", self.plugins.iter().any(|plugin| matches!(plugin, LocalPlugin::Template(_)))),
            ("rewrite", !self.rewrites.is_empty()),
            ("cache", self.cache.is_some()),
        ];
        names.into_iter().find(|(_, is_there)| *is_there).map(|(name, _)| name)
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
            return cache::parse_option(option, cache);
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
            Some(forward) => return forward::parse_option(tokens, forward),
            None => return error("options after `forward none`"),
        },
    }
    Ok(())
}

/// `loadbalance [PREFIX/LENGTH…]`: with the networks that it prefers.
fn load_balance(prefer: &[&str]) -> Result<LoadBalanceOptions, TextError> {
    match parse_networks(prefer) {
        Some(prefer) => Ok(LoadBalanceOptions { prefer, weights: None }),
        None => error("loadbalance [PREFIX/LENGTH...]"),
    }
}
