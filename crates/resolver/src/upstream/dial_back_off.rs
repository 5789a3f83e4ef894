//! Dial back-off: pauses between dials of an upstream that refuses them.

use std::time::{Duration, Instant};

/// Failed dials in a row after which the next ones have to wait.
const FREE_DIALS: u32 = 4;

/// Pause after a further failed dial: an upstream that refuses is not dialled for each query.
const PAUSE: Duration = Duration::from_millis(50);

/// Failed dials of one upstream, or sockets that could not be opened.
#[derive(Debug, Default)]
pub(super) struct DialBackOff {
    /// Since the last successful one.
    failed: u32,
    /// No dial before this time.
    until: Option<Instant>,
    /// No further UDP socket before this time while one is open.
    sockets_until: Option<Instant>,
}

impl DialBackOff {
    /// A dial has succeeded.
    pub(super) fn reset(&mut self) {
        (self.failed, self.until) = (0, None);
    }

    /// A dial has failed. Returns the end of the pause, if one begins.
    pub(super) fn dial_failed(&mut self, now: Instant) -> Option<Instant> {
        self.failed = self.failed.saturating_add(1);
        if self.failed > FREE_DIALS {
            self.until = Some(now + PAUSE);
        }
        self.until
    }

    /// A UDP socket could not be opened.
    pub(super) fn socket_failed(&mut self, now: Instant) {
        self.sockets_until = Some(now + PAUSE);
    }

    pub(super) fn permits_dial(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    pub(super) fn permits_socket(&self, now: Instant) -> bool {
        self.sockets_until.is_none_or(|until| now >= until)
    }
}
