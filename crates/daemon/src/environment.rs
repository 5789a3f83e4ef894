//! Environment variables of the process.

use corefile::Environment;

/// The environment variables. Octets that are not UTF-8 become replacement characters.
pub fn from_process() -> Environment {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}

/// The lock file of iptables-legacy, if it is not the usual one (iptables(8)).
pub(crate) fn xtables_lock_file() -> Option<std::path::PathBuf> {
    std::env::vars_os().find(|(name, _)| name == "XTABLES_LOCKFILE").map(|(_, path)| path.into())
}

/// The call that a worker makes as if an attacker had taken it over, for tests.
#[cfg(debug_assertions)]
pub(crate) fn compromising_call() -> Option<String> {
    let call = std::env::vars_os().find(|(name, _)| name == "NODELOCALDNS_COMPROMISED").map(|(_, call)| call);
    call.and_then(|call| call.into_string().ok())
}

/// The directory of the requests to panic in a task of a worker, for tests.
#[cfg(debug_assertions)]
pub(crate) fn panic_directory() -> Option<std::path::PathBuf> {
    std::env::vars_os().find(|(name, _)| name == "NODELOCALDNS_PANIC_DIRECTORY").map(|(_, path)| path.into())
}
