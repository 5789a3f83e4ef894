//! Durations in Go's syntax: `1h20m`, `0.5s`, `60ns`. `0` needs no unit, `20` does.

use std::fmt;
use std::time::Duration;

/// Why a text is not a duration, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// Malformed, or above the 292 years that 63 bits of nanoseconds hold.
    Invalid(String),
    /// A number without a unit.
    MissingUnit(String),
    /// A number with a unit other than `ns`, `us`, `ms`, `s`, `m`, `h`.
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// Negative.
    Negative(String),
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => write!(f, "time: invalid duration {text:?}"),
            Self::MissingUnit(text) => {
                write!(f, "time: missing unit in duration {text:?} (a number and one of ns us ms s m h)")
            }
            Self::UnknownUnit { unit, text } => write!(f, "time: unknown unit {unit:?} in duration {text:?}"),
            Self::Negative(text) => write!(f, "the duration {text:?} is negative"),
        }
    }
}

impl std::error::Error for DurationError {}

/// Parses a non-negative duration.
///
/// # Errors
/// See [`DurationError`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if unsigned == "0" {
        return Ok(Duration::ZERO);
    }
    if unsigned.is_empty() {
        return Err(invalid());
    }
    let mut rest = unsigned;
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let (amount, after) = number(rest).ok_or_else(invalid)?;
        let (unit, next) =
            after.split_at(after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len()));
        if unit.is_empty() {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        let scale = unit_nanoseconds(unit)
            .ok_or_else(|| DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() })?;
        let part = amount.nanoseconds(scale).ok_or_else(invalid)?;
        nanos = nanos.checked_add(part).filter(|sum| i64::try_from(*sum).is_ok()).ok_or_else(invalid)?;
        rest = next;
    }
    if negative && nanos > 0 {
        return Err(DurationError::Negative(text.to_owned()));
    }
    Ok(Duration::from_nanos(nanos))
}

/// The decimal number `whole + numerator / denominator`.
struct Amount {
    whole: u64,
    numerator: u64,
    denominator: u64,
}

impl Amount {
    fn nanoseconds(&self, scale: u64) -> Option<u64> {
        let part = u128::from(self.numerator) * u128::from(scale) / u128::from(self.denominator);
        self.whole.checked_mul(scale)?.checked_add(u64::try_from(part).ok()?)
    }
}

/// Parses a decimal number; returns the rest of the text too.
fn number(text: &str) -> Option<(Amount, &str)> {
    let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
    let (whole, rest) = text.split_at(digits(text));
    let (part, rest) = match rest.strip_prefix('.') {
        Some(after) => after.split_at(digits(after)),
        None => ("", rest),
    };
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    // A nanosecond is the thirteenth decimal place of an hour: further digits have no effect.
    let part = part.get(..part.len().min(13))?;
    let whole = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let denominator = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let numerator = if part.is_empty() { 0 } else { part.parse().ok()? };
    Some((Amount { whole, numerator, denominator }, rest))
}

fn unit_nanoseconds(unit: &str) -> Option<u64> {
    match unit {
        "ns" => Some(1),
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    }
}

/// Displays a duration in Go's canonical form, as CoreDNS logs it: `5m0s`, `1.5s`, `500ms`, `0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoDuration(pub Duration);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => write!(f, "{}\u{b5}s", Decimal(nanos, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", Decimal(nanos, 1_000_000)),
            _ => {
                let minutes = self.0.as_secs() / 60;
                let seconds = Decimal(nanos % 60_000_000_000, 1_000_000_000);
                match (minutes / 60, minutes % 60) {
                    (0, 0) => write!(f, "{seconds}s"),
                    (0, minutes) => write!(f, "{minutes}m{seconds}s"),
                    (hours, minutes) => write!(f, "{hours}h{minutes}m{seconds}s"),
                }
            }
        }
    }
}

/// Nanoseconds in a larger unit, without trailing zeros.
struct Decimal(u128, u128);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / self.1, self.0 % self.1);
        if part == 0 {
            return write!(f, "{whole}");
        }
        let width = self.1.to_string().len() - 1;
        let digits = format!("{part:0width$}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_accepted() {
        for (text, nanos) in [
            ("0", 0),
            ("-0", 0),
            ("60ns", 60),
            ("1h20m", 4_800_000_000_000),
            ("0.5s", 500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("+5m", 300_000_000_000),
            ("3\u{b5}s", 3_000),
            ("1m1s1ms", 61_001_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn malformed_and_negative_durations_are_rejected() {
        for text in ["", "foo", "s", ".s", "1..5s", "20", "1h2", "5x", "-1s", "9999999h", "1 s", "\u{ff15}s"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_displayed_in_canonical_form_and_parse_back() {
        for (text, shown) in [
            ("300s", "5m0s"),
            ("1500ms", "1.5s"),
            ("0.5s", "500ms"),
            ("0", "0s"),
            ("1h", "1h0m0s"),
            ("90061.25s", "25h1m1.25s"),
            ("1500us", "1.5ms"),
            ("10us", "10\u{b5}s"),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!(GoDuration(duration).to_string(), shown);
            assert_eq!(parse(shown), Ok(duration));
        }
    }
}
