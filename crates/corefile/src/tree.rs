//! A Corefile's shape: server blocks of directives, each with arguments and perhaps a block of options.

use crate::error::ConfigError;
use crate::import::Reader;
use crate::lexer::Token;
use crate::support::{self, DirectiveSupport};

/// A server block.
#[derive(Debug)]
pub(super) struct ServerBlock {
    /// At least one, none empty.
    pub(super) keys: Vec<Token>,
    /// In the order of the file.
    pub(super) directives: Vec<Directive>,
}

/// A directive with what belongs to it.
#[derive(Debug)]
pub(super) struct Directive {
    /// Its name and arguments.
    pub(super) head: Words,
    /// The lines between `{` and `}`.
    pub(super) options: Vec<Words>,
}

/// A line: a name and its arguments.
#[derive(Debug)]
pub(super) struct Words {
    /// The first word.
    pub(super) name: Token,
    /// The others.
    pub(super) args: Vec<Token>,
}

impl Words {
    /// The last word, after which an argument is missing.
    fn last(&self) -> &Token {
        self.args.last().unwrap_or(&self.name)
    }

    /// The arguments, of which there must be between `least` and `most`.
    pub(super) fn arguments(&self, least: usize, most: usize) -> Result<&[Token], ConfigError> {
        match self.args.get(most) {
            Some(surplus) => Err(ConfigError::argument(surplus)),
            None if self.args.len() < least => Err(ConfigError::argument(self.last())),
            None => Ok(&self.args),
        }
    }

    /// No argument at all.
    pub(super) fn bare(&self) -> Result<(), ConfigError> {
        self.arguments(0, 0).map(|_| ())
    }

    /// At most one argument.
    pub(super) fn optional(&self) -> Result<Option<&Token>, ConfigError> {
        self.arguments(0, 1).map(<[Token]>::first)
    }

    /// Exactly one argument.
    pub(super) fn one(&self) -> Result<&Token, ConfigError> {
        self.arguments(1, 1)?.first().ok_or_else(|| ConfigError::argument(&self.name))
    }
}

/// Reads all blocks, imports included.
pub(super) fn parse(mut reader: Reader<'_>) -> Result<Vec<ServerBlock>, ConfigError> {
    let mut blocks = Vec::new();
    while reader.peek().is_some() {
        blocks.extend(block(&mut reader)?);
    }
    Ok(blocks)
}

/// Reads a block; nothing comes back for a snippet, which the reader keeps, and for imports of nothing.
fn block(reader: &mut Reader<'_>) -> Result<Option<ServerBlock>, ConfigError> {
    let keys = keys(reader)?;
    let Some(first) = keys.first() else {
        return match reader.peek() {
            Some(brace) if brace.is("{") => {
                Err(ConfigError::at(brace, "server block without a zone before '{'"))
            }
            _ => Ok(None),
        };
    };
    let snippet = first.text.strip_prefix('(').and_then(|name| name.strip_suffix(')'));
    if let (Some(name), 1) = (snippet, keys.len()) {
        reader.define_snippet(first, name)?;
        return Ok(None);
    }
    let braced = reader.peek().is_some_and(|token| token.is("{"));
    if braced {
        reader.next();
    }
    let directives = directives(reader, braced)?;
    Ok(Some(ServerBlock { keys, directives }))
}

fn keys(reader: &mut Reader<'_>) -> Result<Vec<Token>, ConfigError> {
    let mut keys = Vec::new();
    let mut seen_any = false;
    let mut comma: Option<Token> = None;
    loop {
        let Some(token) = reader.peek() else {
            return match comma {
                Some(last) => Err(ConfigError::at(&last, "Unexpected EOF")),
                None => Ok(keys),
            };
        };
        if seen_any && comma.is_none() && token.starts_line {
            return Ok(keys);
        }
        if token.is("{") {
            return match comma {
                Some(_) => Err(ConfigError::at(
                    token,
                    "Expected another address but had '{' - check for extra comma",
                )),
                None => Ok(keys),
            };
        }
        if token.is("}") {
            return Err(ConfigError::at(token, NO_OPENING_BRACE));
        }
        if token.is("import") && token.starts_line {
            reader.import()?;
            continue;
        }
        let Some(mut token) = reader.next() else { continue };
        refuse_glued_brace(&token, reader)?;
        seen_any = true;
        let key = token.text.strip_suffix(',').map(Into::into);
        comma = key.is_some().then(|| token.clone());
        if let Some(key) = key {
            token.text = key;
        }
        if !token.text.is_empty() {
            keys.push(token);
        }
    }
}

const NO_OPENING_BRACE: &str = "Unexpected '}' because no matching opening brace";

fn directives(reader: &mut Reader<'_>, braced: bool) -> Result<Vec<Directive>, ConfigError> {
    let mut directives = Vec::new();
    loop {
        let Some(token) = reader.peek() else {
            return match reader.last() {
                Some(last) if braced => Err(ConfigError::unexpected(last, "}")),
                _ => Ok(directives),
            };
        };
        if token.is("}") {
            if !braced {
                return Err(ConfigError::at(token, NO_OPENING_BRACE));
            }
            reader.next();
            return Ok(directives);
        }
        if token.is("{") {
            return Err(ConfigError::at(token, "'{' opens nothing here"));
        }
        if token.is("import") {
            reader.import()?;
        } else if let Some(name) = reader.next() {
            directives.push(directive(name, reader)?);
        }
    }
}

fn directive(name: Token, reader: &mut Reader<'_>) -> Result<Directive, ConfigError> {
    refuse_glued_brace(&name, reader)?;
    if support::standing(&name.text) == DirectiveSupport::Unknown {
        return Err(ConfigError::at(&name, format!("Unknown directive '{}'", name.text)));
    }
    let mut head = Words { name, args: Vec::new() };
    let options = loop {
        match reader.peek() {
            Some(brace) if brace.is("{") && brace.starts_line => {
                let reason = format!("the block of '{}' must open on the directive's line", head.name.text);
                return Err(ConfigError::at(brace, reason));
            }
            Some(brace) if brace.is("{") => {
                reader.next();
                break options(reader)?;
            }
            Some(token) if !token.starts_line && token.is("}") => {
                return Err(ConfigError::at(token, NO_OPENING_BRACE));
            }
            Some(token) if !token.starts_line => {}
            _ => break Vec::new(),
        }
        argument(&mut head, reader)?;
    };
    match reader.peek() {
        Some(token) if !token.starts_line && token.is("}") => Err(ConfigError::at(token, NO_OPENING_BRACE)),
        Some(token) if !token.starts_line => Err(ConfigError::unexpected(token, "end of line")),
        _ => Ok(Directive { head, options }),
    }
}

/// Reads the lines after `{`, and the `}`.
fn options(reader: &mut Reader<'_>) -> Result<Vec<Words>, ConfigError> {
    let mut options: Vec<Words> = Vec::new();
    loop {
        let Some(token) = reader.peek() else {
            return Err(reader.last().map_or_else(
                || ConfigError::plain("Unexpected EOF"),
                |last| ConfigError::at(last, "Unexpected EOF"),
            ));
        };
        if token.is("{") {
            return Err(ConfigError::at(
                token,
                "nested block not allowed: an option has no block of its own",
            ));
        }
        if token.is("}") {
            if !token.starts_line && !options.is_empty() {
                return Err(ConfigError::at(
                    token,
                    "Unexpected '}' on an option's line; put it on a line of its own",
                ));
            }
            reader.next();
            return Ok(options);
        }
        if token.is("import") && token.starts_line {
            reader.import()?;
        } else if token.starts_line || options.is_empty() {
            let Some(name) = reader.next() else { continue };
            refuse_glued_brace(&name, reader)?;
            options.push(Words { name, args: Vec::new() });
        } else if let Some(option) = options.last_mut() {
            argument(option, reader)?;
        }
    }
}

fn argument(words: &mut Words, reader: &mut Reader<'_>) -> Result<(), ConfigError> {
    if let Some(token) = reader.next() {
        refuse_glued_brace(&token, reader)?;
        words.args.push(token);
    }
    Ok(())
}

/// `zone{` and `cache 30{` at the end of a line, and `cache {}`, are slips of the pen: they would name a
/// zone.
fn refuse_glued_brace(token: &Token, reader: &Reader<'_>) -> Result<(), ConfigError> {
    let ends_line = reader.peek().is_none_or(|next| next.starts_line);
    if token.quoted || !ends_line {
        return Ok(());
    }
    if token.is("{}") {
        return Err(ConfigError::at(token, "missing blank between '{' and '}'"));
    }
    if token.text.len() > 1 && token.text.ends_with('{') {
        return Err(ConfigError::at(token, format!("missing blank before '{{' in '{}'", token.text)));
    }
    Ok(())
}
