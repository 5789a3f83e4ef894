//! The queue of lines and the thread that writes them.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daemon::logging::Logger;
use daemon::metrics::ProcessCounters;
use tracing::{Level, debug, error, info, trace, warn};

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Page {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logger() -> (Logger, Page) {
    let page = Page::default();
    (Logger::start(page.clone(), 64, Arc::default()).unwrap(), page)
}

#[test]
fn lines_have_the_prefixes_of_coredns() {
    let (logger, page) = logger();
    logger.log(Level::INFO, "Reloading complete");
    logger.log(Level::WARN, "two");
    logger.log(Level::ERROR, "three");
    logger.log(Level::DEBUG, "unheard");
    logger.set_debug(true);
    logger.log(Level::DEBUG, "four");
    logger.log(Level::TRACE, "unheard");
    assert!(logger.flush(PATIENCE));
    assert_eq!(page.lines(), ["[INFO] Reloading complete", "[WARNING] two", "[ERROR] three", "[DEBUG] four"]);
}

#[test]
fn one_call_is_one_line_whatever_is_in_it() {
    let (logger, page) = logger();
    logger.log(Level::INFO, "a\n[FATAL] b\r\u{1b}[31m\u{7f}\0\u{85} \"ü\"");
    assert!(logger.flush(PATIENCE));
    assert_eq!(page.lines(), [r#"[INFO] a\n[FATAL] b\r\u{1b}[31m\u{7f}\u{0}\u{85} "ü""#]);
}

#[test]
fn events_become_lines_with_their_fields() {
    let (logger, page) = logger();
    tracing::subscriber::with_default(logger.subscriber(), || {
        let path = String::from("/etc/coredns/Corefile");
        info!("Reloading");
        warn!(to = %"10.233.0.3:53", tries = 2, "no answer");
        error!(file = path, reason = "is a directory", "cannot read");
        error!(target: "hyper", "of another crate");
        debug!("unheard");
        logger.set_debug(true);
        debug!(target: "daemon::worker", open = true, "heard");
        debug!(target: "hyper::proto", "unheard");
        trace!(target: "daemon::worker", "unheard");
    });
    assert!(logger.flush(PATIENCE));
    let expected = [
        "[INFO] Reloading",
        "[WARNING] no answer to=10.233.0.3:53 tries=2",
        "[ERROR] cannot read file=/etc/coredns/Corefile reason=\"is a directory\"",
        "[ERROR] of another crate",
        "[DEBUG] heard open=true",
    ];
    assert_eq!(page.lines(), expected);
}

/// Writes nothing until it is told to.
struct Stuck {
    writing: SyncSender<()>,
    go_on: Receiver<()>,
}

impl Write for Stuck {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.writing.send(()).unwrap();
        let told = self.go_on.recv_timeout(PATIENCE);
        told.map(|()| octets.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_stalls_costs_lines_and_no_time() {
    let (writing, is_writing) = sync_channel(1);
    let (go_on, told) = sync_channel(1);
    let counters = Arc::new(ProcessCounters::default());
    let logger = Logger::start(Stuck { writing, go_on: told }, 4, Arc::clone(&counters)).unwrap();
    logger.log(Level::INFO, "taken by the writer");
    is_writing.recv_timeout(PATIENCE).unwrap();
    for _ in 0..10 {
        logger.log(Level::INFO, "four of ten find room");
    }
    assert_eq!(counters.dropped_lines.get(), 6);
    assert!(!logger.flush(Duration::from_millis(1)));

    go_on.send(()).unwrap();
    is_writing.recv_timeout(PATIENCE).unwrap();
    go_on.send(()).unwrap();
    assert!(logger.flush(PATIENCE));
    assert_eq!(counters.dropped_lines.get(), 6);
}

/// A pipe whose reader is gone.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_cannot_be_written_are_counted() {
    let counters = Arc::new(ProcessCounters::default());
    let logger = Logger::start(Broken, 4, Arc::clone(&counters)).unwrap();
    logger.log(Level::INFO, "into the void");
    assert!(logger.flush(PATIENCE));
    assert_eq!(counters.dropped_lines.get(), 1);
}
