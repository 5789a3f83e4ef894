//! Options of the connections to an upstream: `expire`, `max_age` and `max_idle_conns` of
//! `forward`.

use std::num::NonZeroUsize;
use std::time::Duration;

/// Options of one worker's connections to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// How long an idle connection is kept; at most 8 s, because CoreDNS closes it after 10 s.
    pub idle_timeout: Duration,
    /// How long a connection is used at most; about a minute if none.
    pub max_age: Option<Duration>,
    /// Idle connections kept at most; unlimited if none.
    pub max_idle: Option<NonZeroUsize>,
}

impl Default for PoolOptions {
    /// CoreDNS's defaults.
    fn default() -> Self {
        Self { idle_timeout: Duration::from_secs(10), max_age: None, max_idle: None }
    }
}
