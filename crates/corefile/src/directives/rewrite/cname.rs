//! `rewrite cname`.

use resolver::policy::rewrite::{NamePattern, RewriteField};

use super::pattern::{KINDS, Replacement, normalize, pattern};
use crate::error::ConfigError;
use crate::token::Token;

pub(super) fn parse(field: &Token, arguments: &[&Token]) -> Result<RewriteField, ConfigError> {
    let (kind, from, to) = match *arguments {
        [from, to] => (None, from, to),
        [kind, from, to] => (Some(kind), from, to),
        _ => {
            let (count, adjective) = (arguments.len(), if arguments.len() > 3 { "many" } else { "few" });
            let reason = format!("too {adjective} ({count}) arguments for a cname rule");
            return Err(ConfigError::at(field, reason));
        }
    };
    let kind_text = kind.map_or_else(|| "exact".to_owned(), |kind| kind.text.to_ascii_lowercase());
    let lower = |token: &Token| token.text.to_ascii_lowercase();
    let (pattern, to) = match &*kind_text {
        // Parts of a name, which CoreDNS does not complete with a dot.
        "prefix" => (NamePattern::Prefix(lower(from)), lower(to)),
        "substring" => (NamePattern::Substring(lower(from)), lower(to)),
        kind_text => match pattern(kind_text, from, "invalid cname rewrite regex pattern")? {
            Some(NamePattern::Regex(regex)) => {
                let Replacement(to) = Replacement::new(&regex, from, to)?;
                (NamePattern::Regex(regex), to)
            }
            Some(pattern) => (pattern, normalize(&to.text)),
            None => {
                let reason = format!("unknown cname rewrite type: {kind_text}");
                return Err(ConfigError::unknown(kind.unwrap_or(from), reason, &KINDS));
            }
        },
    };
    Ok(RewriteField::CnameTarget { pattern, to })
}
