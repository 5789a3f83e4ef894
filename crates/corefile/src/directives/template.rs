//! ```text
//! template CLASS TYPE [ZONES...] {
//!     match REGEX...
//!     answer RECORD...
//!     additional RECORD...
//!     authority RECORD...
//!     rcode CODE
//!     ederror CODE [TEXT]
//!     fallthrough [ZONES...]
//!     upstream
//! }
//! ```
//!
//! Answers queries of CLASS and TYPE (`ANY` for all) for names in ZONES, the block's by default, with
//! records that are written as in zone files, in a subset of Go's text/template. Names that no REGEX
//! matches get SERVFAIL, or go to the next directive if `fallthrough` covers them.

use resolver::policy::template::{Pattern, RecordTemplate, Template};
use wire::edns::ExtendedError;
use wire::header::{Class, Rcode, RecordType};
use wire::zone_record::ZoneRecord;

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::{Directive, Line};
use crate::values::regex;
use crate::zones::fallthrough;

const OPTIONS: [&str; 8] =
    ["match", "answer", "additional", "authority", "rcode", "ederror", "fallthrough", "upstream"];

/// Options that CoreDNS has since 1.15.
const UNSUPPORTED: [&str; 2] = ["var", "expr"];

/// Maximum number of records of one response.
const MAX_RECORDS: usize = 256;

/// Response codes above need OPT (RFC 6891 section 6.1.3).
const MAX_RCODE: u16 = 15;

pub(super) fn parse(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
) -> Result<Template, ConfigError> {
    let [class, qtype, zones @ ..] = directive.line.arguments(2, usize::MAX)? else {
        return Err(ConfigError::argument_count(directive.name()));
    };
    let class = Class::from_mnemonic(&class.text).ok_or_else(|| {
        let known = ["IN", "CH", "HS", "ANY"];
        let error = ConfigError::unknown(class, format!("invalid query class {}", class.text), &known);
        error.with_remedy("write IN, CH, HS or ANY, in upper case")
    })?;
    let qtype = RecordType::from_mnemonic(&qtype.text).ok_or_else(|| {
        let reason = format!("invalid RR class {}", qtype.text);
        ConfigError::at(qtype, reason).with_remedy("write a record type such as AAAA, or ANY, in upper case")
    })?;
    let mut template = Template::new(class, qtype, context.zones(zones)?);
    for option in &directive.options {
        add_option(option, &mut template, context)?;
    }
    Ok(template)
}

fn add_option(
    option: &Line,
    template: &mut Template,
    context: &mut DirectiveContext<'_>,
) -> Result<(), ConfigError> {
    if let Some(records) = template.section_mut(&option.name.text) {
        return add_records(option, records, context);
    }
    match &*option.name.text {
        "match" => {
            for pattern in option.arguments(1, usize::MAX)? {
                template.patterns.push(Pattern(regex(pattern, "could not parse regex")?));
            }
        }
        "rcode" => template.rcode = rcode(option.single_argument()?)?,
        "ederror" => template.error = Some(extended_error(option, context)?),
        "fallthrough" => template.fallthrough = fallthrough(option)?,
        "upstream" => {}
        other if UNSUPPORTED.contains(&other) => {
            let reason = format!("option '{other}' is not supported by nodelocaldns");
            return Err(ConfigError::at(&option.name, reason).with_remedy("select names with 'match'"));
        }
        _ => return Err(ConfigError::unknown_option(&option.name, &OPTIONS)),
    }
    Ok(())
}

fn add_records(
    option: &Line,
    records: &mut Vec<RecordTemplate>,
    context: &mut DirectiveContext<'_>,
) -> Result<(), ConfigError> {
    for word in option.arguments(1, usize::MAX)? {
        let record = RecordTemplate::parse(&word.text)
            .map_err(|error| ConfigError::at(word, format!("could not compile template: {error}")))?;
        // Text without actions is the same for every query.
        let is_constant = !word.text.contains("{{") && !word.text.trim().is_empty();
        if is_constant && ZoneRecord::parse(&word.text).is_none() {
            context.warnings.push(format!(
                "{} - '{}' is not a resource record, so that queries which match this template get SERVFAIL; \
                 write OWNER TTL CLASS TYPE DATA in quotes",
                word.location(),
                word.text
            ));
        }
        if records.len() == MAX_RECORDS {
            return Err(ConfigError::at(word, format!("more than {MAX_RECORDS} records in a section")));
        }
        records.push(record);
    }
    Ok(())
}

fn rcode(word: &Token) -> Result<Rcode, ConfigError> {
    let known = ["NOERROR", "NXDOMAIN", "REFUSED", "SERVFAIL", "FORMERR", "NOTIMP"];
    match Rcode::from_mnemonic(&word.text) {
        Some(rcode) if rcode.0 <= MAX_RCODE => Ok(rcode),
        Some(_) => Err(ConfigError::at(word, format!("rcode {} is not for responses to queries", word.text))),
        None => Err(ConfigError::unknown(word, format!("unknown rcode {}", word.text), &known)),
    }
}

/// The code; its text is not sent.
fn extended_error(option: &Line, context: &mut DirectiveContext<'_>) -> Result<ExtendedError, ConfigError> {
    let [code, text @ ..] = option.arguments(1, 2)? else {
        return Err(ConfigError::argument_count(&option.name));
    };
    if let [text] = text {
        let reason = "the text of ederror is not sent, only its code";
        context.warnings.push(format!("{} - {reason}", text.location()));
    }
    let number = code.text.parse().ok().filter(|_| code.text.bytes().all(|octet| octet.is_ascii_digit()));
    number.map(ExtendedError).ok_or_else(|| {
        let reason = format!("error parsing extended DNS error code {}", code.text);
        ConfigError::at(code, reason).with_remedy("write a number from 0 to 65535")
    })
}
