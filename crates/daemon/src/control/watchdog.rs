//! Watchdog of the worker threads: detects one that makes no progress, for `/health` and the
//! heartbeat.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::clock;
use crate::worker::WorkerProgress;

/// A worker that has accepted no command for so long is stuck; one that lacks CPU accepts some in
/// between.
pub(super) const PROGRESS_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// Pings each worker that is busy and has replied to the last ping; returns for how long each
    /// has made no progress. An idle one is not woken.
    pub(super) fn check<'a>(&mut self, workers: impl Iterator<Item = &'a WorkerProgress>) -> Vec<Duration> {
        let now = clock::now();
        let mut elapsed = Vec::new();
        for (number, worker) in workers.enumerate() {
            if self.pings.len() == number {
                self.pings.push(Ping { sent: now, reply: None });
            }
            let ping = self.pings.get_mut(number);
            elapsed.extend(ping.map(|ping| ping.check(now, worker.is_idle(), || worker.ping())));
        }
        elapsed
    }
}

/// Describes a worker that is stuck.
pub(super) fn stuck_worker(elapsed: &[Duration]) -> Option<String> {
    let number = elapsed.iter().position(|elapsed| *elapsed >= PROGRESS_TIMEOUT)?;
    let seconds = elapsed.get(number)?.as_secs();
    Some(format!("worker {number} makes no progress for {seconds} s\n"))
}

impl Ping {
    /// Pings with `send` if it is time to; returns how long the worker has made no progress.
    fn check(
        &mut self,
        now: Instant,
        is_idle: bool,
        send: impl FnOnce() -> Option<oneshot::Receiver<()>>,
    ) -> Duration {
        if is_idle {
            *self = Self { sent: now, reply: None };
        } else if self.reply.as_mut().is_none_or(|reply| reply.try_recv().is_ok()) {
            *self = Self { sent: now, reply: send() };
        }
        now.saturating_duration_since(self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_idle_worker_is_not_pinged_and_never_stuck() {
        let mut now = clock::now();
        let mut ping = Ping { sent: now, reply: None };
        for _ in 0..20 {
            now += SECOND;
            assert_eq!(ping.check(now, true, || unreachable!("it would wake the worker")), Duration::ZERO);
        }
    }

    #[test]
    fn a_busy_worker_is_stuck_until_it_replies_or_is_idle() {
        let start = clock::now();
        let mut ping = Ping { sent: start, reply: None };
        let (reply, receiver) = oneshot::channel();
        assert_eq!(ping.check(start, false, || Some(receiver)), Duration::ZERO);
        let pinged_once = || unreachable!("a ping has no reply yet");
        assert_eq!(ping.check(start + PROGRESS_TIMEOUT, false, pinged_once), PROGRESS_TIMEOUT);
        reply.send(()).unwrap();
        let (unanswered, receiver) = oneshot::channel();
        let later = start + PROGRESS_TIMEOUT + SECOND;
        assert_eq!(ping.check(later, false, || Some(receiver)), Duration::ZERO);
        assert_eq!(ping.check(later + PROGRESS_TIMEOUT, false, pinged_once), PROGRESS_TIMEOUT);
        assert_eq!(ping.check(later + PROGRESS_TIMEOUT, true, pinged_once), Duration::ZERO);
        drop(unanswered);
    }
}
