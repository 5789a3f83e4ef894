//! UDP clients: source ports, each with a fixed number of outstanding queries.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

use linux::udp::{RecvBatch, UdpListener};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::slots::Slots;
use super::{LoadConfig, Outcome};
use crate::figures::now;
use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::servers::Server;

/// Sends the queries to `server` in turn.
pub(crate) fn run(server: &Server, queries: &[TestQuery], config: LoadConfig) -> Result<Outcome, BenchError> {
    let mut ports = open_ports(server.addr, config)?;
    let mut turn = queries.iter().cycle().take(usize::try_from(config.queries).unwrap_or(usize::MAX));
    let mut batch = RecvBatch::new();
    let mut outcome = Outcome::default();
    let mut ready = vec![true; ports.len()];
    let start = now();
    while outcome.finished() < config.queries {
        for (port, _) in ports.iter_mut().zip(&ready).filter(|(_, ready)| **ready) {
            port.send(server.addr, &mut turn);
        }
        ready = wait(&ports, config.timeout_ms)?;
        if !ready.contains(&true) {
            outcome.lost += ports.iter_mut().map(|port| port.slots.expire()).sum::<u64>();
            ready.fill(true);
            continue;
        }
        for (port, _) in ports.iter_mut().zip(&ready).filter(|(_, ready)| **ready) {
            port.receive(server, &mut batch, &mut outcome)?;
        }
    }
    outcome.duration = now().saturating_duration_since(start);
    Ok(outcome)
}

/// Opens distinct source ports. With SO_REUSEPORT the kernel may choose a port that is in use by
/// another socket of ours or the server; it is closed again then.
fn open_ports<'q>(server: SocketAddr, config: LoadConfig) -> Result<Vec<Port<'q>>, BenchError> {
    let count = config.window.min(config.flows);
    let mut used = vec![server.port()];
    let mut ports = Vec::new();
    while ports.len() < count {
        let socket = UdpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let number = socket.local_addr()?.port();
        if !used.contains(&number) {
            used.push(number);
            ports.push(Port { socket, slots: Slots::new(config.window / count) });
        }
    }
    Ok(ports)
}

/// Waits for responses: true for each port that has one, for none on timeout.
fn wait(ports: &[Port<'_>], timeout_ms: u16) -> Result<Vec<bool>, BenchError> {
    let mut watched: Vec<PollFd<'_>> =
        ports.iter().map(|port| PollFd::new(port.socket.as_fd(), PollFlags::POLLIN)).collect();
    poll(&mut watched, PollTimeout::from(timeout_ms))?;
    Ok(watched.iter().map(|fd| fd.any().unwrap_or(false)).collect())
}

/// A source port and its queries.
struct Port<'q> {
    socket: UdpListener,
    slots: Slots<'q>,
}

impl<'q> Port<'q> {
    /// Sends a query from each free slot.
    fn send(&mut self, to: SocketAddr, turn: &mut impl Iterator<Item = &'q TestQuery>) {
        let packets = self.slots.fill(turn);
        // A query that is not sent is not answered and counts as lost.
        let _: linux::udp::SendOutcome = self.socket.send(packets.map(|packet| (packet, to, None)));
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
            self.slots.receive(packet, server.echoes, outcome);
        }
        Ok(())
    }
}
