//! Load generator: a few source ports, each with a fixed number of outstanding queries.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use linux::udp::{BATCH_SIZE, RecvBatch, UdpListener};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::figures::now;
use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::servers::Server;

/// Maximum source ports: pods use many, and a single port would be a single socket.
const PORTS: usize = 8;

/// The number of queries, and of outstanding ones.
#[derive(Clone, Copy)]
pub(crate) struct LoadConfig {
    pub(crate) queries: u64,
    /// Outstanding queries: 1 or a multiple of 8, at most 256.
    pub(crate) window: usize,
    /// Milliseconds without any response after which all outstanding queries count as lost.
    pub(crate) timeout_ms: u16,
}

impl LoadConfig {
    /// With a timeout of half a second.
    pub(crate) fn new(queries: u64, window: usize) -> Self {
        Self { queries, window, timeout_ms: 500 }
    }
}

/// The result of a run.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    /// Wrong responses.
    pub(crate) wrong: u64,
    pub(crate) lost: u64,
    pub(crate) duration: Duration,
}

impl Outcome {
    fn finished(&self) -> u64 {
        self.answered + self.wrong + self.lost
    }
}

/// Sends the queries to `server` in turn.
pub(crate) fn run(server: &Server, queries: &[TestQuery], config: LoadConfig) -> Result<Outcome, BenchError> {
    let mut ports = open_ports(server.addr, config.window)?;
    let mut turn = queries.iter().cycle().take(usize::try_from(config.queries).unwrap_or(usize::MAX));
    let mut batch = RecvBatch::new();
    let mut outcome = Outcome::default();
    let start = now();
    while outcome.finished() < config.queries {
        for port in &mut ports {
            port.send(server.addr, &mut turn);
        }
        let before = outcome.finished();
        for port in &mut ports {
            port.receive(server, &mut batch, &mut outcome)?;
        }
        if outcome.finished() == before && !wait(&ports, config.timeout_ms)? {
            for port in &mut ports {
                outcome.lost += port.expire();
            }
        }
    }
    outcome.duration = now().saturating_duration_since(start);
    Ok(outcome)
}

/// Opens distinct source ports. With SO_REUSEPORT the kernel may choose a port that is in use by
/// another socket of ours or the server; it is closed again then.
fn open_ports<'q>(server: SocketAddr, window: usize) -> Result<Vec<Port<'q>>, BenchError> {
    let count = window.min(PORTS);
    let mut used = vec![server.port()];
    let mut ports = Vec::new();
    while ports.len() < count {
        let port = Port::open(window / count)?;
        let number = port.socket.local_addr()?.port();
        if !used.contains(&number) {
            used.push(number);
            ports.push(port);
        }
    }
    Ok(ports)
}

/// Waits for a response; false on timeout.
fn wait(ports: &[Port<'_>], timeout_ms: u16) -> Result<bool, BenchError> {
    let mut watched: Vec<PollFd<'_>> =
        ports.iter().map(|port| PollFd::new(port.socket.as_fd(), PollFlags::POLLIN)).collect();
    Ok(poll(&mut watched, PollTimeout::from(timeout_ms))? > 0)
}

/// A source port and its queries. The low octet of an ID is the slot of its query.
struct Port<'q> {
    socket: UdpListener,
    slots: Vec<Slot<'q>>,
    sent: u8,
}

#[derive(Default)]
struct Slot<'q> {
    packet: Vec<u8>,
    outstanding: Option<&'q TestQuery>,
}

impl<'q> Port<'q> {
    fn open(window: usize) -> Result<Self, BenchError> {
        let socket = UdpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { socket, slots: std::iter::repeat_with(Slot::default).take(window).collect(), sent: 0 })
    }

    /// Sends a query from each free slot.
    fn send(&mut self, to: SocketAddr, turn: &mut impl Iterator<Item = &'q TestQuery>) {
        let mut to_send = [false; BATCH_SIZE];
        self.sent = self.sent.wrapping_add(1);
        for ((slot, number), to_send) in self.slots.iter_mut().zip(0_u8..).zip(&mut to_send) {
            if slot.outstanding.is_some() {
                continue;
            }
            let Some(query) = turn.next() else { break };
            slot.packet.clear();
            slot.packet.extend([self.sent, number]);
            slot.packet.extend(query.packet.get(2..).unwrap_or_default());
            slot.outstanding = Some(query);
            *to_send = true;
        }
        let to_send = self.slots.iter().zip(to_send).filter(|(_, to_send)| *to_send);
        // A query that is not sent is not answered and counts as lost.
        let _: linux::udp::SendOutcome = self.socket.send(to_send.map(|(slot, _)| (&*slot.packet, to, None)));
    }

    /// Receives a batch of responses.
    fn receive(
        &mut self,
        server: &Server,
        batch: &mut RecvBatch,
        outcome: &mut Outcome,
    ) -> Result<(), BenchError> {
        match self.socket.receive(batch) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        for (packet, _) in batch.iter() {
            let slot = packet.get(1).and_then(|number| self.slots.get_mut(usize::from(*number)));
            // A late response to an expired query has another ID.
            let Some(slot) = slot.filter(|slot| slot.packet.get(..2) == packet.get(..2)) else { continue };
            let Some(query) = slot.outstanding.take() else { continue };
            let correct = if server.echoes { packet == slot.packet } else { query.is_answered_by(packet) };
            if correct { outcome.answered += 1 } else { outcome.wrong += 1 }
        }
        Ok(())
    }

    /// Frees all slots and returns the number of outstanding queries.
    fn expire(&mut self) -> u64 {
        self.slots.iter_mut().map(|slot| u64::from(slot.outstanding.take().is_some())).sum()
    }
}
