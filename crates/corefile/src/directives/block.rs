//! All directives of a server block, validated.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use resolver::policy::rewrite::RewriteRule;
use resolver::policy::template::Template;
use resolver::policy::{
    AclRule, CacheOptions, Chaos, Dns64, FrontPlugin, LoadBalanceOptions, LocalPlugin, MessageChanges,
};

use super::context::DirectiveContext;
use super::hosts::HostsDirective;
use super::report_all::report_all;
use super::{
    acl, any, bind, bufsize, cache, chaos, debug, dns64, dnstap, errors, forward, header, health, hosts,
    loadbalance, local, log, loop_detection, metadata, minimal, nsid, pprof, prometheus, ready, reload,
    rewrite, template, timeouts, trace, whoami,
};
use crate::error::ConfigError;
use crate::error_list::ErrorList;
use crate::listeners::Bind;
use crate::settings::{Errors, Forward, LogRule, Reload, Timeouts, WeightFile};
use crate::support::{self, DirectiveSupport, SUPPORTED};
use crate::token::Token;
use crate::tree::{Directive, ServerBlock};

/// The directives of a server block.
pub(crate) struct BlockDirectives {
    /// Each once, in the order of the plugin chain.
    pub(crate) names: Vec<&'static str>,
    pub(crate) bind: Bind,
    pub(crate) bufsize: Option<u16>,
    pub(crate) timeouts: Timeouts,
    pub(crate) dns64: Option<Dns64>,
    pub(crate) cache: Option<CacheOptions>,
    pub(crate) debug: bool,
    pub(crate) forwards: Vec<Forward>,
    /// `localhost_prefix` of `local`.
    pub(crate) local: Option<bool>,
    pub(crate) acl: Vec<AclRule>,
    pub(crate) any: bool,
    pub(crate) chaos: Option<Arc<Chaos>>,
    pub(crate) nsid: Option<Arc<[u8]>>,
    pub(crate) load_balance: Option<LoadBalanceOptions>,
    pub(crate) weight_file: Option<WeightFile>,
    pub(crate) rewrites: Vec<RewriteRule>,
    pub(crate) message_changes: MessageChanges,
    pub(crate) templates: Vec<Arc<Template>>,
    pub(crate) hosts: Option<HostsDirective>,
    pub(crate) whoami: bool,
    pub(crate) errors: Option<Errors>,
    pub(crate) log: Vec<LogRule>,
    pub(crate) metadata: bool,
    pub(crate) loop_detection: bool,
    pub(crate) prometheus: Option<SocketAddr>,
    /// Address and `lameduck`.
    pub(crate) health: Option<(SocketAddr, Duration)>,
    pub(crate) ready: Option<SocketAddr>,
    /// Addresses of `health`, `ready` and `prometheus`, each with the `FILE:LINE` of the directive.
    pub(crate) endpoint_locations: Vec<(SocketAddr, String)>,
    pub(crate) reload: Option<Reload>,
}

/// Directives that a block may have only once.
const ONCE: [&str; 9] =
    ["cache", "errors", "hosts", "loop", "metadata", "nsid", "pprof", "prometheus", "ready"];

/// Validates all directives of a block; what is wrong is added to `errors` and left out.
pub(crate) fn parse(
    block: &ServerBlock,
    context: &mut DirectiveContext<'_>,
    errors: &mut ErrorList,
) -> BlockDirectives {
    let has = |name: &str| block.directives.iter().any(|directive| directive.name().is(name));
    let mut directives = BlockDirectives {
        names: SUPPORTED.into_iter().filter(|name| has(name)).collect(),
        bind: Bind::Wildcard,
        bufsize: None,
        timeouts: Timeouts::default(),
        dns64: None,
        cache: None,
        debug: false,
        forwards: Vec::new(),
        local: None,
        acl: Vec::new(),
        any: false,
        chaos: None,
        nsid: None,
        load_balance: None,
        weight_file: None,
        rewrites: Vec::new(),
        message_changes: MessageChanges::default(),
        templates: Vec::new(),
        hosts: None,
        whoami: false,
        errors: None,
        log: Vec::new(),
        metadata: false,
        loop_detection: false,
        prometheus: None,
        health: None,
        ready: None,
        endpoint_locations: Vec::new(),
        reload: None,
    };
    for (index, directive) in block.directives.iter().enumerate() {
        let name = directive.name();
        if let Err(error) = check_support(name) {
            errors.push(error);
            continue;
        }
        let mut before = block.directives.iter().take(index);
        if ONCE.contains(&&*name.text) && before.any(|other| other.name().is(&name.text)) {
            let reason = "this plugin can only be used once per Server Block";
            errors.push(ConfigError::at(name, reason).in_directive(&name.text));
            continue;
        }
        report_all(directive, errors, |directive| directives.add(directive, context));
    }
    context.warnings.extend(forward::next_without_successor(&block.directives));
    directives
}

impl BlockDirectives {
    fn add(&mut self, directive: &Directive, context: &mut DirectiveContext<'_>) -> Result<(), ConfigError> {
        match &*directive.name().text {
            "acl" => self.acl.push(acl::parse(directive, context)?),
            "any" => {
                any::parse(directive)?;
                self.any = true;
            }
            "bind" => bind::parse(directive, context, &mut self.bind)?,
            "bufsize" => self.bufsize = self.bufsize.or(Some(bufsize::parse(directive)?)),
            "cache" => self.cache = Some(cache::parse(directive, context)?),
            "chaos" if self.chaos.is_some() => {}
            "chaos" => self.chaos = Some(Arc::new(chaos::parse(directive, context)?)),
            "debug" => self.debug = debug::parse(directive)?,
            "dns64" => self.dns64 = Some(dns64::parse(directive, self.dns64)?),
            "dnstap" => dnstap::parse(directive, context)?,
            "errors" => self.errors = Some(errors::parse(directive)?),
            "forward" => self.forwards.push(forward::parse(directive, context)?),
            "header" => header::parse(directive, context, &mut self.message_changes)?,
            "health" => {
                let health = health::parse(directive)?;
                self.endpoint(directive, health.0);
                self.health = Some(health);
            }
            "hosts" => self.hosts = Some(hosts::parse(directive, context)?),
            "loadbalance" => {
                let (options, file) = loadbalance::parse(directive, self.load_balance.as_ref(), context)?;
                (self.load_balance, self.weight_file) = (Some(options), file);
            }
            "local" => self.local = Some(local::parse(directive, self.local)?),
            "log" => self.log.extend(log::parse(directive, context)?),
            "loop" => self.loop_detection = loop_detection::parse(directive)?,
            "metadata" => self.metadata = metadata::parse(directive)?,
            "minimal" => {
                minimal::parse(directive)?;
                self.message_changes.minimal = true;
            }
            "nsid" => self.nsid = Some(nsid::parse(directive, context)?),
            "pprof" => pprof::parse(directive, context)?,
            "prometheus" => self.prometheus = Some(self.endpoint(directive, prometheus::parse(directive)?)),
            "ready" => self.ready = Some(self.endpoint(directive, ready::parse(directive)?)),
            "reload" if self.reload.is_some() => {}
            "reload" => self.reload = Some(reload::parse(directive)?),
            "rewrite" => self.rewrites.extend(rewrite::parse(directive, context)?),
            "template" => self.templates.push(Arc::new(template::parse(directive, context)?)),
            "timeouts" => timeouts::parse(directive, &mut self.timeouts)?,
            "trace" => trace::parse(directive, context)?,
            "whoami" if self.whoami => {}
            "whoami" => {
                whoami::parse(directive)?;
                self.whoami = true;
            }
            other => {
                return Err(ConfigError::at(directive.name(), format!("Unknown directive '{other}'")));
            }
        }
        Ok(())
    }

    /// The directives that answer queries themselves, in the order of the plugin chain.
    pub(crate) fn plugins(&self) -> Vec<LocalPlugin> {
        let templates = self.templates.iter().cloned().map(LocalPlugin::Template);
        let hosts = self.hosts.as_ref().map(|hosts| LocalPlugin::Hosts(Arc::clone(&hosts.hosts)));
        templates.chain(hosts).chain(self.whoami.then_some(LocalPlugin::Whoami)).collect()
    }

    /// The directives that answer queries in front of the cache, in the order of the plugin chain.
    pub(crate) fn front(&self) -> Vec<FrontPlugin> {
        let local = self.local.map(|localhost_prefix| FrontPlugin::Local { localhost_prefix });
        let acl = (!self.acl.is_empty()).then(|| FrontPlugin::Acl(self.acl.as_slice().into()));
        let any = self.any.then_some(FrontPlugin::Any);
        let chaos = self.chaos.clone().map(FrontPlugin::Chaos);
        [local, acl, any, chaos].into_iter().flatten().collect()
    }

    /// Notes where an address is named.
    fn endpoint(&mut self, directive: &Directive, address: SocketAddr) -> SocketAddr {
        self.endpoint_locations.push((address, directive.name().location()));
        address
    }
}

fn check_support(name: &Token) -> Result<(), ConfigError> {
    let directive = &name.text;
    let reason = match support::of(directive) {
        DirectiveSupport::Supported => return Ok(()),
        DirectiveSupport::NotInNodeCache => {
            format!("no action found for directive '{directive}' with server type 'dns' (missing a plugin?)")
        }
        DirectiveSupport::Unknown => format!("Unknown directive '{directive}'"),
    };
    Err(ConfigError::at(name, reason))
}
