//! ```text
//! log [NAMES...] [FORMAT] {
//!     class all|success|denial|error...
//! }
//! ```
//!
//! Each query for a name in NAMES (any name if none is given) gets a line. FORMAT is `{common}`, which is
//! also the default, `{combined}`, or text with placeholders; it is taken for a FORMAT if it has a `{` and is
//! not the only argument. `class` leaves a line out unless the answer is of one of these kinds: `success` has
//! records or a delegation, `denial` is NXDOMAIN or no data, `error` is the rest.

use wire::name::Name;

use super::DirectiveContext;
use crate::error::ConfigError;
use crate::keys;
use crate::lexer::Token;
use crate::settings::{LogClasses, LogRule};
use crate::tree::{Directive, Words};

const COMMON: &str = concat!(
    r#"{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" "#,
    "{rcode} {>rflags} {rsize} {duration}"
);
const COMBINED: &str = concat!(
    r#"{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" "#,
    r#"{rcode} {>rflags} {rsize} {duration} "{>opcode}""#
);

const ALL: LogClasses = LogClasses { success: true, denial: true, error: true };

pub(super) fn read(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
) -> Result<Vec<LogRule>, ConfigError> {
    let classes = classes(&directive.options)?;
    let rule = |zone: Name, format: &str| LogRule { zone, format: format.to_owned(), classes };
    let (names, format) = match directive.head.args.as_slice() {
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
                "{} - log takes '{}' for a name; write the zone, '.' for all, before a format",
                name.place(),
                name.text
            ));
        }
        rules.extend(keys::zones(name)?.into_iter().map(|zone| rule(zone, &format)));
    }
    Ok(rules)
}

fn classes(options: &[Words]) -> Result<LogClasses, ConfigError> {
    let mut classes: Option<LogClasses> = None;
    for option in options {
        if !option.name.is("class") {
            return Err(ConfigError::argument(&option.name));
        }
        for word in option.arguments(1, usize::MAX)? {
            let classes = classes.get_or_insert(LogClasses { success: false, denial: false, error: false });
            add(word, classes)?;
        }
    }
    Ok(classes.unwrap_or(ALL))
}

fn add(word: &Token, classes: &mut LogClasses) -> Result<(), ConfigError> {
    match &*word.text {
        "all" => *classes = ALL,
        "success" => classes.success = true,
        "denial" => classes.denial = true,
        "error" => classes.error = true,
        other => return Err(ConfigError::at(word, format!("invalid Class: {other}"))),
    }
    Ok(())
}
