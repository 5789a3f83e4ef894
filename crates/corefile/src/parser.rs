//! Parser: tokens to the syntax tree.

use crate::error::ConfigError;
use crate::import::TokenStream;
use crate::support::{self, DirectiveSupport};
use crate::token::Token;
use crate::tree::{Directive, Line, ServerBlock};

/// Parses all server blocks, those of imported files included.
pub(crate) fn parse(mut tokens: TokenStream<'_>) -> Result<Vec<ServerBlock>, ConfigError> {
    let mut blocks = Vec::new();
    while tokens.peek().is_some() {
        blocks.extend(parse_block(&mut tokens)?);
    }
    Ok(blocks)
}

/// Parses a server block; `None` for a snippet definition and for an import without blocks.
fn parse_block(tokens: &mut TokenStream<'_>) -> Result<Option<ServerBlock>, ConfigError> {
    let keys = parse_keys(tokens)?;
    let Some(first) = keys.first() else {
        return match tokens.peek() {
            Some(brace) if brace.is("{") => {
                Err(ConfigError::at(brace, "server block without a zone before '{'"))
            }
            _ => Ok(None),
        };
    };
    let snippet = first.text.strip_prefix('(').and_then(|name| name.strip_suffix(')'));
    if let (Some(name), 1) = (snippet, keys.len()) {
        tokens.define_snippet(first, name)?;
        return Ok(None);
    }
    let end = if tokens.peek().is_some_and(|token| token.is("{")) {
        tokens.next();
        BlockEnd::Brace
    } else if keys.iter().any(Token::has_attached_brace) {
        BlockEnd::BraceOrFile
    } else {
        BlockEnd::File
    };
    let directives = parse_directives(tokens, end)?;
    Ok(Some(ServerBlock { keys, directives }))
}

/// What ends the directives of a server block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BlockEnd {
    /// `}`, because the block has a `{`.
    Brace,
    /// `}` or the end of the file, because a key has the `{` attached: to CoreDNS, a block without
    /// braces, which a `}` ends.
    BraceOrFile,
    /// The end of the file.
    File,
}

fn parse_keys(tokens: &mut TokenStream<'_>) -> Result<Vec<Token>, ConfigError> {
    let mut keys = Vec::new();
    let mut seen_any = false;
    let mut comma: Option<Token> = None;
    loop {
        let Some(token) = tokens.peek() else {
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
            tokens.import()?;
            continue;
        }
        let Some(mut token) = tokens.next() else { continue };
        check_key(&token, tokens)?;
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

/// Warns of `example.org:53{`, and rejects `(snippet){`, which defines no snippet.
fn check_key(key: &Token, tokens: &mut TokenStream<'_>) -> Result<(), ConfigError> {
    if key.text.starts_with('(') || !key.has_attached_brace() {
        return reject_attached_brace(key, tokens);
    }
    tokens.warn(format!(
        "{} - missing space before '{{' in '{}': as in node-cache, the brace is part of the zone's name, \
         which no query has; with the space, the block serves '{}'",
        key.location(),
        key.text,
        key.text.trim_end_matches('{')
    ));
    Ok(())
}

fn parse_directives(tokens: &mut TokenStream<'_>, end: BlockEnd) -> Result<Vec<Directive>, ConfigError> {
    let mut directives = Vec::new();
    loop {
        let Some(token) = tokens.peek() else {
            return match tokens.last() {
                Some(last) if end == BlockEnd::Brace => Err(ConfigError::unexpected(last, "}")),
                _ => Ok(directives),
            };
        };
        if token.is("}") {
            if end == BlockEnd::File {
                return Err(ConfigError::at(token, NO_OPENING_BRACE));
            }
            tokens.next();
            return Ok(directives);
        }
        if token.is("{") {
            return Err(ConfigError::at(token, "'{' without a directive before it"));
        }
        if token.is("import") {
            tokens.import()?;
        } else if let Some(name) = tokens.next() {
            directives.push(parse_directive(name, tokens)?);
        }
    }
}

fn parse_directive(name: Token, tokens: &mut TokenStream<'_>) -> Result<Directive, ConfigError> {
    reject_attached_brace(&name, tokens)?;
    if support::of(&name.text) == DirectiveSupport::Unknown {
        return Err(ConfigError::at(&name, format!("Unknown directive '{}'", name.text)));
    }
    let mut line = Line { name, args: Vec::new() };
    let options = loop {
        match tokens.peek() {
            Some(brace) if brace.is("{") && brace.starts_line => {
                let reason = format!("the block of '{}' must open on the directive's line", line.name.text);
                return Err(ConfigError::at(brace, reason));
            }
            Some(brace) if brace.is("{") => {
                tokens.next();
                break parse_options(tokens)?;
            }
            Some(token) if !token.starts_line && token.is("}") => {
                return Err(ConfigError::at(token, NO_OPENING_BRACE));
            }
            Some(token) if !token.starts_line => {}
            _ => break Vec::new(),
        }
        parse_argument(&mut line, tokens)?;
    };
    match tokens.peek() {
        Some(token) if !token.starts_line && token.is("}") => Err(ConfigError::at(token, NO_OPENING_BRACE)),
        Some(token) if !token.starts_line => Err(ConfigError::unexpected(token, "end of line")),
        _ => Ok(Directive { line, options }),
    }
}

/// Parses the lines after `{` up to and including `}`.
fn parse_options(tokens: &mut TokenStream<'_>) -> Result<Vec<Line>, ConfigError> {
    let mut options: Vec<Line> = Vec::new();
    loop {
        let Some(token) = tokens.peek() else {
            return Err(tokens.last().map_or_else(
                || ConfigError::without_location("Unexpected EOF"),
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
            tokens.next();
            return Ok(options);
        }
        if token.is("import") && token.starts_line {
            tokens.import()?;
        } else if token.starts_line || options.is_empty() {
            let Some(name) = tokens.next() else { continue };
            reject_attached_brace(&name, tokens)?;
            options.push(Line { name, args: Vec::new() });
        } else if let Some(option) = options.last_mut() {
            parse_argument(option, tokens)?;
        }
    }
}

fn parse_argument(line: &mut Line, tokens: &mut TokenStream<'_>) -> Result<(), ConfigError> {
    if let Some(token) = tokens.next() {
        reject_attached_brace(&token, tokens)?;
        line.args.push(token);
    }
    Ok(())
}

/// Rejects `cache{` and `cache 30{` at the end of a line, and `cache {}`: CoreDNS takes them for
/// words.
fn reject_attached_brace(token: &Token, tokens: &TokenStream<'_>) -> Result<(), ConfigError> {
    let ends_line = tokens.peek().is_none_or(|next| next.starts_line);
    if token.quoted || !ends_line {
        return Ok(());
    }
    if token.is("{}") {
        return Err(ConfigError::at(token, "missing space between '{' and '}'"));
    }
    if token.has_attached_brace() {
        return Err(ConfigError::at(token, format!("missing space before '{{' in '{}'", token.text)));
    }
    Ok(())
}
