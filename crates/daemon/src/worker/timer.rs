//! The timer of a worker: one deadline, moved when the resolver's next timer changes.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time;

use crate::clock;

/// The sleep when no timer is set; one wake-up an hour costs nothing.
const NO_DEADLINE: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(super) struct Timer {
    deadline: Cell<Option<Instant>>,
    changed: Notify,
}

impl Timer {
    pub(super) fn set(&self, deadline: Option<Instant>) {
        if self.deadline.replace(deadline) != deadline {
            self.changed.notify_one();
        }
    }

    /// Resolves at the deadline, wherever it is moved in the meantime.
    pub(super) async fn expired(&self) {
        loop {
            let now = clock::now();
            let deadline = self.deadline.get().unwrap_or(now + NO_DEADLINE);
            if deadline <= now {
                // A sleep would end with the next millisecond.
                return;
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = time::sleep_until(deadline.into()) => return,
            }
        }
    }
}
