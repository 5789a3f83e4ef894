//! TCP clients: connections with pipelined queries.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wire::frame::{self, FrameDecoder};

use super::slots::Slots;
use super::{LoadConfig, Outcome};
use crate::figures::now;
use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::servers::Server;

/// Sends the queries to `server` in turn, each to a connection that has a free place.
pub(crate) fn run(server: &Server, queries: &[TestQuery], config: LoadConfig) -> Result<Outcome, BenchError> {
    let count = config.window.min(config.flows);
    let open = |_| Connection::open(server, config.window / count);
    let mut connections = (0..count).map(open).collect::<Result<Vec<_>, _>>()?;
    let mut turn = queries.iter().cycle().take(usize::try_from(config.queries).unwrap_or(usize::MAX));
    let mut outcome = Outcome::default();
    let start = now();
    for connection in &mut connections {
        connection.send(&mut turn)?;
    }
    while outcome.finished() < config.queries {
        let mut ready = wait(&connections, config.timeout_ms)?;
        if !ready.contains(&true) {
            outcome.lost += connections.iter_mut().map(|connection| connection.slots.expire()).sum::<u64>();
            ready.fill(true);
        }
        for (connection, _) in connections.iter_mut().zip(&ready).filter(|(_, ready)| **ready) {
            connection.receive(server.echoes, &mut outcome)?;
            connection.send(&mut turn)?;
        }
    }
    outcome.duration = now().saturating_duration_since(start);
    Ok(outcome)
}

/// Waits for responses: true for each connection that has octets, for none on timeout.
fn wait(connections: &[Connection<'_>], timeout_ms: u16) -> Result<Vec<bool>, BenchError> {
    let mut watched: Vec<PollFd<'_>> = connections
        .iter()
        .map(|connection| PollFd::new(connection.stream.as_fd(), PollFlags::POLLIN))
        .collect();
    poll(&mut watched, PollTimeout::from(timeout_ms))?;
    Ok(watched.iter().map(|fd| fd.any().unwrap_or(false)).collect())
}

struct Connection<'q> {
    stream: TcpStream,
    decoder: FrameDecoder,
    slots: Slots<'q>,
    to_send: Vec<u8>,
    buffer: Vec<u8>,
}

impl<'q> Connection<'q> {
    fn open(server: &Server, window: usize) -> Result<Self, BenchError> {
        let stream = TcpStream::connect(server.addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let (decoder, slots) = (FrameDecoder::default(), Slots::new(window));
        Ok(Self { stream, decoder, slots, to_send: Vec::new(), buffer: vec![0; 1 << 14] })
    }

    /// Sends a query from each free slot, in one write. The window is far smaller than the send
    /// buffer, so that the write is never partial.
    fn send(&mut self, turn: &mut impl Iterator<Item = &'q TestQuery>) -> Result<(), BenchError> {
        self.to_send.clear();
        for packet in self.slots.fill(turn) {
            frame::push(packet, &mut self.to_send);
        }
        Ok(self.stream.write_all(&self.to_send)?)
    }

    /// Receives what has arrived.
    fn receive(&mut self, echoes: bool, outcome: &mut Outcome) -> Result<(), BenchError> {
        match self.stream.read(&mut self.buffer) {
            Ok(0) => return Err(BenchError("the server has closed a connection".to_owned())),
            Ok(len) => self.decoder.extend(self.buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        while let Some(packet) = self.decoder.next_message() {
            self.slots.receive(packet, echoes, outcome);
        }
        Ok(())
    }
}
