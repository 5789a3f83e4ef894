//! `printf`, `print` and `println` in record templates.

use std::borrow::Cow;
use std::fmt::Write;

use super::error::EvaluateError;
use super::value::Value;

/// Maximum length in octets of a record, and of any text on the way to it.
pub(super) const MAX_OUTPUT: usize = 8192;

/// Maximum width and precision of a verb.
const MAX_WIDTH: usize = 255;

/// A verb of a format: `%05d`.
#[derive(Clone, Copy, Debug, Default)]
struct Verb {
    minus: bool,
    zero: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
    letter: char,
}

/// Checks a format that is known when the template is parsed.
///
/// # Errors
/// What is not supported.
pub(super) fn check(format: &str) -> Result<(), &'static str> {
    let mut rest = format;
    while let Some((_, verb)) = rest.split_once('%') {
        (_, rest) = read_verb(verb)?;
    }
    Ok(())
}

/// `printf`.
pub(super) fn printf(format: &str, arguments: &[Value<'_>]) -> Result<String, EvaluateError> {
    let (mut out, mut rest) = (String::new(), format);
    let mut arguments = arguments.iter();
    while let Some((text, verb)) = rest.split_once('%') {
        out.push_str(text);
        let (verb, after) = read_verb(verb).map_err(EvaluateError)?;
        rest = after;
        if verb.letter == '%' {
            out.push('%');
        } else {
            let argument = arguments.next().ok_or(EvaluateError("printf: too few arguments"))?;
            verb.write(argument, &mut out)?;
        }
        check_len(&out)?;
    }
    if arguments.next().is_some() {
        return Err(EvaluateError("printf: too many arguments"));
    }
    out.push_str(rest);
    check_len(&out)?;
    Ok(out)
}

/// `print`, with spaces between values that are no texts; `println`, with spaces and a line end.
pub(super) fn print(arguments: &[Value<'_>], is_line: bool) -> Result<String, EvaluateError> {
    let mut out = String::new();
    let mut before: Option<&Value<'_>> = None;
    for argument in arguments {
        let is_text = |value: &Value<'_>| matches!(value, Value::Text(_));
        if before.is_some_and(|before| is_line || !is_text(before) && !is_text(argument)) {
            out.push(' ');
        }
        out.push_str(&argument.display()?);
        check_len(&out)?;
        before = Some(argument);
    }
    if is_line {
        out.push('\n');
    }
    Ok(out)
}

fn check_len(out: &str) -> Result<(), EvaluateError> {
    if out.len() > MAX_OUTPUT { Err(EvaluateError("the text is too long")) } else { Ok(()) }
}

/// Reads what follows a `%`; returns the verb and the rest of the format.
fn read_verb(text: &str) -> Result<(Verb, &str), &'static str> {
    let mut verb = Verb::default();
    let mut rest = text;
    while let Some(flag @ ('-' | '0' | '+')) = rest.chars().next() {
        match flag {
            '-' => verb.minus = true,
            '0' => verb.zero = true,
            _ => verb.plus = true,
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    let width;
    (width, rest) = read_number(rest)?;
    verb.width = width.unwrap_or(0);
    if let Some(precision) = rest.strip_prefix('.') {
        let number;
        (number, rest) = read_number(precision)?;
        verb.precision = Some(number.unwrap_or(0));
    }
    let mut letters = rest.chars();
    verb.letter = letters.next().ok_or("a verb is missing after %")?;
    if !matches!(verb.letter, 'd' | 's' | 'v' | 'q' | 'x' | 'X' | 'o' | 'b' | 'c' | 't' | '%') {
        return Err("a verb is not supported; supported are %d %s %v %q %x %X %o %b %c %t %%");
    }
    Ok((verb, letters.as_str()))
}

fn read_number(text: &str) -> Result<(Option<usize>, &str), &'static str> {
    let rest = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let digits = text.strip_suffix(rest).unwrap_or_default();
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let number = digits.parse().ok().filter(|number| *number <= MAX_WIDTH);
    number.map(|number| (Some(number), rest)).ok_or("a width or precision is above 255")
}

impl Verb {
    fn write(self, value: &Value<'_>, out: &mut String) -> Result<(), EvaluateError> {
        let text: Cow<'_, str> = match (self.letter, value) {
            ('v', Value::Integer(number)) | ('d', Value::Integer(number)) => self.number(*number, 'd').into(),
            ('x' | 'X' | 'o' | 'b', Value::Integer(number)) => self.number(*number, self.letter).into(),
            ('v', value) => value.display()?,
            ('s', Value::Text(text)) => match self.precision {
                Some(precision) => text.chars().take(precision).collect::<String>().into(),
                None => Cow::Borrowed(&**text),
            },
            ('q', Value::Text(text)) => quote(text).into(),
            ('x', Value::Text(text)) => {
                text.bytes().map(|octet| format!("{octet:02x}")).collect::<String>().into()
            }
            ('X', Value::Text(text)) => {
                text.bytes().map(|octet| format!("{octet:02X}")).collect::<String>().into()
            }
            ('t', Value::Bool(_)) => value.display()?,
            ('c', Value::Integer(number)) => {
                let code = u32::try_from(*number).ok().and_then(char::from_u32);
                code.unwrap_or(char::REPLACEMENT_CHARACTER).to_string().into()
            }
            _ => return Err(EvaluateError("printf: the verb does not suit the value")),
        };
        self.pad(&text, out);
        Ok(())
    }

    /// The digits of a number, at least as many as the precision says.
    fn number(self, number: i128, letter: char) -> String {
        let magnitude = number.unsigned_abs();
        let digits = match letter {
            'x' => format!("{magnitude:x}"),
            'X' => format!("{magnitude:X}"),
            'o' => format!("{magnitude:o}"),
            'b' => format!("{magnitude:b}"),
            _ => magnitude.to_string(),
        };
        let sign = match number {
            ..0 => "-",
            _ if self.plus => "+",
            _ => "",
        };
        let least = match self.precision {
            Some(precision) => precision,
            None if self.zero && !self.minus => self.width.saturating_sub(sign.len()),
            None => 0,
        };
        format!("{sign}{digits:0>least$}")
    }

    fn pad(self, text: &str, out: &mut String) {
        let missing = self.width.saturating_sub(text.chars().count());
        let spaces = " ".repeat(missing);
        out.extend(if self.minus { [text, &spaces] } else { [&spaces, text] });
    }
}

/// A text in double quotes with Go's escapes.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Writing to a `String` never fails.
            control if control.is_control() => write!(quoted, "\\x{:02x}", u32::from(control)).unwrap_or(()),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
