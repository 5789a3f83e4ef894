//! Questions on their way: one flight per question, many waiters per flight, a few attempts per flight.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rand::seq::SliceRandom;
use wire::edns::Edns;
use wire::header::{Class, Flags, RecordType};
use wire::query::Echo;

use crate::action::{AttemptId, Client, Failure, Transport};
use crate::answering::{Offer, Recipient, Taken};
use crate::cache::Key;
use crate::policy::{ForwardPolicy, Order, Route, Upstream};
use crate::questions::WorkerId;

/// Attempts per upstream (RFC 9520 section 3.1 allows three).
const ATTEMPTS_PER_UPSTREAM: usize = 2;

/// A question that is open; a number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FlightId(pub(crate) u64);

/// What upstreams are asked, shared by a flight and its attempts; a late answer needs it when the flight is over.
#[derive(Debug)]
pub(crate) struct Inquiry {
    pub(crate) route: Arc<Route>,
    /// Index among the block's forwards.
    pub(crate) forward: usize,
    /// Under which it may be joined and kept; nothing for questions that are neither.
    pub(crate) key: Option<Arc<[u8]>>,
    /// As the first client sent it.
    pub(crate) question: Box<[u8]>,
    /// The name, lower case.
    pub(crate) name: Box<[u8]>,
    pub(crate) qtype: RecordType,
    pub(crate) qclass: Class,
    pub(crate) flags: Flags,
    pub(crate) dnssec_ok: bool,
}

impl Inquiry {
    pub(crate) fn new(taken: &Taken<'_>, forward: usize, key: Option<&Key>) -> Self {
        let Taken { query, route, .. } = *taken;
        Self {
            route: Arc::clone(route),
            forward,
            key: key.map(|key| Arc::from(key.as_bytes())),
            question: query.echo.question.into(),
            name: query.name.as_wire().into(),
            qtype: query.qtype,
            qclass: query.qclass,
            flags: query.echo.flags,
            dnssec_ok: query.echo.edns.is_some_and(|edns| edns.dnssec_ok),
        }
    }

    pub(crate) fn forward(&self) -> Option<&ForwardPolicy> {
        self.route.block.forwards.get(self.forward)
    }

    pub(crate) fn upstream(&self, index: usize) -> Option<&Upstream> {
        self.forward()?.upstreams.get(index)
    }
}

/// A client that waits for a flight, with all that its answer repeats.
#[derive(Debug)]
pub(crate) struct Waiter {
    client: Client,
    id: u16,
    flags: Flags,
    question: Box<[u8]>,
    edns: Option<Edns>,
    asked: Instant,
    query_len: u16,
    offer: Offer,
}

impl Waiter {
    pub(crate) fn new(recipient: &Recipient<'_>) -> Self {
        let Recipient { client, echo, asked, query_len, offer } = *recipient;
        let question = echo.question.into();
        Self { client, id: echo.id, flags: echo.flags, question, edns: echo.edns, asked, query_len, offer }
    }

    pub(crate) fn recipient(&self) -> Recipient<'_> {
        let echo = Echo { id: self.id, flags: self.flags, question: &self.question, edns: self.edns };
        let Self { client, asked, query_len, offer, .. } = *self;
        Recipient { client, echo, asked, query_len, offer }
    }
}

/// One open question.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) inquiry: Rc<Inquiry>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) transport: Transport,
    pub(crate) plan: Plan,
    /// Attempts that may still bring an answer, late ones included.
    pub(crate) attempts: Vec<AttemptId>,
    /// When all clients are told, answer or not.
    pub(crate) deadline: Instant,
    /// When this flight wants to be looked at again.
    pub(crate) timer: Instant,
    /// How the last attempt failed.
    pub(crate) trouble: Option<(Failure, Transport, SocketAddr)>,
    /// No attempt has failed otherwise than by silence.
    pub(crate) only_silence: bool,
    /// This worker asks; otherwise another one does, and tells us.
    pub(crate) asks: bool,
    /// The workers that are to be told, known when the flight has ended.
    pub(crate) followers: Vec<WorkerId>,
}

/// Which upstream is asked next.
#[derive(Debug)]
pub(crate) struct Plan {
    order: Vec<usize>,
    taken: usize,
}

/// One step of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Index among the upstreams of the forward.
    pub(crate) upstream: usize,
    /// This flight has asked it before.
    pub(crate) again: bool,
}

impl Plan {
    /// The upstreams of `forward` in the order of its policy.
    pub(crate) fn new(forward: &ForwardPolicy, random: &mut impl rand::Rng) -> Self {
        let mut order: Vec<usize> = (0..forward.upstreams.len()).collect();
        match forward.order {
            Order::Sequential => {}
            Order::Random => order.shuffle(random),
            Order::RoundRobin => {
                let turn = forward.state.turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let first = turn.checked_rem(order.len()).unwrap_or(0);
                order.rotate_left(first);
            }
        }
        Self { order, taken: 0 }
    }

    /// The next step, if the attempts are not used up.
    pub(crate) fn peek(&self) -> Option<Step> {
        let round = self.taken.checked_div(self.order.len())?;
        if round >= ATTEMPTS_PER_UPSTREAM {
            return None;
        }
        let upstream = *self.order.get(self.taken.checked_rem(self.order.len())?)?;
        Some(Step { upstream, again: round > 0 })
    }

    /// Takes the step that [`Self::peek`] shows.
    pub(crate) fn take(&mut self) -> Option<Step> {
        let step = self.peek()?;
        self.taken += 1;
        Some(step)
    }
}

/// One question on its way to one upstream.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) inquiry: Rc<Inquiry>,
    pub(crate) flight: FlightId,
    pub(crate) upstream: usize,
    pub(crate) transport: Transport,
    pub(crate) id: u16,
    pub(crate) asked: Instant,
    /// When this attempt wants to be looked at again.
    pub(crate) timer: Instant,
    /// Its time is over; it is only kept for what may still come.
    pub(crate) late: bool,
    /// It repeats one that a closing connection had taken with it.
    pub(crate) redone: bool,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    Attempt(AttemptId),
    Flight(FlightId),
}
