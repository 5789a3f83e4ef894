//! Tokens of record templates: text, and the words of actions (`{{ }}`).

use std::iter::Peekable;
use std::str::CharIndices;

use super::error::TemplateError;

/// Text, or the tokens of an action.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    /// The position of its `{{`, and its tokens.
    Action(usize, Vec<Lexeme>),
}

/// A token of an action.
#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    /// Its position in the text, in octets.
    pub(super) at: usize,
    /// No space before it.
    pub(super) is_attached: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `if`, `printf`, `true`.
    Word(String),
    /// `.Name`, without the dot.
    Field(String),
    Dot,
    /// `$x`, with the dollar; `$` alone is the query.
    Variable(String),
    Text(String),
    Integer(i128),
    Pipe,
    Open,
    Close,
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

impl Token {
    pub(super) fn is_if(&self) -> bool {
        matches!(self, Self::Word(word) if word == "if")
    }
}

/// White space that `{{-` and `-}}` remove.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Splits a template into text and actions. Comments are left out.
pub(super) fn split(template: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let (mut at, mut trim) = (0, false);
    loop {
        let rest = template.get(at..).unwrap_or_default();
        let text = rest.split_once("{{").map_or(rest, |(text, _)| text);
        let is_last = text.len() == rest.len();
        let inner = at + text.len() + "{{".len();
        let action = template.get(inner..).unwrap_or_default();
        let trims_before = !is_last && action.strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACE));
        let text = if trim { text.trim_start_matches(SPACE) } else { text };
        let text = if trims_before { text.trim_end_matches(SPACE) } else { text };
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        if is_last {
            return Ok(pieces);
        }
        let start = inner + usize::from(trims_before);
        let opened = inner - "{{".len();
        let (lexemes, end, trims_after) = match comment(template, start, opened)? {
            Some((end, trims_after)) => (None, end, trims_after),
            None => {
                let (lexemes, end, trims_after) = lexemes(template, start, opened)?;
                (Some(lexemes), end, trims_after)
            }
        };
        pieces.extend(lexemes.map(|lexemes| Piece::Action(opened, lexemes)));
        (at, trim) = (end, trims_after);
    }
}

/// The end of a comment `/* */`, which is alone in its action, and whether it trims.
fn comment(template: &str, start: usize, opened: usize) -> Result<Option<(usize, bool)>, TemplateError> {
    let rest = template.get(start..).unwrap_or_default();
    let inner = rest.trim_start_matches(SPACE);
    let Some(body) = inner.strip_prefix("/*") else { return Ok(None) };
    let Some((comment, after)) = body.split_once("*/") else {
        return Err(TemplateError::at(template, opened, "unclosed comment"));
    };
    let before = rest.len() - inner.len() + "/*".len() + comment.len() + "*/".len();
    match delimiter(after) {
        Some((len, trims)) => Ok(Some((start + before + len, trims))),
        None => Err(TemplateError::at(template, start + before, "comment ends before closing delimiter")),
    }
}

/// The length of `}}` or ` -}}` at the start of a text, and whether it trims.
fn delimiter(text: &str) -> Option<(usize, bool)> {
    let rest = text.trim_start_matches(SPACE);
    let spaces = text.len() - rest.len();
    if rest.starts_with("}}") {
        return Some((spaces + 2, false));
    }
    (spaces > 0 && rest.starts_with("-}}")).then_some((spaces + 3, true))
}

/// The tokens of an action, its end, and whether it trims the text behind it.
fn lexemes(template: &str, start: usize, opened: usize) -> Result<(Vec<Lexeme>, usize, bool), TemplateError> {
    let (mut found, mut at) = (Vec::new(), start);
    loop {
        let rest = template.get(at..).unwrap_or_default();
        if let Some((len, trims)) = delimiter(rest) {
            return Ok((found, at + len, trims));
        }
        let spaces = rest.len() - rest.trim_start_matches(SPACE).len();
        at += spaces;
        let mut scanner = Scanner::new(template, at);
        match scanner.token()? {
            Some(token) => found.push(Lexeme { token, at, is_attached: spaces == 0 }),
            None => return Err(TemplateError::at(template, opened, "unclosed action")),
        }
        at = scanner.position();
    }
}

/// Reads one token.
struct Scanner<'t> {
    template: &'t str,
    start: usize,
    rest: Peekable<CharIndices<'t>>,
}

impl<'t> Scanner<'t> {
    fn new(template: &'t str, start: usize) -> Self {
        let rest = template.get(start..).unwrap_or_default().char_indices().peekable();
        Self { template, start, rest }
    }

    fn position(&mut self) -> usize {
        self.rest.peek().map_or(self.template.len(), |(offset, _)| self.start + offset)
    }

    fn error(&self, reason: impl Into<String>) -> TemplateError {
        TemplateError::at(self.template, self.start, reason)
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.rest.next_if(|(_, next)| *next == wanted).is_some()
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some((_, next)) = self.rest.next_if(|(_, next)| next.is_alphanumeric() || *next == '_') {
            word.push(next);
        }
        word
    }

    /// None at the end of the template.
    fn token(&mut self) -> Result<Option<Token>, TemplateError> {
        let Some((_, first)) = self.rest.next() else { return Ok(None) };
        Ok(Some(match first {
            '|' => Token::Pipe,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '=' => Token::Assign,
            ':' if self.next_is('=') => Token::Declare,
            '"' => Token::Text(self.quoted()?),
            '`' => Token::Text(self.raw()?),
            '$' => Token::Variable(format!("${}", self.word())),
            '.' => match self.word() {
                word if word.starts_with(|first: char| first.is_ascii_digit()) => {
                    return Err(self.error(format!("a number with a fraction is not supported: .{word}")));
                }
                word if word.is_empty() => Token::Dot,
                word => Token::Field(word),
            },
            sign @ ('+' | '-') => Token::Integer(self.number(sign)?),
            first if first.is_ascii_digit() => Token::Integer(self.number(first)?),
            first if first.is_alphabetic() || first == '_' => Token::Word(format!("{first}{}", self.word())),
            '\'' => return Err(self.error("a character constant is not supported; write its number")),
            other => return Err(self.error(format!("unexpected {other:?} in an action"))),
        }))
    }

    /// A decimal or hexadecimal integer, the first character of which has been read.
    fn number(&mut self, first: char) -> Result<i128, TemplateError> {
        let digits = format!("{first}{}", self.word());
        let (sign, magnitude) = match digits.strip_prefix('-') {
            Some(magnitude) => (-1, magnitude),
            None => (1, digits.strip_prefix('+').unwrap_or(&digits)),
        };
        let parsed = match magnitude.strip_prefix("0x") {
            Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16),
            // Go reads a leading zero as octal.
            None if magnitude.len() > 1 && magnitude.starts_with('0') => i64::from_str_radix(magnitude, 8),
            None => magnitude.parse(),
        };
        match parsed {
            Ok(number) if self.rest.peek().is_none_or(|(_, next)| *next != '.') => {
                Ok(sign * i128::from(number))
            }
            _ => Err(self.error(format!("not a supported number: {digits}; write a decimal integer"))),
        }
    }

    fn raw(&mut self) -> Result<String, TemplateError> {
        let mut text = String::new();
        for (_, next) in self.rest.by_ref() {
            match next {
                '`' => return Ok(text),
                _ => text.push(next),
            }
        }
        Err(self.error("unterminated raw quoted string"))
    }

    /// A text in double quotes, on one line, with Go's escapes.
    fn quoted(&mut self) -> Result<String, TemplateError> {
        let mut text = String::new();
        while let Some((_, next)) = self.rest.next() {
            match next {
                '"' => return Ok(text),
                '\n' => break,
                '\\' => text.push(self.escape()?),
                _ => text.push(next),
            }
        }
        Err(self.error("unterminated quoted string"))
    }

    fn escape(&mut self) -> Result<char, TemplateError> {
        let unsupported = "a string has an escape other than \\n \\r \\t \\\\ \\\" \\xHH \\uHHHH";
        let escaped = self.rest.next().map(|(_, escaped)| escaped);
        let decoded = match escaped {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('\\') => Some('\\'),
            Some('"') => Some('"'),
            // An octet above 127 alone is no character.
            Some('x') => self.hexadecimal(2).filter(char::is_ascii),
            Some('u') => self.hexadecimal(4),
            _ => None,
        };
        decoded.ok_or_else(|| self.error(unsupported))
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<char> {
        let mut number = 0;
        for _ in 0..digits {
            number = number * 16 + self.rest.next()?.1.to_digit(16)?;
        }
        char::from_u32(number)
    }
}
