//! An attempt: an upstream query sent to one upstream, and its timers.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::connection_use::ConnectionUse;
use super::probe::ProbePermit;
use super::query::UpstreamQuery;
use super::rtt;
use super::selection::Candidate;
use crate::policy::Upstream;
use crate::timers::QueryId;
use crate::transport::Transport;

/// How long after its timeout an attempt on a stream may still deliver a response for the cache.
pub(super) const LATE_RESPONSE_WINDOW: Duration = Duration::from_secs(5);

/// What an attempt is started with.
pub(crate) struct AttemptSpec {
    pub(crate) query_id: QueryId,
    pub(crate) query: Rc<UpstreamQuery>,
    /// Index among the upstreams of the forward.
    pub(crate) upstream: usize,
    pub(crate) transport: Transport,
    pub(crate) edns: bool,
    pub(crate) usage: ConnectionUse,
    /// A hedge or a retransmission of another attempt.
    pub(crate) is_hedge: bool,
    /// Another upstream can be tried at its RTO.
    pub(crate) has_alternative: bool,
    /// A copy of another attempt, sent to a silent upstream.
    pub(crate) probe: Option<Rc<ProbePermit>>,
    /// False for a refresh.
    pub(crate) has_client: bool,
    /// Repeats the only query of a suspect connection.
    pub(crate) was_alone: bool,
}

impl AttemptSpec {
    /// The first attempt at a candidate.
    pub(crate) fn new(
        query_id: QueryId,
        query: &Rc<UpstreamQuery>,
        transport: Transport,
        candidate: Candidate,
    ) -> Self {
        Self {
            query_id,
            query: Rc::clone(query),
            upstream: candidate.upstream,
            transport,
            edns: true,
            usage: if candidate.is_repeated() { ConnectionUse::Fresh } else { ConnectionUse::Shared },
            is_hedge: false,
            has_alternative: false,
            probe: None,
            has_client: true,
            was_alone: false,
        }
    }

    /// The same query to the same upstream by the same transport.
    pub(crate) fn repeat(attempt: &Attempt) -> Self {
        Self {
            query_id: attempt.query_id,
            query: Rc::clone(&attempt.query),
            upstream: attempt.upstream,
            transport: attempt.transport,
            edns: attempt.edns,
            usage: attempt.usage,
            is_hedge: attempt.is_hedge,
            has_alternative: false,
            probe: attempt.probe.clone(),
            has_client: true,
            was_alone: false,
        }
    }

    /// The transport used for `upstream`: TLS needs TCP.
    pub(crate) fn transport_to(&self, upstream: &Upstream) -> Transport {
        if upstream.encrypted { Transport::Tcp } else { self.transport }
    }
}

/// A query sent to one upstream.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) query: Rc<UpstreamQuery>,
    pub(crate) query_id: QueryId,
    /// Index among the upstreams of the forward.
    pub(crate) upstream: usize,
    pub(crate) transport: Transport,
    /// Sent with OPT.
    pub(crate) edns: bool,
    pub(crate) sent: Instant,
    /// When its pending timer fires.
    pub(crate) timer: Instant,
    /// When it times out.
    pub(crate) until: Instant,
    /// When its upstream's RTO passes; none after that.
    pub(crate) rto_at: Option<Instant>,
    /// When it is checked whether its octets are acknowledged.
    pub(crate) check_at: Option<Instant>,
    /// Responses received from its upstream before it was sent.
    pub(crate) responses_before: u64,
    /// Timed out, kept for a late response.
    pub(crate) late: bool,
    /// Repeated on another connection, after a mismatch or because its own is suspect.
    pub(crate) is_repeated: bool,
    /// Repeats the only query of a suspect connection.
    pub(crate) was_alone: bool,
    pub(crate) usage: ConnectionUse,
    /// A hedge or a retransmission of another attempt.
    pub(crate) is_hedge: bool,
    pub(crate) probe: Option<Rc<ProbePermit>>,
}

impl Attempt {
    /// The upstream that it is sent to.
    pub(crate) fn sent_to(&self) -> Option<&Upstream> {
        self.query.upstream(self.upstream)
    }

    /// True while its response is expected.
    pub(crate) fn is_promising(&self) -> bool {
        !self.late && !self.is_repeated && !self.is_probe()
    }

    /// True for a copy of another attempt, sent to a silent upstream: no client waits for it.
    pub(crate) fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// Records that its upstream responds, whatever is done with the response.
    pub(crate) fn record_response(&self, now: Instant) {
        if let Some(upstream) = self.sent_to() {
            upstream.state.record_response(now);
        }
    }

    /// Its RTO has passed, or it has failed without anything received. True when its upstream has
    /// not responded to anything since it was sent; that is recorded once.
    pub(crate) fn pass_rto(&mut self) -> bool {
        let is_first = self.rto_at.take().is_some();
        let Some(upstream) = self.sent_to() else { return false };
        let nothing_received = upstream.state.responses.load(Relaxed) == self.responses_before;
        if is_first && nothing_received {
            upstream.state.record_unanswered();
        }
        nothing_received
    }

    /// Before when octets must have been sent that should be acknowledged, if it is time to check that;
    /// again later while packets are lost, or it has not been sent.
    pub(super) fn check_acknowledged(&mut self, now: Instant, is_sent: bool) -> Option<Instant> {
        self.check_at.take_if(|at| now >= *at)?;
        if !self.is_promising() {
            return None;
        }
        let upstream = &self.sent_to()?.state;
        let timeout = rtt::acknowledgment_timeout(upstream, now);
        self.check_at = (!is_sent || upstream.has_lost_packets(now)).then(|| now + timeout);
        now.checked_sub(timeout).filter(|_| is_sent)
    }

    /// True when its octets should be acknowledged.
    pub(crate) fn is_acknowledgment_due(&self, now: Instant) -> bool {
        let upstream = self.sent_to();
        upstream.is_some_and(|one| now >= self.sent + rtt::acknowledgment_timeout(&one.state, now))
    }

    /// Time of its next event, unless it is late.
    pub(super) fn next_event(&self) -> Instant {
        [self.rto_at, self.check_at].into_iter().flatten().fold(self.until, Instant::min)
    }
}
