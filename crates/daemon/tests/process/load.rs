//! Continuous load: each query from a new socket, sent once, as pods do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};

use testkit::RecordType;
use testkit::client::{Client, QueryOptions};

use crate::fixture::{WAIT_LIMIT, wait_until};

/// Queries after which the load counts as having continued for a while.
const PROGRESS: u64 = 150;

/// Load that continues until it is stopped.
pub(crate) struct Load {
    sent: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

/// Queries sent, and those without a response.
#[derive(Debug)]
pub(crate) struct LoadResult {
    sent: u64,
    /// Name and error.
    lost: Vec<String>,
}

impl Load {
    /// Two clients over UDP and one over TCP; half of their queries are cache hits.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let (sent, stopped) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let by = |number: u32, options: fn() -> QueryOptions| {
            let (sent, stopped) = (Arc::clone(&sent), Arc::clone(&stopped));
            let ask = move || {
                let client = Client { timeout: WAIT_LIMIT, ..Client::new(server) };
                let mut lost = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    let count = sent.fetch_add(1, Ordering::Relaxed);
                    let name = if count.is_multiple_of(2) {
                        format!("ok-known-{}.example.", count % 16)
                    } else {
                        format!("ok-new-{number}-{count}.example.")
                    };
                    if let Err(error) = client.query(&name, RecordType::A, &options()) {
                        lost.push(format!("{name}: {error}"));
                    }
                }
                lost
            };
            Builder::new().name("load".to_owned()).spawn(ask).unwrap()
        };
        let clients =
            vec![by(1, QueryOptions::default), by(2, QueryOptions::default), by(3, QueryOptions::tcp)];
        Self { sent, stopped, clients }
    }

    /// Waits until it has continued for a while.
    pub(crate) fn wait_for_progress(&self) {
        let until = self.sent.load(Ordering::Relaxed) + PROGRESS;
        assert!(wait_until(WAIT_LIMIT, || self.sent.load(Ordering::Relaxed) >= until));
    }

    pub(crate) fn stop(self) -> LoadResult {
        self.stopped.store(true, Ordering::Relaxed);
        let lost = self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        LoadResult { sent: self.sent.load(Ordering::Relaxed), lost }
    }
}

impl LoadResult {
    /// Fails unless every query had its response.
    pub(crate) fn assert_no_loss(&self) {
        assert!(self.lost.is_empty(), "of {}: {:?}", self.sent, self.lost);
    }
}
