//! `CONFIG template`: the directive `template`, and its options on lines of their own.

use std::sync::Arc;

use regex::Regex;
use resolver::policy::LocalPlugin;
use resolver::policy::template::{Pattern, RecordTemplate, Template};
use wire::edns::ExtendedError;
use wire::header::{Class, Rcode, RecordType};

use super::super::tokens::{number, parse_zones};
use crate::text::{self, TextError, error};

/// Parses `CLASS TYPE [ZONE...]`, which begins a template, or an option of the last one.
pub(super) fn parse(tokens: &[&str], plugins: &mut Vec<LocalPlugin>) -> Result<(), TextError> {
    if let [class, qtype, zones @ ..] = tokens
        && let (Some(class), Some(qtype)) = (Class::from_mnemonic(class), RecordType::from_mnemonic(qtype))
    {
        let template = Template::new(class, qtype, parse_zones(zones)?);
        plugins.push(LocalPlugin::Template(Arc::new(template)));
        return Ok(());
    }
    let Some(LocalPlugin::Template(template)) = plugins.last_mut() else {
        return error("`template CLASS TYPE [ZONE...]` must precede its options");
    };
    parse_option(tokens, Arc::make_mut(template))
}

fn parse_option(tokens: &[&str], template: &mut Template) -> Result<(), TextError> {
    if let [option, words @ ..] = tokens
        && let Some(records) = template.section_mut(option)
    {
        records.push(record(words)?);
        return Ok(());
    }
    match *tokens {
        ["match", pattern] => {
            let regex = Regex::new(pattern).map_err(|error| TextError(error.to_string()))?;
            template.patterns.push(Pattern(regex));
        }
        ["rcode", rcode] => template.rcode = Rcode(text::rcode(rcode)?),
        ["ederror", code] => template.error = Some(ExtendedError(number(code)?)),
        ["fallthrough", ref zones @ ..] => template.fallthrough = parse_zones(zones)?,
        _ => return error(format!("`{}` is not an option of `template`", tokens.join(" "))),
    }
    Ok(())
}

fn record(words: &[&str]) -> Result<RecordTemplate, TextError> {
    RecordTemplate::parse(&words.join(" ")).map_err(|error| TextError(error.to_string()))
}
