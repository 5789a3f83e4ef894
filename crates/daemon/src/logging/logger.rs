//! The log queue and its writer thread.
//!
//! A slow reader of stdout never blocks the caller: a line goes into a queue of fixed length, and
//! one thread writes. When the queue is full, the line is dropped and counted
//! (`nodelocaldns_log_lines_dropped_total`).

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use linux::confinement::ThreadKind;
use tracing::Level;

use crate::confined;
use crate::metrics::ProcessCounters;

/// Length of the log queue, in lines.
pub const QUEUE_LEN: usize = 4096;
/// Octets after which queued lines are written before more are taken.
const BATCH_LEN: usize = 64 * 1024;

/// A handle of the log queue, for any thread; logging never blocks.
#[derive(Clone, Debug)]
pub struct Logger {
    queue: SyncSender<String>,
    counters: Arc<ProcessCounters>,
    progress: Arc<Progress>,
    debug: Arc<AtomicBool>,
}

/// How many lines were queued and how many the writer is done with.
#[derive(Debug, Default)]
struct Progress {
    queued: AtomicU64,
    done: Mutex<u64>,
    changed: Condvar,
}

impl Logger {
    /// Starts the writer thread, which writes to `out` and ends with the last `Logger`. The queue
    /// holds `queue_len` lines.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start<W>(out: W, queue_len: usize, counters: Arc<ProcessCounters>) -> io::Result<Self>
    where
        W: Write + Send + 'static,
    {
        let (queue, lines) = sync_channel(queue_len);
        let progress = Arc::new(Progress::default());
        let writer = Writer { out, lines, counters: Arc::clone(&counters), progress: Arc::clone(&progress) };
        thread::Builder::new().name("log-writer".to_owned()).spawn(move || {
            confined::enter(ThreadKind::Log);
            writer.run();
        })?;
        Ok(Self { queue, counters, progress, debug: Arc::default() })
    }

    /// Logs one line. Control characters in `text` are escaped, so that one call is one line.
    pub fn log(&self, level: Level, text: impl fmt::Display) {
        if level == Level::TRACE || (level == Level::DEBUG && !self.debug.load(Relaxed)) {
            return;
        }
        let mut line = prefix(level).to_owned();
        // Writing to a string fails only when a Display does; what it wrote until then is logged.
        if write!(OneLine(&mut line), "{text}").is_err() {
            line.push_str("(cut)");
        }
        line.push('\n');
        match self.queue.try_send(line) {
            Ok(()) => {
                self.progress.queued.fetch_add(1, Relaxed);
            }
            Err(_) => self.counters.dropped_lines.inc(),
        }
    }

    /// Whether `[DEBUG]` lines are logged from now on, as the `debug` directive says; off at first.
    pub fn set_debug(&self, enabled: bool) {
        self.debug.store(enabled, Relaxed);
    }

    /// Waits until the lines logged so far are written; false when `timeout` passed first.
    pub fn flush(&self, timeout: Duration) -> bool {
        let goal = self.progress.queued.load(Relaxed);
        let done = self.progress.done.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.progress.changed.wait_timeout_while(done, timeout, |done| *done < goal);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

fn prefix(level: Level) -> &'static str {
    match level {
        Level::ERROR => "[ERROR] ",
        Level::WARN => "[WARNING] ",
        Level::INFO => "[INFO] ",
        _ => "[DEBUG] ",
    }
}

struct Writer<W> {
    out: W,
    lines: Receiver<String>,
    counters: Arc<ProcessCounters>,
    progress: Arc<Progress>,
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        let mut batch = String::new();
        while let Ok(line) = self.lines.recv() {
            batch.clear();
            batch.push_str(&line);
            let mut count = 1;
            while batch.len() < BATCH_LEN
                && let Ok(line) = self.lines.try_recv()
            {
                batch.push_str(&line);
                count += 1;
            }
            if self.out.write_all(batch.as_bytes()).and_then(|()| self.out.flush()).is_err() {
                self.counters.dropped_lines.add(count);
            }
            *self.progress.done.lock().unwrap_or_else(PoisonError::into_inner) += count;
            self.progress.changed.notify_all();
        }
    }
}

/// Escapes control characters: text from outside cannot start a line or colour a terminal.
struct OneLine<'a>(&'a mut String);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character.is_control() {
                self.0.extend(character.escape_default());
            } else {
                self.0.push(character);
            }
        }
        Ok(())
    }
}
