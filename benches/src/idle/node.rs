//! The node of the idle process: its link, its upstream, and the kubelet that probes it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use testkit::upstream::Upstream;

use crate::output::BenchError;
use crate::servers::{Program, Server, TempDir};
use crate::upstreams::namespace;

/// The Corefile of the add-on.
const COREFILE: &str = include_str!("../../../daemonset/base/Corefile");
/// The address, port and HTTP endpoints of that Corefile.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 20, 10);
const DNS: u16 = 53;
const HEALTH: (u16, &str) = (8080, "/health");
const READY: (u16, &str) = (8181, "/ready");

const LINK: &str = "nodelocaldns";
/// Kinds of links, in the order in which they are tried.
const KINDS: [&str; 2] = ["dummy", "bridge"];

pub(crate) struct Node {
    dir: TempDir,
    upstream: Upstream,
    kind: &'static str,
}

impl Node {
    /// In the namespace of this process, with an upstream on `upstream`.
    pub(crate) fn new(upstream: SocketAddr) -> Result<Self, BenchError> {
        let upstream = Upstream::start(upstream)?;
        let dir = TempDir::new()?;
        fs::write(dir.path().join("resolv.conf"), format!("nameserver {}\n", upstream.addr().ip()))?;
        let kind = KINDS.into_iter().find(|kind| add_link(kind).is_ok());
        let kind = kind.ok_or_else(|| BenchError(format!("no link of kinds {KINDS:?}")))?;
        Ok(Self { dir, upstream, kind })
    }

    pub(crate) fn link_kind(&self) -> &str {
        self.kind
    }

    /// Starts the program, which adopts the link, so that those that can create only a dummy link
    /// run on every kernel.
    pub(crate) fn start(&self, program: &Program) -> Result<Server, BenchError> {
        self.start_with(program, &[])
    }

    /// The same with more flags.
    pub(crate) fn start_with(&self, program: &Program, flags: &[&str]) -> Result<Server, BenchError> {
        namespace::run("ip", &["link", "delete", LINK], "")?;
        add_link(self.kind)?;
        let resolv_conf = self.dir.path().join("resolv.conf");
        let text = COREFILE.replace("/etc/resolv.conf", &resolv_conf.display().to_string());
        // node-cache has neither.
        let is_ours = |line: &str| line.starts_with("ready") || line == "nxdomain_cut";
        let is_served = |line: &&str| program.is_daemon() || !is_ours(line.trim());
        let text: String = text.lines().filter(is_served).flat_map(|line| [line, "\n"]).collect();
        let corefile = self.dir.path().join(format!("{}.Corefile", program.name));
        fs::write(&corefile, text)?;
        let handover = self.handover(program);
        fs::create_dir_all(&handover)?;
        let arguments = |command: &mut std::process::Command| {
            command.env("KUBE_DNS_UPSTREAM_SERVICE_HOST", self.upstream.addr().ip().to_string());
            command
                .args(["-localip", &ADDRESS.to_string(), "-interfacename", LINK])
                .arg("-conf")
                .arg(corefile)
                .args(flags);
            if program.is_daemon() {
                command.arg("-handover-dir").arg(&handover);
            }
        };
        program.run((ADDRESS, DNS).into(), arguments, &self.dir)
    }

    /// The probes of the kubelet: `/health`, and of the daemon `/ready` and `-probe`.
    pub(crate) fn probe(&self, program: &Program) -> Result<(), BenchError> {
        get(HEALTH)?;
        if !program.is_daemon() {
            return Ok(());
        }
        get(READY)?;
        let status =
            program.command().arg("-probe").arg("-handover-dir").arg(self.handover(program)).status()?;
        if status.success() { Ok(()) } else { Err(BenchError(format!("-probe: {status}"))) }
    }

    fn handover(&self, program: &Program) -> std::path::PathBuf {
        self.dir.path().join(format!("{}.handover", program.name))
    }
}

fn add_link(kind: &str) -> Result<(), BenchError> {
    namespace::run("ip", &["link", "add", LINK, "type", kind], "")
}

/// One request on a connection of its own, as of the kubelet.
fn get((port, path): (u16, &str)) -> Result<(), BenchError> {
    let mut stream = TcpStream::connect((ADDRESS, port))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {ADDRESS}\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    if response.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(BenchError(format!("{path}: {response}")))
}
