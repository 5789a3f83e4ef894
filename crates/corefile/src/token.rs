//! Tokens of a Corefile and the text they come from.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::rc::Rc;

/// A Corefile, or a file imported by one.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its name in messages: a path, or a substitute for one.
    pub(crate) name: String,
    /// The directory that relative paths of `import` start from.
    pub(crate) directory: PathBuf,
    /// Its text.
    pub(crate) text: String,
    /// Where its lines start; found when one of them is shown.
    line_starts: OnceCell<Vec<usize>>,
}

impl Source {
    /// A file with this name, the directory of its relative imports, and its text.
    pub(crate) fn new(name: String, directory: PathBuf, text: String) -> Self {
        Self { name, directory, text, line_starts: OnceCell::new() }
    }

    /// A line by number, from 1.
    pub(crate) fn line(&self, number: usize) -> Option<&str> {
        let starts = self.line_starts.get_or_init(|| {
            let ends = self.text.match_indices('\n').map(|(end, _)| end + 1);
            std::iter::once(0).chain(ends).collect()
        });
        self.text.get(*starts.get(number.checked_sub(1)?)?..)?.lines().next()
    }
}

/// A word, `{` or `}`.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// The text without quotes, environment variables expanded.
    pub(crate) text: Rc<str>,
    /// The file it is in.
    pub(crate) source: Rc<Source>,
    /// The line it starts on, from 1.
    pub(crate) line: usize,
    /// The character it starts at, from 1.
    pub(crate) column: usize,
    /// Its number in the order of the file, imports included; set when it is read.
    pub(crate) order: usize,
    /// True for the first token of a line.
    pub(crate) starts_line: bool,
    /// True when it is written in quotes.
    pub(crate) quoted: bool,
    /// Names of environment variables in it that are not set.
    pub(crate) unset: Rc<[String]>,
}

impl Token {
    /// `FILE:LINE`.
    pub(crate) fn location(&self) -> String {
        format!("{}:{}", self.source.name, self.line)
    }

    /// True when its text is `word`.
    pub(crate) fn is(&self, word: &str) -> bool {
        &*self.text == word
    }

    /// True for a word such as `example.org:53{`, of which CoreDNS takes the brace for a part.
    pub(crate) fn has_attached_brace(&self) -> bool {
        !self.quoted && self.text.len() > 1 && self.text.ends_with('{')
    }
}
