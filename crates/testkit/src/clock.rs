//! The clock of the actors: they play the outside, where time passes by itself.

use std::time::Instant;

/// The monotonic time.
#[expect(clippy::disallowed_methods, reason = "the one place in this crate that reads the clock")]
pub fn now() -> Instant {
    Instant::now()
}
