//! The monotonic clock, for clients and servers on real sockets.

use std::time::Instant;

/// The current time.
#[expect(clippy::disallowed_methods, reason = "the one place in this crate that reads the clock")]
pub fn now() -> Instant {
    Instant::now()
}
