//! Command lines of subcommands: words of their own, `-o`, `-help`, and flags of the daemon.

use std::ffi::{OsStr, OsString};

use super::command_line;
use super::error::UsageError;

/// A subcommand, the first word after the program's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subcommand {
    /// `nodelocaldns check`
    Check,
    /// `nodelocaldns doctor`
    Doctor,
    /// `nodelocaldns sleep`
    Sleep,
    /// `nodelocaldns uninstall`
    Uninstall,
    /// `nodelocaldns status`
    Status,
    /// `nodelocaldns config`
    Config,
    /// `nodelocaldns cache`
    Cache,
    /// `nodelocaldns query`
    Query,
    /// `nodelocaldns dump`
    Dump,
    /// `nodelocaldns top`
    Top,
    /// `nodelocaldns trace`
    Trace,
}

impl Subcommand {
    /// The subcommand of a command line, if it has one.
    pub(crate) fn of(args: &[OsString]) -> Option<Self> {
        match args.get(1)?.to_str()? {
            "check" => Some(Self::Check),
            "doctor" => Some(Self::Doctor),
            "sleep" => Some(Self::Sleep),
            "uninstall" => Some(Self::Uninstall),
            "status" => Some(Self::Status),
            "config" => Some(Self::Config),
            "cache" => Some(Self::Cache),
            "query" => Some(Self::Query),
            "dump" => Some(Self::Dump),
            "top" => Some(Self::Top),
            "trace" => Some(Self::Trace),
            _ => None,
        }
    }
}

/// The flags that a subcommand has beside the daemon's.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnFlags {
    pub(super) help: &'static str,
    /// With a value.
    pub(super) valued: &'static [&'static str],
    /// Without one.
    pub(super) bare: &'static [&'static str],
    /// The most words that are not flags, in front of the flags or behind them.
    pub(super) operands: usize,
}

/// A command line in its parts.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Own flags in order, with their values.
    pub(super) own: Vec<(String, String)>,
    /// `-o json`
    pub(super) json: bool,
    /// Words that are not flags.
    pub(super) operands: Vec<String>,
    /// For the daemon's parser, the program's name first.
    pub(super) others: Vec<OsString>,
}

impl Words {
    /// The last value of an own flag.
    pub(super) fn value(&self, flag: &str) -> Option<&str> {
        self.own.iter().rev().find(|(name, _)| name == flag).map(|(_, value)| &**value)
    }

    pub(super) fn has(&self, flag: &str) -> bool {
        self.own.iter().any(|(name, _)| name == flag)
    }

    /// The last value of a flag, which counts.
    pub(super) fn last(&self, flag: &str) -> Option<&str> {
        self.own.iter().rev().find(|(name, _)| name == flag).map(|(_, value)| value.as_str())
    }
}

impl OwnFlags {
    /// No flag beside the daemon's.
    pub(super) const NONE: Self = Self { help: "", valued: &[], bare: &[], operands: 0 };

    /// Parses `args` with the subcommand's name as second word.
    ///
    /// # Errors
    /// It is wrong, or requests the help.
    pub(super) fn parse(self, mut args: Vec<OsString>) -> Result<Words, UsageError> {
        args.remove(1);
        let is_operand = |word: &OsString| !word.as_encoded_bytes().starts_with(b"-");
        let leading = args.iter().skip(1).take(self.operands).take_while(|word| is_operand(word)).count();
        let operands: Vec<OsString> = args.drain(1..=leading).collect();
        let mut words = Words::default();
        words.operands.extend(operands.iter().map(|word| word.to_string_lossy().into_owned()));
        for (index, word) in command_line::to_gnu(args, self.bare).into_iter().enumerate() {
            if word == OsStr::new("--help") {
                return Err(UsageError::text(self.help.to_owned()));
            }
            let flag = word.to_str().and_then(|text| text.strip_prefix("--"));
            let (name, value) = flag.map_or(("", ""), |flag| flag.split_once('=').unwrap_or((flag, "")));
            match (name, value) {
                ("o", "json") => words.json = true,
                ("o", "text") => words.json = false,
                ("o", other) => {
                    let reason = format!("invalid value \"{other}\" for -o: neither text nor json");
                    return Err(UsageError::wrong(&reason));
                }
                _ if self.valued.contains(&name) || (self.bare.contains(&name) && value.is_empty()) => {
                    words.own.push((name.to_owned(), value.to_owned()));
                }
                _ if index > 0 && is_operand(&word) && words.operands.len() < self.operands => {
                    words.operands.push(word.to_string_lossy().into_owned());
                }
                _ => words.others.push(word),
            }
        }
        Ok(words)
    }
}
