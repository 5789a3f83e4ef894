//! The thread that writes snapshots.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use resolver::cache::Cache;
use resolver::policy::BlockId;
use tracing::{debug, warn};

use super::Snapshot;
use crate::clock;
use crate::metrics::ProcessCounters;

/// From one snapshot to the next, if something was put into the cache meanwhile.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// What becomes of the file when the writer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalWrite {
    /// It stays as it is: a successor has taken over and writes it from now on.
    Skip,
    /// It is written once more, if something came since.
    Write,
}

enum Command {
    SetBlocks(Vec<(String, BlockId)>),
    Stop(FinalWrite),
}

/// Has snapshots written while it lives. Dropped, it ends without a last one.
#[derive(Debug)]
pub struct SnapshotWriter {
    orders: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl SnapshotWriter {
    /// Writes every `interval`, [`INTERVAL`] for a node, what `cache` holds for `blocks`, if something was put into it.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start(
        snapshot: Snapshot,
        interval: Duration,
        cache: Arc<Cache>,
        blocks: Vec<(String, BlockId)>,
        counters: Arc<ProcessCounters>,
    ) -> io::Result<Self> {
        let (orders, taken) = mpsc::channel();
        let desk =
            WriterThread { snapshot, interval, cache, blocks, counters, written: Some(0), failing: false };
        let thread = thread::Builder::new().name("writer".to_owned()).spawn(move || desk.work(&taken))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Goes by these blocks from now on, after a reload.
    pub fn set_blocks(&self, blocks: Vec<(String, BlockId)>) {
        self.send(Command::SetBlocks(blocks));
    }

    /// Ends the thread, and waits for it: some milliseconds, or as long as one write takes.
    pub fn stop(self, last: FinalWrite) {
        self.send(Command::Stop(last));
    }

    /// Leaves the file to a successor, who is not to wait: a write that has begun is finished by the thread alone.
    pub fn detach(mut self) {
        self.send(Command::Stop(FinalWrite::Skip));
        self.thread = None;
    }

    fn send(&self, order: Command) {
        if let Some(Err(_)) = self.orders.as_ref().map(|orders| orders.send(order)) {
            warn!("cache snapshots: their thread has ended");
        }
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            warn!("cache snapshots: their thread has panicked");
        }
    }
}

/// What the thread works with.
struct WriterThread {
    snapshot: Snapshot,
    interval: Duration,
    cache: Arc<Cache>,
    blocks: Vec<(String, BlockId)>,
    counters: Arc<ProcessCounters>,
    /// How many insertions the cache had seen when the last file was written.
    /// Nothing once they are to be written in any case.
    written: Option<u64>,
    /// The last one could not be written, which was told.
    failing: bool,
}

impl WriterThread {
    fn work(mut self, orders: &Receiver<Command>) {
        let mut next = clock::now() + self.interval;
        loop {
            match orders.recv_timeout(left(next)) {
                Ok(Command::SetBlocks(blocks)) => {
                    self.blocks = blocks;
                    self.written = None;
                }
                Ok(Command::Stop(FinalWrite::Skip)) => return,
                Ok(Command::Stop(FinalWrite::Write)) => return self.write(),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    self.write();
                    next = clock::now() + self.interval;
                }
            }
        }
    }

    fn write(&mut self) {
        let insertions = self.cache.insertions();
        if self.written == Some(insertions) {
            return;
        }
        match self.snapshot.write(&self.cache, &self.blocks) {
            Ok(written) => {
                debug!("cache snapshot: {} entries, {} octets", written.entries, written.octets);
                self.written = Some(insertions);
                self.failing = false;
                self.counters.snapshots.written.inc();
            }
            Err(error) => {
                self.counters.snapshots.failed.inc();
                if !std::mem::replace(&mut self.failing, true) {
                    warn!("cache snapshot {} is not written: {error}", self.snapshot.path().display());
                }
            }
        }
    }
}

fn left(next: Instant) -> Duration {
    next.saturating_duration_since(clock::now())
}
