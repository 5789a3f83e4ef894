//! Directives that answer queries themselves in front of the cache.

/// A directive of a server block that answers queries in front of its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontPlugin {
    /// `any`: an HINFO record to queries of type ANY (RFC 8482).
    Any,
}
