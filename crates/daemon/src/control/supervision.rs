//! Supervision in a container: the first process of its PID namespace runs the daemon in a child, and
//! ends it when it hangs.

use std::process::ExitCode;
use std::sync::Arc;

use linux::supervisor::{self, ChildEnd, Supervised, WatchdogTimer};

use super::exit;
use crate::flags::Flags;

/// What this process does.
pub(super) enum Supervision {
    /// It serves, and renews the timer if a parent supervises it.
    Serve(Option<Arc<WatchdogTimer>>),
    /// It was the parent, and exits.
    Ended(ExitCode),
}

/// Starts the supervision where it is needed: elsewhere the service manager ends a process that
/// hangs, and is not hindered by the kernel. To be called before there are threads.
pub(super) fn start(flags: &Flags) -> Supervision {
    let Some(timeout) = flags.watchdog_timeout.filter(|_| supervisor::is_first_process()) else {
        return Supervision::Serve(None);
    };
    match supervisor::supervise(timeout) {
        Ok(Supervised::Child(timer)) => Supervision::Serve(Some(Arc::new(timer))),
        Ok(Supervised::Parent(ChildEnd { code, hung })) => {
            if hung {
                let seconds = timeout.as_secs();
                exit::print_error(&format!(
                    "the process made no progress for {seconds} s and was killed (-watchdog)"
                ));
            }
            Supervision::Ended(ExitCode::from(code))
        }
        Err(error) => {
            exit::print_error(&format!("no watchdog: {error}"));
            Supervision::Serve(None)
        }
    }
}
