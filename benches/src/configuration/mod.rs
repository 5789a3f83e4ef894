//! Changes of the configuration while clients query the right address at a constant rate: reloads,
//! a stub domain, and configurations that cannot be put in force, at start, by reload, in a
//! hand-over and beside node-cache.

mod broken;
mod process;
mod valid;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use clap::Args;
use nix::sys::resource::{Resource, setrlimit};

use crate::hit;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::servers::{self, NODE_CACHE, Program, TempDir};
use crate::upstream::{UnknownNames, Upstream};
use crate::upstreams::latency::{Latencies, failed, ms};
use crate::upstreams::pace::{Pace, Sample};
use broken::{Broken, Named};
use process::{Descriptors, Edit};
use valid::StubDomain;

/// A response that takes longer is late.
const LATE: Duration = Duration::from_millis(50);
/// Names, all of them cached.
const NAMES: u16 = 100;
/// Open files of every process: few enough for one configuration to exceed it.
const DESCRIPTORS: u64 = 1024;
/// An address that no node has (RFC 5737).
const ABSENT: &str = "203.0.113.77";

/// How fast and how long.
#[derive(Args, Clone, Copy)]
pub(crate) struct ConfigurationOptions {
    /// Queries per second
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Milliseconds from one change to the next
    #[arg(long, default_value_t = 100)]
    interval_ms: u32,
}

/// Prints the changes with lost and late queries; fails if any is lost or late, or if a change
/// empties a cache, is not in effect in time, or leaves a socket or a descriptor.
pub(crate) fn measure(options: &ConfigurationOptions) -> Result<(), BenchError> {
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS)?;
    let hot = TestQuery::several(NAMES)?;
    let upstream = Upstream::start(&hot, UnknownNames::Answered)?;
    let dir = TempDir::new()?;
    let forward = format!("forward . {}", upstream.addr);
    let corefile = servers::corefile("cache 3600", &forward);
    print(&mut std::io::stdout(), "change                  queries  lost  > 50 ms   p99 ms   max ms");
    let stage = Stage { options: *options, hot: &hot, corefile: &corefile, dir: &dir, upstream: &upstream };
    let outcomes = [
        stage.valid_reloads()?,
        stage.stub_domain()?,
        stage.reloads()?,
        stage.hand_over()?,
        stage.beside_node_cache()?,
    ];
    let lost_or_late = outcomes.iter().flatten().any(|outcome| outcome.is_bad());
    if lost_or_late { Err(BenchError("queries were lost or late".to_owned())) } else { Ok(()) }
}

struct Stage<'a> {
    options: ConfigurationOptions,
    hot: &'a [TestQuery],
    corefile: &'a str,
    dir: &'a TempDir,
    upstream: &'a Upstream,
}

/// The queries during one kind of change.
struct Outcome(Vec<Sample>);

impl Outcome {
    fn print(&self, change: &str) {
        let (samples, latencies) = (&self.0, Latencies::new(&self.0));
        let (late, p99, max) = (latencies.later_than(LATE), latencies.percentile(99), latencies.max());
        let line = format!(
            "{change:<22}{:>9}{:>6}{late:>9}{:>9}{:>9}",
            samples.len(),
            failed(samples),
            ms(p99),
            ms(max)
        );
        print(&mut std::io::stdout(), &line);
    }

    fn is_bad(&self) -> bool {
        failed(&self.0) > 0 || Latencies::new(&self.0).later_than(LATE) > 0
    }
}

impl Stage<'_> {
    /// Reloads of valid configurations: the cached answers stay.
    fn valid_reloads(&self) -> Result<Option<Outcome>, BenchError> {
        let daemon = Program::daemon()?.start_with(self.corefile, &["-workers", "2"], self.dir)?;
        hit::fill(&daemon, self.hot)?;
        let edit = Edit::of(&daemon)?;
        let interval = Duration::from_millis(u64::from(self.options.interval_ms));
        let before = self.upstream.query_count();
        let reload = || valid::reload_all(&edit, daemon.addr.port(), interval);
        let (samples, ()) = self.under_load(daemon.addr, reload)?;
        let misses = self.upstream.query_count() - before;
        let outcome = Outcome(samples);
        outcome.print(&format!("{} reloads", valid::RELOADS));
        print(&mut std::io::stdout(), &format!("    queries for cached names at the upstream: {misses}"));
        if misses > 0 {
            return Err(BenchError("a reload has emptied the cache".to_owned()));
        }
        Ok(Some(outcome))
    }

    /// A stub domain is added to the ConfigMap of kube-dns.
    fn stub_domain(&self) -> Result<Option<Outcome>, BenchError> {
        let stub = StubDomain::start(self.upstream.addr, self.dir)?;
        hit::fill(&stub.server, self.hot)?;
        let (samples, time) = self.under_load(stub.server.addr, || stub.add())?;
        let outcome = Outcome(samples);
        outcome.print("a stub domain added");
        valid::print_in_effect(time);
        Ok(Some(outcome))
    }

    /// Every broken configuration, applied by reload to one process.
    fn reloads(&self) -> Result<Option<Outcome>, BenchError> {
        let flags = ["-workers", "2"];
        let daemon = Program::daemon()?.start_with(self.corefile, &flags, self.dir)?;
        hit::fill(&daemon, self.hot)?;
        let (tcp, udp) =
            (TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        let edit = Edit::of(&daemon)?;
        let valid = edit.corefile().to_owned();
        let named = Named { corefile: &valid, dir: self.dir.path(), tcp: &tcp, udp: &udp };
        let configurations = broken::configurations(&named)?;
        let before = Descriptors::of(daemon.pid())?;
        let count = u32::try_from(configurations.len()).unwrap_or(u32::MAX);
        let (samples, reasons) = self.under_load(daemon.addr, || self.apply_all(&edit, &configurations))?;
        if let Some(reason) = edit.apply(Some(&valid.replace("cache 3600", "cache 1800")))?.reason {
            return Err(BenchError(format!("a valid configuration was rejected: {reason}")));
        }
        let after = Descriptors::of(daemon.pid())?;
        let outcome = Outcome(samples);
        outcome.print(&format!("{count} broken reloads"));
        for (class, (number, first)) in reasons {
            print(&mut std::io::stdout(), &format!("    {number:>3} {class}: {first}"));
        }
        print(
            &mut std::io::stdout(),
            &format!("    descriptors and sockets: {before} before, {after} after"),
        );
        if after.exceeds(&before) {
            return Err(BenchError("descriptors or sockets have been left".to_owned()));
        }
        Ok(Some(outcome))
    }

    /// The number of configurations of each class, and the first line of the first.
    fn apply_all(
        &self,
        edit: &Edit<'_>,
        configurations: &[Broken],
    ) -> Result<BTreeMap<&'static str, (u32, String)>, BenchError> {
        let mut reasons: BTreeMap<&'static str, (u32, String)> = BTreeMap::new();
        let mut applied = String::new();
        for Broken { class, corefile } in configurations {
            match edit.apply(corefile.as_deref())?.reason {
                Some(line) => reasons.entry(class).or_insert_with(|| (0, line)).0 += 1,
                None => applied += &format!("{class}:\n{}", corefile.as_deref().unwrap_or_default()),
            }
            thread::sleep(Duration::from_millis(u64::from(self.options.interval_ms)));
        }
        if applied.is_empty() { Ok(reasons) } else { Err(BenchError(format!("applied: {applied}"))) }
    }

    /// A wrong `bind` at start, and in a successor, beside the process that serves.
    fn hand_over(&self) -> Result<Option<Outcome>, BenchError> {
        let handover = self.dir.path().join("handover");
        std::fs::create_dir(&handover)?;
        let flag = format!("-handover-dir={}", handover.display());
        let daemon = Program::daemon()?.start_with(self.corefile, &["-workers", "2", &flag], self.dir)?;
        hit::fill(&daemon, self.hot)?;
        let edit = Edit::of(&daemon)?;
        let wrong = edit.corefile().replace("bind 127.0.0.1", &format!("bind 127.0.0.1 {ABSENT}"));
        let lacking = edit.corefile().replace("bind 127.0.0.1", "bind 127.0.0.9");
        let successors = || {
            let ends = [&wrong, &lacking].map(|corefile| process::fail(corefile, &[&flag], self.dir.path()));
            ends.into_iter().collect::<Result<Vec<_>, _>>()
        };
        let (samples, lines) = self.under_load(daemon.addr, successors)?;
        let outcome = Outcome(samples);
        outcome.print("wrong successors");
        lines.iter().for_each(|line| print(&mut std::io::stdout(), &format!("    exit 1: {line}")));
        Ok(Some(outcome))
    }

    /// A wrong `bind` at start, while node-cache serves the right address.
    fn beside_node_cache(&self) -> Result<Option<Outcome>, BenchError> {
        let Some(program) = Program::all()?.into_iter().find(|program| program.name == NODE_CACHE) else {
            return Ok(None);
        };
        let server = program.start(self.corefile, self.dir)?;
        hit::fill(&server, self.hot)?;
        let edit = Edit::of(&server)?;
        let wrong = edit.corefile().replace("bind 127.0.0.1", &format!("bind 127.0.0.1 {ABSENT}"));
        let start = || process::fail(&wrong, &[], self.dir.path());
        let (samples, line) = self.under_load(server.addr, start)?;
        let outcome = Outcome(samples);
        outcome.print("beside node-cache");
        print(&mut std::io::stdout(), &format!("    exit 1: {line}"));
        Ok(Some(outcome))
    }

    /// Runs `changes` while clients query `server`.
    fn under_load<T>(
        &self,
        server: SocketAddr,
        changes: impl FnOnce() -> Result<T, BenchError>,
    ) -> Result<(Vec<Sample>, T), BenchError> {
        let pace = Pace { server, rate: self.options.rate };
        let in_half_a_second = self.options.rate / 2;
        let names = (0..NAMES).cycle().take(usize::try_from(in_half_a_second).unwrap_or(usize::MAX));
        let queries = names.map(TestQuery::new).collect::<Result<Vec<_>, _>>()?;
        let changed = AtomicBool::new(false);
        thread::scope(|scope| {
            let load = || {
                let mut samples = pace.run(&queries)?;
                while !changed.load(Relaxed) {
                    samples.extend(pace.run(&queries)?);
                }
                Ok::<_, BenchError>(samples)
            };
            let load = scope.spawn(load);
            let made = changes();
            changed.store(true, Relaxed);
            let samples = load.join().map_err(|_| BenchError("the load has panicked".to_owned()))??;
            Ok((samples, made?))
        })
    }
}
