//! The upstream of the add-on's Corefile: scripted, or CoreDNS.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use testkit::upstream::{LabelScript, ServerOptions, Upstream};

use super::addon::TTL;
use crate::output::BenchError;

/// The line that CoreDNS prints when it serves.
const STARTED: &str = "CoreDNS-";

/// An upstream that runs until dropped, and closes its connections then.
pub(super) enum AddonUpstream {
    Scripted(#[expect(dead_code, reason = "it only has to be kept")] Upstream),
    CoreDns(CoreDns),
}

/// A CoreDNS process.
pub(super) struct CoreDns {
    process: Child,
    corefile: PathBuf,
    /// Kept open: a line written to a closed pipe would end it.
    output: Option<BufReader<ChildStdout>>,
}

/// Which upstream the environment asks for: the CoreDNS that `COREDNS` names, or the scripted one.
#[expect(clippy::disallowed_methods, reason = "a setting from the environment")]
pub(super) fn coredns() -> Option<PathBuf> {
    std::env::var_os("COREDNS").map(PathBuf::from)
}

impl AddonUpstream {
    /// Starts it with `address` as the record of each name that it answers.
    pub(super) fn start(addr: SocketAddr, address: Ipv4Addr) -> Result<Self, BenchError> {
        if let Some(program) = coredns() {
            return Ok(Self::CoreDns(CoreDns::start(&program, addr, address)?));
        }
        let script = LabelScript { ttl: TTL, address };
        Ok(Self::Scripted(Upstream::start_with(addr, ServerOptions::default(), script)?))
    }

    /// The process ID of CoreDNS.
    pub(super) fn process(&self) -> Option<u32> {
        match self {
            Self::Scripted(_) => None,
            Self::CoreDns(coredns) => Some(coredns.process.id()),
        }
    }
}

impl CoreDns {
    fn start(program: &Path, addr: SocketAddr, address: Ipv4Addr) -> Result<Self, BenchError> {
        let file = format!("nodelocaldns-benches-{}-{address}.coredns", std::process::id());
        let corefile = std::env::temp_dir().join(file);
        fs::write(&corefile, text(addr, address))?;
        let mut command = Command::new(program);
        command.arg("-conf").arg(&corefile).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| BenchError(format!("COREDNS: {error}")))?;
        let mut output = process.stdout.take().map(BufReader::new);
        let mut coredns = Self { process, corefile, output: None };
        let mut line = String::new();
        while !line.starts_with(STARTED) {
            line.clear();
            if output.as_mut().map_or(Ok(0), |output| output.read_line(&mut line))? == 0 {
                return Err(BenchError("COREDNS does not start".to_owned()));
            }
        }
        coredns.output = output;
        Ok(coredns)
    }
}

impl Drop for CoreDns {
    fn drop(&mut self) {
        // All fail only after the process has exited, which the run has reported.
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_file(&self.corefile).ok();
    }
}

/// A Corefile that answers A for each name.
fn text(addr: SocketAddr, address: Ipv4Addr) -> String {
    format!(
        ".:{} {{\n bind {}\n template IN A {{\n  answer \"{{{{ .Name }}}} {TTL} IN A {address}\"\n }}\n template ANY ANY {{\n  rcode NXDOMAIN\n }}\n}}\n",
        addr.port(),
        addr.ip()
    )
}
