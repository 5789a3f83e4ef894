//! Words in the order in which they are obeyed: files and snippets take the place of their `import`.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::environment::Environment;
use crate::error::ConfigError;
use crate::host::Host;
use crate::lexer::{self, Source, Token};

/// Imports of snippets in one Corefile; more are a circle.
const MAX_SNIPPETS: u32 = 10_000;
/// Imports of files in one Corefile; more are a circle.
const MAX_FILES: u32 = 10_000;
/// Words that wait to be read at once; a Corefile of 4 MiB has fewer.
const MAX_WAITING: usize = 4 << 20;

/// Hands out the words of a Corefile one by one.
pub(super) struct Reader<'a> {
    /// Backwards: the next word is the last.
    waiting: Vec<Token>,
    last: Option<Token>,
    snippets: HashMap<Rc<str>, Vec<Token>>,
    imported_snippets: u32,
    imported_files: u32,
    env: &'a Environment,
    host: &'a dyn Host,
    warnings: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        source: Source,
        env: &'a Environment,
        host: &'a dyn Host,
        warnings: &'a mut Vec<String>,
    ) -> Self {
        let mut waiting = lexer::tokens(&Rc::new(source), env, warnings);
        waiting.reverse();
        let snippets = HashMap::new();
        Self { waiting, last: None, snippets, imported_snippets: 0, imported_files: 0, env, host, warnings }
    }

    /// The next word.
    pub(super) fn peek(&self) -> Option<&Token> {
        self.waiting.last()
    }

    /// The word that was handed out before.
    pub(super) fn last(&self) -> Option<&Token> {
        self.last.as_ref()
    }

    /// Hands out the next word.
    pub(super) fn next(&mut self) -> Option<Token> {
        let next = self.waiting.pop()?;
        self.last = Some(next.clone());
        Some(next)
    }

    /// Keeps the words between the braces that follow under a name.
    pub(super) fn define_snippet(&mut self, key: &Token, name: &str) -> Result<(), ConfigError> {
        if self.snippets.contains_key(name) {
            return Err(ConfigError::at(key, format!("redeclaration of previously declared snippet {name}")));
        }
        match self.next() {
            Some(brace) if brace.is("{") => {}
            Some(other) => return Err(ConfigError::unexpected(&other, "{")),
            None => return Err(ConfigError::unexpected(key, "{")),
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
                return Ok(());
            }
            let own = token.is(name) && !token.starts_line;
            if own && body.last().is_some_and(|import| import.is("import") && import.starts_line) {
                return Err(ConfigError::at(&token, format!("snippet {name} imports itself")));
            }
            body.push(token);
        }
        Err(ConfigError::unexpected(self.last().unwrap_or(key), "}"))
    }

    /// Takes `import PATTERN` away and puts in its place what it names.
    pub(super) fn import(&mut self) -> Result<(), ConfigError> {
        let Some(import) = self.next() else { return Ok(()) };
        let Some(pattern) = self.next_on_line().filter(|token| !token.is("{")) else {
            return Err(ConfigError::argument(&import));
        };
        if pattern.text.is_empty() {
            return Err(ConfigError::at(&pattern, "Import requires a non-empty filepath"));
        }
        if let Some(surplus) = self.next_on_line() {
            return Err(ConfigError::at(&surplus, "Import takes only one argument (glob pattern or file)"));
        }
        let mut imported = match self.snippets.get(&pattern.text) {
            Some(body) => {
                count(&mut self.imported_snippets, MAX_SNIPPETS, &pattern)?;
                body.clone()
            }
            None => self.files(&pattern)?,
        };
        if self.waiting.len() + imported.len() > MAX_WAITING {
            return Err(ConfigError::at(&pattern, "the imports grow without end"));
        }
        if let Some(first) = imported.first_mut() {
            first.starts_line = true;
        }
        self.waiting.extend(imported.into_iter().rev());
        Ok(())
    }

    fn next_on_line(&mut self) -> Option<Token> {
        if self.peek()?.starts_line { None } else { self.next() }
    }

    /// The words of all files a pattern names, in the order of their names.
    fn files(&mut self, pattern: &Token) -> Result<Vec<Token>, ConfigError> {
        let whole = pattern.source.directory.join(&*pattern.text);
        let shown = whole.to_string_lossy();
        let many = |wildcard: char| shown.matches(wildcard).count() > 1;
        if many('*') || many('?') || (shown.contains('[') && shown.contains(']')) {
            let reason = format!("Glob pattern may only contain one wildcard (*), but has others: {shown}");
            return Err(ConfigError::at(pattern, reason));
        }
        let is_pattern = shown.contains(['*', '?']);
        let paths = if is_pattern { matching(&whole, self.host) } else { vec![whole.clone()] };
        if paths.is_empty() {
            let place = pattern.place();
            self.warnings.push(format!("{place} - No files matching import glob pattern: {}", pattern.text));
        }
        let mut tokens = Vec::new();
        for path in paths {
            count(&mut self.imported_files, MAX_FILES, pattern)?;
            let source = self.source(&path, pattern)?;
            tokens.extend(lexer::tokens(&Rc::new(source), self.env, self.warnings));
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
        Ok(Source { name, directory, text: String::from_utf8_lossy(&bytes).into_owned() })
    }
}

fn count(counter: &mut u32, most: u32, pattern: &Token) -> Result<(), ConfigError> {
    *counter += 1;
    if *counter > most {
        let reason = format!("more than {most} imports; does '{}' import itself in a circle?", pattern.text);
        return Err(ConfigError::at(pattern, reason));
    }
    Ok(())
}

/// The paths a pattern names, sorted.
fn matching(pattern: &Path, host: &dyn Host) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !text.contains(['*', '?']) {
            paths.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let found = paths.iter().flat_map(|directory| {
            let mut names = host.list_directory(directory).unwrap_or_default();
            names.retain(|name| fits(&text, &name.to_string_lossy()));
            names.sort();
            names.into_iter().map(|name| directory.join(name)).collect::<Vec<_>>()
        });
        paths = found.collect();
    }
    let missing = |path: &Path| host.read_file(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    paths.retain(|path| host.is_directory(path) || !missing(path));
    paths
}

/// True when a name fits a pattern in which `*` stands for any characters and `?` for one.
fn fits(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let behind = rest.as_str();
            name.char_indices().any(|(at, _)| fits(behind, name.get(at..).unwrap_or_default()))
                || fits(behind, "")
        }
        Some(wanted) => {
            let mut name = name.chars();
            name.next().is_some_and(|first| wanted == '?' || wanted == first)
                && fits(rest.as_str(), name.as_str())
        }
    }
}
