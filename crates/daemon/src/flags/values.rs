//! Values of flags.

use std::net::IpAddr;
use std::time::Duration;

use corefile::duration;

/// A comma-separated list of addresses, each once; or the reason why it is invalid.
pub(super) fn local_ips(text: &str) -> Result<Vec<IpAddr>, String> {
    let mut ips = Vec::new();
    for word in text.split(',').map(str::trim) {
        let remedy = "give the addresses to serve, such as -localip 169.254.25.10,fd00::10";
        let ip = word.parse().map_err(|_| format!("invalid localip specified - \"{word}\"; {remedy}"))?;
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    Ok(ips)
}

/// A boolean as Go's `strconv.ParseBool` accepts it.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("neither true nor false".to_owned()),
    }
}

/// The interval of `-syncinterval`. node-cache multiplies a Go duration by one second, so that
/// `60ns` is a minute there; here `60` and `60s` are the same.
pub(super) fn sync_interval(text: &str) -> Result<Duration, String> {
    let count = text.strip_suffix("ns").unwrap_or(text);
    let interval = match count.parse::<u64>() {
        Ok(seconds) => duration::parse(&format!("{seconds}s")),
        Err(_) => duration::parse(text),
    };
    let interval = interval.map_err(|error| error.to_string())?;
    if interval < Duration::from_secs(1) {
        return Err("shorter than a second".to_owned());
    }
    Ok(interval)
}

/// The seconds of `-watchdog`: fewer than 2 would end a process that only lacks CPU time.
pub(super) fn watchdog_seconds(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| matches!(seconds, 0 | 2..=60));
    seconds.ok_or_else(|| "neither 0 nor 2 to 60".to_owned())
}

/// A number of octets, with an optional `Ki`, `Mi` or `Gi`.
pub(super) fn octets(text: &str) -> Result<u64, String> {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let (digits, unit) = units
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .unwrap_or((text, 1));
    let octets = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    octets.ok_or_else(|| "not a number of octets, such as 67108864 or 64Mi".to_owned())
}

/// A path; `None` if empty.
pub(super) fn optional_path(text: String) -> Option<std::path::PathBuf> {
    Some(text).filter(|path| !path.is_empty()).map(Into::into)
}
