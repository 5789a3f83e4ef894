//! Panics: caught in tasks, and how many there may be.

use std::future::poll_fn;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

/// `None` if the future panics, which is a bug: what it was responsible for must be seen to.
pub(crate) async fn catch_panic<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// Has panics reported in one line from now on, without a backtrace: threads that may not open files
/// could not read the symbols for it.
pub(crate) fn report_in_one_line() {
    set_hook(Box::new(|panic| {
        let thread = thread::current();
        let (name, reason) =
            (thread.name().unwrap_or("unnamed"), panic.payload_as_str().unwrap_or("no reason"));
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        // A closed stderr leaves no place to report to.
        writeln!(io::stderr(), "thread {name} panicked{place}: {}", reason.replace('\n', " ")).ok();
    }));
}

/// Panics in this time make the state that they leave behind doubtful.
const PERIOD: Duration = Duration::from_secs(60);
/// So many of them.
const MAX_PANICS: usize = 3;

/// The last panics.
#[derive(Debug, Default)]
pub(crate) struct PanicHistory {
    /// Oldest first, fewer than [`MAX_PANICS`].
    last: Vec<Instant>,
}

impl PanicHistory {
    /// Records a panic; true when it is the third within a minute.
    pub(crate) fn record(&mut self, now: Instant) -> bool {
        self.last.retain(|at| now.saturating_duration_since(*at) < PERIOD);
        self.last.push(now);
        self.last.len() >= MAX_PANICS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[tokio::test]
    async fn a_panic_is_caught_and_a_result_passed_on() {
        let panics = async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "intended by the test");
        };
        assert_eq!(catch_panic(panics).await, None);
        assert_eq!(catch_panic(async { 7 }).await, Some(7));
    }

    #[test]
    fn the_third_panic_within_a_minute_is_one_too_many() {
        let start = clock::now();
        let mut history = PanicHistory::default();
        let record = [0, 30, 60, 61, 89].map(|second| history.record(start + Duration::from_secs(second)));
        assert_eq!(record, [false, false, false, true, true]);
        assert!(!history.record(start + Duration::from_secs(1000)));
    }
}
