//! The daemon's process and log.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::clock::now;

use crate::http;
use crate::setup::{LOCAL, SERVICE};

/// Interval of polling.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The kubelet's variable for the cluster IP of the Service `coredns`.
const SERVICE_VARIABLE: &str = "COREDNS_SERVICE_HOST";

/// The running daemon and its log output; dropping it kills the process.
pub(crate) struct Daemon {
    program: PathBuf,
    arguments: Vec<String>,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Starts it with kubespray's arguments and the built-in Corefile.
    pub(crate) fn start(program: &Path) -> io::Result<Self> {
        let arguments = ["-localip", LOCAL, "-upstreamsvc", "coredns"].map(str::to_owned).to_vec();
        let mut child = Command::new(program)
            .args(&arguments)
            .env_clear()
            .env(SERVICE_VARIABLE, SERVICE.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let pipes: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|pipe| Box::new(pipe) as _),
            child.stderr.take().map(|pipe| Box::new(pipe) as _),
        ];
        let mut daemon = Self { program: program.to_owned(), arguments, child, log, readers: Vec::new() };
        for pipe in pipes.into_iter().flatten() {
            let log = Arc::clone(&daemon.log);
            let read = move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            };
            daemon.readers.push(Builder::new().name("log".to_owned()).spawn(read)?);
        }
        Ok(daemon)
    }

    /// The log lines since the last call.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until `/ready` responds with 200.
    pub(crate) fn wait_until_ready(&mut self, timeout: Duration) -> io::Result<()> {
        let started = now();
        while started.elapsed() < timeout {
            if let Some(status) = self.child.try_wait()? {
                self.finish_log();
                return Err(io::Error::other(format!("the daemon exited with {status}")));
            }
            if http::get(LOCAL, 8181, "/ready").is_ok_and(|page| page.status == 200) {
                return Ok(());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Err(io::Error::other(format!("not ready within {} s", timeout.as_secs())))
    }

    /// Whether the process has exited.
    pub(crate) fn has_exited(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Sends SIGTERM and waits for the exit.
    pub(crate) fn terminate(&mut self, timeout: Duration) -> io::Result<ExitStatus> {
        let started = now();
        if !self.has_exited()? {
            kill(pid(&self.child)?, Signal::SIGTERM)?;
        }
        while started.elapsed() < timeout {
            if let Some(status) = self.child.try_wait()? {
                self.finish_log();
                return Ok(status);
            }
            thread::sleep(POLL_INTERVAL);
        }
        Err(io::Error::other(format!("still running {} s after SIGTERM", timeout.as_secs())))
    }

    fn finish_log(&mut self) {
        for reader in self.readers.drain(..) {
            // The reader has printed its own panic.
            drop(reader.join());
        }
    }
}

impl fmt::Display for Daemon {
    /// The command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.program.file_name().unwrap_or_default();
        write!(f, "{SERVICE_VARIABLE}={SERVICE} {} {}", name.display(), self.arguments.join(" "))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // An error means that the process has exited.
        drop(self.child.kill());
        drop(self.child.wait());
        self.finish_log();
    }
}

fn pid(child: &Child) -> io::Result<Pid> {
    i32::try_from(child.id()).map(Pid::from_raw).map_err(io::Error::other)
}
