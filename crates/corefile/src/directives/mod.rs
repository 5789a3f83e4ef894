//! What each directive of a server block says.

use std::net::SocketAddr;
use std::time::Duration;

use resolver::policy::CacheOptions;

use crate::duration::{DurationError, parse as parse_duration};
use crate::error::ConfigError;
use crate::host::Host;
use crate::lexer::Token;
use crate::listeners::Bind;
use crate::settings::{Errors, Forward, Health, LogRule, Reload, ServerBlockKey, Timeouts};
use crate::support::{DirectiveSupport, SUPPORTED, standing};
use crate::tree::{Directive, ServerBlock};
use crate::upstream_files::UpstreamFiles;

mod bind;
mod bufsize;
mod cache;
mod endpoint;
mod errors;
mod forward;
mod log;
mod reload;
mod timeouts;

/// What a directive may look at, and where it leaves what the operator ought to know.
pub(super) struct DirectiveContext<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) keys: &'a [ServerBlockKey],
    /// What files list upstreams, as far as it is known.
    pub(super) files: &'a mut UpstreamFiles,
    pub(super) warnings: &'a mut Vec<String>,
}

/// What the directives of a block say together.
pub(super) struct BlockDirectives {
    pub(super) names: Vec<&'static str>,
    pub(super) bind: Bind,
    pub(super) bufsize: Option<u16>,
    pub(super) timeouts: Timeouts,
    pub(super) cache: Option<CacheOptions>,
    pub(super) forwards: Vec<Forward>,
    pub(super) errors: Option<Errors>,
    pub(super) log: Vec<LogRule>,
    pub(super) loop_probe: bool,
    pub(super) prometheus: Option<SocketAddr>,
    pub(super) health: Option<Health>,
    pub(super) ready: Option<SocketAddr>,
    pub(super) reload: Option<Reload>,
}

/// Directives of which a block may have one.
const ONCE: [&str; 5] = ["cache", "errors", "loop", "prometheus", "ready"];

/// Reads all directives of a block.
pub(super) fn read(
    block: &ServerBlock,
    context: &mut DirectiveContext<'_>,
) -> Result<BlockDirectives, ConfigError> {
    let has = |name: &str| block.directives.iter().any(|directive| directive.head.name.is(name));
    let mut said = BlockDirectives {
        names: SUPPORTED.into_iter().filter(|name| has(name)).collect(),
        bind: Bind::Everywhere,
        bufsize: None,
        timeouts: Timeouts::default(),
        cache: None,
        forwards: Vec::new(),
        errors: None,
        log: Vec::new(),
        loop_probe: false,
        prometheus: None,
        health: None,
        ready: None,
        reload: None,
    };
    for (at, directive) in block.directives.iter().enumerate() {
        let name = &directive.head.name;
        refuse_unbuilt(name)?;
        let mut before = block.directives.iter().take(at);
        if ONCE.contains(&&*name.text) && before.any(|other| other.head.name.is(&name.text)) {
            let reason = "this plugin can only be used once per Server Block";
            return Err(ConfigError::at(name, reason).of(&name.text));
        }
        said.add(directive, context).map_err(|error| error.of(&name.text))?;
    }
    context.warnings.extend(forward::leads_nowhere(&block.directives));
    Ok(said)
}

impl BlockDirectives {
    fn add(&mut self, directive: &Directive, context: &mut DirectiveContext<'_>) -> Result<(), ConfigError> {
        match &*directive.head.name.text {
            "bind" => bind::read(directive, context, &mut self.bind)?,
            "bufsize" => self.bufsize = self.bufsize.or(Some(bufsize::read(directive)?)),
            "cache" => self.cache = Some(cache::read(directive, context)?),
            "errors" => self.errors = Some(errors::read(directive)?),
            "forward" => self.forwards.push(forward::read(directive, context)?),
            "health" => self.health = Some(endpoint::health(directive)?),
            "log" => self.log.extend(log::read(directive, context)?),
            "loop" => {
                directive.head.bare()?;
                no_options(directive)?;
                self.loop_probe = true;
            }
            "prometheus" => self.prometheus = Some(endpoint::prometheus(directive)?),
            "ready" => self.ready = Some(endpoint::ready(directive)?),
            "reload" if self.reload.is_some() => {}
            "reload" => self.reload = Some(reload::read(directive)?),
            "timeouts" => timeouts::read(directive, &mut self.timeouts)?,
            other => {
                return Err(ConfigError::at(&directive.head.name, format!("Unknown directive '{other}'")));
            }
        }
        Ok(())
    }
}

fn refuse_unbuilt(name: &Token) -> Result<(), ConfigError> {
    let word = &name.text;
    match standing(word) {
        DirectiveSupport::Built => Ok(()),
        DirectiveSupport::NotYet => {
            let reason = format!("directive '{word}' is not supported by nodelocaldns yet");
            Err(ConfigError::at(name, reason))
        }
        DirectiveSupport::NotInNodeCache => {
            let reason =
                format!("no action found for directive '{word}' with server type 'dns' (missing a plugin?)");
            Err(ConfigError::at(name, reason))
        }
        DirectiveSupport::Unknown => Err(ConfigError::at(name, format!("Unknown directive '{word}'"))),
    }
}

/// Refuses an option we know of but do not have yet.
fn option_not_yet(option: &Token) -> ConfigError {
    ConfigError::at(option, format!("option '{}' is not supported by nodelocaldns yet", option.text))
}

/// Refuses any block of options.
fn no_options(directive: &Directive) -> Result<(), ConfigError> {
    directive.options.first().map_or(Ok(()), |option| Err(ConfigError::argument(&option.name)))
}

/// Reads a duration that is not negative.
fn duration(token: &Token) -> Result<Duration, ConfigError> {
    parse_duration(&token.text).map_err(|error| ConfigError::at(token, error.to_string()))
}

/// Reads a duration; `negative` is said of one below zero.
fn duration_or(token: &Token, negative: &str) -> Result<Duration, ConfigError> {
    parse_duration(&token.text).map_err(|error| match error {
        DurationError::Negative(_) => ConfigError::at(token, negative),
        other => ConfigError::at(token, other.to_string()),
    })
}

/// Reads a duration as [`duration_or`] does; what is no duration at all is an "invalid `what`".
fn duration_of(what: &str, token: &Token, negative: &str) -> Result<Duration, ConfigError> {
    parse_duration(&token.text).map_err(|error| match error {
        DurationError::Negative(_) => ConfigError::at(token, negative),
        other => ConfigError::at(token, format!("invalid {what}: {other}")),
    })
}

/// Reads a whole number.
fn integer(token: &Token) -> Result<i64, ConfigError> {
    let reason = || ConfigError::at(token, format!("'{}' is not a whole number", token.text));
    token.text.parse().map_err(|_| reason())
}
