//! A server under comparison: how it is started on a Corefile, and its log.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::clock::now;

use crate::fixture::Fixture;
use crate::rendering::rendered;

/// Time within which a server must have started, or ended.
const TIMEOUT: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Which program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Nodelocaldns,
    /// node-cache with CoreDNS 1.13.
    NodeCache,
    /// node-cache with CoreDNS 1.14.
    NodeLocalDns,
    CoreDns,
}

/// A program and its path.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) program: Program,
    pub(crate) path: PathBuf,
    /// CoreDNS runs the Corefiles of a node-cache that is not at hand.
    pub(crate) stands_in: bool,
}

impl Subject {
    /// The name in reports and in the table of differences.
    pub(crate) fn name(&self) -> &'static str {
        match self.program {
            Program::Nodelocaldns => "nodelocaldns",
            Program::NodeCache => "node-cache",
            Program::NodeLocalDns => "node-local-dns",
            Program::CoreDns => "coredns",
        }
    }

    /// Whether a Corefile is meant for this program.
    pub(crate) fn runs(&self, fixture: &Fixture) -> bool {
        match (self.program, &fixture.peer) {
            (Program::Nodelocaldns, _) => true,
            _ if self.stands_in => true,
            (_, Some(peer)) => peer == self.name(),
            (program, None) => program != Program::CoreDns,
        }
    }

    /// Writes the Corefile and starts the program.
    pub(crate) fn start(&self, fixture: &Fixture, log: PathBuf) -> io::Result<Running> {
        let renders_templates = self.program != Program::CoreDns;
        let mut command = Command::new(&self.path);
        command.args(["-conf", fixture.path()]);
        if fixture.mounted {
            fs::write(fixture.path(), &fixture.text)?;
        } else if renders_templates {
            fs::write("/etc/Corefile.base", &fixture.text)?;
            command.args(["-basecorefile", "/etc/Corefile.base"]);
        } else {
            fs::write(fixture.path(), rendered(fixture)?)?;
        }
        if renders_templates {
            command
                .args(["-setupinterface=false", "-setupiptables=false", "-upstreamsvc", "kube-dns-upstream"])
                .args(["-metrics-listen-address", "127.0.0.1:9353", "-localip", &fixture.local_ips(",")]);
        }
        if self.program == Program::Nodelocaldns {
            command.args(["-handover-dir", "0"]);
        }
        let file = File::create(&log)?;
        command.env_clear().env("KUBE_DNS_UPSTREAM_SERVICE_HOST", "10.96.0.11").current_dir("/");
        command.envs(fixture.environment.iter().cloned()).stdin(Stdio::null());
        let child = command.stderr(file.try_clone()?).stdout(file).spawn()?;
        Ok(Running { child, log, banner: self.banner() })
    }

    /// The start of the line that is logged when all servers listen.
    fn banner(&self) -> &'static str {
        if self.program == Program::Nodelocaldns { "[INFO] nodelocaldns-" } else { "CoreDNS-" }
    }
}

/// A started program, killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
    banner: &'static str,
}

impl Running {
    /// Waits until it has started: false if it has refused the Corefile.
    pub(crate) fn wait_until_started(&mut self) -> io::Result<bool> {
        let started = now();
        while started.elapsed() < TIMEOUT {
            if self.lines().iter().any(|line| line.starts_with(self.banner)) {
                return Ok(true);
            }
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            thread::sleep(POLL_INTERVAL);
        }
        Err(io::Error::other(format!("does not start:\n{}", self.lines().join("\n"))))
    }

    /// Sends SIGTERM and waits until it has ended.
    pub(crate) fn stop(&mut self) -> io::Result<ExitStatus> {
        let pid = Pid::from_raw(self.child.id().try_into().map_err(io::Error::other)?);
        kill(pid, Signal::SIGTERM)?;
        let asked = now();
        while asked.elapsed() < TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL_INTERVAL);
        }
        Err(io::Error::other("does not end after SIGTERM"))
    }

    /// The log so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        lines(&self.log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that the process has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The complete lines of a file.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let octets = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&octets).lines().map(str::to_owned).collect()
}
