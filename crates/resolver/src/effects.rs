//! Effects of handling one event: timers and actions.

use std::time::Instant;

use crate::action::Outbox;
use crate::timers::Timers;

/// The time of an event and where its effects go.
pub(crate) struct Effects<'a> {
    pub(crate) now: Instant,
    pub(crate) timers: &'a mut Timers,
    pub(crate) outbox: &'a mut Outbox,
}
