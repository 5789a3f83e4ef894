//! [`SettingsBuilder`]: server blocks to [`Settings`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::directives::{self, BlockDirectives, DirectiveContext};
use crate::error_list::{ConfigErrors, ErrorList};
use crate::fingerprint::fingerprint;
use crate::host::Host;
use crate::known_files::KnownFiles;
use crate::listeners::Listeners;
use crate::options::Options;
use crate::settings::{Block, LoopQueryTarget, Reload, ServerBlockKey, Settings, Timeouts};
use crate::token::Token;
use crate::tree::ServerBlock;
use crate::zones;

/// Builds settings block by block.
pub(crate) struct SettingsBuilder<'a> {
    options: &'a Options,
    host: &'a dyn Host,
    blocks: Vec<Block>,
    listeners: Listeners,
    process: ProcessDirectives,
    files: KnownFiles,
    warnings: Vec<String>,
    errors: ErrorList,
    ca_file: Option<&'a Path>,
    /// False if directives may be missing, because the syntax is wrong.
    complete: bool,
}

/// Directives that apply to the whole process, whichever block they are in.
#[derive(Default)]
struct ProcessDirectives {
    health: Vec<SocketAddr>,
    lameduck: Duration,
    ready: Vec<SocketAddr>,
    prometheus: Vec<SocketAddr>,
    endpoint_locations: BTreeMap<SocketAddr, String>,
    reload: Option<Reload>,
    debug: bool,
}

impl<'a> SettingsBuilder<'a> {
    /// Those of `files` are not read.
    pub(crate) fn new(options: &'a Options, host: &'a dyn Host, files: KnownFiles) -> Self {
        Self {
            options,
            host,
            blocks: Vec::new(),
            listeners: Listeners::default(),
            process: ProcessDirectives::default(),
            files,
            warnings: Vec::new(),
            errors: ErrorList::default(),
            ca_file: None,
            complete: true,
        }
    }

    /// With a file of CA certificates in place of the system's.
    pub(crate) fn with_ca_file(self, ca_file: Option<&'a Path>) -> Self {
        Self { ca_file, ..self }
    }

    /// With the warnings of the parser, which come first.
    pub(crate) fn with_warnings(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }

    /// With the errors of the parser.
    pub(crate) fn with_errors(self, errors: ErrorList) -> Self {
        Self { errors, complete: false, ..self }
    }

    /// Validates a server block.
    pub(crate) fn add_block(&mut self, block: &ServerBlock) {
        let keys = self.parse_keys(block);
        let zones: Vec<ServerBlockKey> = keys.iter().map(|(_, key)| key.clone()).collect();
        let mut context = DirectiveContext {
            host: self.host,
            keys: &zones,
            ca_file: self.ca_file,
            files: &mut self.files,
            warnings: &mut self.warnings,
        };
        let errors_before = self.errors.len();
        let mut directives = directives::parse(block, &mut context, &mut self.errors);
        if let Some(cache) = &mut directives.cache {
            cache.stale_on_outage = self.options.stale_on_outage;
        }
        // Without its `bind`, a block would overlap others.
        if self.complete && !self.errors.is_any_in_directive(errors_before, "bind") {
            for (token, key) in &keys {
                let added = self.listeners.add(token, key, &directives.bind, self.blocks.len());
                added.unwrap_or_else(|error| self.errors.push(error));
            }
        }
        self.process.add(&directives);
        self.blocks.push(build_block(block, zones, directives));
    }

    /// The keys of a block, each with the token it comes from.
    fn parse_keys<'t>(&mut self, block: &'t ServerBlock) -> Vec<(&'t Token, ServerBlockKey)> {
        let mut keys = Vec::new();
        for token in &block.keys {
            match zones::parse_key(token, self.options.dns_port) {
                Ok(parsed) => keys.extend(parsed.into_iter().map(|key| (token, key))),
                Err(error) if token.has_attached_brace() => {
                    self.errors.push(error.with_remedy("a space is missing before '{'"));
                }
                Err(error) => self.errors.push(error),
            }
        }
        self.warnings.extend(keys.iter().filter_map(|(token, key)| zone_warning(token, key)));
        keys
    }

    /// # Errors
    /// All errors.
    pub(crate) fn finish(self, source: String, hash: String) -> Result<Settings, ConfigErrors> {
        let Self { blocks, process, files, mut warnings, .. } = self;
        self.errors.into_result()?;
        let mut listeners = self.listeners.finish();
        // TCP connections are to an address, before any query selects a block.
        for listener in &mut listeners {
            let served = listener.zones.iter().filter_map(|(_, index)| blocks.get(*index));
            listener.timeouts =
                served.fold(Timeouts::default(), |timeouts, block| timeouts.overridden_by(block.timeouts));
        }
        let mut seen = BTreeSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
        let ProcessDirectives { health, lameduck, ready, prometheus, endpoint_locations, reload, debug } =
            process;
        Ok(Settings {
            source,
            hash,
            blocks,
            listeners,
            health,
            lameduck,
            ready,
            prometheus,
            endpoint_locations,
            reload,
            debug,
            files,
            warnings,
        })
    }
}

impl ProcessDirectives {
    fn add(&mut self, block: &BlockDirectives) {
        if let Some((address, lameduck)) = block.health {
            add_address(&mut self.health, address);
            self.lameduck = self.lameduck.max(lameduck);
        }
        block.ready.into_iter().for_each(|address| add_address(&mut self.ready, address));
        block.prometheus.into_iter().for_each(|address| add_address(&mut self.prometheus, address));
        self.reload = block.reload.or(self.reload);
        self.debug |= block.debug;
        for (address, location) in &block.endpoint_locations {
            self.endpoint_locations.entry(*address).or_insert_with(|| location.clone());
        }
    }
}

fn add_address(addresses: &mut Vec<SocketAddr>, address: SocketAddr) {
    if !addresses.contains(&address) {
        addresses.push(address);
    }
}

/// A zone that is probably not meant as it is written.
fn zone_warning(token: &Token, key: &ServerBlockKey) -> Option<String> {
    let (zone, location) = (key.zone.to_string(), token.location());
    if zone.contains("__pillar__") {
        return Some(format!(
            "{location} - '{}' was not replaced; an installer replaces DNS__DOMAIN, \
             and -basecorefile the others",
            token.text
        ));
    }
    let is_plain = token.has_attached_brace() || zones::is_preferred_syntax(&zone);
    (!is_plain).then(|| format!("{location} - Domain \"{zone}\" does not follow RFC1035 preferred syntax"))
}

fn build_block(block: &ServerBlock, keys: Vec<ServerBlockKey>, directives: BlockDirectives) -> Block {
    let first_key = keys.first();
    let address = directives.bind.first(first_key.map_or(0, |key| key.port));
    let zone = first_key.map(|key| key.zone.clone());
    let target = || Some(LoopQueryTarget { zone: zone?, address: address? });
    Block {
        location: block.keys.first().map(Token::location).unwrap_or_default(),
        fingerprint: fingerprint(&keys, &directives),
        plugins: directives.plugins(),
        front: directives.front(),
        nsid: directives.nsid,
        load_balance: directives.load_balance,
        weight_file: directives.weight_file,
        rewrites: directives.rewrites.into(),
        message_changes: directives.message_changes,
        loop_query: if directives.loop_detection { target() } else { None },
        keys,
        directives: directives.names,
        bufsize: directives.bufsize,
        timeouts: directives.timeouts,
        dns64: directives.dns64,
        cache: directives.cache,
        hosts: directives.hosts.map(|hosts| hosts.file),
        forwards: directives.forwards,
        errors: directives.errors,
        log: directives.log,
        metadata: directives.metadata,
        prometheus: directives.prometheus.is_some(),
    }
}
