//! Go's flag syntax, rewritten to GNU's.
//!
//! Go accepts `-name x`, `-name=x`, `--name x` and `--name=x`; boolean flags bare or with `=true`,
//! `=false`, `=1`, `=0`, `=t`, `=f`. The last of several values counts.

use std::ffi::{OsStr, OsString};

/// Doubles the dash of `-name`, and joins a flag and its value with `=`. The word after a flag that
/// takes a value is the value, even with a dash. As in Go, flags end at the first word that is not
/// one, and `-h` is `--help`.
pub(super) fn to_gnu(
    args: impl IntoIterator<Item = OsString>,
    takes_value: impl Fn(&str) -> bool,
) -> Vec<OsString> {
    let mut args = args.into_iter();
    let mut out: Vec<OsString> = args.next().into_iter().collect();
    while let Some(arg) = args.next() {
        let Some(flag) = without_dashes(&arg) else {
            out.push(arg);
            out.extend(args);
            break;
        };
        let flag = if flag == "h" { "help" } else { flag };
        let mut gnu = OsString::from(format!("--{flag}"));
        let value_follows = !flag.contains('=') && flag != "help" && takes_value(flag);
        if let Some(value) = value_follows.then(|| args.next()).flatten() {
            gnu.push("=");
            gnu.push(value);
        }
        out.push(gnu);
    }
    out
}

/// A flag without its dashes; `None` for any other word.
fn without_dashes(arg: &OsStr) -> Option<&str> {
    let flag = arg.to_str()?.strip_prefix('-')?;
    let flag = flag.strip_prefix('-').unwrap_or(flag);
    Some(flag).filter(|flag| !flag.is_empty() && !flag.starts_with('-'))
}
