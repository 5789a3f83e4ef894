//! Programs under test: the daemon of this build, another build of it, and node-cache.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::output::BenchError;
use crate::servers::{self, DAEMON, NODE_FLAGS, Server, TempDir};

/// Environment variables with the paths of programs to compare with, and their row titles.
const OTHERS: [(&str, &str); 2] = [("DAEMON_BEFORE", "before"), ("NODE_CACHE", "node-cache")];

/// Attempts to connect to a started process, and the pause between them.
const MAX_ATTEMPTS: usize = 400;
const PAUSE: Duration = Duration::from_millis(50);

/// A program that takes node-cache's flags.
pub(super) struct Program {
    pub(super) name: &'static str,
    path: PathBuf,
    args: &'static [&'static str],
}

impl Program {
    /// The daemon, and the programs that the environment names.
    #[expect(clippy::disallowed_methods, reason = "the only settings from the environment")]
    pub(super) fn all() -> Result<Vec<Self>, BenchError> {
        let ours = Self { name: DAEMON, path: std::env::current_exe()?, args: &[DAEMON] };
        let others = OTHERS.into_iter().filter_map(|(variable, name)| {
            Some(Self { name, path: PathBuf::from(std::env::var_os(variable)?), args: &[] })
        });
        Ok(std::iter::once(ours).chain(others).collect())
    }

    /// True for the daemon of this build.
    pub(super) fn is_ours(&self) -> bool {
        self.name == DAEMON
    }

    /// Starts the program with a Corefile and its default number of workers, and waits until it
    /// accepts connections. In the Corefile, `PORT` and `METRICS` are replaced.
    pub(super) fn start(&self, corefile: &str, dir: &TempDir) -> Result<Server, BenchError> {
        let (port, metrics, extra_metrics) =
            (servers::free_port()?, servers::free_port()?, servers::free_port()?);
        let text = corefile.replace("PORT", &port.to_string());
        let text = text.replace("METRICS", &format!("127.0.0.1:{metrics}"));
        let path = dir.write(&format!("{}-{port}", self.name), &text)?;
        let mut command = Command::new(&self.path);
        command.args(self.args).args(NODE_FLAGS).arg(path);
        command.args(["-metrics-listen-address", &format!("127.0.0.1:{extra_metrics}")]);
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let server = Server::spawn((self.name, addr), &mut command, dir)?;
        for _ in 0..MAX_ATTEMPTS {
            if TcpStream::connect(addr).is_ok() {
                return Ok(server);
            }
            std::thread::sleep(PAUSE);
        }
        Err(BenchError(format!("{} does not start; its log: {}", self.name, dir.log(self.name))))
    }
}
