//! Queries at a constant rate, whatever happens to earlier ones, as from many independent clients.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};

use crate::figures::now;
use crate::output::BenchError;
use crate::queries::TestQuery;

/// The timeout of a stub resolver. A query is not repeated.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// Clients, used in turn, with an address and a port for each, as of pods: every worker gets
/// queries, and no client has many in flight.
const CLIENTS: u8 = 16;

/// Where the queries go and how fast.
pub(crate) struct Pace {
    pub(crate) server: SocketAddr,
    /// Queries per second.
    pub(crate) rate: u32,
}

/// What became of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) sent: Instant,
    pub(crate) response: Option<Answer>,
}

/// A response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) received: Instant,
    /// NOERROR with at least one record.
    pub(crate) positive: bool,
    /// It has the address of the query.
    pub(crate) expected: bool,
}

impl Sample {
    /// Time to the response, or the timeout.
    pub(crate) fn latency(&self) -> Duration {
        self.response.map_or(TIMEOUT, |answer| answer.received.saturating_duration_since(self.sent))
    }

    /// No response, or one without records.
    pub(crate) fn failed(&self) -> bool {
        !self.response.is_some_and(|answer| answer.positive)
    }
}

impl Pace {
    /// Sends each query once and waits for the responses.
    pub(crate) fn run(&self, queries: &[TestQuery]) -> Result<Vec<Sample>, BenchError> {
        self.run_from(CLIENTS, queries)
    }

    /// The same from `clients` addresses in turn.
    pub(crate) fn run_from(&self, clients: u8, queries: &[TestQuery]) -> Result<Vec<Sample>, BenchError> {
        let sockets = self.sockets(clients)?;
        let mut run = Run { queries, sockets, samples: Vec::with_capacity(queries.len()) };
        let interval = Duration::from_secs(1) / self.rate.max(1);
        let mut due = now();
        while run.samples.len() < queries.len() {
            run.receive_until(due)?;
            run.send_next()?;
            due += interval;
        }
        run.receive_until(now() + TIMEOUT)?;
        Ok(run.samples)
    }

    fn sockets(&self, clients: u8) -> Result<Vec<UdpSocket>, BenchError> {
        let connect = |client| {
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 1, client), 0))?;
            socket.connect(self.server)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        (1..=clients).map(connect).collect()
    }
}

/// The state of a run. Query `n` of `s` sockets has the ID `n / s` on socket `n % s`.
struct Run<'a> {
    queries: &'a [TestQuery],
    sockets: Vec<UdpSocket>,
    /// Of the queries sent so far.
    samples: Vec<Sample>,
}

impl Run<'_> {
    fn send_next(&mut self) -> Result<(), BenchError> {
        let number = self.samples.len();
        let (id, turn) = (number / self.sockets.len(), number % self.sockets.len());
        let id = u16::try_from(id).map_err(|_| BenchError("too many queries for a socket".to_owned()))?;
        if let (Some(query), Some(socket)) = (self.queries.get(number), self.sockets.get(turn)) {
            let mut packet = query.packet.clone();
            packet.splice(..2, id.to_be_bytes());
            self.samples.push(Sample { sent: now(), response: None });
            socket.send(&packet).or_else(ignore_refused)?;
        }
        Ok(())
    }

    /// Receives until `end`, or until all queries were sent and answered.
    fn receive_until(&mut self, end: Instant) -> Result<(), BenchError> {
        loop {
            let left = end.saturating_duration_since(now());
            let mut watched: Vec<PollFd<'_>> =
                self.sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
            ppoll(&mut watched, Some(left.into()), None)?;
            let ready: Vec<bool> = watched.iter().map(|fd| fd.any().unwrap_or(false)).collect();
            self.receive(&ready)?;
            if left.is_zero() || self.is_complete() {
                return Ok(());
            }
        }
    }

    /// Receives from the sockets that are ready.
    fn receive(&mut self, ready: &[bool]) -> Result<(), BenchError> {
        let sockets = self.sockets.iter().zip(ready).enumerate().filter(|(_, (_, ready))| **ready);
        for (turn, (socket, _)) in sockets {
            receive_all(socket, |id, packet| {
                let number = id * self.sockets.len() + turn;
                let sample = self.samples.get_mut(number);
                let Some(sample) = sample.filter(|sample| sample.sent.elapsed() < TIMEOUT) else { return };
                let expected = self.queries.get(number).is_some_and(|query| query.is_answered_by(packet));
                let answer = Answer { received: now(), positive: is_positive(packet), expected };
                sample.response.get_or_insert(answer);
            })?;
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.samples.len() == self.queries.len()
            && self.samples.iter().all(|sample| sample.response.is_some())
    }
}

/// Calls `each` with the ID and the octets of every waiting datagram.
fn receive_all(socket: &UdpSocket, mut each: impl FnMut(usize, &[u8])) -> Result<(), BenchError> {
    let mut buffer = [0; 1500];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let packet = buffer.get(..length).unwrap_or_default();
                if let Some(id) = packet.first_chunk() {
                    each(usize::from(u16::from_be_bytes(*id)), packet);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => drop(ignore_refused(error)?),
        }
    }
}

/// A server that has ended: its queries are unanswered.
fn ignore_refused(error: std::io::Error) -> Result<usize, BenchError> {
    if error.kind() == ErrorKind::ConnectionRefused { Ok(0) } else { Err(error.into()) }
}

/// NOERROR with at least one answer record.
fn is_positive(packet: &[u8]) -> bool {
    matches!(*packet, [_, _, _, flags, _, _, high, low, ..] if flags & 0x0f == 0 && (high, low) != (0, 0))
}
