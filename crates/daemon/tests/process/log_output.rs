//! What a process says.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, JoinHandle};

use crate::environment::PATIENCE;

/// The lines that come out of a pipe.
pub(crate) struct Heard {
    lines: Arc<(Mutex<Vec<String>>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Heard {
    pub(crate) fn listen(pipe: impl Read + Send + 'static) -> Self {
        let lines: Arc<(Mutex<Vec<String>>, Condvar)> = Arc::default();
        let here = Arc::clone(&lines);
        let thread = Builder::new().name("listener".to_owned()).spawn(move || {
            for line in BufReader::new(pipe).lines() {
                lines.0.lock().unwrap().push(line.unwrap());
                lines.1.notify_all();
            }
        });
        Self { lines: here, thread: Some(thread.unwrap()) }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.0.lock().unwrap().clone()
    }

    pub(crate) fn wait_for(&self, part: &str) -> Option<String> {
        let find = |lines: &[String]| lines.iter().find(|line| line.contains(part)).cloned();
        let (lines, changed) = &*self.lines;
        let waited =
            changed.wait_timeout_while(lines.lock().unwrap(), PATIENCE, |lines| find(lines).is_none());
        find(&waited.unwrap().0)
    }

    /// Everything, once the other end is closed.
    pub(crate) fn all(&mut self) -> Vec<String> {
        self.thread.take().map(JoinHandle::join).unwrap().unwrap();
        self.lines()
    }
}
