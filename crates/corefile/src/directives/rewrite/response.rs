//! `rewrite ttl` and `rewrite rcode`: changes to responses.

use resolver::policy::rewrite::{NamePattern, RewriteField};
use wire::header::Rcode;

use super::pattern::{KINDS, pattern};
use crate::error::ConfigError;
use crate::token::Token;

/// The largest TTL (RFC 2181 section 8).
const MAX_TTL: u32 = 0x7fff_ffff;
/// The largest response code that has a name.
const MAX_RCODE: u16 = 23;

pub(super) fn ttl(field: &Token, arguments: &[&Token]) -> Result<RewriteField, ConfigError> {
    let (kind, name, ttl) = match *arguments {
        [name, ttl] => (None, name, ttl),
        [kind, name, ttl] => (Some(kind), name, ttl),
        _ => return Err(argument_count(field, arguments, 3)),
    };
    let reason = || ConfigError::at(ttl, format!("invalid TTL '{}' for a ttl rule", ttl.text));
    let (min, max) = ttl_range(&ttl.text).ok_or_else(reason)?;
    let pattern = name_pattern(field, kind, name)?;
    Ok(RewriteField::Ttl { pattern, min, max })
}

pub(super) fn rcode(field: &Token, arguments: &[&Token]) -> Result<RewriteField, ConfigError> {
    let (kind, name, from, to) = match *arguments {
        [name, from, to] => (None, name, from, to),
        [kind, name, from, to] => (Some(kind), name, from, to),
        _ => return Err(argument_count(field, arguments, 4)),
    };
    let rcode = |token: &Token, what| {
        let rcode = rcode_of(&token.text);
        let reason = || format!("invalid {what} RCODE '{}' for a rcode rule", token.text);
        rcode.ok_or_else(|| ConfigError::at(token, reason()))
    };
    let (from, to) = (rcode(from, "matching")?, rcode(to, "replacement")?);
    let pattern = name_pattern(field, kind, name)?;
    Ok(RewriteField::Rcode { pattern, from, to })
}

fn argument_count(field: &Token, arguments: &[&Token], most: usize) -> ConfigError {
    let (count, name) = (arguments.len(), &field.text);
    let adjective = if count > most { "many" } else { "few" };
    ConfigError::at(field, format!("too {adjective} ({count}) arguments for a {name} rule"))
}

fn name_pattern(field: &Token, kind: Option<&Token>, name: &Token) -> Result<NamePattern, ConfigError> {
    let kind_text = kind.map_or_else(|| "exact".to_owned(), |kind| kind.text.to_ascii_lowercase());
    let rule = &field.text;
    let invalid = format!("invalid regex pattern in a {rule} rule");
    pattern(&kind_text, name, &invalid)?.ok_or_else(|| {
        let reason =
            format!("{rule} rule supports only exact, prefix, suffix, substring, and regex name matching");
        ConfigError::unknown(kind.unwrap_or(name), reason, &KINDS)
    })
}

/// `N`, `MIN-`, `-MAX` or `MIN-MAX`.
fn ttl_range(text: &str) -> Option<(u32, u32)> {
    let Some((min, max)) = text.split_once('-') else {
        let ttl = text.parse().ok()?;
        return Some((ttl, ttl));
    };
    if min.is_empty() && max.is_empty() {
        return None;
    }
    let min = if min.is_empty() { 0 } else { min.parse().ok()? };
    let max = if max.is_empty() { MAX_TTL } else { max.parse().ok()? };
    (min <= max).then_some((min, max))
}

fn rcode_of(text: &str) -> Option<Rcode> {
    let number = text.parse().ok().filter(|number| *number <= MAX_RCODE).map(Rcode);
    number.or_else(|| Rcode::from_mnemonic(&text.to_ascii_uppercase()))
}
