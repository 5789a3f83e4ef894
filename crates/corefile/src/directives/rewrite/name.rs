//! `rewrite name`.

use resolver::policy::rewrite::{NamePattern, RewriteField};

use super::answer::answers;
use super::pattern::{KINDS, Replacement, normalize, pattern};
use crate::directives::context::DirectiveContext;
use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::Directive;

/// `None` for a rule that never applies.
pub(super) fn parse(
    field: &Token,
    arguments: &[&Token],
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
) -> Result<Option<RewriteField>, ConfigError> {
    let (kind, from, to, mut rest) = match *arguments {
        [from, to] => (None, from, to, &[][..]),
        [kind, from, to, ref rest @ ..] => (Some(kind), from, to, rest),
        _ => return Err(ConfigError::at(field, "too few arguments for a name rule")),
    };
    let mut never_applies = false;
    let kind_text = kind.map_or_else(|| "exact".to_owned(), |kind| kind.text.to_ascii_lowercase());
    if kind_text == "regex"
        && let [metadata, answers @ ..] = rest
        && metadata.is("metadata")
    {
        rest = answers;
        never_applies = has_label(&to.text);
        if never_applies {
            context.warn_without_effect(directive, "no label of metadata is set before a query is rewritten");
        }
    }
    let Some(pattern) = pattern(&kind_text, from, "invalid regex matching pattern")? else {
        let reason = format!(
            "name rule supports only exact, prefix, suffix, substring, and regex name matching, \
             received: {kind_text}"
        );
        return Err(ConfigError::unknown(kind.unwrap_or(from), reason, &KINDS));
    };
    let (auto, answers) = answers(&kind_text, rest)?;
    let to = match &pattern {
        NamePattern::Regex(regex) => Replacement::new(regex, from, to)?.0,
        _ => normalize(&to.text),
    };
    let auto = auto || matches!(pattern, NamePattern::Exact(_));
    Ok((!never_applies).then_some(RewriteField::Name { pattern, to, auto, answers }))
}

/// True for a text with a `{plugin/label}`.
fn has_label(text: &str) -> bool {
    text.split('{').skip(1).any(|rest| rest.split_once('}').is_some_and(|(label, _)| label.contains('/')))
}
