//! Servers under test: the floor, the daemon, and other programs named by environment variables,
//! each in a separate process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cpu;
use crate::figures::now;
use crate::output::BenchError;

/// The first argument that runs this program as the daemon, and its row title.
pub(crate) const DAEMON: &str = "nodelocaldns";

/// The row title of another build of the daemon, given by `DAEMON_BEFORE`.
pub(crate) const BEFORE: &str = "before";

/// The row title of node-cache, given by `NODE_CACHE`.
pub(crate) const NODE_CACHE: &str = "node-cache";

/// Environment variables with the paths of programs, and their row titles.
const OTHERS: [(&str, &str); 3] =
    [("DAEMON_BEFORE", BEFORE), ("NODE_CACHE", NODE_CACHE), ("NODE_LOCAL_DNS", "node-local-dns")];

/// Flags of every caching server: nothing of the node is changed; the Corefile's path follows.
pub(crate) const NODE_FLAGS: [&str; 5] =
    ["-localip", "127.0.0.1", "-setupinterface=false", "-setupiptables=false", "-conf"];

/// Attempts to connect to a started process, and the pause between them.
const MAX_ATTEMPTS: usize = 1200;
const PAUSE: Duration = Duration::from_millis(50);

/// A server process, killed on drop.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    /// Just before exec.
    pub(crate) started: Instant,
    /// An echo server: the response equals the query.
    pub(crate) echoes: bool,
    /// Where it serves the metrics of the Corefile.
    metrics: Option<SocketAddr>,
    process: Child,
    log: PathBuf,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// CPU time in nanoseconds.
    pub(crate) fn cpu_ns(&self) -> Result<u64, BenchError> {
        cpu::time_ns(self.process.id())
    }

    /// The sum of a counter over its labels; `None` if the server has no such counter.
    pub(crate) fn counter(&self, name: &str) -> Result<Option<u64>, BenchError> {
        self.labelled_counter(name, "")
    }

    /// The sum of a counter over its series with a label, `rcode="NOERROR"`.
    pub(crate) fn labelled_counter(&self, name: &str, label: &str) -> Result<Option<u64>, BenchError> {
        let Some(metrics) = self.metrics else { return Ok(None) };
        let mut stream = TcpStream::connect(metrics)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let is_counter =
            |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values = text.lines().filter(is_counter).filter(|line| line.contains(label));
        let values = values.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(values.reduce(|sum, value| sum + value))
    }

    /// The path of its Corefile.
    pub(crate) fn corefile(&self) -> PathBuf {
        self.log.with_extension("")
    }

    /// Its standard output and standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_else(|error| error.to_string())
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

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A failure leaves a few hundred octets in the temporary directory.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A Corefile for [`Program::start`] with one server block.
pub(crate) fn corefile(cache: &str, forward: &str) -> String {
    format!(
        ".:PORT {{\n    errors\n    {cache}\n    bind 127.0.0.1\n    {forward}\n    prometheus METRICS\n}}\n"
    )
}

/// A program that takes node-cache's flags.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    path: PathBuf,
    /// This program, which is the daemon with [`DAEMON`] as its first argument.
    is_this: bool,
}

impl Program {
    /// The daemon of this build, or the one that `NODELOCALDNS` names.
    pub(crate) fn daemon() -> Result<Self, BenchError> {
        match environment("NODELOCALDNS") {
            Some(path) => Ok(Self::new(DAEMON, path)),
            None => Ok(Self { is_this: true, ..Self::new(DAEMON, std::env::current_exe()?) }),
        }
    }

    pub(crate) fn new(name: &'static str, path: PathBuf) -> Self {
        Self { name, path, is_this: false }
    }

    /// The daemon, and the programs that the environment names.
    pub(crate) fn all() -> Result<Vec<Self>, BenchError> {
        let others =
            OTHERS.into_iter().filter_map(|(variable, name)| Some(Self::new(name, environment(variable)?)));
        Ok(std::iter::once(Self::daemon()?).chain(others).collect())
    }

    /// The programs of the environment that [`all`](Self::all) lacks, with their variables.
    pub(crate) fn absent() -> impl Iterator<Item = (&'static str, &'static str)> {
        OTHERS.into_iter().filter(|(variable, _)| environment(variable).is_none())
    }

    /// Octets of its file; `None` for the daemon in this program.
    pub(crate) fn size(&self) -> Option<u64> {
        fs::metadata(&self.path).ok().filter(|_| !self.is_this).map(|file| file.len())
    }

    /// True for the daemon, other than `DAEMON_BEFORE`.
    pub(crate) fn is_ours(&self) -> bool {
        self.name == DAEMON
    }

    /// Starts the program with a Corefile, on the allowed cores of this thread, and waits until it
    /// accepts connections. In the Corefile, `PORT` and `METRICS` are replaced.
    pub(crate) fn start(&self, corefile: &str, dir: &TempDir) -> Result<Server, BenchError> {
        self.start_with(corefile, &[], dir)
    }

    /// The same with flags that only the daemon has; other programs do not get them.
    pub(crate) fn start_with(
        &self,
        corefile: &str,
        daemon_flags: &[&str],
        dir: &TempDir,
    ) -> Result<Server, BenchError> {
        self.start_by(Command::new(&self.path), corefile, daemon_flags, dir)
    }

    /// The same in the cgroup whose members `procs` takes.
    pub(crate) fn start_in(
        &self,
        procs: &Path,
        corefile: &str,
        daemon_flags: &[&str],
        dir: &TempDir,
    ) -> Result<Server, BenchError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("in-cgroup").arg(procs).arg(&self.path);
        self.start_by(command, corefile, daemon_flags, dir)
    }

    /// The same under valgrind's callgrind, which prints its count at the end. It makes system calls of its
    /// own, so that the threads have no filter.
    pub(crate) fn start_counted(
        &self,
        corefile: &str,
        daemon_flags: &[&str],
        dir: &TempDir,
    ) -> Result<Server, BenchError> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(&self.path);
        let flags = [daemon_flags, &["-seccomp=false", "-landlock=false"]].concat();
        self.start_by(command, corefile, &flags, dir)
    }

    fn start_by(
        &self,
        mut command: Command,
        corefile: &str,
        daemon_flags: &[&str],
        dir: &TempDir,
    ) -> Result<Server, BenchError> {
        let (port, metrics, extra_metrics) = (free_port()?, free_port()?, free_port()?);
        let text = corefile.replace("PORT", &port.to_string());
        let path = dir.0.join(format!("{}-{port}", self.name));
        fs::write(&path, text.replace("METRICS", &format!("127.0.0.1:{metrics}")))?;
        if self.is_this {
            command.arg(DAEMON);
        }
        if self.is_daemon() {
            command.args(daemon_flags);
        }
        command.args(NODE_FLAGS).arg(path);
        command.args(["-metrics-listen-address", &format!("127.0.0.1:{extra_metrics}")]);
        let log = dir.0.join(format!("{}-{port}.log", self.name));
        let output = fs::File::create(&log)?;
        let started = now();
        let process = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn();
        let process = process.map_err(|error| BenchError(format!("{}: {error}", self.name)))?;
        let addr = (Ipv4Addr::LOCALHOST, port).into();
        let metrics = Some((Ipv4Addr::LOCALHOST, metrics).into());
        Server { name: self.name, addr, started, echoes: false, metrics, process, log }.wait_until_started()
    }

    /// Runs the program with all of its arguments, and waits until `addr` accepts connections.
    pub(crate) fn run(
        &self,
        addr: SocketAddr,
        arguments: impl FnOnce(&mut Command),
        dir: &TempDir,
    ) -> Result<Server, BenchError> {
        self.spawn(addr, arguments, dir.path())?.wait_until_started()
    }

    /// The same without waiting.
    pub(crate) fn spawn(
        &self,
        addr: SocketAddr,
        arguments: impl FnOnce(&mut Command),
        dir: &Path,
    ) -> Result<Server, BenchError> {
        let mut command = self.command();
        arguments(&mut command);
        let log = dir.join(format!("{}.log", self.name));
        let output = fs::File::create(&log)?;
        let started = now();
        let process = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn();
        let process = process.map_err(|error| BenchError(format!("{}: {error}", self.name)))?;
        Ok(Server { name: self.name, addr, started, echoes: false, metrics: None, process, log })
    }

    /// The program without arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if self.is_this {
            command.arg(DAEMON);
        }
        command
    }

    /// True for the daemon, of this or another build.
    pub(crate) fn is_daemon(&self) -> bool {
        self.is_ours() || self.name == BEFORE
    }
}

impl Server {
    /// Ends it by SIGTERM and returns its log.
    pub(crate) fn terminate(mut self) -> Result<String, BenchError> {
        let pid = i32::try_from(self.pid()).map_err(|_| BenchError("a PID is too large".to_owned()))?;
        kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        self.process.wait()?;
        Ok(self.log())
    }

    /// Waits until it accepts connections.
    pub(crate) fn wait_until_started(self) -> Result<Self, BenchError> {
        for _ in 0..MAX_ATTEMPTS {
            if TcpStream::connect(self.addr).is_ok() {
                return Ok(self);
            }
            std::thread::sleep(PAUSE);
        }
        Err(BenchError(format!("{} does not start; its log: {}", self.name, self.log())))
    }
}

/// The path that an environment variable has.
#[expect(clippy::disallowed_methods, reason = "the only settings from the environment")]
pub(crate) fn environment(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

/// Starts the floor of `program`, which is this program.
pub(crate) fn start_floor(program: &Path) -> Result<Server, BenchError> {
    let started = now();
    let mut process = Command::new(program).arg("floor").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(stdout) = process.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let port: u16 = line.trim().parse().map_err(|_| BenchError(format!("the floor printed {line:?}")))?;
    let addr = (Ipv4Addr::LOCALHOST, port).into();
    Ok(Server { name: "floor", addr, started, echoes: true, metrics: None, process, log: PathBuf::new() })
}

/// A UDP and TCP port that was free a moment ago. It is below the ephemeral ports, any of which may
/// be in use by a connection before the server binds it.
pub(crate) fn free_port() -> Result<u16, BenchError> {
    const PORTS: std::ops::Range<u16> = 10_000..30_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Runs at the same time begin at different ports.
    let first = std::process::id().wrapping_mul(100);
    for _ in PORTS {
        let offset = first.wrapping_add(NEXT.fetch_add(1, Relaxed)) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(offset).unwrap_or_default();
        let addr = (Ipv4Addr::LOCALHOST, port);
        if UdpSocket::bind(addr).is_ok() && TcpListener::bind(addr).is_ok() {
            return Ok(port);
        }
    }
    Err(BenchError("no port is free".to_owned()))
}
