//! Command line of `nodelocaldns sleep`.

use std::ffi::OsString;
use std::time::Duration;

use super::error::UsageError;

const HELP: &str = "\
Sleeps, for a preStop hook: the image has no other program.

Usage: nodelocaldns sleep SECONDS

  SECONDS   a whole number, 3600 at most

Exit code: 0 after that time or a signal that terminates, 2 for a wrong command line.
";

/// The longest sleep, in seconds: longer than any grace period in use.
const MAX_SECONDS: u64 = 3600;

/// Parses the command line of `nodelocaldns sleep`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse(args: &[OsString]) -> Result<Duration, UsageError> {
    match args.get(2..) {
        Some([word]) if matches!(word.to_str(), Some("-h" | "-help" | "--help")) => {
            Err(UsageError::text(HELP.to_owned()))
        }
        Some([word]) => seconds(&word.to_string_lossy())
            .map_err(|reason| UsageError::wrong(&format!("sleep: {reason}: nodelocaldns sleep SECONDS"))),
        _ => Err(UsageError::wrong("sleep: one number of seconds is expected: nodelocaldns sleep SECONDS")),
    }
}

/// A whole number of seconds, up to [`MAX_SECONDS`]; the error says what is wrong with it.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text).parse().ok().filter(|number| *number <= MAX_SECONDS);
    number
        .map(Duration::from_secs)
        .ok_or_else(|| format!("{text:?} is not a whole number of seconds up to {MAX_SECONDS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_seconds_may_have_a_unit_and_has_a_maximum() {
        for (text, expected) in [("0", 0), ("5", 5), ("30s", 30), ("3600", 3600)] {
            assert_eq!(seconds(text), Ok(Duration::from_secs(expected)), "{text}");
        }
        for wrong in ["", "s", "-1", "1.5", "1m", "3601", "99999999999999999999"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
