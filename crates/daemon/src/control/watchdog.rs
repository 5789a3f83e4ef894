//! Watchdog of the worker threads: detects one that makes no progress, for `/health`.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::clock;
use crate::worker::Worker;

/// A worker that has accepted no command for so long is stuck; one that lacks CPU accepts some in
/// between.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Watchdog {
    pings: Vec<Ping>,
}

/// A ping to a worker, and when it was sent.
struct Ping {
    sent: Instant,
    reply: Option<oneshot::Receiver<()>>,
}

impl Watchdog {
    /// Pings each worker that has replied to the last ping; returns a description of one that is
    /// stuck.
    pub(super) fn check(&mut self, workers: &[Worker]) -> Option<String> {
        let now = clock::now();
        self.pings.resize_with(workers.len(), || Ping { sent: now, reply: None });
        let mut stuck = None;
        for (number, (worker, ping)) in workers.iter().zip(&mut self.pings).enumerate() {
            if ping.reply.as_mut().is_none_or(|reply| reply.try_recv().is_ok()) {
                *ping = Ping { sent: now, reply: worker.ping() };
            }
            let elapsed = now.saturating_duration_since(ping.sent);
            if elapsed >= PROGRESS_TIMEOUT {
                stuck = Some(format!("worker {number} makes no progress for {} s\n", elapsed.as_secs()));
            }
        }
        stuck
    }
}
