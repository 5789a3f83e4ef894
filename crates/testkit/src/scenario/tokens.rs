//! Tokens of scenario lines: numbers, durations, zones, networks.

use std::str::FromStr;
use std::time::Duration;

use resolver::policy::Network;
use wire::name::Name;

use crate::text::{TextError, error};

/// A number without sign or unit.
pub(super) fn number<N: FromStr>(token: &str) -> Result<N, TextError> {
    token.parse().map_err(|_| TextError(format!("`{token}` is not a number in range")))
}

/// A duration with its unit: `4500ms`, `12s`, `5m`, `1h`; `4.5s` too.
pub(super) fn duration(token: &str) -> Result<Duration, TextError> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let read = units.iter().find_map(|(unit, seconds)| {
        let number: f64 = token.strip_suffix(unit)?.parse().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok()
    });
    // Rounded to microseconds: 4.499 s is not exact in binary.
    match read {
        Some(time) => {
            Ok(Duration::from_micros(u64::try_from((time.as_nanos() + 500) / 1000).unwrap_or(u64::MAX)))
        }
        None => error(format!("`{token}` is not a duration such as 500ms, 12s or 4.5s")),
    }
}

/// A zone in presentation form.
pub(super) fn zone(token: &str) -> Result<Name, TextError> {
    Name::parse(token).map_err(|error| TextError(format!("`{token}` is not a zone: {error:?}")))
}

/// Zones; none means the root, as in a Corefile.
pub(super) fn parse_zones(tokens: &[&str]) -> Result<Vec<Name>, TextError> {
    if tokens.is_empty() { Ok(vec![Name::root()]) } else { tokens.iter().map(|word| zone(word)).collect() }
}

/// Networks in CIDR notation; `None` if one is not.
pub(super) fn parse_networks(tokens: &[&str]) -> Option<Vec<Network>> {
    tokens.iter().map(|word| Network::parse(word)).collect()
}
