//! Changes of the configuration that take effect: reloads, and a stub domain added to the ConfigMap
//! of kube-dns.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::clients::{LoadConfig, udp};
use crate::figures::now;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::servers::{Program, Server, TempDir, free_port};
use crate::upstream::{UnknownNames, Upstream};

use super::process::Edit;

/// Reloads of one process.
pub(super) const RELOADS: u32 = 200;

/// Time within which a stub domain is in effect: kubelet's own delay comes on top.
const IN_EFFECT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

const STUB_NAME: &str = "name.stub.test";
const STUB_ADDRESS: [u8; 4] = [192, 0, 2, 2];

/// Reloads a valid configuration again and again: one block gets another option that its cached
/// answers do not depend on, and other blocks come and go.
pub(super) fn reload_all(edit: &Edit<'_>, port: u16, interval: Duration) -> Result<(), BenchError> {
    for number in 0..RELOADS {
        let cache = format!("cache 3600 {{\n prefetch {}\n }}", 2 + number % 5);
        let corefile = edit.corefile().replace("cache 3600", &cache);
        let other = format!("zone-{number}.test:{port} {{\n bind 127.0.0.1\n forward . 192.0.2.1\n}}\n");
        if let Some(reason) = edit.apply(Some(&format!("{corefile}{other}")))?.reason {
            return Err(BenchError(format!("a valid configuration was rejected: {reason}")));
        }
        thread::sleep(interval);
    }
    Ok(())
}

/// A daemon with a template and the ConfigMap of kube-dns, and the upstream of a stub domain.
pub(super) struct StubDomain {
    pub(super) server: Server,
    config_map: PathBuf,
    stub: Upstream,
    query: TestQuery,
}

impl StubDomain {
    pub(super) fn start(upstream: SocketAddr, dir: &TempDir) -> Result<Self, BenchError> {
        let port = free_port()?;
        let (base, config_map) = (dir.path().join("Corefile.base"), dir.path().join("kube-dns"));
        let template = format!(
            ".:{port} {{\n    cache 3600\n    bind __PILLAR__LOCAL__DNS__\n    forward . {upstream}\n    reload 2s 1s\n}}\n"
        );
        fs::write(&base, template)?;
        mount(&config_map, "..1", "{}")?;
        let flags = [
            "-workers=2".to_owned(),
            "-localip=127.0.0.1".to_owned(),
            "-setupinterface=false".to_owned(),
            "-setupiptables=false".to_owned(),
            format!("-basecorefile={}", base.display()),
            format!("-kubednscm={}", config_map.display()),
            format!("-dns.port={port}"),
            format!("-metrics-listen-address=127.0.0.1:{}", free_port()?),
        ];
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let server = Program::daemon()?.run(
            addr,
            |command| {
                command.args(flags);
            },
            dir,
        )?;
        let query = TestQuery::named(STUB_NAME, STUB_ADDRESS, true)?;
        let stub = Upstream::start(std::slice::from_ref(&query), UnknownNames::Ignored)?;
        Ok(Self { server, config_map, stub, query })
    }

    /// Adds the stub domain as the kubelet does; returns after how long its upstream answers.
    pub(super) fn add(&self) -> Result<Duration, BenchError> {
        let domains = format!("{{\"stub.test\": [\"{}\"]}}", self.stub.addr);
        let started = now();
        mount(&self.config_map, "..2", &domains)?;
        while started.elapsed() < IN_EFFECT {
            let query = std::slice::from_ref(&self.query);
            if udp::run(&self.server, query, LoadConfig::new(1, 1))?.answered == 1 {
                return Ok(started.elapsed());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Err(BenchError(format!("no stub domain within {IN_EFFECT:?}; the log: {}", self.server.log())))
    }
}

/// Mounts a version of the ConfigMap: `..data` is a link to its directory, which is replaced.
fn mount(directory: &Path, version: &str, stub_domains: &str) -> Result<(), BenchError> {
    fs::create_dir_all(directory.join(version))?;
    fs::write(directory.join(version).join("stubDomains"), stub_domains)?;
    symlink(version, directory.join("..data_tmp"))?;
    fs::rename(directory.join("..data_tmp"), directory.join("..data"))?;
    let file = directory.join("stubDomains");
    if !file.exists() {
        symlink("..data/stubDomains", file)?;
    }
    Ok(())
}

/// Prints the time until the stub domain was in effect.
pub(super) fn print_in_effect(time: Duration) {
    print(&mut std::io::stdout(), &format!("    in effect after {:.1} s", time.as_secs_f64()));
}
