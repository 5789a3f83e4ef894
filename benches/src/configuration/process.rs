//! Edits of a running server's Corefile, starts that must fail, and descriptors.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::figures::now;
use crate::output::BenchError;
use crate::servers::{DAEMON, NODE_FLAGS, Server, free_port};

/// For a reload to end.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

const REJECTED: &str = "reload failed: ";
const APPLIED: &str = "Reloading complete";

/// The Corefile of a running server.
pub(super) struct Edit<'a> {
    server: &'a Server,
    path: PathBuf,
    corefile: String,
}

/// The end of a reload.
pub(super) struct Reloaded {
    /// Why it failed, if it did.
    pub(super) reason: Option<String>,
}

impl<'a> Edit<'a> {
    pub(super) fn of(server: &'a Server) -> Result<Self, BenchError> {
        let path = server.corefile();
        let corefile = fs::read_to_string(&path)?;
        Ok(Self { server, path, corefile })
    }

    /// The Corefile that it was started with.
    pub(super) fn corefile(&self) -> &str {
        &self.corefile
    }

    /// Replaces the Corefile, or removes it, and has the server reload it.
    pub(super) fn apply(&self, corefile: Option<&str>) -> Result<Reloaded, BenchError> {
        match corefile {
            Some(corefile) => {
                let edited = self.path.with_extension("edited");
                fs::write(&edited, corefile)?;
                fs::rename(edited, &self.path)?;
            }
            None => fs::remove_file(&self.path)?,
        }
        let before = self.ends().len();
        let pid = i32::try_from(self.server.pid()).map_err(|_| BenchError("no process ID".to_owned()))?;
        kill(Pid::from_raw(pid), Signal::SIGUSR1)?;
        let started = now();
        while started.elapsed() < RELOAD_TIMEOUT {
            if let Some(line) = self.ends().get(before) {
                let reason = line.split_once(REJECTED).map(|(_, reason)| reason.to_owned());
                return Ok(Reloaded { reason });
            }
            thread::sleep(POLL_INTERVAL);
        }
        Err(BenchError(format!("a reload does not end; the log: {}", self.server.log())))
    }

    /// The lines with which reloads ended.
    fn ends(&self) -> Vec<String> {
        let log = self.server.log();
        let is_end = |line: &&str| line.contains(REJECTED) || line.ends_with(APPLIED);
        log.lines().filter(is_end).map(str::to_owned).collect()
    }
}

/// Starts the daemon with a Corefile that it must reject; returns its only line on stderr.
pub(super) fn fail(corefile: &str, flags: &[&str], dir: &Path) -> Result<String, BenchError> {
    let path = dir.join(format!("wrong-{}", free_port()?));
    fs::write(&path, corefile)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(DAEMON).args(flags).args(["-metrics-listen-address", "0"]).args(NODE_FLAGS).arg(path);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    match (output.status.code(), text.trim_end().lines().collect::<Vec<_>>().as_slice()) {
        (Some(1), [line]) => Ok((*line).to_owned()),
        (code, _) => Err(BenchError(format!("a wrong start ended with {code:?}: {text}"))),
    }
}

/// Open descriptors of a process.
pub(super) struct Descriptors {
    all: usize,
    sockets: usize,
}

impl Descriptors {
    pub(super) fn of(pid: u32) -> Result<Self, BenchError> {
        let (mut all, mut sockets) = (0, 0);
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
            all += 1;
            // A descriptor may be closed before it is looked at.
            let is_socket = |target: PathBuf| target.to_string_lossy().starts_with("socket:");
            sockets += usize::from(fs::read_link(entry?.path()).is_ok_and(is_socket));
        }
        Ok(Self { all, sockets })
    }

    pub(super) fn exceeds(&self, other: &Self) -> bool {
        self.all > other.all || self.sockets > other.sockets
    }
}

impl fmt::Display for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.all, self.sockets)
    }
}
