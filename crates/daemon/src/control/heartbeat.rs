//! Heartbeat thread: sends the heartbeats of the serving sockets, and renews the watchdog that ends
//! this process.
//!
//! Both are done by a thread of its own, so that no work of the control thread delays them, and
//! withheld while a worker makes no progress. The rules drop the packets, so that no worker is woken
//! for them.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use linux::confinement::ThreadKind;
use linux::packet_filter::HEARTBEAT_TIMEOUT;
use linux::supervisor::WatchdogTimer;
use tracing::error;

use super::watchdog::Watchdog;
use crate::clock;
use crate::confined;
use crate::worker::{Heartbeat, ServingSocket, WorkerProgress};

/// From one heartbeat to the next: each wakes an idle process, and may be late by the rest of the
/// timeout.
const PERIOD: Duration = Duration::from_millis(700);
const _: () = assert!(PERIOD.as_millis() + 250 <= HEARTBEAT_TIMEOUT.as_millis());

/// The thread's handle; dropping it ends the thread.
#[derive(Default)]
pub(super) struct HeartbeatThread {
    shared: Arc<Shared>,
    is_running: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    heartbeat: Arc<Heartbeat>,
    /// Absent if no parent supervises this process.
    watchdog: Option<Arc<WatchdogTimer>>,
}

#[derive(Default)]
struct State {
    /// Empty while nothing is served.
    workers: Vec<WorkerProgress>,
    ends: bool,
}

impl HeartbeatThread {
    /// Sends nothing yet.
    pub(super) fn new(heartbeat: Arc<Heartbeat>, watchdog: Option<Arc<WatchdogTimer>>) -> Self {
        let shared = Shared { heartbeat, watchdog, ..Shared::default() };
        Self { shared: Arc::new(shared), is_running: false }
    }

    /// Sends heartbeats for these sockets from now on, instead of those before. When this returns, the
    /// first ones have been sent.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn start(
        &mut self,
        sockets: Vec<ServingSocket>,
        workers: Vec<WorkerProgress>,
    ) -> io::Result<()> {
        let is_needed = !sockets.is_empty() || self.shared.watchdog.is_some();
        self.shared.heartbeat.set_sockets(sockets);
        // The thread takes a moment to start or to wake.
        self.shared.heartbeat.send(clock::now());
        self.shared.lock().workers = workers;
        self.shared.changed.notify_one();
        if !is_needed {
            return Ok(());
        }
        if !std::mem::replace(&mut self.is_running, true) {
            let shared = Arc::clone(&self.shared);
            std::thread::Builder::new().name("heartbeat".into()).spawn(move || {
                confined::enter(ThreadKind::Heartbeat);
                shared.run();
            })?;
        }
        Ok(())
    }

    /// Sends no more, and closes the descriptors of the sockets; the watchdog does not expire.
    pub(super) fn stop(&self) {
        self.shared.lock().workers.clear();
        self.shared.heartbeat.withhold();
        self.shared.heartbeat.set_sockets(Vec::new());
        if let Some(watchdog) = &self.shared.watchdog
            && let Err(error) = watchdog.stop()
        {
            error!("the watchdog cannot be stopped: {error}");
        }
    }
}

impl Drop for HeartbeatThread {
    fn drop(&mut self) {
        self.stop();
        self.shared.lock().ends = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut watchdog = Watchdog::default();
        let mut checked = clock::now();
        let mut state = self.lock();
        while !state.ends {
            if state.workers.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let now = clock::now();
            // The process has been stopped: no worker could reply to a ping.
            if now.saturating_duration_since(checked) >= HEARTBEAT_TIMEOUT {
                watchdog = Watchdog::default();
            }
            checked = now;
            // A worker that is busy has replied to the last ping.
            if watchdog.check(state.workers.iter()).iter().all(|elapsed| *elapsed < PERIOD) {
                if let Some(watchdog) = &self.watchdog {
                    // On a failure the timeout is that of the last renewal.
                    watchdog.renew().ok();
                }
                self.heartbeat.send(now);
            } else {
                self.heartbeat.withhold();
            }
            state = self.changed.wait_timeout(state, PERIOD).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
