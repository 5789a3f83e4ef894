//! The thread that writes snapshots periodically.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use resolver::cache::Cache;
use resolver::policy::BlockId;
use tracing::{debug, warn};

use super::file::Snapshot;
use crate::clock;
use crate::metrics::ProcessCounters;

/// From one snapshot to the next, if the cache has had insertions meanwhile.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// Whether the file is written once more when the writer stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalWrite {
    /// No: a successor writes it from now on, or the teardown removes it.
    Skip,
    /// Yes, if the cache has had insertions since the last snapshot.
    Write,
}

enum Command {
    SetBlocks(Vec<(String, BlockId)>),
    Stop(FinalWrite),
}

/// Handle of the thread. Dropping it stops the thread without a final write.
#[derive(Debug)]
pub struct SnapshotWriter {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl SnapshotWriter {
    /// Writes the entries of `blocks` in `cache` every `interval`, if there were insertions.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(
        snapshot: Snapshot,
        interval: Duration,
        cache: Arc<Cache>,
        blocks: Vec<(String, BlockId)>,
        counters: Arc<ProcessCounters>,
    ) -> io::Result<Self> {
        let (commands, receiver) = mpsc::channel();
        let writer =
            WriterThread { snapshot, interval, cache, blocks, counters, written: Some(0), failing: false };
        let thread =
            thread::Builder::new().name("snapshot-writer".to_owned()).spawn(move || writer.run(&receiver))?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    /// Replaces the blocks, after a reload.
    pub fn set_blocks(&self, blocks: Vec<(String, BlockId)>) {
        self.send(Command::SetBlocks(blocks));
    }

    /// Stops the thread and waits for it: some milliseconds, or as long as one write takes.
    pub fn stop(self, last: FinalWrite) {
        self.send(Command::Stop(last));
    }

    /// Stops the thread without waiting for a write in progress, nor writing again.
    pub fn detach(mut self) {
        self.send(Command::Stop(FinalWrite::Skip));
        self.thread = None;
    }

    fn send(&self, command: Command) {
        if let Some(Err(_)) = self.commands.as_ref().map(|commands| commands.send(command)) {
            warn!("cache snapshots: the writer thread has exited");
        }
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            warn!("cache snapshots: the writer thread has panicked");
        }
    }
}

struct WriterThread {
    snapshot: Snapshot,
    interval: Duration,
    cache: Arc<Cache>,
    blocks: Vec<(String, BlockId)>,
    counters: Arc<ProcessCounters>,
    /// The cache's insertions when the last file was written; none if it must be written again.
    written: Option<u64>,
    /// The last write failed, and the failure has been logged.
    failing: bool,
}

impl WriterThread {
    fn run(mut self, commands: &Receiver<Command>) {
        let mut next = clock::now() + self.interval;
        loop {
            match commands.recv_timeout(next.saturating_duration_since(clock::now())) {
                Ok(Command::SetBlocks(blocks)) => {
                    self.blocks = blocks;
                    self.written = None;
                }
                Ok(Command::Stop(FinalWrite::Skip)) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Command::Stop(FinalWrite::Write)) => return self.write(),
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
                self.counters.omitted.snapshot.add(written.omitted);
                self.counters.snapshots.octets.set(written.octets);
            }
            Err(error) => {
                self.counters.snapshots.failed.inc();
                if !std::mem::replace(&mut self.failing, true) {
                    warn!("cache snapshot {} cannot be written: {error}", self.snapshot.path().display());
                }
            }
        }
    }
}
