//! Clients that ask all the time, each question from a socket of its own and only once, as pods do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};

use testkit::RecordType;
use testkit::client::{Client, QueryOptions};

use crate::fixture::{WAIT_LIMIT, wait_until};

/// Questions that a load must have asked in a stretch before it has seen anything.
const STRETCH: u64 = 150;

/// A load that goes on until it is stopped.
pub(crate) struct Load {
    asked: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

/// What became of its questions.
#[derive(Debug)]
pub(crate) struct LoadResult {
    asked: u64,
    /// Those without an answer, in words.
    lost: Vec<String>,
}

impl Load {
    /// Two clients by UDP and one by TCP; half of their names are known already.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let (asked, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let by = |number: u32, options: fn() -> QueryOptions| {
            let (asked, over) = (Arc::clone(&asked), Arc::clone(&over));
            let ask = move || {
                let client = Client { timeout: WAIT_LIMIT, ..Client::new(server) };
                let mut lost = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let count = asked.fetch_add(1, Ordering::Relaxed);
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
        Self { asked, over, clients }
    }

    /// Waits until it has asked on for a while.
    pub(crate) fn wait_for_progress(&self) {
        let until = self.asked.load(Ordering::Relaxed) + STRETCH;
        assert!(wait_until(WAIT_LIMIT, || self.asked.load(Ordering::Relaxed) >= until));
    }

    /// Ends it.
    pub(crate) fn stop(self) -> LoadResult {
        self.over.store(true, Ordering::Relaxed);
        let lost = self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        LoadResult { asked: self.asked.load(Ordering::Relaxed), lost }
    }
}

impl LoadResult {
    /// Fails unless every question was answered.
    pub(crate) fn assert_no_loss(&self) {
        assert!(self.lost.is_empty(), "of {}: {:?}", self.asked, self.lost);
    }
}
