//! Several nodes on an upstream with few TCP workers, as dnsmasq: it serves 20 connections and
//! leaves the others in its backlog.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, Builder};
use std::time::Duration;

use clap::Args;

use super::bounds::Bounds;
use super::latency::{Latencies, failed, ms};
use super::pace::{Pace, Sample};
use crate::output::{BenchError, print};
use crate::queries::{self, TestQuery};
use crate::servers::{self, Program, Server, TempDir};

/// Connections that the upstream serves at a time, and the length of its backlog.
const TCP_WORKERS: usize = 20;
/// New names per second and daemon.
const RATE: u32 = 5;
/// A response is late after this time.
const LATE: Duration = Duration::from_secs(1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The size of the experiment.
#[derive(Args, Clone, Copy)]
pub(crate) struct TcpWorkersOptions {
    /// Processes with the same upstream, each with its default number of workers
    #[arg(long, default_value_t = 12)]
    daemons: u16,
    /// Seconds of queries to each process
    #[arg(long, default_value_t = 20)]
    seconds: u32,
}

/// Prints a row per program.
pub(crate) fn measure(options: &TcpWorkersOptions) -> Result<(), BenchError> {
    print(
        &mut std::io::stdout(),
        &format!(
            "{} daemons, {RATE} new names/s each for {} s, an upstream that serves {TCP_WORKERS} connections; milliseconds\n{:<14}{:>9}{:>12}{:>8}{:>16}{:>16}{:>9}{:>9}",
            options.daemons,
            options.seconds,
            "",
            "queries",
            "late (>1 s)",
            "failed",
            "daemons with",
            "most in one",
            "p99",
            "max"
        ),
    );
    let mut bounds = Bounds::default();
    for program in Program::all()? {
        let upstream = serve()?;
        let dir = TempDir::new()?;
        let samples = run(&program, upstream, *options, &dir)?;
        report(&program, &samples, &mut bounds);
    }
    bounds.result("none late, none failed")
}

/// Starts the daemons one after another, each with its queries from then on; their samples.
fn run(
    program: &Program,
    upstream: SocketAddr,
    options: TcpWorkersOptions,
    dir: &TempDir,
) -> Result<Vec<Vec<Sample>>, BenchError> {
    let corefile = servers::corefile("cache 30", &format!("forward . {upstream} {{\n force_tcp\n }}"));
    thread::scope(|scope| {
        let mut running = Vec::new();
        for daemon in 0..options.daemons {
            let server = program.start(&corefile, dir)?;
            let thread = Builder::new().spawn_scoped(scope, move || {
                query_all(&server, daemon, RATE * options.seconds).map(|samples| (server, samples))
            })?;
            running.push(thread);
        }
        // The processes are kept until all have ended, so that none frees connections for others.
        let ended: Vec<(Server, Vec<Sample>)> = running
            .into_iter()
            .map(|thread| thread.join().map_err(|_| BenchError("a load generator panicked".to_owned()))?)
            .collect::<Result<_, _>>()?;
        Ok(ended.into_iter().map(|(_, samples)| samples).collect())
    })
}

fn query_all(server: &Server, daemon: u16, count: u32) -> Result<Vec<Sample>, BenchError> {
    let queries: Vec<TestQuery> = (0..count)
        .map(|number| {
            TestQuery::named(&format!("n{number}.daemon-{daemon}.example"), ADDRESS.octets(), false)
        })
        .collect::<Result<_, _>>()?;
    let pace = Pace { server: server.addr, rate: RATE };
    pace.run(&queries)
}

fn report(program: &Program, daemons: &[Vec<Sample>], bounds: &mut Bounds) {
    let all = Latencies::new(&daemons.concat());
    let missed = |samples: &Vec<Sample>| Latencies::new(samples).later_than(LATE).max(failed(samples));
    let with = daemons.iter().filter(|samples| missed(samples) > 0).count();
    let most = daemons.iter().map(missed).max().unwrap_or_default();
    let (late, failed) = (all.later_than(LATE), daemons.iter().map(|samples| failed(samples)).sum::<usize>());
    let row = format!(
        "{:<14}{:>9}{late:>12}{failed:>8}{with:>16}{most:>16}{:>9}{:>9}",
        program.name,
        daemons.iter().map(Vec::len).sum::<usize>(),
        ms(all.percentile(99)),
        ms(all.max()),
    );
    print(&mut std::io::stdout(), &row);
    bounds.check(program, late == 0 && failed == 0, &format!("{late} late, {failed} failed"));
}

/// Starts the upstream's workers, which run until the process ends: each accepts a connection and
/// answers its queries in order, at once, until the client closes it.
fn serve() -> Result<SocketAddr, BenchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = listener.local_addr()?;
    for _ in 0..TCP_WORKERS {
        let listener = listener.try_clone()?;
        Builder::new().name("tcp worker".to_owned()).spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                // A reset ends a connection like a close.
                answer_all(stream).ok();
            }
        })?;
    }
    Ok(addr)
}

fn answer_all(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query)?;
        let mut buffer = wire::name::NameBuffer::new();
        let Ok(query) = wire::Query::parse(&query, &mut buffer) else { return Ok(()) };
        let mut response = queries::response(query.header.question, ADDRESS.octets());
        response.splice(..2, query.header.id.to_be_bytes());
        let length = u16::try_from(response.len()).map_err(|_| std::io::ErrorKind::InvalidData)?;
        stream.write_all(&[&length.to_be_bytes(), response.as_slice()].concat())?;
    }
}
