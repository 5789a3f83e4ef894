//! Who asks: a few source ports, each with a fixed number of queries open.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use linux::udp::{BATCH_SIZE, RecvBatch, UdpListener};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Failed;
use crate::questions::Question;
use crate::servers::Server;

/// Source ports at most: pods ask from many, and one is one queue.
const PORTS: usize = 8;

/// How much is asked, and how much of it at once.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) queries: u64,
    /// Open queries, 1 or a multiple of 8, at most 256.
    pub(crate) window: usize,
    /// Milliseconds without any answer after which what is open counts as lost.
    pub(crate) patience_ms: u16,
}

impl Plan {
    /// With half a second of patience.
    pub(crate) fn new(queries: u64, window: usize) -> Self {
        Self { queries, window, patience_ms: 500 }
    }
}

/// What came of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    /// Answers that are not those to the question.
    pub(crate) wrong: u64,
    pub(crate) lost: u64,
    pub(crate) took: Duration,
}

impl Outcome {
    fn ended(&self) -> u64 {
        self.answered + self.wrong + self.lost
    }
}

/// Asks `server` the questions in turn.
pub(crate) fn ask(server: &Server, questions: &[Question], plan: Plan) -> Result<Outcome, Failed> {
    let mut ports = open_ports(server.addr, plan.window)?;
    let mut turn = questions.iter().cycle().take(usize::try_from(plan.queries).unwrap_or(usize::MAX));
    let mut batch = RecvBatch::new();
    let mut outcome = Outcome::default();
    let began = now();
    while outcome.ended() < plan.queries {
        for port in &mut ports {
            port.send(server.addr, &mut turn);
        }
        let before = outcome.ended();
        for port in &mut ports {
            port.receive(server, &mut batch, &mut outcome)?;
        }
        if outcome.ended() == before && !wait(&ports, plan.patience_ms)? {
            for port in &mut ports {
                outcome.lost += port.give_up();
            }
        }
    }
    outcome.took = now().saturating_duration_since(began);
    Ok(outcome)
}

/// The source ports. The kernel may give sockets that can share a port one that another of them has, or the server: then
/// it is given back.
fn open_ports<'q>(server: SocketAddr, window: usize) -> Result<Vec<Port<'q>>, Failed> {
    let count = window.min(PORTS);
    let mut taken = vec![server.port()];
    let mut ports = Vec::new();
    while ports.len() < count {
        let port = Port::open(window / count)?;
        let number = port.socket.local_addr()?.port();
        if !taken.contains(&number) {
            taken.push(number);
            ports.push(port);
        }
    }
    Ok(ports)
}

/// Waits for anything to come; false when nothing did.
fn wait(ports: &[Port<'_>], patience_ms: u16) -> Result<bool, Failed> {
    let mut watched: Vec<PollFd<'_>> =
        ports.iter().map(|port| PollFd::new(port.socket.as_fd(), PollFlags::POLLIN)).collect();
    Ok(poll(&mut watched, PollTimeout::from(patience_ms))? > 0)
}

#[expect(clippy::disallowed_methods, reason = "a bench has a clock")]
fn now() -> Instant {
    Instant::now()
}

/// A source port and its queries. The low octet of an ID is the place of its query.
struct Port<'q> {
    socket: UdpListener,
    places: Vec<Place<'q>>,
    sent: u8,
}

#[derive(Default)]
struct Place<'q> {
    query: Vec<u8>,
    open: Option<&'q Question>,
}

impl<'q> Port<'q> {
    fn open(window: usize) -> Result<Self, Failed> {
        let socket = UdpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { socket, places: std::iter::repeat_with(Place::default).take(window).collect(), sent: 0 })
    }

    /// Sends a query from each free place.
    fn send(&mut self, to: SocketAddr, turn: &mut impl Iterator<Item = &'q Question>) {
        let mut fresh = [false; BATCH_SIZE];
        self.sent = self.sent.wrapping_add(1);
        for ((place, number), fresh) in self.places.iter_mut().zip(0_u8..).zip(&mut fresh) {
            if place.open.is_some() {
                continue;
            }
            let Some(question) = turn.next() else { break };
            place.query.clear();
            place.query.extend([self.sent, number]);
            place.query.extend(question.query.get(2..).unwrap_or_default());
            place.open = Some(question);
            *fresh = true;
        }
        let fresh = self.places.iter().zip(fresh).filter(|(_, fresh)| *fresh);
        // What is not sent is not answered, and counted as lost.
        let _: linux::udp::SendOutcome = self.socket.send(fresh.map(|(place, _)| (&*place.query, to, None)));
    }

    /// Takes what has come.
    fn receive(
        &mut self,
        server: &Server,
        batch: &mut RecvBatch,
        outcome: &mut Outcome,
    ) -> Result<(), Failed> {
        match self.socket.receive(batch) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        for (packet, _) in batch.iter() {
            let place = packet.get(1).and_then(|number| self.places.get_mut(usize::from(*number)));
            // The answer to a query given up earlier has another ID, and no place any more.
            let Some(place) = place.filter(|place| place.query.get(..2) == packet.get(..2)) else { continue };
            let Some(question) = place.open.take() else { continue };
            let right = if server.echoes { packet == place.query } else { question.is_answered_by(packet) };
            if right { outcome.answered += 1 } else { outcome.wrong += 1 }
        }
        Ok(())
    }

    /// Frees all places and says how many queries were open.
    fn give_up(&mut self) -> u64 {
        self.places.iter_mut().map(|place| u64::from(place.open.take().is_some())).sum()
    }
}
