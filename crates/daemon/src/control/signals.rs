//! What the process is told by signal.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that mean something; SIGHUP is ignored, as node-cache ignores it.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    reload: Signal,
    _hang_up: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalAction {
    Terminate,
    Reload,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            reload: signal(SignalKind::user_defined1())?,
            _hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal. Leaving comes before reloading.
    pub(super) async fn next(&mut self) -> SignalAction {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => SignalAction::Terminate,
            _ = self.interrupt.recv() => SignalAction::Terminate,
            _ = self.quit.recv() => SignalAction::Terminate,
            _ = self.reload.recv() => SignalAction::Reload,
        }
    }

    /// Resolves when told to leave.
    pub(super) async fn leave(&mut self) {
        while self.next().await != SignalAction::Terminate {}
    }
}
