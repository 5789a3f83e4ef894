//! Questions on their way: one in-flight query per question, many waiters per in-flight query, a few attempts per in-flight query.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use wire::edns::Edns;
use wire::header::{Class, Flags, RecordType};
use wire::query::RequestHeader;

use crate::action::{AttemptFailure, AttemptId, Client, Transport};
use crate::cache::{Entry, Key};
use crate::inflight::quotas::Permit;
use crate::inflight::shared::WorkerId;
use crate::policy::{Forward, Route, Upstream};
use crate::request::{ReplyEdns, Requester, RoutedQuery};
use crate::timers::QueryId;
use crate::upstream::selection::{Candidate, Selection};

/// What upstreams are asked, shared by an in-flight query and its attempts; a late answer needs it when the in-flight query is over.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamQuery {
    pub(crate) route: Arc<Route>,
    /// Index among the block's forwards, of which none may take the name.
    pub(crate) forward: Option<usize>,
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
    /// How the first client came.
    pub(crate) came_by: Transport,
}

impl UpstreamQuery {
    pub(crate) fn new(routed: &RoutedQuery<'_>, key: Option<&Key>) -> Self {
        let RoutedQuery { query, route, .. } = *routed;
        Self {
            route: Arc::clone(route),
            forward: route.block.forward_for(query.name.as_wire()),
            key: key.map(|key| Arc::from(key.as_bytes())),
            question: query.header.question.into(),
            name: query.name.as_wire().into(),
            qtype: query.qtype,
            qclass: query.qclass,
            flags: query.header.flags,
            dnssec_ok: query.header.edns.is_some_and(|edns| edns.dnssec_ok),
            came_by: routed.requester.client.transport(),
        }
    }

    pub(crate) fn forward(&self) -> Option<&Forward> {
        self.route.block.forwards.get(self.forward?)
    }

    pub(crate) fn upstream(&self, index: usize) -> Option<&Upstream> {
        self.forward()?.upstreams.get(index)
    }
}

/// A client that waits for an in-flight query, with all that its answer repeats.
#[derive(Debug)]
pub(crate) struct Waiter {
    client: Client,
    id: u16,
    flags: Flags,
    question: Box<[u8]>,
    edns: Option<Edns>,
    received: Instant,
    query_len: u16,
    reply_edns: ReplyEdns,
    /// Of what its address may have waiting.
    _permit: Permit,
}

impl Waiter {
    pub(crate) fn new(requester: &Requester<'_>, permit: Permit) -> Self {
        let Requester { client, header, received, query_len, reply_edns } = *requester;
        let question = header.question.into();
        let RequestHeader { id, flags, edns, .. } = header;
        Self { client, id, flags, question, edns, received, query_len, reply_edns, _permit: permit }
    }

    pub(crate) fn requester(&self) -> Requester<'_> {
        let header =
            RequestHeader { id: self.id, flags: self.flags, question: &self.question, edns: self.edns };
        let Self { client, received, query_len, reply_edns, .. } = *self;
        Requester { client, header, received, query_len, reply_edns }
    }
}

/// One open question.
#[derive(Debug)]
pub(crate) struct InflightQuery {
    pub(crate) query: Rc<UpstreamQuery>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) transport: Transport,
    pub(crate) selection: Selection,
    /// Attempts that may still bring an answer, late ones included.
    pub(crate) attempts: Vec<AttemptId>,
    /// When all clients are told, answer or not.
    pub(crate) deadline: Instant,
    /// When this query wants to be looked at again.
    pub(crate) timer: Instant,
    /// How the last attempt failed.
    pub(crate) trouble: Option<(AttemptFailure, Transport, SocketAddr)>,
    /// No attempt has failed otherwise than by silence.
    pub(crate) only_silence: bool,
    /// It began without a client that waits.
    pub(crate) is_refresh: bool,
    /// This worker asks; otherwise another one does, and tells us.
    pub(crate) is_owner: bool,
    /// The workers that are to be told, known when the in-flight query has ended.
    pub(crate) subscribers: Vec<WorkerId>,
    /// The last answer that was not good enough; it is told if no better one comes.
    pub(crate) fallback_response: Option<FallbackResponse>,
    /// What clients are told when upstreams are no help.
    pub(crate) stale_answer: Option<StaleAnswer>,
    /// Answers that the upstreams of the forward had given when this began.
    pub(crate) heard: u64,
    /// The time of an attempt ran out.
    pub(crate) has_waited: bool,
}

/// An answer that is over, for want of a newer one (RFC 8767).
#[derive(Debug)]
pub(crate) struct StaleAnswer {
    pub(crate) entry: Arc<Entry>,
    /// When clients have waited long enough for a newer one.
    pub(crate) until: Instant,
}

impl InflightQuery {
    /// A question to the upstreams of `forward` that this worker asks, with nobody who waits yet.
    pub(crate) fn new(
        query: Rc<UpstreamQuery>,
        forward: &Forward,
        deadline: Instant,
        random: &mut impl rand::Rng,
    ) -> Self {
        Self {
            transport: forward.options.transport.for_client(query.came_by),
            query,
            waiters: Vec::new(),
            selection: Selection::new(forward, random),
            attempts: Vec::new(),
            deadline,
            timer: deadline,
            trouble: None,
            only_silence: true,
            is_refresh: false,
            is_owner: true,
            subscribers: Vec::new(),
            fallback_response: None,
            stale_answer: None,
            heard: forward.state.responses.load(Relaxed),
            has_waited: false,
        }
    }

    /// True while it waits before it asks the same upstream again.
    pub(crate) fn is_pausing(&self) -> bool {
        self.timer < self.deadline
    }

    /// The next candidate of the selection. With an answer in hand only upstreams that were not asked yet are worth one.
    pub(crate) fn peek(&self) -> Option<Candidate> {
        let candidate = self.selection.peek(self.query.forward()?)?;
        (self.fallback_response.is_none() || !candidate.again()).then_some(candidate)
    }

    /// Takes the candidate that [`Self::peek`] shows.
    pub(crate) fn take(&mut self) -> Option<Candidate> {
        self.peek()?;
        self.selection.take(self.query.forward()?)
    }
}

/// An answer of an upstream, kept whole.
#[derive(Debug)]
pub(crate) struct FallbackResponse {
    pub(crate) attempt: Attempt,
    pub(crate) packet: Box<[u8]>,
}

/// One question on its way to one upstream.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) query: Rc<UpstreamQuery>,
    pub(crate) inflight: QueryId,
    /// Index among the upstreams of the forward.
    pub(crate) upstream: usize,
    pub(crate) transport: Transport,
    pub(crate) id: u16,
    /// Sent with OPT.
    pub(crate) edns: bool,
    pub(crate) asked: Instant,
    /// When this attempt wants to be looked at again.
    pub(crate) timer: Instant,
    /// When its time is over.
    pub(crate) until: Instant,
    /// When another attempt is made early, if this one has brought nothing.
    pub(crate) hedge_at: Option<Instant>,
    /// Messages that came for it and did not answer it.
    pub(crate) mismatches: u8,
    /// How long the right answer may take to follow a message that was not it.
    pub(crate) mismatch_deadline: Option<Instant>,
    /// Its time is over; it is only kept for what may still come.
    pub(crate) late: bool,
    /// It repeats one that a closing connection had taken with it.
    pub(crate) is_retry: bool,
    /// It was made early, because another one brought nothing for a while.
    pub(crate) is_hedge: bool,
}

impl Attempt {
    /// True when an answer does not end what carries it: a socket stays open for more datagrams, and a distrusted stream
    /// for what may follow.
    pub(crate) fn keeps_open(&self) -> bool {
        self.transport == Transport::Udp || self.mismatches > 0
    }

    /// When the next thing happens to it, unless it is late.
    pub(crate) fn next_look(&self) -> Instant {
        let looks = [self.hedge_at, self.mismatch_deadline];
        looks.into_iter().flatten().fold(self.until, Instant::min)
    }
}
