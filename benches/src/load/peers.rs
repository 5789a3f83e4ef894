//! The servers of a run: the floor, those of node-cache's flags, and those of Debian that are in
//! PATH.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::configs::{self, Settings, Syntax, Transport};
use crate::output::BenchError;
use crate::servers::{self, Program, Server, TempDir, free_port};

/// A server of Debian: row title, command, configuration.
const DEBIAN: [(&str, &str, Syntax); 4] = [
    ("unbound", "unbound", configs::UNBOUND),
    ("dnsdist", "dnsdist", configs::DNSDIST),
    ("recursor", "pdns_recursor", configs::RECURSOR),
    ("knot-resolver", "kresd", configs::KNOT_RESOLVER),
];

/// Directories of servers that the PATH of a user lacks.
const SBIN: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// The row title of the floor.
pub(super) const FLOOR: &str = "floor";

/// A program and its configuration; the floor has none.
pub(super) struct Peer {
    program: Program,
    syntax: Option<Syntax>,
}

/// The servers that can run here, and a remark for each other one.
pub(super) fn installed() -> Result<(Vec<Peer>, Vec<String>), BenchError> {
    let floor = Peer { program: Program::new(FLOOR, std::env::current_exe()?), syntax: None };
    let mut peers = vec![floor];
    peers
        .extend(Program::all()?.into_iter().map(|program| Peer { program, syntax: Some(configs::COREFILE) }));
    let mut absent: Vec<String> =
        Program::absent().map(|(variable, name)| format!("{name} ({variable} is not set)")).collect();
    for (name, command, syntax) in DEBIAN {
        match in_path(command) {
            Some(path) => peers.push(Peer { program: Program::new(name, path), syntax: Some(syntax) }),
            None => absent.push(format!("{name} ({command} is not in PATH)")),
        }
    }
    Ok((peers, absent))
}

/// The path of a command.
fn in_path(command: &str) -> Option<PathBuf> {
    let path = servers::environment("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(SBIN.into_iter().map(PathBuf::from));
    directories.map(|directory| directory.join(command)).find(|file| file.is_file())
}

impl Peer {
    pub(super) fn name(&self) -> &'static str {
        self.program.name
    }

    pub(super) fn is_floor(&self) -> bool {
        self.syntax.is_none()
    }

    /// Starts it on the allowed cores of this thread; `None` when it cannot use the transport.
    pub(super) fn spawn(
        &self,
        upstream: SocketAddr,
        transport: Transport,
        dir: &TempDir,
    ) -> Result<Option<Server>, BenchError> {
        let Some(syntax) = &self.syntax else {
            return servers::start_floor(&std::env::current_exe()?).map(Some);
        };
        let port = free_port()?;
        let dir = dir.path().join(format!("{}-{port}", self.name()));
        let Some(text) = (syntax.text)(&Settings { port, upstream, transport, dir: &dir }) else {
            return Ok(None);
        };
        fs::create_dir(&dir)?;
        let file = dir.join(configs::FILE);
        fs::write(&file, text)?;
        let addr = (Ipv4Addr::LOCALHOST, port).into();
        let arguments = |command: &mut std::process::Command| {
            if self.program.is_daemon() {
                command.args(configs::DAEMON_FLAGS);
            }
            (syntax.arguments)(command, &file);
        };
        self.program.spawn(addr, arguments, &dir).map(Some)
    }

    /// The first line that it prints about its version.
    pub(super) fn version(&self) -> Option<String> {
        let output = self.program.command().arg(self.syntax.as_ref()?.version).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().map(str::to_owned).find(|line| !line.trim().is_empty())
    }

    /// Octets of its file.
    pub(super) fn size(&self) -> Option<u64> {
        self.program.size().filter(|_| !self.is_floor())
    }
}
