//! Output of a subcommand, and values in it.

use std::io::{self, Write};

use serde_json::Value;

/// Exit code when no instance answers.
pub(super) const NO_INSTANCE: u8 = 3;

/// Standard output.
pub(super) struct Output(io::Stdout);

impl Output {
    pub(super) fn stdout() -> Self {
        Self(io::stdout())
    }

    /// Writes `text` at once; false when nobody reads any more.
    pub(super) fn write(&mut self, text: &str) -> bool {
        self.0.write_all(text.as_bytes()).and_then(|()| self.0.flush()).is_ok()
    }
}

/// A field, by its path as in `/cache/hits`: a text as it is, another value as JSON; `-` without one.
/// What an instance took from packets has no control characters: names are in presentation format.
pub(super) fn field(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A number, 0 without one.
pub(super) fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or(0.0)
}

/// A list, empty without one.
pub(super) fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A list of texts, separated by spaces.
pub(super) fn words(value: &Value, path: &str) -> String {
    let words: Vec<&str> = list(value, path).iter().filter_map(Value::as_str).collect();
    words.join(" ")
}

/// Octets in the largest binary unit that leaves at least 1.
pub(super) fn octets(count: f64) -> String {
    let units = [("GiB", 1024.0 * 1024.0 * 1024.0), ("MiB", 1024.0 * 1024.0), ("KiB", 1024.0)];
    match units.into_iter().find(|(_, unit)| count >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", count / unit),
        None => format!("{count} B"),
    }
}

/// Seconds as days, hours, minutes and seconds, two of them.
pub(super) fn duration(seconds: f64) -> String {
    let units = [("d", 86_400.0), ("h", 3600.0), ("m", 60.0)];
    match units.into_iter().find(|(_, unit)| seconds >= *unit) {
        Some(("m", unit)) => format!("{}m{}s", (seconds / unit).floor(), (seconds % unit).floor()),
        Some(("h", unit)) => format!("{}h{}m", (seconds / unit).floor(), (seconds % unit / 60.0).floor()),
        Some((_, unit)) => format!("{}d{}h", (seconds / unit).floor(), (seconds % unit / 3600.0).floor()),
        None => format!("{seconds:.1}s"),
    }
}

/// A ratio as a percentage.
pub(super) fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_printed_in_the_unit_that_people_use() {
        for (count, text) in
            [(0.0, "0 B"), (1023.0, "1023 B"), (1536.0, "1.5 KiB"), (40_474_214.0, "38.6 MiB")]
        {
            assert_eq!(octets(count), text);
        }
        for (seconds, text) in [(0.25, "0.2s"), (61.5, "1m1s"), (7_260.0, "2h1m"), (180_000.0, "2d2h")] {
            assert_eq!(duration(seconds), text);
        }
    }
}
