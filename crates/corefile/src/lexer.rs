//! Lexer: a Corefile's text to tokens.
//!
//! Whitespace separates tokens. A token that starts with `"` runs to the next `"` (`\"` is a
//! literal quote) and may span lines; `#` starts a comment that runs to the end of the line.
//! `{$NAME}` and `{%NAME%}` are replaced by the environment variable, within words and quotes too;
//! one that is not set is replaced by nothing.

use std::iter::Peekable;
use std::rc::Rc;
use std::str::Chars;

use crate::environment::Environment;
use crate::token::{Source, Token};

/// Splits a text into tokens. Suspicious ones are reported in `warnings`.
pub(crate) fn tokenize(source: &Rc<Source>, env: &Environment, warnings: &mut Vec<String>) -> Vec<Token> {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let mut lexer =
        Lexer { rest: text.chars().peekable(), line: 1, column: 1, line_start: true, source, warnings };
    let mut tokens = Vec::new();
    while let Some(raw) = lexer.token() {
        let (text, unset) = expand_variables(&raw.text, env);
        let token = Token { text: text.into(), unset: unset.into(), ..raw };
        lexer.warnings.extend(token.unset.iter().map(|name| {
            format!(
                "{} - the environment variable '{name}' is not set and is replaced by nothing",
                token.location()
            )
        }));
        tokens.push(token);
    }
    tokens
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    column: usize,
    line_start: bool,
    source: &'a Rc<Source>,
    warnings: &'a mut Vec<String>,
}

impl Lexer<'_> {
    fn advance(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        if next == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(next)
    }

    fn token(&mut self) -> Option<Token> {
        loop {
            match *self.rest.peek()? {
                '\n' => {
                    self.line_start = true;
                    self.advance();
                }
                blank if blank.is_whitespace() => {
                    self.advance();
                }
                '#' => self.skip_comment(),
                _ => break,
            }
        }
        let (line, column, starts_line) = (self.line, self.column, self.line_start);
        self.line_start = false;
        let quoted = self.rest.peek() == Some(&'"');
        let text = if quoted { self.quoted()? } else { self.word() };
        let source = Rc::clone(self.source);
        Some(Token {
            text: text.into(),
            source,
            line,
            column,
            order: 0,
            starts_line,
            quoted,
            unset: Rc::default(),
        })
    }

    /// A quoted token; an unterminated one ends with the text.
    fn quoted(&mut self) -> Option<String> {
        self.advance();
        let mut text = String::new();
        while let Some(next) = self.advance() {
            match next {
                '"' => return Some(text),
                '\\' => match self.advance() {
                    Some('"') => text.push('"'),
                    Some(other) => text.extend(['\\', other]),
                    None => {}
                },
                _ => text.push(next),
            }
        }
        Some(text).filter(|text| !text.is_empty())
    }

    fn word(&mut self) -> String {
        let mut text = String::new();
        while let Some(&next) = self.rest.peek() {
            match next {
                '\r' => {}
                '#' => {
                    let warning = format!(
                        "{}:{} - '#' directly after '{text}' starts a comment; \
                         quote the word if '#' is part of it",
                        self.source.name, self.line
                    );
                    self.warnings.push(warning);
                    self.skip_comment();
                    break;
                }
                blank if blank.is_whitespace() => break,
                _ => text.push(next),
            }
            self.advance();
        }
        text
    }

    fn skip_comment(&mut self) {
        while self.rest.peek().is_some_and(|&next| next != '\n') {
            self.advance();
        }
    }
}

/// Replaces environment variables, and returns the names of those that are not set. Values are not
/// expanded again.
fn expand_variables(text: &str, env: &Environment) -> (String, Vec<String>) {
    let mut unset = Vec::new();
    let percent = replace(text, ("{%", "%}"), env, &mut unset);
    let dollar = replace(&percent, ("{$", "}"), env, &mut unset);
    (dollar, unset)
}

fn replace(text: &str, (open, close): (&str, &str), env: &Environment, unset: &mut Vec<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        let Some((name, suffix)) = after.split_once(close).filter(|(name, _)| !name.is_empty()) else {
            break;
        };
        out.push_str(before);
        match env.lookup(name) {
            Some(value) => out.push_str(value),
            None => unset.push(name.to_owned()),
        }
        rest = suffix;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &str) -> (Vec<(String, usize, bool)>, Vec<String>) {
        let env: Environment = [("A", "alpha"), ("SPACED", "a b"), ("SELF", "{$SELF}")].into_iter().collect();
        let source = Source::new("C".to_owned(), "/".into(), text.to_owned());
        let mut warnings = Vec::new();
        let tokens = tokenize(&Rc::new(source), &env, &mut warnings);
        (tokens.iter().map(|t| (t.text.to_string(), t.line, t.starts_line)).collect(), warnings)
    }

    fn words(text: &str) -> Vec<String> {
        lex(text).0.into_iter().map(|(text, ..)| text).collect()
    }

    #[test]
    fn words_quotes_escapes_comments_and_carriage_returns_are_lexed() {
        for (text, expected) in [
            ("\u{feff}a b\u{a0}c", vec!["a", "b", "c"]),
            ("a \"b c\" d", vec!["a", "b c", "d"]),
            (r#""a\"b" "a\\b" "\d\n""#, vec![r#"a"b"#, r"a\\b", r"\d\n"]),
            ("\"\" x", vec!["", "x"]),
            ("\"a\"b", vec!["a", "b"]),
            ("a\"b c", vec!["a\"b", "c"]),
            ("a\rb\r\nc", vec!["ab", "c"]),
            ("# all\na # rest \" { \nb", vec!["a", "b"]),
            ("\"# no comment\"", vec!["# no comment"]),
            ("a\\\nb", vec!["a\\", "b"]),
            ("\"open end", vec!["open end"]),
            ("\"", vec![]),
            ("cache {}", vec!["cache", "{}"]),
            ("", vec![]),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }

    #[test]
    fn tokens_have_their_line_and_whether_they_start_it() {
        let (tokens, _) = lex("a b\n\n\"c\nd\" e\nf");
        let expected = [("a", 1, true), ("b", 1, false), ("c\nd", 3, true), ("e", 4, false), ("f", 5, true)];
        assert_eq!(tokens, expected.map(|(text, line, first)| (text.to_owned(), line, first)));
    }

    #[test]
    fn a_comment_directly_after_a_word_is_a_comment_with_a_warning() {
        let (tokens, warnings) = lex("errors#glued comment\nlog");
        assert_eq!(tokens.iter().map(|(text, ..)| text.as_str()).collect::<Vec<_>>(), ["errors", "log"]);
        assert!(warnings.first().unwrap().starts_with("C:1 - '#' directly after 'errors'"), "{warnings:?}");
    }

    #[test]
    fn variables_are_expanded_and_their_values_stay_one_word() {
        for (text, expected) in [
            ("{$A} {%A%}", vec!["alpha", "alpha"]),
            ("x{$A}-{$A}{%A%}y \"{$A} b\"", vec!["xalpha-alphaalphay", "alpha b"]),
            ("{$SPACED}:53", vec!["a b:53"]),
            ("{$NONE}:9253", vec![":9253"]),
            ("{%A} {$A {$} {%%} {{ .Name }}", vec!["{%A}", "{$A", "{$}", "{%%}", "{{", ".Name", "}}"]),
            ("{$SELF}", vec!["{$SELF}"]),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
        let (_, warnings) = lex("\n{$NONE}:9253");
        assert_eq!(warnings, ["C:2 - the environment variable 'NONE' is not set and is replaced by nothing"]);
    }
}
