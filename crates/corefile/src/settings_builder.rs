//! [`SettingsBuilder`]: server blocks to [`Settings`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::directives::{self, BlockDirectives, DirectiveContext};
use crate::error::ConfigError;
use crate::fingerprint::fingerprint;
use crate::host::Host;
use crate::listeners::Listeners;
use crate::options::Options;
use crate::settings::{Block, Health, LoopQueryTarget, Reload, ServerBlockKey, Settings, Timeouts};
use crate::token::Token;
use crate::tree::ServerBlock;
use crate::upstream_files::UpstreamFiles;
use crate::zones;

/// Builds settings block by block.
pub(crate) struct SettingsBuilder<'a> {
    options: &'a Options,
    host: &'a dyn Host,
    blocks: Vec<Block>,
    listeners: Listeners,
    process: ProcessDirectives,
    upstream_files: UpstreamFiles,
    warnings: Vec<String>,
}

/// Directives that apply to the whole process, whichever block they are in.
#[derive(Default)]
struct ProcessDirectives {
    health: Option<Health>,
    ready: Option<SocketAddr>,
    prometheus: Vec<SocketAddr>,
    endpoint_locations: BTreeMap<SocketAddr, String>,
    reload: Option<Reload>,
    debug: bool,
}

impl<'a> SettingsBuilder<'a> {
    /// Upstream files in `upstream_files` are not read; `warnings` come first.
    pub(crate) fn new(
        options: &'a Options,
        host: &'a dyn Host,
        upstream_files: UpstreamFiles,
        warnings: Vec<String>,
    ) -> Self {
        let (blocks, listeners, process) = (Vec::new(), Listeners::default(), ProcessDirectives::default());
        Self { options, host, blocks, listeners, process, upstream_files, warnings }
    }

    /// Validates a server block.
    pub(crate) fn add_block(&mut self, block: &ServerBlock) -> Result<(), ConfigError> {
        let keys = parse_keys(block, self.options.dns_port, &mut self.warnings)?;
        let zones: Vec<ServerBlockKey> = keys.iter().map(|(_, key)| key.clone()).collect();
        let mut context = DirectiveContext {
            host: self.host,
            keys: &zones,
            upstream_files: &mut self.upstream_files,
            warnings: &mut self.warnings,
        };
        let mut directives = directives::parse(block, &mut context)?;
        if let Some(cache) = &mut directives.cache {
            cache.stale_on_outage = self.options.stale_on_outage;
        }
        for (token, key) in &keys {
            self.listeners.add(token, key, &directives.bind, self.blocks.len())?;
        }
        self.process.add(&directives, &mut self.warnings);
        self.blocks.push(build_block(block, zones, directives));
        Ok(())
    }

    pub(crate) fn finish(self, source: String, hash: String) -> Settings {
        let Self { blocks, process, upstream_files, mut warnings, .. } = self;
        let mut listeners = self.listeners.finish();
        // TCP connections are to an address, before any query selects a block.
        for listener in &mut listeners {
            let served = listener.zones.iter().filter_map(|(_, index)| blocks.get(*index));
            listener.timeouts =
                served.fold(Timeouts::default(), |timeouts, block| timeouts.overridden_by(block.timeouts));
        }
        let mut seen = BTreeSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
        let ProcessDirectives { health, ready, prometheus, endpoint_locations, reload, debug } = process;
        Settings {
            source,
            hash,
            blocks,
            listeners,
            health,
            ready,
            prometheus,
            endpoint_locations,
            reload,
            debug,
            upstream_files,
            warnings,
        }
    }
}

impl ProcessDirectives {
    fn add(&mut self, block: &BlockDirectives, warnings: &mut Vec<String>) {
        if let (Some(old), Some(new)) = (self.health, block.health)
            && old.address != new.address
        {
            warnings.push(format!("/health is served on {} only, not on {}", new.address, old.address));
        }
        if let (Some(old), Some(new)) = (self.ready, block.ready)
            && old != new
        {
            warnings.push(format!("/ready is served on {new} only, not on {old}"));
        }
        self.health = block.health.or(self.health);
        self.ready = block.ready.or(self.ready);
        self.reload = block.reload.or(self.reload);
        self.debug |= block.debug;
        for (address, location) in &block.endpoint_locations {
            self.endpoint_locations.entry(*address).or_insert_with(|| location.clone());
        }
        if let Some(address) = block.prometheus.filter(|address| !self.prometheus.contains(address)) {
            self.prometheus.push(address);
        }
    }
}

/// The keys of a block, each with the token it comes from.
fn parse_keys<'a>(
    block: &'a ServerBlock,
    default_port: u16,
    warnings: &mut Vec<String>,
) -> Result<Vec<(&'a Token, ServerBlockKey)>, ConfigError> {
    let mut keys = Vec::new();
    for token in &block.keys {
        let parsed =
            zones::parse_key(token, default_port).map_err(|error| match token.has_attached_brace() {
                true => error.with_remedy("a space is missing before '{'"),
                false => error,
            });
        for key in parsed? {
            let (zone, location) = (key.zone.to_string(), token.location());
            if zone.contains("__pillar__") {
                warnings.push(format!(
                    "{location} - '{}' was not replaced; an installer replaces DNS__DOMAIN, \
                     and -basecorefile the others",
                    token.text
                ));
            } else if !token.has_attached_brace() && !zones::is_preferred_syntax(&zone) {
                warnings
                    .push(format!("{location} - Domain \"{zone}\" does not follow RFC1035 preferred syntax"));
            }
            keys.push((token, key));
        }
    }
    Ok(keys)
}

fn build_block(block: &ServerBlock, keys: Vec<ServerBlockKey>, directives: BlockDirectives) -> Block {
    let first_key = keys.first();
    let address = directives.bind.first(first_key.map_or(0, |key| key.port));
    let zone = first_key.map(|key| key.zone.clone());
    let target = || Some(LoopQueryTarget { zone: zone?, address: address? });
    Block {
        location: block.keys.first().map(Token::location).unwrap_or_default(),
        fingerprint: fingerprint(&keys, &directives),
        loop_query: if directives.loop_detection { target() } else { None },
        keys,
        directives: directives.names,
        bufsize: directives.bufsize,
        timeouts: directives.timeouts,
        cache: directives.cache,
        forwards: directives.forwards,
        errors: directives.errors,
        log: directives.log,
        prometheus: directives.prometheus.is_some(),
    }
}
