//! Parser: tokens to the syntax tree.

use crate::error::ConfigError;
use crate::import::TokenStream;
use crate::support::{self, DirectiveSupport};
use crate::token::Token;
use crate::tree::{Directive, Line, ServerBlock};

/// Parses all server blocks, those of imported files included, and reports all errors to `tokens`.
/// After an error the rest is parsed as if what is wrong had been right, or were not there. None with
/// too many imports.
pub(crate) fn parse(tokens: &mut TokenStream<'_>) -> Vec<ServerBlock> {
    let mut blocks = Vec::new();
    while tokens.peek().is_some() {
        blocks.extend(parse_block(tokens));
    }
    if tokens.is_over_a_limit() {
        blocks.clear();
    }
    blocks
}

/// Parses a server block; `None` for a snippet definition and for an import without blocks.
fn parse_block(tokens: &mut TokenStream<'_>) -> Option<ServerBlock> {
    let keys = parse_keys(tokens);
    let braced = tokens.next_if("{");
    let Some(first) = keys.first() else {
        let brace = braced?;
        tokens.report(ConfigError::at(&brace, "server block without a zone before '{'"));
        parse_directives(tokens, BlockEnd::Brace);
        return None;
    };
    if let (Some(name), 1) = (snippet_name(first), keys.len()) {
        tokens.define_snippet(first, name, braced.is_some());
        return None;
    }
    let end = if braced.is_some() {
        BlockEnd::Brace
    } else if keys.iter().any(Token::has_attached_brace) {
        BlockEnd::BraceOrFile
    } else {
        BlockEnd::File
    };
    let directives = parse_directives(tokens, end);
    Some(ServerBlock { keys, directives })
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

fn snippet_name(key: &Token) -> Option<&str> {
    key.text.strip_prefix('(')?.strip_suffix(')')
}

fn parse_keys(tokens: &mut TokenStream<'_>) -> Vec<Token> {
    let mut keys = Vec::new();
    let mut seen_any = false;
    let mut comma: Option<Token> = None;
    loop {
        let Some(token) = tokens.peek().cloned() else {
            if let Some(last) = comma {
                tokens.report(ConfigError::at(&last, "Unexpected EOF"));
            }
            return keys;
        };
        if seen_any && comma.is_none() && token.starts_line {
            return keys;
        }
        if token.is("{") {
            if comma.is_some() {
                let reason = "Expected another address but had '{' - check for extra comma";
                tokens.report(ConfigError::at(&token, reason));
            }
            return keys;
        }
        if token.is("}") {
            tokens.report(ConfigError::at(&token, NO_OPENING_BRACE));
            tokens.next();
            continue;
        }
        if token.is("import") && token.starts_line {
            tokens.import();
            continue;
        }
        let Some(mut token) = next_key(tokens) else { continue };
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

/// Takes a key. Warns of `example.org:53{`, and rejects `(snippet){`, which defines no snippet.
fn next_key(tokens: &mut TokenStream<'_>) -> Option<Token> {
    let is_zone = |key: &Token| key.has_attached_brace() && !key.text.starts_with('(');
    if !tokens.peek().is_some_and(is_zone) {
        return next_word(tokens);
    }
    let key = tokens.next()?;
    tokens.warn(format!(
        "{} - missing space before '{{' in '{}': as in node-cache, the brace is part of the zone's name, \
         which no query has; with the space, the block serves '{}'",
        key.location(),
        key.text,
        key.text.trim_end_matches('{')
    ));
    Some(key)
}

fn parse_directives(tokens: &mut TokenStream<'_>, end: BlockEnd) -> Vec<Directive> {
    let mut directives = Vec::new();
    loop {
        let Some(token) = tokens.peek().cloned() else {
            if let (Some(last), BlockEnd::Brace) = (tokens.last(), end) {
                let error = ConfigError::unexpected(last, "}");
                tokens.report(error);
            }
            return directives;
        };
        if token.is("}") {
            if end == BlockEnd::File {
                tokens.report(ConfigError::at(&token, NO_OPENING_BRACE));
            }
            tokens.next();
            return directives;
        }
        if token.is("{") {
            tokens.report(ConfigError::at(&token, "'{' without a directive before it"));
            tokens.next();
            tokens.skip_braces();
        } else if token.is("import") {
            tokens.import();
        } else {
            directives.extend(parse_directive(tokens));
        }
    }
}

/// Parses a directive; `None` for an unknown one, and for one that does not end.
fn parse_directive(tokens: &mut TokenStream<'_>) -> Option<Directive> {
    let name = next_word(tokens)?;
    if support::of(&name.text) == DirectiveSupport::Unknown {
        let reason = format!("Unknown directive '{}'", name.text);
        tokens.report(ConfigError::unknown(&name, reason, &support::known()));
        tokens.skip_line();
        return None;
    }
    let mut line = Line { name, args: Vec::new() };
    let options = loop {
        match tokens.peek().cloned() {
            Some(brace) if brace.is("{") => {
                if brace.starts_line {
                    let name = &line.name.text;
                    let reason = format!("the block of '{name}' must open on the directive's line");
                    tokens.report(ConfigError::at(&brace, reason));
                }
                tokens.next();
                break parse_options(tokens)?;
            }
            Some(token) if !token.starts_line && !token.is("}") => line.args.extend(next_word(tokens)),
            _ => break Vec::new(),
        }
    };
    match tokens.peek().filter(|token| !token.starts_line).cloned() {
        // It ends the server block.
        Some(brace) if brace.is("}") => tokens.report(ConfigError::at(&brace, NO_OPENING_BRACE)),
        Some(token) => {
            tokens.report(ConfigError::unexpected(&token, "end of line"));
            tokens.skip_line();
        }
        None => {}
    }
    Some(Directive { line, options })
}

/// Parses the lines after `{` up to and including `}`; `None` without it, because the lines that
/// follow may not be options.
fn parse_options(tokens: &mut TokenStream<'_>) -> Option<Vec<Line>> {
    let mut options: Vec<Line> = Vec::new();
    loop {
        let Some(token) = tokens.peek().cloned() else {
            let error = tokens.last().map(|last| ConfigError::at(last, "Unexpected EOF"));
            error.into_iter().for_each(|error| tokens.report(error));
            return None;
        };
        if token.is("{") {
            let reason = "nested block not allowed: an option has no block of its own";
            tokens.report(ConfigError::at(&token, reason));
            tokens.next();
            tokens.skip_braces();
        } else if token.is("}") {
            if !token.starts_line && !options.is_empty() {
                let reason = "Unexpected '}' on an option's line; put it on a line of its own";
                tokens.report(ConfigError::at(&token, reason));
            }
            tokens.next();
            return Some(options);
        } else if token.is("import") && token.starts_line {
            tokens.import();
        } else if let Some(option) = options.last_mut().filter(|_| !token.starts_line) {
            option.args.extend(next_word(tokens));
        } else {
            options.extend(next_word(tokens).map(|name| Line { name, args: Vec::new() }));
        }
    }
}

/// Takes a word. Rejects `cache{` and `cache 30{` at the end of a line, and `cache {}`, which
/// CoreDNS takes for words; the brace is then a token of its own. `None` if that is all of it.
fn next_word(tokens: &mut TokenStream<'_>) -> Option<Token> {
    let token = tokens.next()?;
    let ends_line = tokens.peek().is_none_or(|next| next.starts_line);
    if token.quoted || !ends_line {
        return Some(token);
    }
    if token.is("{}") {
        tokens.report(ConfigError::at(&token, "missing space between '{' and '}'"));
        tokens.put_back(&token, &["{", "}"]);
        return None;
    }
    if !token.has_attached_brace() {
        return Some(token);
    }
    tokens.report(ConfigError::at(&token, format!("missing space before '{{' in '{}'", token.text)));
    tokens.put_back(&token, &["{"]);
    let text = token.text.strip_suffix('{').unwrap_or_default().into();
    Some(Token { text, ..token })
}
