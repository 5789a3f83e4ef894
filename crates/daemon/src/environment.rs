//! Environment variables of the process.

use corefile::Environment;

/// The environment variables. Octets that are not UTF-8 become replacement characters.
pub fn from_process() -> Environment {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}
