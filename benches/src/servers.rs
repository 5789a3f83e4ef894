//! Servers under test: the floor, the daemon, and other programs named by environment variables,
//! each a process pinned to the server core.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::cpu::{self, Cores};
use crate::output::BenchError;
use crate::upstream::Upstream;

/// The first argument that runs this program as the daemon.
pub(crate) const DAEMON: &str = "nodelocaldns";

/// Environment variables with the paths of other programs that take node-cache's flags, and their
/// row titles.
const OTHERS: [(&str, &str); 2] = [("NODE_CACHE", "node-cache"), ("NODE_LOCAL_DNS", "node-local-dns")];

/// Flags of every caching server: nothing of the node is changed; the Corefile's path follows.
pub(crate) const NODE_FLAGS: [&str; 5] =
    ["-localip", "127.0.0.1", "-setupinterface=false", "-setupiptables=false", "-conf"];

/// A server process, killed on drop.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    /// An echo server: the response equals the query.
    pub(crate) echoes: bool,
    process: Child,
}

impl Server {
    /// Starts a process at `addr` that writes its log to `dir`. It may not be ready yet.
    pub(crate) fn spawn(
        (name, addr): (&'static str, SocketAddr),
        command: &mut Command,
        dir: &TempDir,
    ) -> Result<Self, BenchError> {
        let log = fs::File::options().create(true).append(true).open(dir.0.join(format!("{name}.log")))?;
        let process = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let process = process.map_err(|error| BenchError(format!("{name}: {error}")))?;
        Ok(Self { name, addr, echoes: false, process })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// CPU time in nanoseconds.
    pub(crate) fn cpu_ns(&self) -> Result<u64, BenchError> {
        cpu::time_ns(self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has already exited, which the run has reported.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A temporary directory for Corefiles and logs, removed on drop.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Result<Self, BenchError> {
        let path = std::env::temp_dir().join(format!("nodelocaldns-benches-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, BenchError> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// The log of a server.
    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(format!("{name}.log"))).unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A failure leaves a few hundred octets in the temporary directory.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Starts the floor, the daemon and the programs named by the environment. They may not be ready
/// yet.
pub(crate) fn start(upstream: &Upstream, dir: &TempDir, cores: Cores) -> Result<Vec<Server>, BenchError> {
    let program = std::env::current_exe()?;
    cpu::pin(cores.server)?;
    let mut servers = vec![start_floor(&program)?];
    let mut daemon = Command::new(&program);
    daemon.args([DAEMON, "-workers", "1"]);
    let config = ServerConfig { upstream, dir, cache: "cache 3600" };
    servers.push(start_cache(DAEMON, daemon, config)?);
    for (name, path) in others() {
        servers.push(start_cache(name, Command::new(path), config)?);
    }
    cpu::pin(cores.load)?;
    Ok(servers)
}

/// Starts the daemon without pinning it. It may not be ready yet.
pub(crate) fn start_daemon(config: ServerConfig<'_>, args: &[&str]) -> Result<Server, BenchError> {
    let mut daemon = Command::new(std::env::current_exe()?);
    daemon.arg(DAEMON).args(args);
    start_cache(DAEMON, daemon, config)
}

/// The configuration of a caching server.
#[derive(Clone, Copy)]
pub(crate) struct ServerConfig<'a> {
    pub(crate) upstream: &'a Upstream,
    pub(crate) dir: &'a TempDir,
    /// The `cache` directive.
    pub(crate) cache: &'a str,
}

#[expect(clippy::disallowed_methods, reason = "the only settings from the environment")]
fn others() -> impl Iterator<Item = (&'static str, PathBuf)> {
    OTHERS.into_iter().filter_map(|(variable, name)| Some((name, PathBuf::from(std::env::var_os(variable)?))))
}

fn start_floor(program: &Path) -> Result<Server, BenchError> {
    let mut process = Command::new(program).arg("floor").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(stdout) = process.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let port: u16 = line.trim().parse().map_err(|_| BenchError(format!("the floor printed {line:?}")))?;
    Ok(Server { name: "floor", addr: (Ipv4Addr::LOCALHOST, port).into(), echoes: true, process })
}

fn start_cache(
    name: &'static str,
    mut command: Command,
    config: ServerConfig<'_>,
) -> Result<Server, BenchError> {
    let ServerConfig { upstream, dir, cache } = config;
    let (port, metrics, extra_metrics) = (free_port()?, free_port()?, free_port()?);
    let corefile = dir.write(
        name,
        &format!(
            ".:{port} {{\n    errors\n    {cache}\n    bind 127.0.0.1\n    forward . {}\n    prometheus 127.0.0.1:{metrics}\n}}\n",
            upstream.addr
        ),
    )?;
    command.args(NODE_FLAGS).arg(&corefile);
    command.args(["-metrics-listen-address", &format!("127.0.0.1:{extra_metrics}")]);
    Server::spawn((name, (Ipv4Addr::LOCALHOST, port).into()), &mut command, dir)
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, BenchError> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
