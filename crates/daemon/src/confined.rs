//! Confined threads: a thread that cannot be confined serves nevertheless, with a line of the log.

use linux::confinement::{self, ThreadKind};
use tracing::error;

/// Confines the calling thread to what `kind` needs.
pub(crate) fn enter(kind: ThreadKind) {
    if let Err(error) = confinement::enter(kind) {
        error!("a thread has more privileges than it needs: {error}");
    }
}
