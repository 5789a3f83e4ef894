//! [`TokenStream`]: the tokens of a Corefile, with `import` replaced by files and snippets.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::environment::Environment;
use crate::error::ConfigError;
use crate::error_list::ErrorList;
use crate::host::Host;
use crate::lexer;
use crate::token::{Source, Token};

/// Imports of snippets in one Corefile; more are considered a cycle.
const MAX_SNIPPETS: u32 = 10_000;
/// Imports of files in one Corefile; more are considered a cycle.
const MAX_FILES: u32 = 10_000;
/// Pending tokens; a Corefile of 4 MiB has fewer.
const MAX_PENDING: usize = 4 << 20;

/// Tokens of a Corefile and its imports.
pub(crate) struct TokenStream<'a> {
    /// In reverse order: the next token is the last.
    pending: Vec<Token>,
    last: Option<Token>,
    /// Tokens taken.
    taken: usize,
    snippets: HashMap<Rc<str>, Vec<Token>>,
    imported_snippets: u32,
    imported_files: u32,
    too_many_words: bool,
    env: &'a Environment,
    host: &'a dyn Host,
    warnings: &'a mut Vec<String>,
    errors: &'a mut ErrorList,
}

impl<'a> TokenStream<'a> {
    pub(crate) fn new(
        source: Source,
        env: &'a Environment,
        host: &'a dyn Host,
        (warnings, errors): (&'a mut Vec<String>, &'a mut ErrorList),
    ) -> Self {
        let mut pending = lexer::tokenize(&Rc::new(source), env, warnings);
        pending.reverse();
        let mut stream = Self {
            pending,
            last: None,
            taken: 0,
            snippets: HashMap::new(),
            imported_snippets: 0,
            imported_files: 0,
            too_many_words: false,
            env,
            host,
            warnings,
            errors,
        };
        stream.number();
        stream
    }

    /// The tokens are numbered from `taken` on.
    pub(crate) fn numbered_from(mut self, taken: usize) -> Self {
        self.taken = taken;
        self.number();
        self
    }

    /// The number of tokens taken, those before the first one included.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Numbers the next token.
    fn number(&mut self) {
        if let Some(next) = self.pending.last_mut() {
            next.order = self.taken;
        }
    }

    /// The next token.
    pub(crate) fn peek(&self) -> Option<&Token> {
        self.pending.last()
    }

    /// The previous token.
    pub(crate) fn last(&self) -> Option<&Token> {
        self.last.as_ref()
    }

    /// Takes the next token.
    pub(crate) fn next(&mut self) -> Option<Token> {
        let next = self.pending.pop()?;
        self.last = Some(next.clone());
        self.taken += 1;
        self.number();
        Some(next)
    }

    /// Takes the next token if it is this one.
    pub(crate) fn next_if(&mut self, word: &str) -> Option<Token> {
        if self.peek()?.is(word) { self.next() } else { None }
    }

    /// Makes `words` the next tokens, at the place of `token`.
    pub(crate) fn put_back(&mut self, token: &Token, words: &[&str]) {
        let tokens = words.iter().rev();
        self.pending.extend(tokens.map(|&word| Token {
            text: word.into(),
            starts_line: false,
            ..token.clone()
        }));
        self.number();
    }

    /// Takes the rest of the line, and the block that opens on it.
    pub(crate) fn skip_line(&mut self) {
        while let Some(token) = self.next_on_line_but_brace() {
            if token.is("{") {
                return self.skip_braces();
            }
        }
    }

    /// Takes the tokens up to the `}` that matches the last `{`.
    pub(crate) fn skip_braces(&mut self) {
        let mut depth = 1_u32;
        while depth > 0
            && let Some(token) = self.next()
        {
            match &*token.text {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
        }
    }

    /// The next token of the line; a `}` stays, because it ends the block around the line.
    fn next_on_line_but_brace(&mut self) -> Option<Token> {
        if self.peek()?.is("}") { None } else { self.next_on_line() }
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Adds an error.
    pub(crate) fn report(&mut self, error: ConfigError) {
        self.errors.push(error);
    }

    /// Stores the tokens up to `}` as a snippet; `braced` if the `{` before them is taken.
    pub(crate) fn define_snippet(&mut self, key: &Token, name: &str, braced: bool) {
        if self.snippets.contains_key(name) {
            let reason = format!("redeclaration of previously declared snippet {name}");
            self.report(ConfigError::at(key, reason));
        }
        if !braced {
            let found = self.peek().unwrap_or(key);
            let error = ConfigError::unexpected(found, "{");
            return self.report(error);
        }
        let mut depth = 1_u32;
        let mut body: Vec<Token> = Vec::new();
        while let Some(token) = self.next() {
            match &*token.text {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.snippets.insert(name.into(), body);
                return;
            }
            let own = token.is(name) && !token.starts_line;
            if own && body.last().is_some_and(|import| import.is("import") && import.starts_line) {
                self.report(ConfigError::at(&token, format!("snippet {name} imports itself")));
                body.pop();
                continue;
            }
            body.push(token);
        }
        let error = ConfigError::unexpected(self.last().unwrap_or(key), "}");
        self.report(error);
    }

    /// Replaces `import PATTERN`, the next two tokens, by what it names; by nothing after an error.
    pub(crate) fn import(&mut self) {
        if let Err(error) = self.try_import() {
            self.report(error);
            self.skip_line();
        }
        if self.is_over_a_limit() {
            self.pending.clear();
        }
        self.number();
    }

    /// True if there were too many imports, so that the rest has not been read.
    pub(crate) fn is_over_a_limit(&self) -> bool {
        self.imported_snippets > MAX_SNIPPETS || self.imported_files > MAX_FILES || self.too_many_words
    }

    fn try_import(&mut self) -> Result<(), ConfigError> {
        let Some(import) = self.next() else { return Ok(()) };
        if self.peek().is_some_and(|token| token.is("{")) {
            return Err(ConfigError::argument_count(&import));
        }
        let Some(pattern) = self.next_on_line_but_brace() else {
            return Err(ConfigError::argument_count(&import));
        };
        if pattern.text.is_empty() {
            return Err(ConfigError::at(&pattern, "Import requires a non-empty filepath"));
        }
        if let Some(surplus) = self.next_on_line() {
            return Err(ConfigError::at(&surplus, "Import takes only one argument (glob pattern or file)"));
        }
        let mut imported = match self.snippets.get(&pattern.text) {
            Some(body) => {
                count_import(&mut self.imported_snippets, MAX_SNIPPETS, &pattern)?;
                body.clone()
            }
            None => self.files(&pattern)?,
        };
        if self.pending.len() + imported.len() > MAX_PENDING {
            self.too_many_words = true;
            return Err(ConfigError::at(&pattern, format!("the imports have more than {MAX_PENDING} words")));
        }
        if let Some(first) = imported.first_mut() {
            first.starts_line = true;
        }
        self.pending.extend(imported.into_iter().rev());
        Ok(())
    }

    fn next_on_line(&mut self) -> Option<Token> {
        if self.peek()?.starts_line { None } else { self.next() }
    }

    /// The tokens of all files that a pattern matches, in the order of file names.
    fn files(&mut self, pattern: &Token) -> Result<Vec<Token>, ConfigError> {
        let path = pattern.source.directory.join(&*pattern.text);
        let shown = path.to_string_lossy();
        let many = |wildcard: char| shown.matches(wildcard).count() > 1;
        if many('*') || many('?') || (shown.contains('[') && shown.contains(']')) {
            let reason = format!("Glob pattern may only contain one wildcard (*), but has others: {shown}");
            return Err(ConfigError::at(pattern, reason));
        }
        let is_pattern = shown.contains(['*', '?']);
        let paths = if is_pattern { matching_paths(&path, self.host) } else { vec![path.clone()] };
        if paths.is_empty() {
            let location = pattern.location();
            self.warnings
                .push(format!("{location} - No files matching import glob pattern: {}", pattern.text));
        }
        let mut tokens = Vec::new();
        for path in paths {
            count_import(&mut self.imported_files, MAX_FILES, pattern)?;
            let source = self.source(&path, pattern)?;
            tokens.extend(lexer::tokenize(&Rc::new(source), self.env, self.warnings));
        }
        Ok(tokens)
    }

    fn source(&self, path: &Path, pattern: &Token) -> Result<Source, ConfigError> {
        let name = path.to_string_lossy().into_owned();
        if self.host.is_directory(path) {
            return Err(ConfigError::at(pattern, format!("Could not import {name}: is a directory")));
        }
        let bytes = self.host.read_file(path).map_err(|error| {
            let reason = match error.kind() {
                ErrorKind::NotFound => format!("File to import not found: {}", pattern.text),
                _ => format!("Could not read imported file {name}: {error}"),
            };
            ConfigError::at(pattern, reason)
        })?;
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(Source::new(name, directory, String::from_utf8_lossy(&bytes).into_owned()))
    }
}

fn count_import(counter: &mut u32, limit: u32, pattern: &Token) -> Result<(), ConfigError> {
    *counter += 1;
    if *counter > limit {
        let reason = format!("more than {limit} imports; does '{}' import itself in a cycle?", pattern.text);
        return Err(ConfigError::at(pattern, reason));
    }
    Ok(())
}

/// The paths that a pattern matches, sorted.
fn matching_paths(pattern: &Path, host: &dyn Host) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !text.contains(['*', '?']) {
            paths.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let found = paths.iter().flat_map(|directory| {
            let mut names = host.list_directory(directory).unwrap_or_default();
            names.retain(|name| glob_matches(&text, &name.to_string_lossy()));
            names.sort();
            names.into_iter().map(|name| directory.join(name)).collect::<Vec<_>>()
        });
        paths = found.collect();
    }
    let missing = |path: &Path| host.read_file(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    paths.retain(|path| host.is_directory(path) || !missing(path));
    paths
}

/// Glob match: `*` matches any characters, `?` one.
fn glob_matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = rest.as_str();
            name.char_indices().any(|(at, _)| glob_matches(rest, name.get(at..).unwrap_or_default()))
                || glob_matches(rest, "")
        }
        Some(wanted) => {
            let mut name = name.chars();
            name.next().is_some_and(|first| wanted == '?' || wanted == first)
                && glob_matches(rest.as_str(), name.as_str())
        }
    }
}
