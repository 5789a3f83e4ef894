//! The two stores of a server block's cache: positive answers, and denials with failures.

/// The store that an entry counts in, limited and exported separately as in CoreDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Positive answers.
    Success,
    /// Negative answers (RFC 2308) and failures.
    Denial,
}
