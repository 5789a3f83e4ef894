//! A difference between two servers.

/// A difference between node-cache and the daemon.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// What differs, in the words of the table: node-cache's side, `->`, ours.
    pub(crate) text: String,
    /// Where, and what both sent; for the report only.
    pub(crate) detail: String,
}

impl Difference {
    pub(crate) fn new(text: String, detail: impl Into<String>) -> Self {
        Self { text, detail: detail.into() }
    }
}
