//! Closed loops: clients that send the next query when the previous one has its response or has
//! timed out. All run on one thread, each with its own address, socket and names.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::figures::{now, quantile, sorted};
use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::upstream::ADDRESS;

/// The timeout of a stub resolver.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Loops that query names with the same first label.
pub(super) struct Group<'a> {
    /// A label of [`LabelScript`](testkit::upstream::LabelScript).
    pub(super) label: &'a str,
    pub(super) loops: u8,
    /// Time between a response and the next query.
    pub(super) pause: Duration,
}

/// The responses to a group.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) queries: u64,
    /// Response times of NOERROR with the address, in milliseconds.
    answered_ms: Vec<f64>,
    /// Other responses: SERVFAIL.
    pub(super) servfail: u64,
    pub(super) unanswered: u64,
}

impl Tally {
    /// Queries without NOERROR and the address.
    pub(super) fn failed(&self) -> u64 {
        self.servfail + self.unanswered
    }

    /// Median, 99th percentile and maximum of the response times in milliseconds.
    pub(super) fn latencies(&self) -> [f64; 3] {
        let ascending = sorted(self.answered_ms.iter().copied());
        [50, 99, 100].map(|per_cent| quantile(&ascending, per_cent))
    }
}

/// Runs the loops for `time`, then waits for the last responses. One tally per group.
pub(super) fn run(
    server: SocketAddr,
    groups: &[Group<'_>],
    time: Duration,
) -> Result<Vec<Tally>, BenchError> {
    let mut loops = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        for number in 0..group.loops {
            loops.push(ClosedLoop::open(server, (index, number), group)?);
        }
    }
    let mut tallies: Vec<Tally> = groups.iter().map(|_| Tally::default()).collect();
    let end = now() + time;
    loop {
        let accepts_queries = now() < end;
        for one in &mut loops {
            if let Some(tally) = tallies.get_mut(one.group) {
                one.receive(tally);
                if accepts_queries {
                    one.send(tally)?;
                }
            }
        }
        if !accepts_queries && loops.iter().all(|one| one.outstanding.is_none()) {
            return Ok(tallies);
        }
        wait(&loops, end)?;
    }
}

/// Waits for a response, at most until a query times out, a pause ends or `end`.
fn wait(loops: &[ClosedLoop], end: Instant) -> Result<(), BenchError> {
    let now = now();
    let next = loops.iter().map(ClosedLoop::next_event).chain([end]).filter(|at| *at > now).min();
    let left = next.map_or(TIMEOUT, |at| at.saturating_duration_since(now));
    let mut watched: Vec<PollFd<'_>> =
        loops.iter().map(|one| PollFd::new(one.socket.as_fd(), PollFlags::POLLIN)).collect();
    // A millisecond more, so that the time has come then.
    let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    poll(&mut watched, timeout)?;
    Ok(())
}

struct ClosedLoop {
    group: usize,
    number: u8,
    label: String,
    pause: Duration,
    socket: UdpSocket,
    sent: u16,
    /// End of the pause.
    resume_at: Instant,
    outstanding: Option<Outstanding>,
}

struct Outstanding {
    id: [u8; 2],
    query: TestQuery,
    sent_at: Instant,
}

impl ClosedLoop {
    fn open(server: SocketAddr, (index, number): (usize, u8), group: &Group<'_>) -> Result<Self, BenchError> {
        let subnet = u8::try_from(index + 1).unwrap_or(u8::MAX);
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, subnet, number + 1), 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(server)?;
        Ok(Self {
            group: index,
            number,
            label: group.label.to_owned(),
            pause: group.pause,
            socket,
            sent: 0,
            resume_at: now(),
            outstanding: None,
        })
    }

    /// The timeout of the outstanding query, or the end of the pause.
    fn next_event(&self) -> Instant {
        self.outstanding.as_ref().map_or(self.resume_at, |query| query.sent_at + TIMEOUT)
    }

    /// Sends the next query unless one is outstanding or the loop pauses.
    fn send(&mut self, tally: &mut Tally) -> Result<(), BenchError> {
        if self.outstanding.is_some() || now() < self.resume_at {
            return Ok(());
        }
        self.sent = self.sent.wrapping_add(1);
        let Self { label, number, sent, .. } = self;
        let name = format!("{label}-n{}.loop{number}.example", tally.queries);
        let mut query = TestQuery::named(&name, ADDRESS, false)?;
        let id = sent.to_be_bytes();
        query.packet.splice(..2, id);
        tally.queries += 1;
        let sent_at = now();
        self.socket.send(&query.packet)?;
        self.outstanding = Some(Outstanding { id, query, sent_at });
        Ok(())
    }

    /// Counts the response to the outstanding query, or its timeout.
    fn receive(&mut self, tally: &mut Tally) {
        let mut buffer = [0; 512];
        let Some(outstanding) = &self.outstanding else { return };
        // Errors: nothing to receive, or an ICMP message, which is not a response.
        while let Ok(len) = self.socket.recv(&mut buffer) {
            let response = buffer.get(..len).unwrap_or_default();
            // Others are late responses to queries that have timed out.
            if response.first_chunk() == Some(&outstanding.id) {
                tally.count(response, outstanding);
                self.outstanding = None;
                self.resume_at = now() + self.pause;
                return;
            }
        }
        if outstanding.sent_at.elapsed() >= TIMEOUT {
            tally.unanswered += 1;
            self.outstanding = None;
        }
    }
}

impl Tally {
    fn count(&mut self, response: &[u8], Outstanding { query, sent_at, .. }: &Outstanding) {
        if query.is_answered_by(response) {
            self.answered_ms.push(sent_at.elapsed().as_secs_f64() * 1e3);
        } else {
            self.servfail += 1;
        }
    }
}
