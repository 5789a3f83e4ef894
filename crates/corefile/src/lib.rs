//! The configuration: from options, environment and Corefile to checked [`Settings`].
//!
//! The way of a Corefile: `source` finds the text and puts in the variables of a template, `lexer` cuts it
//! into words, `import` puts files and snippets in their places, `tree` makes server blocks of it,
//! `directives` reads what each directive says, `listeners` finds out who answers where. What is wrong on the
//! way ends it with a [`ConfigError`].

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

mod address;
mod builtin;
mod directives;
pub mod duration;
pub mod environment;
mod error;
mod hash;
pub mod host;
mod import;
mod keys;
mod lexer;
mod listeners;
pub mod options;
pub mod settings;
mod source;
mod support;
mod tree;
pub mod upstream_files;

pub use address::parse_listen_address;
pub use environment::Environment;
pub use error::ConfigError;
pub use options::Options;
pub use settings::Settings;
pub use support::SUPPORTED as SUPPORTED_DIRECTIVES;
pub use support::handles_queries;

use directives::{BlockDirectives, DirectiveContext};
use host::Host;
use import::Reader;
use listeners::Listeners;
use settings::{Block, LoopProbeTarget, ServerBlockKey, Timeouts};
use tree::ServerBlock;
use upstream_files::UpstreamFiles;

/// A Corefile that was read but whose directives were not looked at.
#[derive(Debug)]
pub struct Corefile {
    source: String,
    hash: String,
    blocks: Vec<ServerBlock>,
    warnings: Vec<String>,
}

impl Corefile {
    /// Finds and reads the Corefile that options and environment ask for.
    ///
    /// # Errors
    /// It cannot be read, or is not of the form of a Corefile.
    pub fn parse(options: &Options, env: &Environment, host: &dyn Host) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let source = source::choose(options, env, host, &mut warnings)?;
        let name = source.name.clone();
        let blocks = tree::parse(Reader::new(source, env, host, &mut warnings))?;
        if blocks.is_empty() {
            return Err(ConfigError::plain(format!("{name} has no server block")));
        }
        Ok(Self { source: name, hash: hash::of(&blocks), blocks, warnings })
    }

    /// As [`Settings::hash`]; equal hashes need no [`Corefile::build_settings`].
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Looks at all directives, and reads the files that list upstreams.
    ///
    /// # Errors
    /// The first word that cannot be obeyed.
    pub fn build_settings(&self, options: &Options, host: &dyn Host) -> Result<Settings, ConfigError> {
        self.build_settings_with(UpstreamFiles::new(), options, host)
    }

    /// As [`Corefile::build_settings`]; `known` says what files list, which are then not read.
    ///
    /// # Errors
    /// As [`Corefile::build_settings`].
    pub fn build_settings_with(
        &self,
        known: UpstreamFiles,
        options: &Options,
        host: &dyn Host,
    ) -> Result<Settings, ConfigError> {
        let mut warnings = self.warnings.clone();
        let mut files = known;
        let mut settings = Settings {
            source: self.source.clone(),
            hash: self.hash.clone(),
            blocks: Vec::new(),
            listeners: Vec::new(),
            health: None,
            ready: None,
            prometheus: Vec::new(),
            reload: None,
            upstream_files: UpstreamFiles::new(),
            warnings: Vec::new(),
        };
        let mut listeners = Listeners::default();
        for (number, block) in self.blocks.iter().enumerate() {
            let keys = keys_of(block, options.dns_port, &mut warnings)?;
            let zones: Vec<ServerBlockKey> = keys.iter().map(|(_, zone)| zone.clone()).collect();
            let mut context =
                DirectiveContext { host, keys: &zones, files: &mut files, warnings: &mut warnings };
            let said = directives::read(block, &mut context)?;
            for (word, zone) in &keys {
                listeners.add(word, zone, &said.bind, number)?;
            }
            settings.take_shared(&said, &mut warnings);
            settings.blocks.push(settled(block, zones, said));
        }
        settings.listeners = listeners.finish();
        settings.upstream_files = files;
        settings.share_timeouts();
        let mut seen = BTreeSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
        settings.warnings = warnings;
        Ok(settings)
    }
}

/// Reads, checks and settles the whole configuration.
///
/// # Errors
/// What is wrong, with file, line and reason. Whatever runs keeps running: nothing was changed.
pub fn load(options: &Options, env: &Environment, host: &dyn Host) -> Result<Settings, ConfigError> {
    Corefile::parse(options, env, host)?.build_settings(options, host)
}

impl Settings {
    /// Takes over what a block says for the whole process.
    fn take_shared(&mut self, said: &BlockDirectives, warnings: &mut Vec<String>) {
        if let (Some(old), Some(new)) = (self.health, said.health)
            && old.address != new.address
        {
            warnings.push(format!("/health is served on {} only, not on {}", new.address, old.address));
        }
        if let (Some(old), Some(new)) = (self.ready, said.ready)
            && old != new
        {
            warnings.push(format!("/ready is served on {new} only, not on {old}"));
        }
        self.health = said.health.or(self.health);
        self.ready = said.ready.or(self.ready);
        self.reload = said.reload.or(self.reload);
        if let Some(address) = said.prometheus.filter(|address| !self.prometheus.contains(address)) {
            self.prometheus.push(address);
        }
    }
}

impl Settings {
    /// Connections come to an address, not to a block: what its blocks say of them is put together.
    fn share_timeouts(&mut self) {
        for listener in &mut self.listeners {
            let blocks = listener.zones.iter().filter_map(|(_, index)| self.blocks.get(*index));
            listener.timeouts =
                blocks.fold(Timeouts::default(), |said, block| said.overruled_by(block.timeouts));
        }
    }
}

/// The zones of a block, each with the word it came from.
fn keys_of<'a>(
    block: &'a ServerBlock,
    default_port: u16,
    warnings: &mut Vec<String>,
) -> Result<Vec<(&'a lexer::Token, ServerBlockKey)>, ConfigError> {
    let mut keys = Vec::new();
    for word in &block.keys {
        for key in keys::keys(word, default_port)? {
            let zone = key.zone.to_string();
            if zone.contains("__pillar__") {
                warnings.push(format!(
                    "{} - '{}' was not replaced; an installer replaces DNS__DOMAIN, \
                     and -basecorefile the others",
                    word.place(),
                    word.text
                ));
            } else if !keys::is_preferred_syntax(&zone) {
                warnings.push(format!(
                    "{} - Domain \"{zone}\" does not follow RFC1035 preferred syntax",
                    word.place()
                ));
            }
            keys.push((word, key));
        }
    }
    Ok(keys)
}

fn settled(block: &ServerBlock, keys: Vec<ServerBlockKey>, said: BlockDirectives) -> Block {
    let port = keys.first().map_or(0, |key| key.port);
    let first = said.bind.first(port);
    let zone = keys.first().map(|key| key.zone.clone());
    let loop_probe =
        said.loop_probe.then(|| Some(LoopProbeTarget { zone: zone?, address: first? })).flatten();
    Block {
        place: block.keys.first().map(lexer::Token::place).unwrap_or_default(),
        fingerprint: fingerprint(&keys, &said),
        keys,
        directives: said.names,
        bufsize: said.bufsize,
        timeouts: said.timeouts,
        cache: said.cache,
        forwards: said.forwards,
        errors: said.errors,
        log: said.log,
        loop_probe,
        prometheus: said.prometheus.is_some(),
    }
}

/// All on which the meaning of a cached answer depends: zones, where they are asked, how long answers live. Options
/// that only say how an answer is told, or when it is asked again, are not part of it.
/// The first address goes in as well because blocks for the same zone on different addresses have caches of
/// their own.
fn fingerprint(keys: &[ServerBlockKey], said: &BlockDirectives) -> String {
    let zones: Vec<String> = keys.iter().map(|key| format!("{}:{}", key.zone, key.port)).collect();
    let names =
        |zones: &[wire::name::Name]| zones.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let codes =
        |codes: &[wire::header::Rcode]| codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let cache = said.cache.as_ref().map(|cache| {
        let store = |store: &resolver::policy::StoreOptions| {
            format!("{} {} [{}]", store.max_ttl, store.min_ttl, names(&store.disabled))
        };
        let (success, denial) = (store(&cache.success), store(&cache.denial));
        format!("[{}] {success} {denial} {:?}", names(&cache.zones), cache.servfail)
    });
    let forwards: Vec<String> = said
        .forwards
        .iter()
        .map(|forward| {
            let mut upstreams: Vec<String> = forward.upstreams.iter().map(ToString::to_string).collect();
            upstreams.sort();
            let (failover, next) = (codes(&forward.options.failover), codes(&forward.options.next));
            let elsewhere = format!("[{failover}] [{next}] {}", forward.options.next_on_nodata);
            let except = names(&forward.options.except);
            format!("{} except [{except}] to {} or {elsewhere}", forward.options.from, upstreams.join(" "))
        })
        .collect();
    format!(
        "{} on {:?} cache {} forward {}",
        zones.join(" "),
        said.bind.first(0),
        cache.unwrap_or_default(),
        forwards.join("; ")
    )
}
