//! Flood of UDP queries: a process of its own, at a lower priority than the other clients on its
//! core, with several source ports.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};
use linux::udp::{BATCH_SIZE, RecvBatch, UdpListener};

use crate::figures::now;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::upstream::ADDRESS;

/// Source ports.
const PORTS: u16 = 8;
/// Without a response for so long, the outstanding queries of a port are lost.
const TIMEOUT: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_micros(200);
/// The priority of the process (`nice`).
const NICENESS: &str = "5";
/// Octets of a new name that are its number in decimal, after the header and the length octet.
const DIGITS: std::ops::Range<usize> = 13..21;

/// Cached names.
pub(super) const NAMES: u16 = 100;

/// Names of a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Names {
    /// Cached ones.
    Hits,
    /// New ones.
    Misses,
}

/// What limits a flood.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// Outstanding queries.
    Window(u16),
    /// Queries per second, whatever becomes of them.
    Rate(u32),
}

/// A flood.
pub(super) struct Flood {
    pub(super) names: Names,
    pub(super) pace: Pace,
    pub(super) seconds: u64,
}

/// Arguments of the process.
#[derive(Args)]
pub(crate) struct FloodCommand {
    server: SocketAddr,
    names: Names,
    seconds: u64,
    #[arg(long, conflicts_with = "rate")]
    window: Option<u16>,
    #[arg(long, default_value_t = u32::MAX)]
    rate: u32,
}

/// The process.
pub(super) struct FloodProcess(Child);

/// What the flood sent and received.
#[derive(Clone, Copy, Default)]
pub(super) struct Flooded {
    pub(super) sent: u64,
    /// Responses NOERROR; not received in a flood with a rate.
    pub(super) answered: u64,
    /// Other responses.
    pub(super) failed: u64,
}

impl Flood {
    pub(super) fn start(&self, server: SocketAddr) -> Result<FloodProcess, BenchError> {
        let names = match self.names {
            Names::Hits => "hits",
            Names::Misses => "misses",
        };
        let mut command = Command::new("nice");
        command.args(["-n", NICENESS]).arg(std::env::current_exe()?).arg("flood-process");
        command.args([&server.to_string(), names, &self.seconds.to_string()]);
        match self.pace {
            Pace::Window(window) => command.args(["--window", &window.to_string()]),
            Pace::Rate(rate) => command.args(["--rate", &rate.to_string()]),
        };
        Ok(FloodProcess(command.stdout(Stdio::piped()).spawn()?))
    }
}

impl FloodProcess {
    pub(super) fn finish(mut self) -> Result<Flooded, BenchError> {
        let mut text = String::new();
        if let Some(mut stdout) = self.0.stdout.take() {
            stdout.read_to_string(&mut text)?;
        }
        self.0.wait()?;
        let counts: Vec<u64> = text.split_whitespace().filter_map(|count| count.parse().ok()).collect();
        match *counts.as_slice() {
            [sent, answered, failed] => Ok(Flooded { sent, answered, failed }),
            _ => Err(BenchError(format!("the flood printed {text:?}"))),
        }
    }
}

/// Runs the flood and prints the counts.
pub(crate) fn run(command: &FloodCommand) -> Result<(), BenchError> {
    let mut packets = Packets::new(command.names)?;
    let mut ports = (0..PORTS).map(|_| Port::open()).collect::<Result<Vec<_>, _>>()?;
    let window = command.window.map(|window| usize::from(window / PORTS));
    let (mut batch, mut flooded) = (RecvBatch::new(), Flooded::default());
    let start = now();
    let end = start + Duration::from_secs(command.seconds);
    while now() < end {
        let before = flooded.sent;
        let due = start.elapsed().as_secs_f64() * f64::from(command.rate);
        for port in &mut ports {
            if window.is_some() {
                port.receive(&mut batch, &mut flooded)?;
            }
            if crate::figures::count(flooded.sent) < due {
                port.send(command.server, window, &mut packets, &mut flooded);
            }
        }
        if flooded.sent == before {
            std::thread::sleep(PAUSE);
        }
    }
    let end = now() + TIMEOUT;
    while window.is_some() && now() < end {
        for port in &mut ports {
            port.receive(&mut batch, &mut flooded)?;
        }
        std::thread::sleep(PAUSE);
    }
    let Flooded { sent, answered, failed } = flooded;
    print(&mut std::io::stdout(), &format!("{sent} {answered} {failed}"));
    Ok(())
}

/// The packets of the flood, in turn.
struct Packets {
    packets: Vec<Vec<u8>>,
    next: usize,
    /// Number of the next new name.
    number: Option<u64>,
}

impl Packets {
    fn new(names: Names) -> Result<Self, BenchError> {
        let (queries, number) = match names {
            Names::Hits => (TestQuery::several(NAMES)?, None),
            // New in every process.
            Names::Misses => (
                (0..BATCH_SIZE)
                    .map(|_| TestQuery::named("n00000000.flood.example", ADDRESS, false))
                    .collect::<Result<_, _>>()?,
                Some(u64::from(std::process::id()) * 1_000_003 % 50_000_000),
            ),
        };
        Ok(Self { packets: queries.into_iter().map(|query| query.packet).collect(), next: 0, number })
    }

    /// Up to `count` packets, no more than a batch.
    fn take(&mut self, count: usize) -> &[Vec<u8>] {
        let count = count.min(BATCH_SIZE);
        if self.next + count > self.packets.len() {
            self.next = 0;
        }
        let range = self.next..self.next + count;
        self.next = range.end;
        for packet in self.packets.get_mut(range.clone()).unwrap_or_default() {
            let Some(number) = &mut self.number else { break };
            *number = (*number + 1) % 100_000_000;
            if let Some(digits) = packet.get_mut(DIGITS.start + 1..DIGITS.end + 1) {
                digits.copy_from_slice(format!("{number:08}").as_bytes());
            }
        }
        self.packets.get(range).unwrap_or_default()
    }
}

struct Port {
    socket: UdpListener,
    outstanding: usize,
    last_response: std::time::Instant,
}

impl Port {
    fn open() -> Result<Self, BenchError> {
        let socket = UdpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { socket, outstanding: 0, last_response: now() })
    }

    fn receive(&mut self, batch: &mut RecvBatch, flooded: &mut Flooded) -> Result<(), BenchError> {
        match self.socket.receive(batch) {
            Ok(count) => {
                self.outstanding = self.outstanding.saturating_sub(count);
                self.last_response = now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.last_response.elapsed() > TIMEOUT {
                    self.outstanding = 0;
                    self.last_response = now();
                }
            }
            Err(error) => return Err(error.into()),
        }
        for (packet, _) in batch.iter() {
            let answered = packet.get(3).is_some_and(|flags| flags & 0x0f == 0);
            if answered { flooded.answered += 1 } else { flooded.failed += 1 }
        }
        Ok(())
    }

    fn send(&mut self, to: SocketAddr, window: Option<usize>, packets: &mut Packets, flooded: &mut Flooded) {
        let free = window.map_or(BATCH_SIZE, |window| window.saturating_sub(self.outstanding));
        let packets = packets.take(free);
        let sent = self.socket.send(packets.iter().map(|packet| (packet.as_slice(), to, None))).sent;
        self.outstanding += sent;
        flooded.sent += u64::try_from(sent).unwrap_or_default();
    }
}
