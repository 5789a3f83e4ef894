//! Heartbeat: a packet from a serving socket to itself, by which the fail-open rules of the packet
//! filter know that an address is served; and the renewal of the watchdog that ends this process.
//!
//! Both are done by a thread of its own, so that no work of the control thread delays them, and
//! withheld while a worker makes no progress. The rules drop the packet, so that no worker is woken for
//! it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use linux::packet_filter::HEARTBEAT_TIMEOUT;
use linux::supervisor::WatchdogTimer;
use tracing::error;

use super::watchdog::Watchdog;
use crate::worker::{ServingSocket, WorkerProgress};

/// From one heartbeat to the next: each wakes an idle process, and may be late by the rest of the timeout.
const PERIOD: Duration = Duration::from_millis(700);
const _: () = assert!(PERIOD.as_millis() + 250 <= HEARTBEAT_TIMEOUT.as_millis());

/// A DNS header with QR set, which a server ignores, should the rules be missing (RFC 1035
/// section 4.1.1).
const PACKET: [u8; 12] = [0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The sender; dropping it ends the thread.
#[derive(Default)]
pub(super) struct Heartbeat {
    shared: Arc<Shared>,
    is_running: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Absent if no parent supervises this process.
    watchdog: Option<Arc<WatchdogTimer>>,
}

#[derive(Default)]
struct State {
    sockets: Vec<ServingSocket>,
    /// Empty while nothing is served.
    workers: Vec<WorkerProgress>,
    ends: bool,
}

impl Heartbeat {
    /// Sends nothing yet.
    pub(super) fn new(watchdog: Option<Arc<WatchdogTimer>>) -> Self {
        Self { shared: Arc::new(Shared { watchdog, ..Shared::default() }), is_running: false }
    }

    /// Sends heartbeats for these sockets from now on, the first ones at once, instead of those
    /// before.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn start(
        &mut self,
        sockets: Vec<ServingSocket>,
        workers: Vec<WorkerProgress>,
    ) -> io::Result<()> {
        let is_needed = !sockets.is_empty() || self.shared.watchdog.is_some();
        {
            let mut state = self.shared.lock();
            state.sockets = sockets;
            state.workers = workers;
        }
        self.shared.changed.notify_one();
        if !is_needed {
            return Ok(());
        }
        if !std::mem::replace(&mut self.is_running, true) {
            let shared = Arc::clone(&self.shared);
            std::thread::Builder::new().name("heartbeat".into()).spawn(move || shared.run())?;
        }
        Ok(())
    }

    /// Sends no more, and closes the descriptors of the sockets; the watchdog does not expire.
    pub(super) fn stop(&self) {
        let mut state = self.shared.lock();
        state.sockets.clear();
        state.workers.clear();
        if let Some(watchdog) = &self.shared.watchdog
            && let Err(error) = watchdog.stop()
        {
            error!("the watchdog cannot be stopped: {error}");
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop();
        self.shared.lock().ends = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut watchdog = Watchdog::default();
        let mut state = self.lock();
        while !state.ends {
            if state.workers.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            // A worker that is busy has replied to the last ping.
            if watchdog.check(state.workers.iter()).iter().all(|elapsed| *elapsed < PERIOD) {
                if let Some(watchdog) = &self.watchdog {
                    // On a failure the timeout is that of the last renewal.
                    watchdog.renew().ok();
                }
                for ServingSocket { address, source, socket } in &state.sockets {
                    // The rules drop it, which is an error of the send call; any other one has the
                    // address time out.
                    socket.send([(PACKET.as_slice(), *address, *source)]);
                }
            }
            state = self.changed.wait_timeout(state, PERIOD).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
