//! A thread in a network and a mount namespace of its own: all addresses on loopback, an `/etc` of
//! its own, and the upstreams. It runs one server on one Corefile after another.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use testkit::clock::now;
use testkit::upstream::Upstream;
use tools::message::Message;
use tools::variants::{ServerClient, VARIANTS, query};

use crate::fixture::Fixture;
use crate::questions::{Step, steps, steps_in_chaos};
use crate::subject::Subject;
use crate::upstream;

/// Where the ConfigMap of kube-dns is mounted.
const KUBE_DNS: &str = "/etc/kube-dns";
const TIMEOUT: Duration = Duration::from_secs(15);
/// Time within which queries have been counted.
const SETTLE_TIME: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// What a server did with a Corefile.
#[derive(Debug, Default)]
pub(crate) struct Observation {
    /// It refused the Corefile.
    pub(crate) refused: bool,
    /// The response to each step, or the error of the client.
    pub(crate) responses: Vec<Result<Message, String>>,
    /// `/metrics`.
    pub(crate) metrics: String,
    /// Status line and body of each further page.
    pub(crate) pages: Vec<String>,
    pub(crate) log: Vec<String>,
    /// How it ended on SIGTERM.
    pub(crate) exit: String,
}

/// What the threads have in common.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) coredns: PathBuf,
    /// Directory of the Corefiles; its `etc` becomes part of `/etc`.
    pub(crate) corefiles: PathBuf,
    pub(crate) work: PathBuf,
}

/// Enters the namespaces and runs the server on each Corefile.
pub(crate) fn run(
    subject: &Subject,
    environment: &Environment,
    fixtures: &Receiver<Arc<Fixture>>,
    results: &Sender<Result<Observation, String>>,
) {
    let upstreams = Upstreams::start(subject, environment);
    for fixture in fixtures {
        let observed = match &upstreams {
            Ok(_) => observe(subject, &fixture, environment),
            Err(error) => Err(error.to_string().into()),
        };
        let observed = observed.map_err(|error| format!("{}: {error}", subject.name()));
        if results.send(observed).is_err() {
            return;
        }
    }
}

/// The upstreams, ended when dropped.
struct Upstreams {
    coredns: Child,
    _cluster_zone: Upstream,
}

impl Upstreams {
    fn start(subject: &Subject, environment: &Environment) -> Result<Self, Box<dyn Error>> {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
        pipe_into(Command::new("ip").args(["-batch", "-"]), &upstream::addresses())?;
        pipe_into(Command::new("mount").args(["-t", "tmpfs", "etc", "/etc"]), "")?;
        copy_tree(&environment.corefiles.join("etc"), Path::new("/etc"))?;
        fs::copy(environment.work.join("ca.pem"), "/etc/coredns/ca.pem")?;
        let directory = environment.work.join(format!("upstream-of-{}", subject.name()));
        fs::create_dir_all(&directory)?;
        upstream::write_files(&directory)?;
        for file in ["server.pem", "server.key"] {
            fs::copy(environment.work.join(file), directory.join(file))?;
        }
        let cluster_zone = upstream::cluster_zone()?;
        let log = directory.join("log");
        let file = File::create(&log)?;
        let mut command = Command::new(&environment.coredns);
        command.env_clear().current_dir(&directory).stdin(Stdio::null()).args(["-conf", "Corefile"]);
        let coredns = command.stderr(file.try_clone()?).stdout(file).spawn()?;
        let mut upstreams = Self { coredns, _cluster_zone: cluster_zone };
        upstreams.wait_until_started(&log)?;
        Ok(upstreams)
    }

    fn wait_until_started(&mut self, log: &Path) -> io::Result<()> {
        let started = now();
        loop {
            let text = fs::read_to_string(log)?;
            if text.contains("\nCoreDNS-") {
                return Ok(());
            }
            if started.elapsed() > TIMEOUT || self.coredns.try_wait()?.is_some() {
                return Err(io::Error::other(format!("the upstream does not start:\n{text}")));
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        // An error means that the process has ended.
        drop(self.coredns.kill());
        drop(self.coredns.wait());
    }
}

/// Starts the server, sends all queries, reads the pages and ends it.
fn observe(
    subject: &Subject,
    fixture: &Fixture,
    environment: &Environment,
) -> Result<Observation, Box<dyn Error>> {
    let log = environment.work.join(format!("{}.{}.log", fixture.name, subject.name()));
    mount_kube_dns(fixture)?;
    let mut running = subject.start(fixture, log)?;
    if !running.wait_until_started()? {
        return Ok(Observation { refused: true, log: running.lines(), ..Observation::default() });
    }
    let mut responses = ask(&steps(fixture)?);
    let metrics = fixture.metrics.unwrap_or_else(|| ([127, 0, 0, 1], 9253).into());
    let expected = responses.len() + fixture.text.lines().filter(|line| line.trim() == "loop").count();
    let metrics = settled_metrics(metrics, expected)?;
    responses.extend(ask(&steps_in_chaos(fixture)?));
    let pages = fixture.pages.iter().map(|(addr, path)| match get(*addr, path) {
        Ok((status, body)) => format!("{path}: {status}: {body}"),
        Err(error) => format!("{path}: {error}"),
    });
    let pages = pages.collect();
    let exit = running.stop()?.to_string();
    Ok(Observation { refused: false, responses, metrics, pages, log: running.lines(), exit })
}

/// Writes the ConfigMap of kube-dns where node-cache looks for it; removes that of the Corefile before.
fn mount_kube_dns(fixture: &Fixture) -> io::Result<()> {
    let directory = Path::new(KUBE_DNS);
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    if !fixture.kube_dns.is_empty() {
        fs::create_dir(directory)?;
    }
    fixture.kube_dns.iter().try_for_each(|(key, value)| fs::write(directory.join(key), value))
}

/// `/metrics` when all queries have been counted, those of `loop` too: CoreDNS counts a query
/// after it has responded, its response code last. Blocks without `prometheus` count none, so that the wait is bounded.
fn settled_metrics(addr: SocketAddr, expected: usize) -> io::Result<String> {
    let count = |page: &str| -> f64 {
        let lines = page.lines().filter(|line| line.starts_with("coredns_dns_responses_total{"));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    };
    let expected = u32::try_from(expected).map_or(f64::MAX, f64::from);
    let started = now();
    let mut before = 0.0;
    loop {
        let (_, page) = get(addr, "/metrics")?;
        let counted = count(&page);
        if started.elapsed() > SETTLE_TIME || counted >= expected && counted <= before {
            return Ok(page);
        }
        before = counted;
        thread::sleep(4 * POLL_INTERVAL);
    }
}

fn ask(steps: &[Step]) -> Vec<Result<Message, String>> {
    let mut clients: Vec<(SocketAddr, ServerClient)> = Vec::new();
    let mut responses = Vec::new();
    for step in steps {
        if !clients.iter().any(|(server, _)| *server == step.server) {
            clients.push((step.server, ServerClient::of_upstream(step.server)));
        }
        let client = clients.iter_mut().find(|(server, _)| *server == step.server);
        let (Some((_, client)), Some(variant)) = (client, VARIANTS.get(step.variant)) else { continue };
        let response = match query(&step.question, variant, None) {
            Some(mut octets) => client.query(&mut octets, variant).map_err(|error| error.to_string()),
            None => Err("invalid name".to_owned()),
        };
        responses.push(response.and_then(|octets| Message::parse(&octets).map_err(str::to_owned)));
    }
    responses
}

/// Status line and body of a page.
fn get(addr: SocketAddr, path: &str) -> io::Result<(String, String)> {
    let mut stream = TcpStream::connect_timeout(&addr, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    // Version 1.0, so that the body is not sent in chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {addr}\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    let (head, body) = page.split_once("\r\n\r\n").unwrap_or((&page, ""));
    Ok((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
}

fn pipe_into(command: &mut Command, input: &str) -> io::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{program}: {status}"))) }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
