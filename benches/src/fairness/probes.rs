//! Clients beside a flood: each sends a query at a constant rate, over UDP or on one TCP
//! connection, from an address that is not the flood's, and waits for its response first.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::figures::now;
use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::upstream::ADDRESS;

/// TCP clients that ask for cached names.
const TCP_CLIENTS: usize = 20;
const HIT_INTERVAL: Duration = Duration::from_millis(10);
/// Clients of each transport that ask for new names, together 100 per second.
const MISS_CLIENTS: usize = 10;
const MISS_INTERVAL: Duration = Duration::from_millis(100);
/// The timeout of a stub resolver.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Response times in milliseconds by group of clients, and their queries without a response.
#[derive(Clone, Default)]
pub(super) struct Probes {
    pub(super) tcp_hits: Group,
    pub(super) tcp_misses: Group,
    pub(super) udp_misses: Group,
}

#[derive(Clone, Default)]
pub(super) struct Group {
    pub(super) response_ms: Vec<f64>,
    /// No response in time, or one without the address.
    pub(super) failed: u64,
}

impl Probes {
    /// All queries.
    pub(super) fn queries(&self) -> u64 {
        let groups = [&self.tcp_hits, &self.tcp_misses, &self.udp_misses];
        let count = |group: &Group| u64::try_from(group.response_ms.len()).unwrap_or_default() + group.failed;
        groups.map(count).iter().sum()
    }
}

/// Runs the clients, those of UDP if `over_udp`.
pub(super) fn run(
    server: SocketAddr,
    known: &[TestQuery],
    over_udp: bool,
    time: Duration,
) -> Result<Probes, BenchError> {
    let open = |tcp: bool, count: usize, known: Option<&[TestQuery]>| {
        let probe = |number| Probe::open(server, (tcp, number), known.map(clone_packets));
        (0..count).map(probe).collect::<Result<Vec<Probe>, BenchError>>()
    };
    let udp_clients = if over_udp { MISS_CLIENTS } else { 0 };
    let mut groups = [
        (open(true, TCP_CLIENTS, Some(known))?, Group::default()),
        (open(true, MISS_CLIENTS, None)?, Group::default()),
        (open(false, udp_clients, None)?, Group::default()),
    ];
    let end = now() + time;
    loop {
        let sends = now() < end;
        for (probes, group) in &mut groups {
            for probe in probes {
                probe.receive(group)?;
                if sends {
                    probe.send()?;
                }
            }
        }
        let probes = || groups.iter().flat_map(|(probes, _)| probes);
        if !sends && probes().all(|probe| probe.outstanding.is_none()) {
            let [tcp_hits, tcp_misses, udp_misses] = groups.map(|(_, group)| group);
            return Ok(Probes { tcp_hits, tcp_misses, udp_misses });
        }
        let mut watched: Vec<PollFd<'_>> =
            probes().map(|probe| PollFd::new(probe.socket.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut watched, PollTimeout::from(1_u8))?;
    }
}

fn clone_packets(known: &[TestQuery]) -> Vec<Vec<u8>> {
    known.iter().map(|query| query.packet.clone()).collect()
}

enum ProbeSocket {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl ProbeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

struct Probe {
    socket: ProbeSocket,
    /// Cached names in turn; new names if `None`.
    known: Option<Vec<Vec<u8>>>,
    interval: Duration,
    next_at: Instant,
    label: String,
    sent: u16,
    outstanding: Option<Instant>,
}

impl Probe {
    fn open(
        server: SocketAddr,
        (tcp, number): (bool, usize),
        known: Option<Vec<Vec<u8>>>,
    ) -> Result<Self, BenchError> {
        let interval = if known.is_some() { HIT_INTERVAL } else { MISS_INTERVAL };
        let socket = if tcp {
            let stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            ProbeSocket::Tcp(stream)
        } else {
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 9, 1), 0))?;
            socket.connect(server)?;
            socket.set_nonblocking(true)?;
            ProbeSocket::Udp(socket)
        };
        let phase = interval.mul_f64(f64::from(u16::try_from(number % 10).unwrap_or_default()) / 10.0);
        // New in every round.
        let label = format!("{}-{number}-{:?}", if tcp { "t" } else { "u" }, now())
            .replace(|character: char| !character.is_ascii_alphanumeric(), "");
        let next_at = now() + phase;
        Ok(Self { socket, known, interval, next_at, label, sent: 0, outstanding: None })
    }

    /// Sends the next query if it is due and the last one has its response.
    fn send(&mut self) -> Result<(), BenchError> {
        if self.outstanding.is_some() || now() < self.next_at {
            return Ok(());
        }
        self.sent = self.sent.wrapping_add(1);
        let mut packet = match &self.known {
            Some(known) => known.get(usize::from(self.sent) % known.len()).cloned().unwrap_or_default(),
            None => {
                let label: String = self.label.chars().rev().take(40).collect();
                TestQuery::named(&format!("{label}.n{}.probe.example", self.sent), ADDRESS, false)?.packet
            }
        };
        packet.splice(..2, self.sent.to_be_bytes());
        self.next_at = (self.next_at + self.interval).max(now());
        self.outstanding = Some(now());
        match &mut self.socket {
            ProbeSocket::Udp(socket) => socket.send(&packet).map(drop)?,
            ProbeSocket::Tcp(stream) => {
                let length = u16::try_from(packet.len()).unwrap_or_default().to_be_bytes();
                stream.write_all(&[&length, packet.as_slice()].concat())?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, group: &mut Group) -> Result<(), BenchError> {
        let Some(sent_at) = self.outstanding else { return Ok(()) };
        let mut buffer = [0; 1500];
        let (received, offset) = match &mut self.socket {
            ProbeSocket::Udp(socket) => (socket.recv(&mut buffer), 0),
            // Responses are short and written at once.
            ProbeSocket::Tcp(stream) => (stream.read(&mut buffer), 2),
        };
        match received {
            Ok(0) => return Err(BenchError("the server closed a connection".to_owned())),
            Ok(length) => {
                let response = buffer.get(offset..length).unwrap_or_default();
                if response.get(..2) != Some(&self.sent.to_be_bytes()) {
                    return Ok(());
                }
                self.outstanding = None;
                match response.get(3).is_some_and(|flags| flags & 0x0f == 0) {
                    true => group.response_ms.push(sent_at.elapsed().as_secs_f64() * 1e3),
                    false => group.failed += 1,
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if sent_at.elapsed() > TIMEOUT {
                    self.outstanding = None;
                    group.failed += 1;
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
