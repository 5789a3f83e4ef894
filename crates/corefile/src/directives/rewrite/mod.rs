//! ```text
//! rewrite [continue|stop] FIELD ...
//!     name [exact|prefix|suffix|substring|regex] FROM TO [answer auto | answer name|value REGEXP TO]...
//!     type FROM TO
//!     class FROM TO
//!     ttl [exact|...|regex] NAME SECONDS|MIN-|-MAX|MIN-MAX
//!     cname [exact|...|regex] FROM TO
//!     rcode [exact|...|regex] NAME FROM TO
//!     edns0 local|nsid|subnet set|append|replace|unset ... [revert]
//! ```
//!
//! Changes queries on their way from the cache to an upstream, and the responses on their way back.
//! A block behind it is one rule, as if its lines were arguments. Rules are tried in the order of
//! the file; the first that applies is the last one, unless it begins with `continue`.

mod answer;
mod cname;
mod edns0;
mod name;
mod pattern;
mod response;

use resolver::policy::rewrite::{RewriteField, RewriteRule};
use wire::header::{Class, RecordType};

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::Directive;

/// The fields of rules.
const FIELDS: [&str; 7] = ["name", "type", "class", "ttl", "cname", "rcode", "edns0"];

/// `None` for a rule that never applies.
pub(super) fn parse(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
) -> Result<Option<RewriteRule>, ConfigError> {
    let tokens = flatten(directive)?;
    let (continues, tokens) = match &*tokens {
        [mode, rest @ ..] if mode.text.eq_ignore_ascii_case("continue") => (true, rest),
        [mode, rest @ ..] if mode.text.eq_ignore_ascii_case("stop") => (false, rest),
        rest => (false, rest),
    };
    let Some((field, arguments)) = tokens.split_first() else {
        return Err(ConfigError::at(directive.name(), "no rule type specified for rewrite"));
    };
    let field = match &*field.text.to_ascii_lowercase() {
        "name" => match name::parse(field, arguments, directive, context)? {
            Some(name) => name,
            None => return Ok(None),
        },
        "type" => {
            let (from, to) = mnemonics((field, "type"), arguments, RecordType::from_mnemonic)?;
            RewriteField::Type(from, to)
        }
        "class" => {
            let (from, to) = mnemonics((field, "class"), arguments, Class::from_mnemonic)?;
            RewriteField::Class(from, to)
        }
        "ttl" => response::ttl(field, arguments)?,
        "rcode" => response::rcode(field, arguments)?,
        "edns0" => RewriteField::Option(edns0::parse(field, arguments, directive, context)?),
        "answer" => return Err(ConfigError::at(field, "response rewrites must begin with a name rule")),
        "cname" => cname::parse(field, arguments)?,
        other => return Err(ConfigError::unknown(field, format!("invalid rule type {other:?}"), &FIELDS)),
    };
    Ok(Some(RewriteRule { continues, field }))
}

/// The arguments and, without a second one, the words of the block.
fn flatten(directive: &Directive) -> Result<Vec<&Token>, ConfigError> {
    let mut tokens: Vec<&Token> = directive.line.args.iter().collect();
    if tokens.len() > 1 {
        directive.no_options()?;
    }
    for option in &directive.options {
        tokens.push(&option.name);
        tokens.extend(&option.args);
    }
    Ok(tokens)
}

/// The two mnemonics of a rule about a `kind`.
fn mnemonics<T>(
    (field, kind): (&Token, &str),
    arguments: &[&Token],
    from_mnemonic: impl Fn(&str) -> Option<T>,
) -> Result<(T, T), ConfigError> {
    let [from, to] = *arguments else {
        return Err(ConfigError::at(field, format!("{} rules must have exactly two arguments", field.text)));
    };
    let parse = |token: &Token| {
        let mnemonic = token.text.to_ascii_uppercase();
        from_mnemonic(&mnemonic).ok_or_else(|| ConfigError::at(token, format!("invalid {kind} {mnemonic:?}")))
    };
    Ok((parse(from)?, parse(to)?))
}
