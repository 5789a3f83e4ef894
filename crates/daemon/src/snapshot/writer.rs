//! The thread that writes snapshots, some seconds after the cache has changed.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use linux::confinement::ThreadKind;
use resolver::cache::Cache;
use resolver::policy::BlockId;
use tracing::{debug, warn};

use super::file::Snapshot;
use crate::clock;
use crate::confined;
use crate::metrics::ProcessCounters;

/// From the first insertion since a snapshot that [`SnapshotWriter::check_cache`] finds, at most a
/// second later, to the next snapshot. An idle process is not woken for it.
pub const DELAY: Duration = Duration::from_secs(4);

/// From the end of a write to the next one at least so many times the CPU time of the write, which
/// thus takes 1 per cent of a core at most.
const CPU_FACTOR: u32 = 100;

/// Whether the file is written once more when the writer stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalWrite {
    /// No: a successor writes it from now on, or the teardown removes it.
    Skip,
    /// Yes, if the cache has had insertions since the last snapshot.
    Write,
}

enum Command {
    /// The cache has had insertions.
    CacheChanged,
    SetBlocks(Vec<(String, BlockId)>),
    Stop(FinalWrite),
}

/// Handle of the thread. Dropping it stops the thread without a final write.
#[derive(Debug)]
pub struct SnapshotWriter {
    cache: Arc<Cache>,
    /// The cache's insertions at the last check.
    insertions: u64,
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl SnapshotWriter {
    /// Writes the entries of `blocks` in `cache`, `delay` after a check that found insertions.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(
        snapshot: Snapshot,
        delay: Duration,
        cache: Arc<Cache>,
        blocks: Vec<(String, BlockId)>,
        counters: Arc<ProcessCounters>,
    ) -> io::Result<Self> {
        let (commands, receiver) = mpsc::channel();
        let contents = Contents { cache: Arc::clone(&cache), blocks, written: Some(0) };
        let schedule = Schedule { delay, earliest: clock::now(), due: None };
        let writer = WriterThread { snapshot, contents, schedule, counters, failing: false };
        let thread = thread::Builder::new().name("snapshot-writer".to_owned()).spawn(move || {
            confined::enter(ThreadKind::Snapshot);
            writer.run(&receiver);
        })?;
        Ok(Self { cache, insertions: 0, commands: Some(commands), thread: Some(thread) })
    }

    /// Schedules a write if the cache has had insertions since the last check. To be called
    /// periodically: insertions do not wake the writer.
    pub fn check_cache(&mut self) {
        let insertions = self.cache.insertions();
        if std::mem::replace(&mut self.insertions, insertions) != insertions {
            self.send(Command::CacheChanged);
        }
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
    contents: Contents,
    schedule: Schedule,
    counters: Arc<ProcessCounters>,
    /// The last write failed, and the failure has been logged.
    failing: bool,
}

/// What is written.
struct Contents {
    cache: Arc<Cache>,
    blocks: Vec<(String, BlockId)>,
    /// The cache's insertions when the last file was written; none if it must be written again.
    written: Option<u64>,
}

/// When it is written.
struct Schedule {
    delay: Duration,
    /// Not before: the CPU time of the last write limits their rate.
    earliest: Instant,
    due: Option<Instant>,
}

impl Schedule {
    /// Schedules a write, unless one is scheduled.
    fn request(&mut self, now: Instant) {
        self.due.get_or_insert_with(|| (now + self.delay).max(self.earliest));
    }

    /// A write has ended, which took `cpu_time`.
    fn written(&mut self, now: Instant, cpu_time: Duration) {
        self.earliest = now + cpu_time.saturating_mul(CPU_FACTOR);
    }

    /// Waits for the next command, or until the scheduled write is due.
    fn next_command(&self, commands: &Receiver<Command>) -> Result<Command, RecvTimeoutError> {
        match self.due {
            Some(due) => commands.recv_timeout(due.saturating_duration_since(clock::now())),
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }
}

impl WriterThread {
    fn run(mut self, commands: &Receiver<Command>) {
        loop {
            match self.schedule.next_command(commands) {
                Ok(Command::CacheChanged) => self.schedule.request(clock::now()),
                Ok(Command::SetBlocks(blocks)) => {
                    self.contents.blocks = blocks;
                    self.contents.written = None;
                    self.schedule.request(clock::now());
                }
                Ok(Command::Stop(FinalWrite::Skip)) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Command::Stop(FinalWrite::Write)) => return self.write(),
                Err(RecvTimeoutError::Timeout) => self.write_due(),
            }
        }
    }

    fn write_due(&mut self) {
        self.schedule.due = None;
        let before = clock::thread_cpu_time();
        self.write();
        let now = clock::now();
        self.schedule.written(now, clock::thread_cpu_time().saturating_sub(before));
        if self.failing {
            self.schedule.request(now);
        }
    }

    fn write(&mut self) {
        let insertions = self.contents.cache.insertions();
        if self.contents.written == Some(insertions) {
            return;
        }
        match self.snapshot.write(&self.contents.cache, &self.contents.blocks) {
            Ok(written) => {
                debug!("cache snapshot: {} entries, {} octets", written.entries, written.octets);
                self.contents.written = Some(insertions);
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_write_is_due_a_delay_after_the_first_request() {
        let start = clock::now();
        let mut schedule = Schedule { delay: DELAY, earliest: start, due: None };
        schedule.request(start);
        schedule.request(start + SECOND);
        assert_eq!(schedule.due, Some(start + DELAY));
    }

    #[test]
    fn a_write_takes_one_per_cent_of_a_core_at_most() {
        let start = clock::now();
        let mut schedule = Schedule { delay: DELAY, earliest: start, due: None };
        for (cpu_time, next) in [(Duration::from_millis(40), DELAY), (Duration::from_millis(60), 6 * SECOND)]
        {
            schedule.written(start, cpu_time);
            schedule.due = None;
            schedule.request(start);
            assert_eq!(schedule.due, Some(start + next));
        }
    }
}
