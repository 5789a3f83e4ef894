//! Fault injection for the process tests: a debug build panics in a task of a worker while a file
//! with the name of the task exists, and makes one call that an attacker would make. A release build has
//! none of it.

#[cfg(debug_assertions)]
use std::{cell::Cell, path::PathBuf};

#[derive(Default)]
pub(super) struct FaultInjection {
    /// `NODELOCALDNS_PANIC_DIRECTORY`.
    #[cfg(debug_assertions)]
    directory: Option<PathBuf>,
    /// `NODELOCALDNS_COMPROMISED`; made once.
    #[cfg(debug_assertions)]
    call: Cell<Option<String>>,
}

impl FaultInjection {
    #[cfg(debug_assertions)]
    pub(super) fn from_environment() -> Self {
        let call = Cell::new(crate::environment::compromising_call());
        Self { directory: crate::environment::panic_directory(), call }
    }

    #[cfg(not(debug_assertions))]
    pub(super) fn from_environment() -> Self {
        Self::default()
    }

    #[cfg(debug_assertions)]
    pub(super) fn inject(&self, task: &str) {
        if let Some(call) = self.call.take() {
            let denied = super::compromised::make_call(&call);
            tracing::error!("compromised worker: {call}: {denied:?}");
        }
        let requested = self.directory.as_ref().is_some_and(|directory| directory.join(task).exists());
        assert!(!requested, "injected into {task}");
    }

    #[cfg(not(debug_assertions))]
    #[expect(clippy::unused_self, reason = "a debug build has a directory")]
    pub(super) fn inject(&self, _task: &str) {}
}
