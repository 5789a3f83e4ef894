//! Captured log output of a process.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, JoinHandle};

use crate::fixture::WAIT_LIMIT;

/// The lines read from a pipe.
pub(crate) struct LogOutput {
    lines: Arc<(Mutex<Vec<String>>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl LogOutput {
    pub(crate) fn capture(pipe: impl Read + Send + 'static) -> Self {
        let lines: Arc<(Mutex<Vec<String>>, Condvar)> = Arc::default();
        let shared = Arc::clone(&lines);
        let thread = Builder::new().name("log-capture".to_owned()).spawn(move || {
            for line in BufReader::new(pipe).lines() {
                lines.0.lock().unwrap().push(line.unwrap());
                lines.1.notify_all();
            }
        });
        Self { lines: shared, thread: Some(thread.unwrap()) }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.0.lock().unwrap().clone()
    }

    pub(crate) fn wait_for_line(&self, part: &str) -> Option<String> {
        let find = |lines: &[String]| lines.iter().find(|line| line.contains(part)).cloned();
        let (lines, changed) = &*self.lines;
        let waited =
            changed.wait_timeout_while(lines.lock().unwrap(), WAIT_LIMIT, |lines| find(lines).is_none());
        find(&waited.unwrap().0)
    }

    /// All lines, when the other end is closed.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        self.thread.take().map(JoinHandle::join).unwrap().unwrap();
        self.lines()
    }
}
