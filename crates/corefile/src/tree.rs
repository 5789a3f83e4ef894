//! Syntax tree of a Corefile: server blocks, directives, options.

use crate::error::ConfigError;
use crate::token::Token;

/// A server block.
#[derive(Debug)]
pub(crate) struct ServerBlock {
    /// Its keys, at least one, none empty.
    pub(crate) keys: Vec<Token>,
    /// Its directives in the order of the file.
    pub(crate) directives: Vec<Directive>,
}

/// A directive with its options.
#[derive(Clone, Debug)]
pub(crate) struct Directive {
    /// Its name and arguments.
    pub(crate) line: Line,
    /// The lines between `{` and `}`.
    pub(crate) options: Vec<Line>,
}

impl Directive {
    /// The directive's name.
    pub(crate) fn name(&self) -> &Token {
        &self.line.name
    }

    /// Rejects any option.
    pub(crate) fn no_options(&self) -> Result<(), ConfigError> {
        self.options.first().map_or(Ok(()), |option| Err(ConfigError::argument_count(&option.name)))
    }

    /// Rejects any option, in the words of the plugins that call them properties.
    pub(crate) fn no_properties(&self) -> Result<(), ConfigError> {
        let reason = |option: &Line| format!("unknown property '{}'", option.name.text);
        self.options.first().map_or(Ok(()), |option| Err(ConfigError::at(&option.name, reason(option))))
    }

    /// Rejects any option; those in `unsupported` are known to CoreDNS.
    pub(crate) fn no_options_but_unsupported(&self, unsupported: &[&str]) -> Result<(), ConfigError> {
        match self.options.first() {
            Some(option) if unsupported.contains(&&*option.name.text) => {
                let name = &option.name;
                let reason = format!("option '{}' is not supported by nodelocaldns yet", name.text);
                Err(ConfigError::at(name, reason))
            }
            _ => self.no_options(),
        }
    }
}

/// A name and its arguments: the first line of a directive, or an option.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The first word.
    pub(crate) name: Token,
    /// The other words.
    pub(crate) args: Vec<Token>,
}

impl Line {
    /// The arguments, at least `min` and at most `max`.
    pub(crate) fn arguments(&self, min: usize, max: usize) -> Result<&[Token], ConfigError> {
        match self.args.get(max) {
            Some(surplus) => Err(ConfigError::argument_count(surplus)),
            None if self.args.len() < min => {
                Err(ConfigError::argument_count(self.args.last().unwrap_or(&self.name)))
            }
            None => Ok(&self.args),
        }
    }

    /// Rejects any argument.
    pub(crate) fn no_arguments(&self) -> Result<(), ConfigError> {
        self.arguments(0, 0).map(|_| ())
    }

    /// At most one argument.
    pub(crate) fn optional_argument(&self) -> Result<Option<&Token>, ConfigError> {
        self.arguments(0, 1).map(<[Token]>::first)
    }

    /// Exactly one argument.
    pub(crate) fn single_argument(&self) -> Result<&Token, ConfigError> {
        self.arguments(1, 1)?.first().ok_or_else(|| ConfigError::argument_count(&self.name))
    }
}
