//! Heartbeat packets: a serving socket sends one to itself, by which the fail-open rules of the packet
//! filter know that its address is served.
//!
//! A thread of the control side sends them periodically. A worker sends them when that thread is
//! late, as after SIGCONT: a response that leaves before the rules see the address alive again has
//! its TCP connection reset by the acknowledgement.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use linux::packet_filter::HEARTBEAT_TIMEOUT;

use super::sockets::ServingSocket;
use crate::clock;

/// A DNS header with QR set, which a server ignores, should the rules be missing (RFC 1035
/// section 4.1.1).
const PACKET: [u8; 12] = [0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// No time: the heartbeats are withheld.
const NEVER: u64 = u64::MAX;

/// The heartbeats of all serving sockets, for any thread to send.
pub(crate) struct Heartbeat {
    origin: Instant,
    /// Milliseconds from `origin` until the heartbeats sent last have timed out.
    timeout: AtomicU64,
    sockets: Mutex<Vec<ServingSocket>>,
}

impl Default for Heartbeat {
    /// Without sockets.
    fn default() -> Self {
        Self { origin: clock::now(), timeout: AtomicU64::new(NEVER), sockets: Mutex::default() }
    }
}

impl Heartbeat {
    /// Sends for these sockets from now on, instead of those before.
    pub(crate) fn set_sockets(&self, sockets: Vec<ServingSocket>) {
        *self.lock() = sockets;
    }

    /// Sends a heartbeat from each socket.
    pub(crate) fn send(&self, now: Instant) {
        self.send_from(&self.lock(), now);
    }

    /// Has no worker send heartbeats until the next [`send`](Self::send).
    pub(crate) fn withhold(&self) {
        self.timeout.store(NEVER, Relaxed);
    }

    /// Sends heartbeats if the last ones have timed out.
    pub(super) fn send_if_timed_out(&self, now: Instant) {
        let elapsed = self.milliseconds(now);
        if elapsed < self.timeout.load(Relaxed) {
            return;
        }
        // A worker that comes second waits until the first one has sent them.
        let sockets = self.lock();
        if elapsed >= self.timeout.load(Relaxed) {
            self.send_from(&sockets, now);
        }
    }

    fn send_from(&self, sockets: &[ServingSocket], now: Instant) {
        for ServingSocket { address, source, socket } in sockets {
            // The rules drop it, which is an error of the send call; any other one has the address
            // time out.
            socket.send([(PACKET.as_slice(), *address, *source)]);
        }
        self.timeout.store(self.milliseconds(now + HEARTBEAT_TIMEOUT), Relaxed);
    }

    fn milliseconds(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_millis()).unwrap_or(NEVER)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ServingSocket>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linux::udp::{RecvBatch, UdpListener};

    use super::*;

    /// A heartbeat from a socket on loopback, without rules that would drop it, and the socket.
    fn heartbeat() -> (Heartbeat, UdpListener) {
        let socket = UdpListener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let (address, received) = (socket.local_addr().unwrap(), socket.try_clone().unwrap());
        let heartbeat = Heartbeat::default();
        heartbeat.set_sockets(vec![ServingSocket { address, source: None, socket }]);
        (heartbeat, received)
    }

    fn received(socket: &UdpListener) -> usize {
        socket.receive(&mut RecvBatch::new()).unwrap_or(0)
    }

    #[test]
    fn a_worker_sends_heartbeats_that_have_timed_out() {
        let (heartbeat, socket) = heartbeat();
        let start = clock::now();
        heartbeat.send(start);
        assert_eq!(received(&socket), 1);
        heartbeat.send_if_timed_out(start + HEARTBEAT_TIMEOUT - Duration::from_millis(1));
        assert_eq!(received(&socket), 0);
        let resumed = start + HEARTBEAT_TIMEOUT + Duration::from_millis(1);
        heartbeat.send_if_timed_out(resumed);
        heartbeat.send_if_timed_out(resumed);
        assert_eq!(received(&socket), 1, "the second worker has nothing to send");
    }

    #[test]
    fn a_worker_sends_none_that_are_withheld() {
        let (heartbeat, socket) = heartbeat();
        let later = clock::now() + 10 * HEARTBEAT_TIMEOUT;
        heartbeat.send_if_timed_out(later);
        heartbeat.send(clock::now());
        heartbeat.withhold();
        heartbeat.send_if_timed_out(later);
        assert_eq!(received(&socket), 1);
    }
}
