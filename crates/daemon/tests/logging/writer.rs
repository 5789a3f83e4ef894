//! The log queue and its writer thread.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daemon::logging::{Logger, subscriber};
use daemon::metrics::ProcessCounters;
use tracing::{Level, debug, error, info, trace, warn};

const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logger() -> (Logger, Output) {
    let output = Output::default();
    (Logger::start(output.clone(), 64, Arc::default()).unwrap(), output)
}

#[test]
fn lines_have_the_prefixes_of_coredns() {
    let (logger, output) = logger();
    logger.log(Level::INFO, "Reloading complete");
    logger.log(Level::WARN, "two");
    logger.log(Level::ERROR, "three");
    logger.log(Level::DEBUG, "not logged");
    logger.set_debug(true);
    logger.log(Level::DEBUG, "four");
    logger.log(Level::TRACE, "not logged");
    assert!(logger.flush(TIMEOUT));
    assert_eq!(
        output.lines(),
        ["[INFO] Reloading complete", "[WARNING] two", "[ERROR] three", "[DEBUG] four"]
    );
}

#[test]
fn control_characters_are_escaped_and_one_call_is_one_line() {
    let (logger, output) = logger();
    logger.log(Level::INFO, "a\n[FATAL] b\r\u{1b}[31m\u{7f}\0\u{85} \"ü\"");
    assert!(logger.flush(TIMEOUT));
    assert_eq!(output.lines(), [r#"[INFO] a\n[FATAL] b\r\u{1b}[31m\u{7f}\u{0}\u{85} "ü""#]);
}

#[test]
fn events_become_lines_with_their_fields() {
    let (logger, output) = logger();
    tracing::subscriber::with_default(subscriber(&logger), || {
        let path = String::from("/etc/coredns/Corefile");
        info!("Reloading");
        warn!(to = %"10.233.0.3:53", tries = 2, "no answer");
        error!(file = path, reason = "is a directory", "cannot read");
        error!(target: "hyper", "of another crate");
        debug!("not logged");
        logger.set_debug(true);
        debug!(target: "daemon::worker", open = true, "logged");
        debug!(target: "hyper::proto", "not logged");
        trace!(target: "daemon::worker", "not logged");
    });
    assert!(logger.flush(TIMEOUT));
    let expected = [
        "[INFO] Reloading",
        "[WARNING] no answer to=10.233.0.3:53 tries=2",
        "[ERROR] cannot read file=/etc/coredns/Corefile reason=\"is a directory\"",
        "[ERROR] of another crate",
        "[DEBUG] logged open=true",
    ];
    assert_eq!(output.lines(), expected);
}

/// A writer that blocks until `go_on` is signalled.
struct Blocked {
    writing: SyncSender<()>,
    go_on: Receiver<()>,
}

impl Write for Blocked {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.writing.send(()).unwrap();
        let signalled = self.go_on.recv_timeout(TIMEOUT);
        signalled.map(|()| octets.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_blocked_reader_drops_lines_and_never_blocks_the_caller() {
    let (writing, is_writing) = sync_channel(1);
    let (go_on, resumed) = sync_channel(1);
    let counters = Arc::new(ProcessCounters::default());
    let logger = Logger::start(Blocked { writing, go_on: resumed }, 4, Arc::clone(&counters)).unwrap();
    logger.log(Level::INFO, "taken by the writer");
    is_writing.recv_timeout(TIMEOUT).unwrap();
    for _ in 0..10 {
        logger.log(Level::INFO, "four of ten fit into the queue");
    }
    assert_eq!(counters.dropped_lines.get(), 6);
    assert!(!logger.flush(Duration::from_millis(1)));

    go_on.send(()).unwrap();
    is_writing.recv_timeout(TIMEOUT).unwrap();
    go_on.send(()).unwrap();
    assert!(logger.flush(TIMEOUT));
    assert_eq!(counters.dropped_lines.get(), 6);
}

/// A pipe whose reader has closed it.
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
    logger.log(Level::INFO, "lost");
    assert!(logger.flush(TIMEOUT));
    assert_eq!(counters.dropped_lines.get(), 1);
}
