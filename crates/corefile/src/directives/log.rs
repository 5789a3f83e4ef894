//! ```text
//! log [NAMES...] [FORMAT] {
//!     class all|success|denial|error...
//! }
//! ```
//!
//! Logs each query for a name in NAMES (all by default). FORMAT is `{common}`, the default,
//! `{combined}`, or text with placeholders; the last of several arguments is a FORMAT if it
//! contains `{`. `class` restricts the log to responses of these classes: `success` has answers or
//! is a delegation, `denial` is NXDOMAIN or NODATA, `error` is the rest.

use wire::name::Name;

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::settings::{LogClasses, LogRule};
use crate::token::Token;
use crate::tree::{Directive, Line};
use crate::zones::parse_zones;

const COMMON: &str = concat!(
    r#"{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" "#,
    "{rcode} {>rflags} {rsize} {duration}"
);
const COMBINED: &str = concat!(
    r#"{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" "#,
    r#"{rcode} {>rflags} {rsize} {duration} "{>opcode}""#
);

const ALL: LogClasses = LogClasses { success: true, denial: true, error: true };

pub(super) fn parse(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
) -> Result<Vec<LogRule>, ConfigError> {
    let classes = classes(&directive.options)?;
    let rule = |zone: Name, format: &str| LogRule { zone, format: format.to_owned(), classes };
    let (names, format) = match directive.line.args.as_slice() {
        [] => return Ok(vec![rule(Name::root(), COMMON)]),
        [names @ .., last] if !names.is_empty() && last.text.contains('{') => {
            let format = last.text.replace("{common}", COMMON).replace("{combined}", COMBINED);
            (names, format)
        }
        names => (names, COMMON.to_owned()),
    };
    let mut rules = Vec::new();
    for name in names {
        if name.text.contains('{') {
            context.warnings.push(format!(
                "{} - log takes '{}' as a name; write the zone, '.' for all, before a format",
                name.location(),
                name.text
            ));
        }
        rules.extend(parse_zones(name)?.into_iter().map(|zone| rule(zone, &format)));
    }
    Ok(rules)
}

fn classes(options: &[Line]) -> Result<LogClasses, ConfigError> {
    let mut classes: Option<LogClasses> = None;
    for option in options {
        if !option.name.is("class") {
            return Err(ConfigError::unknown_option(&option.name, &["class"]));
        }
        for word in option.arguments(1, usize::MAX)? {
            let classes = classes.get_or_insert(LogClasses { success: false, denial: false, error: false });
            add_class(word, classes)?;
        }
    }
    Ok(classes.unwrap_or(ALL))
}

fn add_class(word: &Token, classes: &mut LogClasses) -> Result<(), ConfigError> {
    match &*word.text {
        "all" => *classes = ALL,
        "success" => classes.success = true,
        "denial" => classes.denial = true,
        "error" => classes.error = true,
        other => return Err(ConfigError::at(word, format!("invalid Class: {other}"))),
    }
    Ok(())
}
