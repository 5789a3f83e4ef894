//! ```text
//! loadbalance [round_robin | weighted FILE] {
//!     reload DURATION
//!     prefer CIDRS...
//! }
//! ```
//!
//! Sends the addresses of each response, cached or not, in a random order, those in the networks of
//! `prefer` first. With `weighted`, one of them is put first with a probability by its weight in FILE,
//! 1 to 255 and 1 by default; FILE is checked for changes at each DURATION, 30s by default, never with
//! 0. The last of several in a block counts, with the networks of those above up to one with `weighted`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use resolver::policy::{AddressWeights, LoadBalanceOptions, Network};

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::settings::WeightFile;
use crate::token::Token;
use crate::tree::{Directive, Line};
use crate::values::duration_named;
use crate::weight_files;

const POLICIES: [&str; 2] = ["round_robin", "weighted"];
const OPTIONS: [&str; 2] = ["prefer", "reload"];
const DEFAULT_RELOAD: Duration = Duration::from_secs(30);

pub(super) fn parse(
    directive: &Directive,
    before: Option<&LoadBalanceOptions>,
    context: &mut DirectiveContext<'_>,
) -> Result<(LoadBalanceOptions, Option<WeightFile>), ConfigError> {
    let file = weight_file(directive)?;
    let before = before.filter(|_| file.is_none()).map(|before| before.prefer.clone());
    let (mut prefer, mut reload) = (before.unwrap_or_default(), DEFAULT_RELOAD);
    for option in &directive.options {
        match &*option.name.text {
            "prefer" => {
                for argument in option.arguments(1, usize::MAX)? {
                    prefer.push(network(argument)?);
                }
            }
            "reload" if file.is_some() => reload = interval(option)?,
            "reload" => return Err(ConfigError::at(&option.name, "reload is for the policy weighted only")),
            _ => return Err(ConfigError::unknown_property(&option.name, &OPTIONS)),
        }
    }
    let Some(file) = file else { return Ok((LoadBalanceOptions { prefer, weights: None }, None)) };
    let path = context.host.absolute_path(Path::new(&*file.text));
    let weights = Some(Arc::new(read(&path, file, reload, context)?));
    Ok((LoadBalanceOptions { prefer, weights }, Some(WeightFile { path, reload })))
}

/// The argument of the policy `weighted`; none of `round_robin`.
fn weight_file(directive: &Directive) -> Result<Option<&Token>, ConfigError> {
    let Some((policy, rest)) = directive.line.args.split_first() else { return Ok(None) };
    match &*policy.text {
        "round_robin" => match rest.first() {
            Some(surplus) => Err(ConfigError::at(surplus, "unknown property for round_robin")),
            None => Ok(None),
        },
        "weighted" => match rest {
            [file] => Ok(Some(file)),
            [] => Err(ConfigError::at(policy, "missing weight file argument")),
            [_, surplus, ..] => Err(ConfigError::at(surplus, "unexpected argument(s)")),
        },
        other => Err(ConfigError::unknown(policy, format!("unknown policy: {other}"), &POLICIES)),
    }
}

/// Reads FILE, once for all blocks. If it cannot be read, all weights are 1 until it can, unless it is
/// never read again.
fn read(
    path: &Path,
    file: &Token,
    reload: Duration,
    context: &mut DirectiveContext<'_>,
) -> Result<AddressWeights, ConfigError> {
    if !context.files.contents.contains_key(path) {
        let content = context.host.read_file(path).map(Arc::from);
        if let Err(error) = &content {
            let reason = format!("cannot read the weight file {}: {error}", path.display());
            if reload.is_zero() {
                return Err(ConfigError::at(file, reason));
            }
            context.warnings.push(format!("{} - {reason}; it is read when it can be", file.location()));
        }
        context.files.contents.insert(path.to_path_buf(), content.ok());
    }
    let content = context.files.contents.get(path).and_then(Option::as_deref).unwrap_or_default();
    weight_files::read(content)
        .map_err(|(line, reason)| ConfigError::at(file, format!("{}:{line}: {reason}", path.display())))
}

fn interval(option: &Line) -> Result<Duration, ConfigError> {
    let token = option.single_argument()?;
    let negative = format!("invalid negative duration for reload '{}'", token.text);
    duration_named(token, "duration for reload", &negative)
}

/// Parses an address prefix.
fn network(token: &Token) -> Result<Network, ConfigError> {
    Network::parse(&token.text).ok_or_else(|| {
        let reason = format!("'{}' is not a network in CIDR notation, such as 10.0.0.0/8", token.text);
        ConfigError::at(token, reason)
    })
}
