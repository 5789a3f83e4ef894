//! Waiting for connections and in-flight queries to finish when sockets close or a worker stops.

use std::time::{Duration, Instant};

use tokio::time;

use crate::clock;

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `is_done`, at most until `deadline`.
pub(super) async fn wait(deadline: Instant, is_done: impl Fn() -> bool) {
    while !is_done() && clock::now() < deadline {
        time::sleep(POLL_INTERVAL).await;
    }
}
