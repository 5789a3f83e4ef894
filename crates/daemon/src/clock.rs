//! The one place that reads a clock. Everything else is told what time it is.

use std::time::Instant;

/// Now, by the clock that never jumps.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock for all")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
