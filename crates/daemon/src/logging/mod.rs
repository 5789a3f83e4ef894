//! What the process says: lines as CoreDNS writes them, `[INFO] ` and text, without a time of day, on stdout.
//!
//! Nobody waits for the reader of our output. A line goes into a queue of fixed length, one thread writes; when the
//! queue is full the line is dropped and counted (`nodelocaldns_log_lines_dropped_total`).

pub mod errors;
mod event;
mod format;
pub mod query_log;

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Subscriber};
use tracing_subscriber::layer::SubscriberExt;

use self::event::Events;
use crate::metrics::ProcessCounters;

/// Lines that may wait for the writer.
pub const QUEUE_LEN: usize = 4096;
/// Octets after which lines that wait are written before more are taken.
const BATCH_LEN: usize = 64 * 1024;

/// The way to say something, from any thread and without waiting.
#[derive(Clone, Debug)]
pub struct Logger {
    queue: SyncSender<String>,
    counters: Arc<ProcessCounters>,
    progress: Arc<Progress>,
    debug: Arc<AtomicBool>,
}

/// How far the writer has come.
#[derive(Debug, Default)]
struct Progress {
    queued: AtomicU64,
    done: Mutex<u64>,
    moved: Condvar,
}

impl Logger {
    /// Starts the thread that writes to `out`, which ends with the last logger; `queue_len` lines may wait for it.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start<W>(out: W, queue_len: usize, counters: Arc<ProcessCounters>) -> io::Result<Self>
    where
        W: Write + Send + 'static,
    {
        let (queue, lines) = sync_channel(queue_len);
        let progress = Arc::new(Progress::default());
        let writer = Writer { out, lines, counters: Arc::clone(&counters), progress: Arc::clone(&progress) };
        thread::Builder::new().name("logger".to_owned()).spawn(move || writer.run())?;
        Ok(Self { queue, counters, progress, debug: Arc::default() })
    }

    /// Says one line. Control characters in `text` are escaped, so that one call is one line.
    pub fn log(&self, level: Level, text: impl fmt::Display) {
        if level == Level::TRACE || (level == Level::DEBUG && !self.debug.load(Relaxed)) {
            return;
        }
        let mut line = prefix(level).to_owned();
        // Writing to a string fails only when a Display does; what it wrote until then is said.
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

    /// Says `[DEBUG]` lines from now on, or no more: the `debug` directive.
    pub fn set_debug(&self, shown: bool) {
        self.debug.store(shown, Relaxed);
    }

    /// Waits until what was said so far is written, at most for `patience`; false when it was not.
    pub fn flush(&self, patience: Duration) -> bool {
        let goal = self.progress.queued.load(Relaxed);
        let done = self.progress.done.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.progress.moved.wait_timeout_while(done, patience, |done| *done < goal);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Speaks for `tracing`: events become lines, their fields `name=value` behind the message. `[DEBUG]` is only
    /// for events of this project.
    pub fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        tracing_subscriber::registry().with(Events::new(self.clone()))
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
            self.progress.moved.notify_all();
        }
    }
}

/// Escapes control characters, so that text from outside cannot start a line of its own or colour a terminal.
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
