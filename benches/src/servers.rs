//! Who answers: the floor, the daemon, and other programs if the environment names them, each a process on its core.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::cpu::{self, Cores};
use crate::{Failed, upstream::Upstream};

/// The first argument that makes this program the daemon.
pub(crate) const DAEMON: &str = "nodelocaldns";

/// Variables that name other programs with node-cache's flags, and what the table calls them.
const OTHERS: [(&str, &str); 2] = [("NODE_CACHE", "node-cache"), ("NODE_LOCAL_DNS", "node-local-dns")];

/// A process that answers. It is killed when this is dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    /// It sends back what it gets, and an answer is the query.
    pub(crate) echoes: bool,
    process: Child,
}

impl Server {
    /// Its process number.
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    /// Nanoseconds it has run.
    pub(crate) fn cpu_ns(&self) -> Result<u64, Failed> {
        cpu::time_ns(self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended by itself, of which the run has told.
        self.process.kill().unwrap_or_default();
        self.process.wait().map(drop).unwrap_or_default();
    }
}

/// A folder for Corefiles, gone when this is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self, Failed> {
        let path = std::env::temp_dir().join(format!("nodelocaldns-benches-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// What a server has said.
    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(format!("{name}.log"))).unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it is a few hundred octets in the folder for such things.
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// Starts the floor, the daemon and what the environment names. They need not answer yet.
pub(crate) fn start(upstream: &Upstream, folder: &Folder, cores: Cores) -> Result<Vec<Server>, Failed> {
    let ourselves = std::env::current_exe()?;
    cpu::pin(cores.server)?;
    let mut servers = vec![start_floor(&ourselves)?];
    let mut daemon = Command::new(&ourselves);
    daemon.args([DAEMON, "-workers", "1"]);
    let stage = Stage { upstream, folder, cache: "cache 3600" };
    servers.push(start_cache(DAEMON, daemon, stage)?);
    for (name, path) in others() {
        servers.push(start_cache(name, Command::new(path), stage)?);
    }
    cpu::pin(cores.load)?;
    Ok(servers)
}

/// Starts the daemon on no core in particular. It need not answer yet.
pub(crate) fn start_daemon(stage: Stage<'_>, args: &[&str]) -> Result<Server, Failed> {
    let mut daemon = Command::new(std::env::current_exe()?);
    daemon.arg(DAEMON).args(args);
    start_cache(DAEMON, daemon, stage)
}

/// What a cache is set up with.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) upstream: &'a Upstream,
    pub(crate) folder: &'a Folder,
    /// The `cache` directive.
    pub(crate) cache: &'a str,
}

#[expect(clippy::disallowed_methods, reason = "the one place here that reads settings")]
fn others() -> impl Iterator<Item = (&'static str, PathBuf)> {
    OTHERS.into_iter().filter_map(|(variable, name)| Some((name, PathBuf::from(std::env::var_os(variable)?))))
}

fn start_floor(ourselves: &Path) -> Result<Server, Failed> {
    let mut process = Command::new(ourselves).arg("floor").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(stdout) = process.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let port: u16 = line.trim().parse().map_err(|_| Failed(format!("the floor said {line:?}")))?;
    Ok(Server { name: "floor", addr: (Ipv4Addr::LOCALHOST, port).into(), echoes: true, process })
}

fn start_cache(name: &'static str, mut command: Command, stage: Stage<'_>) -> Result<Server, Failed> {
    let Stage { upstream, folder, cache } = stage;
    let (port, metrics, more_metrics) = (free_port()?, free_port()?, free_port()?);
    let corefile = folder.0.join(name);
    fs::write(
        &corefile,
        format!(
            ".:{port} {{\n    errors\n    {cache}\n    bind 127.0.0.1\n    forward . {}\n    prometheus 127.0.0.1:{metrics}\n}}\n",
            upstream.addr
        ),
    )?;
    command
        .args(["-localip", "127.0.0.1", "-setupinterface=false", "-setupiptables=false", "-conf"])
        .arg(&corefile)
        .args(["-metrics-listen-address", &format!("127.0.0.1:{more_metrics}")]);
    let log = fs::File::create(folder.0.join(format!("{name}.log")))?;
    let process = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
    let process = process.map_err(|error| Failed(format!("{name}: {error}")))?;
    Ok(Server { name, addr: (Ipv4Addr::LOCALHOST, port).into(), echoes: false, process })
}

/// A port that nobody had a moment ago.
fn free_port() -> Result<u16, Failed> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
