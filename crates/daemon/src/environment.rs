//! The environment of the process, read once.

use corefile::Environment;

/// The variables the process was started with. Values that are not UTF-8 are kept with replacement
/// characters.
pub fn from_process() -> Environment {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}
