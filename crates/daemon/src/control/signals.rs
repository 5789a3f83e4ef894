//! Signals: SIGTERM, SIGINT and SIGQUIT terminate, SIGUSR1 reloads, SIGHUP is ignored as in
//! node-cache.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Handlers of the signals; installing one replaces the default action.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    reload: Signal,
    _hang_up: Signal,
}

/// What a signal requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalAction {
    Terminate,
    Reload,
}

impl Signals {
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            reload: signal(SignalKind::user_defined1())?,
            _hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal; termination takes precedence over a reload.
    pub(super) async fn next(&mut self) -> SignalAction {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => SignalAction::Terminate,
            _ = self.interrupt.recv() => SignalAction::Terminate,
            _ = self.quit.recv() => SignalAction::Terminate,
            _ = self.reload.recv() => SignalAction::Reload,
        }
    }

    /// Resolves on the next terminating signal.
    pub(super) async fn terminate(&mut self) {
        while self.next().await != SignalAction::Terminate {}
    }
}
